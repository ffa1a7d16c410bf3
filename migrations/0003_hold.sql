-- The switch that stops all sending: a row while it is on. Accepting goes on.
create table hold (
  only_row boolean primary key default true check (only_row),
  reason text,
  since timestamptz not null
);
