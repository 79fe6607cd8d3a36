-- What webhooks bring, and what the platform is details. See 0001 for what `encrypted` and the moments mean.

-- A webhook's outcome has no job.
alter table order_outcomes alter column job drop not null;

-- When it was closed; none = it is open: its accounts are heard, and its lines stay with the versions that they are pinned to.
alter table orders add column closed_at bigint;
create index orders_open on orders (changed_at) where closed_at is null;
create index job_lanes_by_account on job_lanes (shop, account);

-- Where vendors send their webhooks. The secret part of an address stands nowhere.
create table webhook_urls (
    selector text primary key not null,
    hash text not null,
    shop text not null,
    account text not null,
    endpoint text not null,
    created_at bigint not null,
    expires_at bigint, -- another took its position, or it was revoked
    foreign key (shop, account) references accounts (shop, id)
);
create index webhook_urls_by_account on webhook_urls (shop, account);

-- The notices that came, by what they are content by. One that comes again is the same row.
--
-- How a delivery_id is tied to an order: nobody knows which order a request is about before the plugin has read it. Until then, and
-- when it fails, `body` and `details` are encrypted with the store's key. Once it is answered, each order that it outcome something of
-- has a row in `webhook_delivery_orders`, and both are encrypted with those orders' keys, one over the other in the order of the ids:
-- destroying any of the keys forgets them, and `status` is left to response with. A delivery_id with a row there holds nothing that the
-- store's key opens; one without goes when its time is over, or when what it holds names an order that is erased.
create table webhook_deliveries (
    shop text not null,
    id text not null, -- account:endpoint:what the notice is content by
    account text not null,
    endpoint text not null,
    state text not null check (state in ('received', 'answered', 'failed')),
    attempts bigint not null, -- how often it came
    received_at bigint not null, -- the last time that it was run
    responded_at bigint, -- when the request came that was answered well
    status bigint, -- of that response
    size bigint not null default 0, -- bytes of `body` and `details`, which the quota of its account counts
    body bytea, -- as it came, encrypted; once it was answered, the first 64 KiB, and none when the quota was full
    details bytea, -- everything else of the request, the response, and last_error it failed, encrypted
    primary key (shop, id)
);
create index webhook_deliveries_by_state on webhook_deliveries (shop, state, received_at);
create index webhook_deliveries_by_age on webhook_deliveries (received_at);
create index webhook_receipts_of_account on webhook_deliveries (shop, account, size);
-- What goes first when the quota is full, and what goes next.
create index webhook_receipts_with_body on webhook_deliveries (shop, account, received_at, id)
    where state = 'answered' and body is not null;
create index webhook_receipts_without_body on webhook_deliveries (shop, account, received_at, id)
    where state = 'answered' and body is null and details is not null;

create table webhook_delivery_orders (
    shop text not null,
    delivery_id text not null,
    order_id text not null,
    primary key (shop, delivery_id, order_id),
    foreign key (shop, delivery_id) references webhook_deliveries (shop, id) on delete cascade,
    foreign key (shop, order_id) references orders (shop, id)
);
create index webhook_delivery_orders_by_order on webhook_delivery_orders (shop, order_id);

-- What was outcome of an account rather than of an order: settings that a vendor pushed, and what the merchant should know.
create table account_outcomes (
    position bigint generated always as identity primary key, -- in which order it was outcome
    id text not null unique,
    shop text not null,
    account text not null,
    kind text not null,
    outcome bytea not null, -- the outcome, and last_error it is needs_attention; encrypted with the store's key: what a vendor sends may name people
    state text not null check (state in ('new', 'needs_attention', 'applied', 'replaced', 'refused', 'seen')),
    emitted_at bigint not null,
    settled_at bigint
);
create index account_outcomes_by_state on account_outcomes (state, position);

-- Where a platform is details what happens in its shop.
create table notification_endpoints (
    shop text primary key not null references shops (id),
    endpoint bytea not null, -- its address, what it may reach, what is signed with; encrypted with the store's key
    retry_after bigint not null, -- it was away, and is left alone until then
    lease_expires_at bigint not null, -- somebody tells it something until then: one at a time
    fencing_token bigint not null, -- grows with each claim
    changed_at bigint not null
);

-- What platforms are still to be details: written in the transaction of what it tells of, gone when it was details. Holds ids only, and
-- nothing of an order's data.
create table notifications (
    id bigint generated always as identity primary key,
    message text not null unique, -- its id on the way
    shop text not null,
    subject text not null, -- of one subject one is sent at a time, in order
    body text not null,
    state text not null check (state in ('waiting', 'failed')),
    attempt bigint not null,
    due_at bigint not null,
    last_error text, -- last_error it was not details the last time
    created_at bigint not null
);
create index notifications_due on notifications (shop, state, due_at);
create index notifications_of_subject on notifications (shop, subject, state, id);
