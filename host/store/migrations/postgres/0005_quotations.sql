-- What shoppers asked the merchant's price for. See 0001 for what `sealed` and the moments mean.
create table quotations (
    shop text not null,
    id text not null,
    order_id text not null, -- under which it is kept beside its lines, jobs and outcomes; its key seals it
    state text not null check (state in ('requested', 'offered', 'accepted', 'withdrawn')),
    version bigint not null, -- grows with each change
    content bytea not null, -- sealed
    ends_at bigint, -- of the offer
    asked_at bigint not null,
    changed_at bigint not null,
    primary key (shop, id)
);
create index quotations_by_time on quotations (shop, asked_at, id);
create index quotations_by_age on quotations (changed_at);
create index quotations_of_order on quotations (shop, order_id);
