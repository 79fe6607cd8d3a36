-- What platforms that speak HTTP push and ask. See 0001 for what `sealed` and the moments mean.

-- A platform's products.
create table variants (
    shop text not null references shops (id),
    product text not null,
    id text not null,
    sku text not null,
    sku_folded text not null, -- in lower case as Rust folds it: the databases differ
    searched text not null, -- what a search looks through, in lower case
    place bigint not null, -- in which order they came
    variant text not null, -- everything else of it
    changed_at bigint not null,
    primary key (shop, product, id)
);
create index variants_by_sku on variants (shop, sku_folded);

create table exchange_rates (
    shop text not null references shops (id),
    from_currency text not null,
    to_currency text not null,
    rate text not null,
    changed_at bigint not null,
    primary key (shop, from_currency, to_currency)
);
