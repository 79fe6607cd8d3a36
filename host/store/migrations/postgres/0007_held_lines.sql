-- Is a line of the order needs_attention back in its newest version? The lines themselves are encrypted. An order that was content before this column is
-- there is counted from its next version on.
alter table orders add column held_lines bigint not null default 0 check (held_lines in (0, 1));
create index orders_with_held_lines on orders (shop, id) where held_lines = 1;
