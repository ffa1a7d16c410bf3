-- What lists walk, so that no list reads past rows of a kind that it does not show.

-- Each row stands in two of these four, as it stood in two indexes before.
create index waiting_pending_tenant on waiting (tenant_id, delivery_id) where attempts = 0;
create index waiting_pending_webhook on waiting (webhook_id, delivery_id) where attempts = 0;
create index waiting_retry_tenant on waiting (tenant_id, delivery_id) where attempts > 0;
create index waiting_retry_webhook on waiting (webhook_id, delivery_id) where attempts > 0;
drop index waiting_tenant;
drop index waiting_webhook;

-- Few attempts stand in these: a delivered one almost always answered 2xx.
create index attempt_exhausted_class on attempt (tenant_id, (status_code / 100), delivery_id)
  where settled = 'exhausted';
create index attempt_delivered_odd on attempt (tenant_id, (status_code / 100), delivery_id)
  where settled = 'delivered' and (status_code < 200 or status_code > 299);

create index message_resource_type on message (tenant_id, resource_type, id)
  where resource_type is not null;
