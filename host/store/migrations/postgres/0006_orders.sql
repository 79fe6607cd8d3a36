-- What orders are listed and found by. See 0001 for what the moments mean.

alter table orders add column number text; -- by which people know it; none = it was erased, or not reported since this column is there
alter table orders add column created_at bigint not null default 0; -- when it was first heard of
update orders set created_at = coalesce(
    (select min(e.recorded_at) from events e where e.shop = orders.shop and e.order_id = orders.id), changed_at);
create index orders_by_creation on orders (shop, created_at, id);
