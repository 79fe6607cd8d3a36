-- What orders are listed and found by. See 0001 for what the moments mean.

-- A keyed hash of the number by which people know it: it is found by that, and nobody reads it here. None = it was erased, or not
-- reported since this column is there.
alter table orders add column number_hash text;
alter table orders add column created_at bigint not null default 0; -- when it was first heard of
update orders set created_at = coalesce(
    (select min(e.recorded_at) from events e where e.shop = orders.shop and e.order_id = orders.id), changed_at);
create index orders_by_creation on orders (shop, created_at, id);
create index orders_by_number on orders (shop, number_hash);
