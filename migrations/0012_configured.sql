-- When what a webhook's requests are made of was changed last: its URL, headers, auth, settings or
-- secrets. Pausing, resuming and disabling change none of them. Null where an earlier version wrote it.
alter table webhook add column configured_at timestamptz;

update webhook set configured_at = updated_at;
