-- Deliveries that stand in the order of their message's key, one key of one webhook after another, and
-- why a delivery was cancelled by the engine.

-- Null where the delivery is in no order: most are. Lanes walk keys in the order of their bytes.
alter table waiting add column ordering_key text collate "C";

-- The order of a key is that of its ids. What is in no order is found without walking past the rest.
create index waiting_order on waiting (webhook_id, ordering_key, delivery_id)
  where ordering_key is not null;
create index waiting_order_due on waiting (webhook_id, due_at) where ordering_key is not null;
create index waiting_unordered on waiting (webhook_id, due_at, delivery_id)
  where ordering_key is null;

-- Exhausted deliveries that keep back what comes after them under their key, until someone redelivers
-- or cancels them.
create table blocked_key (
  delivery_id uuid primary key,
  tenant_id uuid not null,
  webhook_id uuid not null,
  ordering_key text collate "C" not null
);

create index blocked_key_order on blocked_key (webhook_id, ordering_key, delivery_id);

alter table cancelled add column reason text;

-- The key in whose order a delivery stands that is sent again, or null.
create function order_of(delivery uuid, webhook_id uuid) returns text
  language sql stable strict parallel safe
  return (
    select m.ordering_key from message m join webhook w on w.id = order_of.webhook_id
    where m.id = message_of(delivery) and coalesce(w.settings ->> 'ordering', 'none') <> 'none'
  );
