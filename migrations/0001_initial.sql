-- The ground of Posthaste. What each table promises:
--
--   message, attempt   append-only, partitioned by day. Both are keyed by UUIDv7, so a partition
--                      is a range of ids and retention drops it whole.
--   owed               deliveries that an engine holds in memory; narrow, one key, bounded.
--   waiting            deliveries that memory does not hold: backlog and retries, by due time.
--   webhook_health     what changes with every batch of attempts, apart from what people change.
--
-- A delivery's id is its message's id with a number in the last 16 bits (see message_of).
-- Partitions are made by store/Partitions; the default partitions only catch ids of days that
-- nobody prepared.

create table tenant (
  id uuid primary key,
  uid text not null unique,
  name text not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

create table api_key (
  id uuid primary key,
  -- Null for an admin key, which may name any tenant.
  tenant_id uuid references tenant (id) on delete cascade,
  name text not null,
  prefix text not null,
  hash bytea not null unique,
  scopes text[] not null,
  created_at timestamptz not null,
  last_used_at timestamptz,
  expires_at timestamptz
);

create index api_key_tenant on api_key (tenant_id, id);

create table webhook (
  id uuid primary key,
  tenant_id uuid not null references tenant (id) on delete cascade,
  uid text,
  name text,
  description text,
  metadata jsonb not null default '{}',
  url text not null,
  event_types text[] not null default '{}',
  resources jsonb not null default '[]',
  headers jsonb not null default '{}',
  settings jsonb not null default '{}',
  status text not null check (status in ('enabled', 'paused', 'disabled')),
  disabled_reason text,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

create unique index webhook_uid on webhook (tenant_id, uid) where uid is not null;
create index webhook_tenant on webhook (tenant_id, id desc);

create table webhook_secret (
  id uuid primary key,
  webhook_id uuid not null references webhook (id) on delete cascade,
  value bytea not null,
  created_at timestamptz not null,
  -- Null for the current secret; a rotated one signs until then.
  expires_at timestamptz
);

create index webhook_secret_webhook on webhook_secret (webhook_id, id desc);

create table webhook_health (
  webhook_id uuid primary key references webhook (id) on delete cascade,
  version bigint not null default 0,
  consecutive_failures integer not null default 0,
  failing_since timestamptz,
  last_success_at timestamptz,
  last_failure_at timestamptz,
  circuit_open_until timestamptz,
  circuit_openings integer not null default 0,
  throttled_until timestamptz
) with (fillfactor = 50);

create table event_type (
  tenant_id uuid not null references tenant (id) on delete cascade,
  name text not null,
  display_name text not null,
  description text,
  schema jsonb,
  example jsonb,
  archived boolean not null default false,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, name)
);

create table message (
  id uuid not null,
  tenant_id uuid not null,
  type text not null,
  uid text,
  resource_type text,
  resource_id text,
  content_type text not null,
  body bytea not null,
  fan_out integer not null,
  created_at timestamptz not null,
  primary key (id)
) partition by range (id);

create index message_tenant on message (tenant_id, id);
create index message_type on message (tenant_id, type, id);
create index message_resource on message (tenant_id, resource_type, resource_id, id)
  where resource_type is not null;

-- lz4 is 3.4 times cheaper than pglz for bodies that are compressed at all; builds without it
-- keep the server's default.
do $$
begin
  alter table message alter column body set compression lz4;
exception when others then
  null;
end
$$;

create table message_default partition of message default;

-- The caller's own ids, unique in a tenant for ever: they outlive the messages.
create table message_uid (
  tenant_id uuid not null,
  uid text not null,
  message_id uuid not null,
  digest bytea not null,
  primary key (tenant_id, uid)
);

create table idempotency (
  tenant_id uuid not null,
  key text not null,
  digest bytea not null,
  resource_id uuid not null,
  created_at timestamptz not null,
  primary key (tenant_id, key)
);

create index idempotency_created on idempotency (created_at);

create table owed (
  delivery_id uuid primary key,
  tenant_id uuid not null,
  webhook_id uuid not null
);

create table waiting (
  delivery_id uuid primary key,
  tenant_id uuid not null,
  webhook_id uuid not null,
  -- Attempts made in all, and in this round: a redelivery starts a fresh round.
  attempts integer not null default 0,
  tries integer not null default 0,
  due_at timestamptz not null
);

create index waiting_due on waiting (webhook_id, due_at, delivery_id);
create index waiting_tenant on waiting (tenant_id, delivery_id);
create index waiting_webhook on waiting (webhook_id, delivery_id);

create table attempt (
  delivery_id uuid not null,
  number integer not null,
  id uuid not null,
  tenant_id uuid not null,
  webhook_id uuid not null,
  started_at timestamptz not null,
  duration_ms integer not null,
  class text not null,
  status_code integer,
  error text,
  response_headers jsonb,
  response_body bytea,
  response_truncated boolean not null default false,
  next_at timestamptz,
  -- The state in which this attempt left its delivery for good; null while another one follows.
  settled text check (settled in ('delivered', 'exhausted')),
  primary key (delivery_id, number)
) partition by range (delivery_id);

-- One index for each final state, so that the few exhausted are found among the many delivered. An
-- attempt stands in those of its own state only.
create index attempt_delivered_tenant on attempt (tenant_id, delivery_id)
  where settled = 'delivered';
create index attempt_delivered_webhook on attempt (webhook_id, delivery_id)
  where settled = 'delivered';
create index attempt_exhausted_tenant on attempt (tenant_id, delivery_id)
  where settled = 'exhausted';
create index attempt_exhausted_webhook on attempt (webhook_id, delivery_id)
  where settled = 'exhausted';

create table attempt_default partition of attempt default;

create table cancelled (
  delivery_id uuid primary key,
  tenant_id uuid not null,
  webhook_id uuid not null,
  attempts integer not null,
  cancelled_at timestamptz not null
);

create index cancelled_tenant on cancelled (tenant_id, delivery_id);
create index cancelled_webhook on cancelled (webhook_id, delivery_id);

-- The message that a delivery belongs to.
create function message_of(delivery uuid) returns uuid
  language sql immutable strict parallel safe
  return (left(delivery::text, 32) || '0000')::uuid;

-- One row: which engine owns the deliveries, and the epoch that fences every earlier owner.
create table engine (
  only_row boolean primary key default true check (only_row),
  epoch bigint not null,
  holder text not null,
  taken_at timestamptz not null
);

insert into engine (epoch, holder, taken_at) values (0, 'nobody', 'epoch');
