-- The first tables of a SQLite database. `../postgres/0001_first.sql` creates the same tables for PostgreSQL, in the same order.
--
-- Timestamps are milliseconds since 1970-01-01 in UTC. Encrypted values were encrypted before they reached the database: with the
-- store's key, or with the key of their order, so that destroying that one key erases the order's data. Names are those of the Rust
-- types.

-- One row for each store key that values are encrypted with, so that a wrong key is refused when the store opens.
create table key_checks (
    key_id text primary key not null,
    encrypted blob not null
) strict;

-- What the random numbers of durable hooks are derived from: the same on every node and forever, because a replay needs them again.
create table host_secret (
    id integer primary key not null check (id = 1),
    secret blob not null -- encrypted with the store's key
) strict;

-- Counts the changes of set-up. A change updates this row first, so that the changes of one database are serialized, and a node that
-- has read a value has read every change before it.
create table change_counter (
    id integer primary key not null check (id = 1),
    number integer not null
) strict;
insert into change_counter (id, number) values (1, 0);

create table shops (
    id text primary key not null,
    shop text not null,
    price_seal_key blob not null, -- encrypted with the store's key
    changed_at integer not null,
    change_number integer not null default 0 -- `change_counter.number` of the last change: nodes find by it what to read again
) strict;
create index shops_by_change on shops (change_number);

-- Origins whose pages may call this host from a browser.
create table origins (
    shop text not null references shops (id),
    origin text not null,
    primary key (shop, origin)
) strict;

create table accounts (
    shop text not null references shops (id),
    id text not null,
    current text not null,
    versions text not null, -- the settings in the form of each plugin version: a line uses the version that it is pinned to
    secrets blob not null, -- encrypted with the store's key
    grants text not null,
    revision integer not null,
    changed_at integer not null,
    primary key (shop, id)
) strict;

-- A vendor switch keeps the product link that it replaces, for the lines that were made with it.
create table product_links (
    shop text not null,
    shop_product text not null,
    account text not null,
    link text not null,
    is_current integer not null check (is_current in (0, 1)),
    changed_at integer not null,
    primary key (shop, shop_product, account),
    foreign key (shop, account) references accounts (shop, id)
) strict;
create unique index product_links_current on product_links (shop, shop_product) where is_current = 1;

create table components (
    digest text primary key not null,
    plugin text not null,
    version text not null,
    bytes blob not null,
    installed_at integer not null,
    revoked_at integer,
    replacement text references components (digest),
    change_number integer not null default 0 -- `change_counter.number` of the last change
) strict;
create index components_by_change on components (change_number);

-- The products of a platform that pushes them over HTTP.
create table variants (
    shop text not null references shops (id),
    product text not null,
    id text not null,
    sku text not null,
    sku_lowercase text not null, -- lower case by Rust's rules, because the databases differ
    search_text text not null, -- the text that a search reads, in lower case
    position integer not null, -- index in the list that the platform pushed
    variant text not null, -- all other fields
    changed_at integer not null,
    primary key (shop, product, id)
) strict;
create index variants_by_sku on variants (shop, sku_lowercase);

create table exchange_rates (
    shop text not null references shops (id),
    from_currency text not null,
    to_currency text not null,
    rate text not null,
    changed_at integer not null,
    primary key (shop, from_currency, to_currency)
) strict;

-- Only the hash of a key's secret part is stored.
create table access_keys (
    id text primary key not null, -- the public part of the key
    role text not null check (role in ('storefront', 'backend', 'integrator', 'admin')),
    shop text references shops (id), -- null = every shop
    label text not null,
    networks text not null, -- from which it may be used; empty = from all
    hash text not null,
    previous_hash text, -- of the secret before the last rotation, valid until `previous_ends_at`
    previous_ends_at integer,
    created_at integer not null,
    expires_at integer,
    revoked_at integer,
    last_used_at integer -- to the minute
) strict;

-- Sessions of the admin pages.
create table sessions (
    id text primary key not null,
    hash text not null,
    access_key text not null references access_keys (id),
    started_at integer not null,
    last_used_at integer not null -- to the minute
) strict;
create index sessions_of_access_key on sessions (access_key);

create table orders (
    shop text not null,
    id text not null,
    reference text not null,
    version integer not null,
    released integer not null check (released in (0, 1)), -- production is allowed; set back to 0 only by a newer version that is cancelled or refunded
    order_key blob, -- encrypted with the store's key; null = the order is erased, and only this row is left of it
    content blob not null, -- the newest version of the order, encrypted with the order's key; empty when the order is erased
    changed_at integer not null,
    closed_at integer, -- null = open: webhooks about it are read, and its lines stay with the versions that they are pinned to
    number_hash text, -- keyed hash, so that a search for order numbers finds it without revealing any; null = erased
    created_at integer not null default 0, -- when the order was first reported
    has_lines_on_hold integer not null default 0 check (has_lines_on_hold in (0, 1)), -- a line of the newest version is on hold; lines are encrypted
    primary key (shop, id)
) strict;
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
) strict;

-- The bills of materials of order lines, as they were sold. Beside the orders, so that an event does not carry them.
create table order_bills_of_materials (
    shop text not null,
    order_id text not null,
    line_id text not null,
    line_key text not null, -- of the cart line that it belongs to: equal keys have equal bills of materials
    articles blob not null, -- of one piece, encrypted with the order's key
    primary key (shop, order_id, line_id),
    foreign key (shop, order_id) references orders (shop, id)
) strict;

-- The vendors' own ids of orders and lines, as keyed hashes: find what a vendor's report is about without revealing any.
create table vendor_references (
    shop text not null,
    account text not null,
    order_id text not null,
    line_id text not null, -- '' = the whole order
    reference_hash text not null, -- of the latest vendor reference
    primary key (shop, account, order_id, line_id),
    foreign key (shop, order_id) references orders (shop, id)
) strict;
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
) strict;
create index order_emails_by_order on order_emails (shop, order_id);

create table quotes (
    shop text not null,
    id text not null,
    order_id text not null, -- the order that stores its lines, jobs and results, and whose key encrypts it
    state text not null check (state in ('requested', 'offered', 'accepted', 'withdrawn')),
    version integer not null, -- grows with each change
    content blob not null, -- encrypted with the order's key
    expires_at integer, -- when the offer expires
    requested_at integer not null,
    changed_at integer not null,
    primary key (shop, id)
) strict;
create index quotes_by_time on quotes (shop, requested_at, id);
create index quotes_by_age on quotes (changed_at);
create index quotes_by_order on quotes (shop, order_id);

create table order_events (
    shop text not null,
    id text not null,
    order_id text not null,
    order_version integer not null,
    kind text not null,
    event blob not null, -- encrypted with the order's key
    recorded_at integer not null,
    primary key (shop, id),
    foreign key (shop, order_id) references orders (shop, id)
) strict;
create index order_events_by_order on order_events (shop, order_id);
create index order_events_erase on order_events (shop, order_id) where kind = 'erase';

-- The queue of the jobs of one account and one order. One job runs at a time.
create table job_lanes (
    id integer primary key autoincrement,
    shop text not null,
    order_id text not null,
    account text not null,
    all_lines integer not null check (all_lines in (0, 1)),
    next_position integer not null, -- `jobs.position` of the next job
    current_job text, -- the job that has started and not ended
    unique (shop, order_id, account),
    foreign key (shop, order_id) references orders (shop, id)
) strict;
create index job_lanes_by_account on job_lanes (shop, account);

create table jobs (
    id text primary key not null,
    lane_id integer not null references job_lanes (id),
    shop text not null,
    event text not null,
    plugin text not null,
    state text not null check (state in (
        'queued', 'running', 'sleeping', 'waiting', 'retrying', 'needs-merchant', 'stopped', 'done', 'cancelled'
    )),
    position integer not null,
    due_at integer not null,
    outages integer not null, -- since the job last progressed
    limit_breaches integer not null, -- of time limits, since the job last progressed
    round integer not null,
    is_cancelled integer not null check (is_cancelled in (0, 1)),
    fencing_token integer not null, -- grows with each claim; a worker with an older value can write nothing
    worker_losses integer not null, -- consecutive runs whose worker disappeared
    worker text,
    lease_expires_at integer,
    journal integer not null, -- the current journal, as in `journal_entries.journal`
    earlier_attempts text not null, -- the journals before it
    event_sent blob, -- the event as every run of this journal receives it, encrypted with the order's key
    continuation_state blob, -- the state that the last `continue-later` passed on, encrypted with the order's key
    state_reason blob, -- the reason for `state`, encrypted with the order's key
    created_at integer not null,
    changed_at integer not null,
    is_swept integer not null default 0 check (is_swept in (0, 1)), -- its journals exceeded their retention and are deleted
    account text not null default '', -- the account that handles it: claims are shared fairly among accounts
    claimed_at integer, -- when a worker last claimed it; null = never
    foreign key (shop, event) references order_events (shop, id)
) strict;
create index jobs_due on jobs (state, due_at);
create index jobs_cancelled on jobs (state) where is_cancelled = 1;
create index jobs_by_lane on jobs (lane_id, state, position);
create index jobs_to_sweep on jobs (changed_at) where is_swept = 0;
create index jobs_by_event on jobs (shop, event);
create index jobs_of_account on jobs (state, shop, account, due_at);
create index jobs_claimed on jobs (shop, account, claimed_at) where claimed_at is not null;

create table journal_entries (
    job text not null references jobs (id),
    journal integer not null,
    position integer not null,
    record blob not null, -- encrypted with the order's key
    primary key (job, journal, position)
) strict;

-- What plugins reported about orders. No row is replaced: of one kind and subject the latest counts.
create table order_outcomes (
    id integer primary key autoincrement,
    shop text not null,
    order_id text not null,
    account text not null,
    job text references jobs (id), -- null = reported by a webhook
    outcome_key text not null,
    order_version integer not null, -- of the order at that time
    kind text not null,
    outcome blob not null, -- encrypted with the order's key
    needs_attention integer not null check (needs_attention in (0, 1)), -- a person must resolve it
    emitted_at integer not null,
    unique (job, outcome_key),
    foreign key (shop, order_id) references orders (shop, id)
) strict;
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
    size integer not null, -- of the plain bytes
    blob_key blob, -- only without an order: encrypted with the store's key
    created_at integer not null, -- when it was last stored
    client_hash text not null, -- only without an order: a keyed hash of who stored it, by which the quota is shared; else ''
    is_reused integer not null check (is_reused in (0, 1)), -- a cart needed it again after it was stored
    bytes blob not null, -- encrypted with `blob_key`, or with the order's key
    primary key (shop, digest, order_id, configuration)
) strict;
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
    created_at integer not null,
    expires_at integer, -- set when another URL replaces it, or when it is revoked
    foreign key (shop, account) references accounts (shop, id)
) strict;
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
    attempts integer not null, -- how often it was received
    received_at integer not null, -- when it was last run
    responded_at integer, -- when the request with the successful response was received
    status integer, -- of that response
    size integer not null default 0, -- bytes of `body` and `details`, which count towards the quota of the account
    body blob, -- the body as received, encrypted; after the response its first 64 KiB, or null when the quota was reached
    details blob, -- the rest of the request, the response, and the reason for a failure, encrypted
    primary key (shop, id)
) strict;
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
) strict;
create index webhook_delivery_orders_by_order on webhook_delivery_orders (shop, order_id);

-- What plugins reported about an account rather than an order: settings that a vendor pushed, and messages to the merchant.
create table account_outcomes (
    position integer primary key autoincrement, -- the sequence in which they were reported
    id text not null unique,
    shop text not null,
    account text not null,
    kind text not null,
    outcome blob not null, -- the report, and the reason to approve it first; encrypted with the store's key, because it may name people
    state text not null check (state in ('new', 'pending-approval', 'applied', 'superseded', 'rejected', 'resolved')),
    emitted_at integer not null,
    resolved_at integer
) strict;
create index account_outcomes_by_state on account_outcomes (state, position);

-- The feeds of accounts whose vendors are polled.
create table feeds (
    shop text not null,
    account text not null,
    cursor blob, -- where the next page begins, encrypted with the store's key; null = at the beginning
    revision integer not null, -- of the account when it was last polled: a changed account is polled at once
    next_poll_at integer not null,
    last_polled_at integer, -- when a page was last applied
    failures integer not null, -- since a page was last applied
    last_error blob, -- why the last poll failed, encrypted with the store's key, because it may name people
    lease_expires_at integer not null, -- a worker polls it until then: one at a time
    fencing_token integer not null, -- grows with each claim; a worker with an older value can write nothing
    primary key (shop, account),
    foreign key (shop, account) references accounts (shop, id)
) strict;

-- The platform's URL for notifications of one shop.
create table notification_endpoints (
    shop text primary key not null references shops (id),
    endpoint blob not null, -- the URL, what it may reach, and the signing secret; encrypted with the store's key
    retry_after integer not null, -- no request is sent before, because the platform was unavailable
    lease_expires_at integer not null, -- a worker sends to it until then: one at a time
    fencing_token integer not null, -- grows with each claim
    changed_at integer not null
) strict;

-- Notifications that are not delivered yet: inserted in the transaction of the change, deleted on delivery. They hold ids only, and none
-- of an order's data.
create table notifications (
    id integer primary key autoincrement,
    message text not null unique, -- the id that the platform receives
    shop text not null,
    subject text not null, -- the notifications of one subject are sent in sequence, one at a time
    body text not null,
    state text not null check (state in ('waiting', 'failed')),
    attempt integer not null,
    due_at integer not null,
    last_error text, -- the error of the last attempt
    created_at integer not null
) strict;
create index notifications_due on notifications (shop, state, due_at);
create index notifications_of_subject on notifications (shop, subject, state, id);

-- Writes that are done once for each caller and idempotency key.
create table idempotency_keys (
    id text primary key not null, -- digest of the caller and the idempotency key
    digest text not null, -- of the request
    fencing_token integer not null, -- grows with each start
    started_at integer not null,
    responded_at integer,
    response blob -- encrypted with the store's key
) strict;
create index idempotency_keys_by_age on idempotency_keys (started_at);

-- The orders that a stored response has data of: it is erased with them.
create table idempotency_key_orders (
    request text not null references idempotency_keys (id) on delete cascade,
    shop text not null,
    order_id text not null,
    primary key (request, shop, order_id)
) strict;
create index idempotency_key_orders_by_order on idempotency_key_orders (shop, order_id);

-- The audit log. It holds no data of a customer: ids of orders and jobs, settings, counts.
create table audit_log (
    id integer primary key autoincrement,
    at integer not null,
    actor text not null,
    action text not null,
    shop text,
    subject text not null,
    before text,
    after text
) strict;
create index audit_log_by_shop on audit_log (shop, id);
create index audit_log_by_age on audit_log (at);

create trigger audit_log_is_append_only before update on audit_log
begin
    select raise(abort, 'the audit log is append-only');
end;
