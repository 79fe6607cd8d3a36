-- What shoppers asked the merchant's price for. See 0001 for what `encrypted` and the moments mean.
create table quotes (
    shop text not null,
    id text not null,
    order_id text not null, -- under which it is kept beside its lines, jobs and order_outcomes; its key seals it
    state text not null check (state in ('requested', 'offered', 'accepted', 'withdrawn')),
    version bigint not null, -- grows with each change
    content bytea not null, -- encrypted
    expires_at bigint, -- of the offer
    requested_at bigint not null,
    changed_at bigint not null,
    primary key (shop, id)
);
create index quotes_by_time on quotes (shop, requested_at, id);
create index quotes_by_age on quotes (changed_at);
create index quotes_by_order on quotes (shop, order_id);
