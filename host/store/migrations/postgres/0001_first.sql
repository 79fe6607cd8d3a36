-- The first tables of a PostgreSQL database. `../sqlite/0001_first.sql` creates the same tables for SQLite, in the same order.
--
-- Timestamps are milliseconds since 1970-01-01 in UTC. Encrypted values were encrypted before they reached the database: with the
-- store's key, or with the key of their order, so that destroying that one key erases the order's data. Names are those of the Rust
-- types.

-- One row for each store key that values are encrypted with, so that a wrong key is refused when the store opens.
create table key_checks (
    key_id text primary key not null,
    encrypted bytea not null
);

-- What the random numbers of durable hooks are derived from: the same on every node and forever, because a replay needs them again.
create table host_secret (
    id bigint primary key not null check (id = 1),
    secret bytea not null -- encrypted with the store's key
);

-- Counts the changes of set-up. A change updates this row first, so that the changes of one database are serialized, and a node that
-- has read a value has read every change before it.
create table change_counter (
    id bigint primary key not null check (id = 1),
    number bigint not null
);
insert into change_counter (id, number) values (1, 0);

create table shops (
    id text primary key not null,
    shop text not null,
    price_seal_key bytea not null, -- encrypted with the store's key
    changed_at bigint not null,
    change_number bigint not null default 0 -- `change_counter.number` of the last change: nodes find by it what to read again
);
create index shops_by_change on shops (change_number);

-- Origins whose pages may call this host from a browser.
create table origins (
    shop text not null references shops (id),
    origin text not null,
    primary key (shop, origin)
);

create table accounts (
    shop text not null references shops (id),
    id text not null,
    current text not null,
    versions text not null, -- the settings in the form of each plugin version: a line uses the version that it is pinned to
    secrets bytea not null, -- encrypted with the store's key
    grants text not null,
    revision bigint not null,
    changed_at bigint not null,
    primary key (shop, id)
);

-- A vendor switch keeps the product link that it replaces, for the lines that were made with it.
create table product_links (
    shop text not null,
    shop_product text not null,
    account text not null,
    link text not null,
    is_current bigint not null check (is_current in (0, 1)),
    changed_at bigint not null,
    primary key (shop, shop_product, account),
    foreign key (shop, account) references accounts (shop, id)
);
create unique index product_links_current on product_links (shop, shop_product) where is_current = 1;

create table components (
    digest text primary key not null,
    plugin text not null,
    version text not null,
    bytes bytea not null,
    installed_at bigint not null,
    revoked_at bigint,
    replacement text references components (digest),
    change_number bigint not null default 0 -- `change_counter.number` of the last change
);
create index components_by_change on components (change_number);

-- The products of a platform that pushes them over HTTP.
create table variants (
    shop text not null references shops (id),
    product text not null,
    id text not null,
    sku text not null,
    sku_lowercase text not null, -- lower case by Rust's rules, because the databases differ
    search_text text not null, -- the text that a search reads, in lower case
    position bigint not null, -- index in the list that the platform pushed
    variant text not null, -- all other fields
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

-- Only the hash of a key's secret part is stored.
create table access_keys (
    id text primary key not null, -- the public part of the key
    role text not null check (role in ('storefront', 'backend', 'integrator', 'admin')),
    shop text references shops (id), -- null = every shop
    label text not null,
    networks text not null, -- from which it may be used; empty = from all
    hash text not null,
    previous_hash text, -- of the secret before the last rotation, valid until `previous_ends_at`
    previous_ends_at bigint,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint -- to the minute
);

-- Sessions of the admin pages.
create table sessions (
    id text primary key not null,
    hash text not null,
    access_key text not null references access_keys (id),
    started_at bigint not null,
    last_used_at bigint not null -- to the minute
);
create index sessions_of_access_key on sessions (access_key);

create table orders (
    shop text not null,
    id text not null,
    reference text not null,
    version bigint not null,
    released bigint not null check (released in (0, 1)), -- production is allowed; set back to 0 only by a newer version that is cancelled or refunded
    order_key bytea, -- encrypted with the store's key; null = the order is erased, and only this row is left of it
    content bytea not null, -- the newest version of the order, encrypted with the order's key; empty when the order is erased
    changed_at bigint not null,
    closed_at bigint, -- null = open: webhooks about it are read, and its lines stay with the versions that they are pinned to
    number_hash text, -- keyed hash, so that a search for order numbers finds it without revealing any; null = erased
    created_at bigint not null default 0, -- when the order was first reported
    has_lines_on_hold bigint not null default 0 check (has_lines_on_hold in (0, 1)), -- a line of the newest version is on hold; lines are encrypted
    primary key (shop, id)
);
create index orders_open on orders (changed_at) where closed_at is null;
create index orders_by_creation on orders (shop, created_at, id);
create index orders_by_number on orders (shop, number_hash);
create index orders_with_lines_on_hold on orders (shop, id) where has_lines_on_hold = 1;

-- The references by which an order is found: its own and those of its lines.
create table order_references (
    shop text not null,
    reference text not null,
    order_id text not null,
    primary key (shop, reference),
    foreign key (shop, order_id) references orders (shop, id)
);

-- The bills of materials of order lines, as they were sold. Beside the orders, so that an event does not carry them.
create table order_bills_of_materials (
    shop text not null,
    order_id text not null,
    line_id text not null,
    line_key text not null, -- of the cart line that it belongs to: equal keys have equal bills of materials
    articles bytea not null, -- of one piece, encrypted with the order's key
    primary key (shop, order_id, line_id),
    foreign key (shop, order_id) references orders (shop, id)
);

-- The vendors' own ids of orders and lines, as keyed hashes: find what a vendor's report is about without revealing any.
create table vendor_references (
    shop text not null,
    account text not null,
    order_id text not null,
    line_id text not null, -- '' = the whole order
    reference_hash text not null, -- of the latest vendor reference
    primary key (shop, account, order_id, line_id),
    foreign key (shop, order_id) references orders (shop, id)
);
create index vendor_references_by_hash on vendor_references (shop, account, reference_hash);
create index vendor_references_by_order on vendor_references (shop, order_id);

-- Keyed hashes of the e-mail addresses in the billing and delivery details of all versions of an order: find a customer's orders
-- without revealing the addresses.
create table order_emails (
    shop text not null,
    email_hash text not null,
    order_id text not null,
    primary key (shop, email_hash, order_id),
    foreign key (shop, order_id) references orders (shop, id)
);
create index order_emails_by_order on order_emails (shop, order_id);

create table quotes (
    shop text not null,
    id text not null,
    order_id text not null, -- the order that stores its lines, jobs and results, and whose key encrypts it
    state text not null check (state in ('requested', 'offered', 'accepted', 'withdrawn')),
    version bigint not null, -- grows with each change
    content bytea not null, -- encrypted with the order's key
    expires_at bigint, -- when the offer expires
    requested_at bigint not null,
    changed_at bigint not null,
    primary key (shop, id)
);
create index quotes_by_time on quotes (shop, requested_at, id);
create index quotes_by_age on quotes (changed_at);
create index quotes_by_order on quotes (shop, order_id);

create table order_events (
    shop text not null,
    id text not null,
    order_id text not null,
    order_version bigint not null,
    kind text not null,
    event bytea not null, -- encrypted with the order's key
    recorded_at bigint not null,
    primary key (shop, id),
    foreign key (shop, order_id) references orders (shop, id)
);
create index order_events_by_order on order_events (shop, order_id);
create index order_events_erase on order_events (shop, order_id) where kind = 'erase';

-- The queue of the jobs of one account and one order. One job runs at a time.
create table job_lanes (
    id bigint generated always as identity primary key,
    shop text not null,
    order_id text not null,
    account text not null,
    all_lines bigint not null check (all_lines in (0, 1)),
    next_position bigint not null, -- `jobs.position` of the next job
    current_job text, -- the job that has started and not ended
    unique (shop, order_id, account),
    foreign key (shop, order_id) references orders (shop, id)
);
create index job_lanes_by_account on job_lanes (shop, account);

create table jobs (
    id text primary key not null,
    lane_id bigint not null references job_lanes (id),
    shop text not null,
    event text not null,
    plugin text not null,
    state text not null check (state in (
        'queued', 'running', 'sleeping', 'waiting', 'retrying', 'needs-merchant', 'stopped', 'done', 'cancelled'
    )),
    position bigint not null,
    due_at bigint not null,
    outages bigint not null, -- since the job last progressed
    limit_breaches bigint not null, -- of time limits, since the job last progressed
    round bigint not null,
    is_cancelled bigint not null check (is_cancelled in (0, 1)),
    fencing_token bigint not null, -- grows with each claim; a worker with an older value can write nothing
    worker_losses bigint not null, -- consecutive runs whose worker disappeared
    worker text,
    lease_expires_at bigint,
    journal bigint not null, -- the current journal, as in `journal_entries.journal`
    earlier_attempts text not null, -- the journals before it
    event_sent bytea, -- the event as every run of this journal receives it, encrypted with the order's key
    continuation_state bytea, -- the state that the last `continue-later` passed on, encrypted with the order's key
    state_reason bytea, -- the reason for `state`, encrypted with the order's key
    created_at bigint not null,
    changed_at bigint not null,
    is_swept bigint not null default 0 check (is_swept in (0, 1)), -- its journals exceeded their retention and are deleted
    account text not null default '', -- the account that handles it: claims are shared fairly among accounts
    claimed_at bigint, -- when a worker last claimed it; null = never
    foreign key (shop, event) references order_events (shop, id)
);
create index jobs_due on jobs (state, due_at);
create index jobs_cancelled on jobs (state) where is_cancelled = 1;
create index jobs_by_lane on jobs (lane_id, state, position);
create index jobs_to_sweep on jobs (changed_at) where is_swept = 0;
create index jobs_by_event on jobs (shop, event);
create index jobs_of_account on jobs (state, shop, account, due_at);
create index jobs_claimed on jobs (shop, account, claimed_at) where claimed_at is not null;

create table journal_entries (
    job text not null references jobs (id),
    journal bigint not null,
    position bigint not null,
    record bytea not null, -- encrypted with the order's key
    primary key (job, journal, position)
);

-- What plugins reported about orders. No row is replaced: of one kind and subject the latest counts.
create table order_outcomes (
    id bigint generated always as identity primary key,
    shop text not null,
    order_id text not null,
    account text not null,
    job text references jobs (id), -- null = reported by a webhook
    outcome_key text not null,
    order_version bigint not null, -- of the order at that time
    kind text not null,
    outcome bytea not null, -- encrypted with the order's key
    needs_attention bigint not null check (needs_attention in (0, 1)), -- a person must resolve it
    emitted_at bigint not null,
    unique (job, outcome_key),
    foreign key (shop, order_id) references orders (shop, id)
);
create index order_outcomes_by_order on order_outcomes (shop, order_id, account);
create index order_outcomes_needing_attention on order_outcomes (shop, needs_attention) where needs_attention = 1;

-- Found by the digest of their plain bytes. Each order has its own copy, which its key encrypts and which is erased with it, so that no
-- other order or cart loses the bytes.
create table blobs (
    shop text not null,
    digest text not null, -- of the plain bytes
    order_id text not null, -- the order that owns this copy; '' = none: a raw configuration in a cart, or a thumbnail of one
    configuration text not null, -- of a thumbnail: the digest of the raw configuration that it shows; else ''
    kind text not null check (kind in ('configuration', 'thumbnail', 'response', 'document')),
    media_type text not null,
    size bigint not null, -- of the plain bytes
    blob_key bytea, -- only without an order: encrypted with the store's key
    created_at bigint not null, -- when it was last stored
    client_hash text not null, -- only without an order: a keyed hash of who stored it, by which the quota is shared; else ''
    is_reused bigint not null check (is_reused in (0, 1)), -- a cart needed it again after it was stored
    bytes bytea not null, -- encrypted with `blob_key`, or with the order's key
    primary key (shop, digest, order_id, configuration)
);
create index blobs_by_order on blobs (shop, order_id);
create index blobs_by_configuration on blobs (shop, configuration);
create index blobs_by_client on blobs (shop, order_id, client_hash, created_at, size);
create index blobs_by_age on blobs (kind, created_at);

-- The URLs to which vendors send their webhooks. Only the hash of a URL's secret part is stored.
create table webhook_urls (
    selector text primary key not null,
    hash text not null,
    shop text not null,
    account text not null,
    endpoint text not null,
    created_at bigint not null,
    expires_at bigint, -- set when another URL replaces it, or when it is revoked
    foreign key (shop, account) references accounts (shop, id)
);
create index webhook_urls_by_account on webhook_urls (shop, account);

-- Webhook deliveries. A repeated delivery is the same row.
--
-- The orders that a request concerns are unknown before the plugin has read it. Until then, and when the plugin fails, `body` and `details`
-- are encrypted with the store's key. When the request has its response, each order that it reported something about gets a row in
-- `webhook_delivery_orders`, and both values are encrypted with the keys of all these orders, one over another in the order of their ids:
-- destroying any of the keys erases both, and `status` remains for a repeated delivery. The store's key decrypts nothing of a delivery
-- that has such rows. A delivery without them is deleted when it exceeds its retention, or when an order that it names is erased.
create table webhook_deliveries (
    shop text not null,
    id text not null, -- account:endpoint:id, where the last part is the vendor's id of the delivery
    account text not null,
    endpoint text not null,
    state text not null check (state in ('received', 'answered', 'failed')),
    request_id text not null, -- the plugin's id of the request: kept until it has a response, and new when it is run anew after that
    attempts bigint not null, -- how often it was received
    received_at bigint not null, -- when it was last run
    responded_at bigint, -- when the request with the successful response was received
    status bigint, -- of that response
    size bigint not null default 0, -- bytes of `body` and `details`, which count towards the quota of the account
    body bytea, -- the body as received, encrypted; after the response its first 64 KiB, or null when the quota was reached
    details bytea, -- the rest of the request, the response, and the reason for a failure, encrypted
    primary key (shop, id)
);
create index webhook_deliveries_by_state on webhook_deliveries (shop, state, received_at);
create index webhook_deliveries_by_age on webhook_deliveries (received_at);
create index webhook_receipts_of_account on webhook_deliveries (shop, account, size);
-- Over quota, bodies are deleted first, then the other values.
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

-- What plugins reported about an account rather than an order: settings that a vendor pushed, and messages to the merchant.
create table account_outcomes (
    position bigint generated always as identity primary key, -- the sequence in which they were reported
    id text not null unique,
    shop text not null,
    account text not null,
    kind text not null,
    outcome bytea not null, -- the report, and the reason to approve it first; encrypted with the store's key, because it may name people
    state text not null check (state in ('new', 'pending-approval', 'applied', 'superseded', 'rejected', 'resolved')),
    emitted_at bigint not null,
    resolved_at bigint
);
create index account_outcomes_by_state on account_outcomes (state, position);

-- The feeds of accounts whose vendors are polled.
create table feeds (
    shop text not null,
    account text not null,
    cursor bytea, -- where the next page begins, encrypted with the store's key; null = at the beginning
    revision bigint not null, -- of the account when it was last polled: a changed account is polled at once
    next_poll_at bigint not null,
    last_polled_at bigint, -- when a page was last applied
    failures bigint not null, -- since a page was last applied
    last_error bytea, -- why the last poll failed, encrypted with the store's key, because it may name people
    lease_expires_at bigint not null, -- a worker polls it until then: one at a time
    fencing_token bigint not null, -- grows with each claim; a worker with an older value can write nothing
    primary key (shop, account),
    foreign key (shop, account) references accounts (shop, id)
);

-- The platform's URL for notifications of one shop.
create table notification_endpoints (
    shop text primary key not null references shops (id),
    endpoint bytea not null, -- the URL, what it may reach, and the signing secret; encrypted with the store's key
    retry_after bigint not null, -- no request is sent before, because the platform was unavailable
    lease_expires_at bigint not null, -- a worker sends to it until then: one at a time
    fencing_token bigint not null, -- grows with each claim
    changed_at bigint not null
);

-- Notifications that are not delivered yet: inserted in the transaction of the change, deleted on delivery. They hold ids only, and none
-- of an order's data.
create table notifications (
    id bigint generated always as identity primary key,
    message text not null unique, -- the id that the platform receives
    shop text not null,
    subject text not null, -- the notifications of one subject are sent in sequence, one at a time
    body text not null,
    state text not null check (state in ('waiting', 'failed')),
    attempt bigint not null,
    due_at bigint not null,
    last_error text, -- the error of the last attempt
    created_at bigint not null
);
create index notifications_due on notifications (shop, state, due_at);
create index notifications_of_subject on notifications (shop, subject, state, id);

-- Writes that are done once for each caller and idempotency key.
create table idempotency_keys (
    id text primary key not null, -- digest of the caller and the idempotency key
    digest text not null, -- of the request
    fencing_token bigint not null, -- grows with each start
    started_at bigint not null,
    responded_at bigint,
    response bytea -- encrypted with the store's key
);
create index idempotency_keys_by_age on idempotency_keys (started_at);

-- The orders that a stored response has data of: it is erased with them.
create table idempotency_key_orders (
    request text not null references idempotency_keys (id) on delete cascade,
    shop text not null,
    order_id text not null,
    primary key (request, shop, order_id)
);
create index idempotency_key_orders_by_order on idempotency_key_orders (shop, order_id);

-- The audit log. It holds no data of a customer: ids of orders and jobs, settings, counts.
create table audit_log (
    id bigint generated always as identity primary key,
    at bigint not null,
    actor text not null,
    action text not null,
    shop text,
    subject text not null,
    before text,
    after text
);
create index audit_log_by_shop on audit_log (shop, id);
create index audit_log_by_age on audit_log (at);

create function audit_log_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is append-only';
end
$$;
create trigger audit_log_is_append_only before update on audit_log
for each row execute function audit_log_is_append_only();
