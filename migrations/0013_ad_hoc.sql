-- Webhooks that came with a message: routing never chooses them, and retention removes them. The digest
-- is what messages name one by, of its URL and its secret; null once none is to go there any more.

alter table webhook
  add column ad_hoc boolean not null default false,
  add column ad_hoc_digest text check (ad_hoc or ad_hoc_digest is null);

create unique index webhook_ad_hoc_digest on webhook (tenant_id, ad_hoc_digest)
  where ad_hoc_digest is not null;
create index webhook_ad_hoc on webhook (id) where ad_hoc;
