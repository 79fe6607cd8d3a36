-- What platforms that speak HTTP push and ask. See 0001 for what `encrypted` and the moments mean.

-- A platform's products.
create table variants (
    shop text not null references shops (id),
    product text not null,
    id text not null,
    sku text not null,
    sku_lowercase text not null, -- in lower case as Rust folds it: the databases differ
    search_text text not null, -- what a search looks through, in lower case
    position bigint not null, -- in which order they came
    variant text not null, -- everything else of it
    changed_at bigint not null,
    primary key (shop, product, id)
);
create index variants_by_sku on variants (shop, sku_lowercase);

create table exchange_rates (
    shop text not null references shops (id),
    from_currency text not null,
    to_currency text not null,
    rate text not null,
    changed_at bigint not null,
    primary key (shop, from_currency, to_currency)
);

-- Who may ask what. The secret part of a key stands nowhere.
create table access_keys (
    id text primary key not null, -- the part of a key that is no secret
    role text not null check (role in ('storefront', 'backend', 'integrator', 'admin')),
    shop text references shops (id), -- none = every shop
    label text not null,
    networks text not null, -- where it may be used from; empty = anywhere
    hash text not null,
    previous_hash text, -- of the secret before, which goes on until `previous_ends_at`
    previous_ends_at bigint,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint -- to the minute
);

-- Who is logged in at the admin pages.
create table sessions (
    id text primary key not null,
    hash text not null,
    access_key text not null references access_keys (id),
    started_at bigint not null,
    last_used_at bigint not null -- to the minute
);
create index sessions_of_access_key on sessions (access_key);

-- Requests that are answered once, by whoever asked and the name that the asker gave them.
create table idempotency_keys (
    id text primary key not null, -- digest of both
    digest text not null, -- of what was asked
    fencing_token bigint not null, -- grows with each beginning
    started_at bigint not null,
    responded_at bigint,
    response bytea -- encrypted with the store's key
);
create index idempotency_keys_by_age on idempotency_keys (started_at);

-- Which orders an response holds something of: it is forgotten with them.
create table idempotency_key_orders (
    request text not null references idempotency_keys (id) on delete cascade,
    shop text not null,
    order_id text not null,
    primary key (request, shop, order_id)
);
create index idempotency_key_orders_by_order on idempotency_key_orders (shop, order_id);

-- The origins whose pages may ask this host from a browser.
create table origins (
    shop text not null references shops (id),
    origin text not null,
    primary key (shop, origin)
);
