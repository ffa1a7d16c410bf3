-- What a message may say about its way: the order it stands in, who listens, when it goes out and
-- until when it is worth sending. Null where nothing was said, which costs a row nothing.

alter table message
  add column ordering_key text,
  add column channels text[],
  add column deliver_at timestamptz,
  add column expires_at timestamptz;

-- What a webhook wants beside types and resources.
alter table webhook
  add column channels text[] not null default '{}',
  add column filter jsonb;
