-- What a tenant may have and do at most; null is what the installation says.
alter table tenant
  add column webhooks_max integer check (webhooks_max >= 0),
  add column messages_per_second integer check (messages_per_second > 0);

create index tenant_limited on tenant (id)
  where webhooks_max is not null or messages_per_second is not null;
