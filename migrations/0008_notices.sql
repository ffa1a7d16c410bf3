-- Operational messages that are owed: written with the attempt that raised them, published and removed
-- a moment later. They are written only where somebody wants them.

create function wants_operational(patterns text[]) returns boolean
  language sql immutable strict parallel safe
  return exists (select from unnest(patterns) as pattern where pattern like 'posthaste.%');

create index webhook_operational on webhook (tenant_id) where wants_operational(event_types);

create table notice (
  id uuid primary key,
  tenant_id uuid not null,
  type text not null,
  -- JSON text, as it will be sent.
  data text not null,
  created_at timestamptz not null
);
