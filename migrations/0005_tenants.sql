-- A deleted tenant is nobody's to find from then on; what it owned leaves piece by piece, and its
-- row last. Its uid is free at once: the row keeps one that no caller can give.

alter table tenant add column deleted_at timestamptz;

create index tenant_deleted on tenant (id) where deleted_at is not null;
