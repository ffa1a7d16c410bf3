-- Bulk redeliveries: jobs that walk a range of deliveries step by step, by the id of the delivery.
-- A step commits together with what it did, so a job goes on after a kill where it was.

create table redelivery (
  id uuid primary key,
  tenant_id uuid not null references tenant (id) on delete cascade,
  -- What is wanted: null is no condition.
  webhook_id uuid,
  type text,
  status text not null check (status in ('delivered', 'exhausted', 'cancelled')),
  made_after timestamptz,
  made_before timestamptz,
  dry_run boolean not null,
  state text not null check (state in ('counting', 'running', 'done', 'cancelled')),
  matched bigint not null default 0,
  done bigint not null default 0,
  -- The deliveries between these ids are walked, first to count and then to redeliver them.
  above uuid not null,
  below uuid not null,
  passed uuid not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  finished_at timestamptz
);

create index redelivery_tenant on redelivery (tenant_id, id desc);
create index redelivery_open on redelivery (id) where state in ('counting', 'running');
