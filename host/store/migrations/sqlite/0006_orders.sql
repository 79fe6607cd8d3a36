-- What orders are listed and found by. See 0001 for what the moments mean.

-- A keyed hash of the position by which people know it: it is found by that, and nobody reads it here. None = it was erased, or not
-- reported since this column is there.
alter table orders add column number_hash text;
alter table orders add column created_at integer not null default 0; -- when it was first heard of
update orders set created_at = coalesce(
    (select min(e.recorded_at) from order_events e where e.shop = orders.shop and e.order_id = orders.id), changed_at);
create index orders_by_creation on orders (shop, created_at, id);
create index orders_by_number on orders (shop, number_hash);

-- Keyed hashes of the e-mail addresses that orders were billed or delivered to in any of their versions: a customer's orders are found by
-- them, and nobody reads them here.
create table order_emails (
    shop text not null,
    email_hash text not null,
    order_id text not null,
    primary key (shop, email_hash, order_id),
    foreign key (shop, order_id) references orders (shop, id)
) strict;
create index order_emails_by_order on order_emails (shop, order_id);
