-- How often anything was set up differently. A change takes this row first, so that changes of one database come one after the
-- other, and a node that has seen a number has seen everything before it.
create table setup_clock (
    id bigint primary key not null check (id = 1),
    tick bigint not null
);
insert into setup_clock (id, tick) values (1, 0);

-- The tick of the last change: what a node looks for to know what to read again.
alter table shops add column changed_tick bigint not null default 0;
alter table components add column changed_tick bigint not null default 0;
create index shops_by_tick on shops (changed_tick);
create index components_by_tick on components (changed_tick);

-- What the random numbers of durable hooks follow from: the same on every node and for ever, or they could not be replayed.
create table host_secret (
    id bigint primary key not null check (id = 1),
    secret bytea not null -- sealed with the store's key
);
