-- How often anything was set up differently. A change takes this row first, so that changes of one database come one after the
-- other, and a node that has seen a position has seen everything before it.
create table change_counter (
    id bigint primary key not null check (id = 1),
    number bigint not null
);
insert into change_counter (id, number) values (1, 0);

-- The number of the last change: what a node looks for to know what to read again.
alter table shops add column change_number bigint not null default 0;
alter table components add column change_number bigint not null default 0;
create index shops_by_change on shops (change_number);
create index components_by_change on components (change_number);

-- What the random numbers of durable hooks follow from: the same on every node and for ever, or they could not be replayed.
create table host_secret (
    id bigint primary key not null check (id = 1),
    secret bytea not null -- encrypted with the store's key
);
