-- Who changed what, when, from where: written in the transaction of the change, and only ever added to.
-- Entries outlive what they tell of, so nothing here refers to it; retention takes them when they are old.

create table audit_entry (
  id uuid primary key,
  -- Null where a change concerns the whole installation.
  tenant_id uuid,
  at timestamptz not null,
  -- Null for whoever works on the database itself.
  actor_key_id uuid,
  actor_name text not null,
  ip text,
  request_id text,
  action text not null,
  target text not null,
  -- json, not jsonb: an example of an event type may hold characters that jsonb refuses.
  before json,
  after json
);

-- Whatever a list is narrowed to, it walks an index.
create index audit_entry_tenant on audit_entry (tenant_id, id);
create index audit_entry_actor on audit_entry (actor_key_id, id);
create index audit_entry_action on audit_entry (action, id);
create index audit_entry_target on audit_entry (target, id);
