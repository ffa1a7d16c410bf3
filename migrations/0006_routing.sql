-- What routing decided about a message beyond what types and deliveries say: [[webhook, reason,
-- clause], …]. Null for most messages.
alter table message add column routing text;

-- The catalogue: lists go by ids as everywhere, and JSON is kept as it was written, which jsonb would
-- not do with \u0000.
alter table event_type
  add column id uuid not null default gen_random_uuid(),
  alter column schema type json,
  alter column example type json;
alter table event_type alter column id drop default;
create unique index event_type_id on event_type (tenant_id, id);

-- Whether types that the catalogue does not name may be published.
alter table tenant add column unknown_event_types text not null default 'allow'
  check (unknown_event_types in ('allow', 'refuse'));
