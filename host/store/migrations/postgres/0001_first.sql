-- Moments are milliseconds since 1970 in UTC. What is `encrypted` was encrypted before it came here: with the store's key, or with
-- the key of its order, so that destroying that one key forgets the order's data. Names are those of the Rust types.

-- One row for each key that something here is encrypted with; refuses a wrong key at the door.
create table key_checks (
    key_id text primary key not null,
    encrypted bytea not null
);

create table shops (
    id text primary key not null,
    shop text not null,
    price_seal_key bytea not null, -- encrypted with the store's key
    changed_at bigint not null
);

create table accounts (
    shop text not null references shops (id),
    id text not null,
    current text not null,
    versions text not null, -- the settings in each version's form: lines keep going to the version they are pinned to
    secrets bytea not null, -- encrypted with the store's key
    grants text not null,
    revision bigint not null,
    changed_at bigint not null,
    primary key (shop, id)
);

-- A vendor swap keeps the link that it replaced, for the lines that were made with it.
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
    replacement text references components (digest)
);

create table orders (
    shop text not null,
    id text not null,
    reference text not null,
    version bigint not null,
    released bigint not null check (released in (0, 1)), -- may be produced; never received back
    order_key bytea, -- encrypted with the store's key; null = the order was erased, and nothing but this row is left of it
    content bytea not null, -- the order in its newest version, encrypted with its key; empty when it was erased
    changed_at bigint not null,
    primary key (shop, id)
);

-- By which references an order is found: its own and its lines'.
create table order_references (
    shop text not null,
    reference text not null,
    order_id text not null,
    primary key (shop, reference),
    foreign key (shop, order_id) references orders (shop, id)
);

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

-- What one account is event_sent about one order goes through one lane_id, one job at a time.
create table job_lanes (
    id bigint generated always as identity primary key,
    shop text not null,
    order_id text not null,
    account text not null,
    all_lines bigint not null check (all_lines in (0, 1)),
    next_position bigint not null, -- how many next_position were given out
    current_job text, -- the job that has begun and is not over
    unique (shop, order_id, account),
    foreign key (shop, order_id) references orders (shop, id)
);

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
    outages bigint not null, -- how often somebody was away since it last got further
    limit_breaches bigint not null, -- how often a limit of time was broken since then
    round bigint not null,
    is_cancelled bigint not null check (is_cancelled in (0, 1)),
    fencing_token bigint not null, -- grows with each claim; who holds an older position can write nothing
    worker_losses bigint not null, -- how often in a row its worker was lost
    worker text,
    lease_expires_at bigint,
    journal bigint not null, -- the position of its is_current journal
    earlier_attempts text not null, -- of its earlier journals
    event_sent bytea, -- the event as all runs of this journal are event_sent it, encrypted with the order's key
    again_state bytea, -- what the last `again` handed on, encrypted with the order's key
    state_reason bytea, -- state_reason it is in its state, encrypted with the order's key
    created_at bigint not null,
    changed_at bigint not null,
    is_swept bigint not null default 0 check (is_swept in (0, 1)), -- its journals were past their time and are gone
    foreign key (shop, event) references order_events (shop, id)
);
create index jobs_due on jobs (state, due_at);
create index jobs_cancelled on jobs (state) where is_cancelled = 1;
create index jobs_by_lane on jobs (lane_id, state, position);
create index jobs_to_sweep on jobs (changed_at) where is_swept = 0;
create index jobs_by_event on jobs (shop, event);

create table journal_entries (
    job text not null references jobs (id),
    journal bigint not null,
    position bigint not null,
    record bytea not null, -- encrypted with the order's key
    primary key (job, journal, position)
);

-- What came of order_events. Nothing is replaced: of one kind and subject the latest counts.
create table order_outcomes (
    id bigint generated always as identity primary key,
    shop text not null,
    order_id text not null,
    account text not null,
    job text not null references jobs (id),
    outcome_key text not null,
    order_version bigint not null, -- which the order had then
    kind text not null,
    outcome bytea not null, -- encrypted with the order's key
    needs_attention bigint not null check (needs_attention in (0, 1)), -- waits for a person
    emitted_at bigint not null,
    unique (job, outcome_key),
    foreign key (shop, order_id) references orders (shop, id)
);
create index order_outcomes_by_order on order_outcomes (shop, order_id, account);
create index order_outcomes_needing_attention on order_outcomes (shop, needs_attention) where needs_attention = 1;

-- Found by the digest of their plain bytes. The same bytes stand once for each that has them: an order's copy is encrypted with the
-- order's key and goes with it, and no other order or cart misses it.
create table blobs (
    shop text not null,
    digest text not null, -- of the plain bytes
    order_id text not null, -- whose copy it is; '' = no order's: a raw configuration in a cart, and its pictures
    configuration text not null, -- of a picture: the digest of the raw configuration that it shows; else ''
    kind text not null check (kind in ('configuration', 'picture', 'response', 'document')),
    media_type text not null,
    size bigint not null, -- of the plain bytes
    blob_key bytea, -- of one that is no order's: encrypted with the store's key
    created_at bigint not null, -- when it was stored last
    client_hash text not null, -- of one that is no order's: a keyed hash of who stored it, by which the quota is shared out; else ''
    is_reused bigint not null check (is_reused in (0, 1)), -- a cart needed it again after it was stored
    bytes bytea not null, -- encrypted with blob_key, or with the order's key
    primary key (shop, digest, order_id, configuration)
);
create index blobs_by_order on blobs (shop, order_id);
create index blobs_by_configuration on blobs (shop, configuration);
create index blobs_by_client on blobs (shop, order_id, client_hash, created_at, size);
create index blobs_by_age on blobs (kind, created_at);

-- Holds nothing of a customer: orders and jobs by id, settings, counts.
create table audit_log (
    id bigint generated always as identity primary key,
    at bigint not null,
    who text not null,
    what text not null,
    shop text,
    subject text not null,
    before text,
    after text
);
create index audit_log_by_shop on audit_log (shop, id);
create index audit_log_by_age on audit_log (at);

create function audit_log_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the event log is append-only';
end
$$;
create trigger audit_log_is_append_only before update on audit_log
for each row execute function audit_log_is_append_only();
