-- What webhooks bring, and what the platform is told. See 0001 for what `sealed` and the moments mean.

-- A webhook's outcome has no job.
alter table outcomes alter column job drop not null;

-- When it was closed; none = it is open: its accounts are heard, and its lines stay with the versions that they are pinned to.
alter table orders add column closed_at bigint;
create index orders_open on orders (changed_at) where closed_at is null;
create index lanes_of_account on lanes (shop, account);

-- Where vendors send their webhooks. The secret part of an address stands nowhere.
create table webhook_addresses (
    selector text primary key not null,
    hash text not null,
    shop text not null,
    account text not null,
    endpoint text not null,
    made_at bigint not null,
    ends_at bigint, -- another took its place, or it was revoked
    foreign key (shop, account) references accounts (shop, id)
);
create index webhook_addresses_of_account on webhook_addresses (shop, account);

-- The notices that came, by what they are known by. One that comes again is the same row.
--
-- How a receipt is tied to an order: nobody knows which order a request is about before the plugin has read it. Until then, and
-- when it fails, `body` and `told` are sealed with the store's key. Once it is answered, each order that it said something of
-- has a row in `webhook_receipt_orders`, and both are sealed with those orders' keys, one over the other in the order of the ids:
-- destroying any of the keys forgets them, and `status` is left to answer with. A receipt with a row there holds nothing that the
-- store's key opens; one without goes when its time is over, or when what it holds names an order that is erased.
create table webhook_receipts (
    shop text not null,
    id text not null, -- account:endpoint:what the notice is known by
    account text not null,
    endpoint text not null,
    state text not null check (state in ('taken', 'answered', 'failed')),
    times bigint not null, -- how often it came
    came_at bigint not null, -- the last time that it was run
    answered_at bigint, -- when the request came that was answered well
    status bigint, -- of that answer
    size bigint not null default 0, -- bytes of `body` and `told`, which the quota of its account counts
    body bytea, -- as it came, sealed; once it was answered, the first 64 KiB, and none when the quota was full
    told bytea, -- everything else of the request, the answer, and why it failed, sealed
    primary key (shop, id)
);
create index webhook_receipts_by_state on webhook_receipts (shop, state, came_at);
create index webhook_receipts_by_age on webhook_receipts (came_at);
create index webhook_receipts_of_account on webhook_receipts (shop, account, size);
-- What goes first when the quota is full, and what goes next.
create index webhook_receipts_with_body on webhook_receipts (shop, account, came_at, id)
    where state = 'answered' and body is not null;
create index webhook_receipts_without_body on webhook_receipts (shop, account, came_at, id)
    where state = 'answered' and body is null and told is not null;

create table webhook_receipt_orders (
    shop text not null,
    receipt text not null,
    order_id text not null,
    primary key (shop, receipt, order_id),
    foreign key (shop, receipt) references webhook_receipts (shop, id) on delete cascade,
    foreign key (shop, order_id) references orders (shop, id)
);
create index webhook_receipt_orders_of_order on webhook_receipt_orders (shop, order_id);

-- What was said of an account rather than of an order: settings that a vendor pushed, and what the merchant should know.
create table account_outcomes (
    number bigint generated always as identity primary key, -- in which order it was said
    id text not null unique,
    shop text not null,
    account text not null,
    kind text not null,
    said bytea not null, -- the outcome, and why it is held; sealed with the store's key: what a vendor sends may name people
    state text not null check (state in ('new', 'held', 'applied', 'replaced', 'refused', 'seen')),
    emitted_at bigint not null,
    settled_at bigint
);
create index account_outcomes_by_state on account_outcomes (state, number);

-- Where a platform is told what happens in its shop.
create table notification_endpoints (
    shop text primary key not null references shops (id),
    endpoint bytea not null, -- its address, what it may reach, what is signed with; sealed with the store's key
    not_before bigint not null, -- it was away, and is left alone until then
    leased_until bigint not null, -- somebody tells it something until then: one at a time
    fence bigint not null, -- grows with each claim
    changed_at bigint not null
);

-- What platforms are still to be told: written in the transaction of what it tells of, gone when it was told. Holds ids only, and
-- nothing of an order's data.
create table notifications (
    id bigint generated always as identity primary key,
    message text not null unique, -- its id on the way
    shop text not null,
    subject text not null, -- of one subject one is sent at a time, in order
    body text not null,
    state text not null check (state in ('waiting', 'dead')),
    attempt bigint not null,
    due_at bigint not null,
    why text, -- why it was not told the last time
    created_at bigint not null
);
create index notifications_due on notifications (shop, state, due_at);
create index notifications_of_subject on notifications (shop, subject, state, id);
