-- What shoppers asked the merchant's price for. See 0001 for what `sealed` and the moments mean.
create table quotations (
    shop text not null,
    id text not null,
    order_id text not null, -- under which it is kept beside its lines, jobs and outcomes; its key seals it
    state text not null check (state in ('requested', 'offered', 'accepted', 'withdrawn')),
    version integer not null, -- grows with each change
    content blob not null, -- sealed
    ends_at integer, -- of the offer
    asked_at integer not null,
    changed_at integer not null,
    primary key (shop, id)
) strict;
create index quotations_by_time on quotations (shop, asked_at, id);
create index quotations_by_age on quotations (changed_at);
create index quotations_of_order on quotations (shop, order_id);
