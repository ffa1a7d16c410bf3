-- A deleted tenant is nobody's to find from then on; what it owned leaves piece by piece, and its
-- row last. Its uid is free at once: the row keeps one that no caller can give.

alter table tenant add column deleted_at timestamptz;

create index tenant_deleted on tenant (id) where deleted_at is not null;

-- What was attempted, counted beside the way of a delivery and added here every few seconds, so that
-- nobody has to count millions of rows. Counts outlive the rows that retention takes.

create table webhook_tally (
  webhook_id uuid primary key references webhook (id) on delete cascade,
  attempts bigint not null,
  delivered bigint not null,
  exhausted bigint not null
) with (fillfactor = 50);

create table tenant_tally (
  tenant_id uuid primary key references tenant (id) on delete cascade,
  attempts bigint not null,
  delivered bigint not null,
  exhausted bigint not null
) with (fillfactor = 50);

-- By the minute in which an attempt began; kept for two hours.
create table tenant_minute (
  tenant_id uuid not null references tenant (id) on delete cascade,
  minute timestamptz not null,
  attempts bigint not null,
  delivered bigint not null,
  exhausted bigint not null,
  primary key (tenant_id, minute)
) with (fillfactor = 50);

create index tenant_minute_minute on tenant_minute (minute);
