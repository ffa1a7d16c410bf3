-- What routing decided about a message beyond what types and deliveries say: [[webhook, reason,
-- clause], …]. Null for most messages.
alter table message add column routing text;
