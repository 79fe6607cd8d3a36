-- Moments are milliseconds since 1970 in UTC. What is `sealed` was encrypted before it came here: with the store's key, or with
-- the key of its order, so that destroying that one key forgets the order's data. Names are those of the Rust types.

-- One row for each key that something here is sealed with; refuses a wrong key at the door.
create table key_checks (
    key_id text primary key not null,
    sealed bytea not null
);

create table shops (
    id text primary key not null,
    shop text not null,
    seal_key bytea not null, -- sealed with the store's key
    changed_at bigint not null
);

create table accounts (
    shop text not null references shops (id),
    id text not null,
    current text not null,
    versions text not null, -- the settings in each version's form: lines keep going to the version they are pinned to
    secrets bytea not null, -- sealed with the store's key
    grants text not null,
    revision bigint not null,
    changed_at bigint not null,
    primary key (shop, id)
);

-- A vendor swap keeps the link that it replaced, for the lines that were made with it.
create table links (
    shop text not null,
    shop_product text not null,
    account text not null,
    link text not null,
    present bigint not null check (present in (0, 1)),
    changed_at bigint not null,
    primary key (shop, shop_product, account),
    foreign key (shop, account) references accounts (shop, id)
);
create unique index links_present on links (shop, shop_product) where present = 1;

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
    released bigint not null check (released in (0, 1)), -- may be produced; never taken back
    order_key bytea, -- sealed with the store's key; null = the order was erased, and nothing but this row is left of it
    known bytea not null, -- the order in its newest version, sealed with its key; empty when it was erased
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

create table events (
    shop text not null,
    id text not null,
    order_id text not null,
    order_version bigint not null,
    kind text not null,
    event bytea not null, -- sealed with the order's key
    recorded_at bigint not null,
    primary key (shop, id),
    foreign key (shop, order_id) references orders (shop, id)
);
create index events_of_order on events (shop, order_id);
create index events_that_erase on events (shop, order_id) where kind = 'erase';

-- What one account is told about one order goes through one lane, one job at a time.
create table lanes (
    id bigint generated always as identity primary key,
    shop text not null,
    order_id text not null,
    account text not null,
    all_lines bigint not null check (all_lines in (0, 1)),
    turns bigint not null, -- how many turns were given out
    held_by text, -- the job that has begun and is not over
    unique (shop, order_id, account),
    foreign key (shop, order_id) references orders (shop, id)
);

create table jobs (
    id text primary key not null,
    lane bigint not null references lanes (id),
    shop text not null,
    event text not null,
    plugin text not null,
    state text not null check (state in (
        'queued', 'running', 'sleeping', 'waiting', 'retrying', 'needs-merchant', 'stopped', 'done', 'cancelled'
    )),
    turn bigint not null,
    due_at bigint not null,
    outages bigint not null, -- how often somebody was away since it last got further
    breaches bigint not null, -- how often a limit of time was broken since then
    round bigint not null,
    cancel bigint not null check (cancel in (0, 1)),
    fence bigint not null, -- grows with each claim; who holds an older number can write nothing
    losses bigint not null, -- how often in a row its worker was lost
    worker text,
    leased_until bigint,
    journal bigint not null, -- the number of its present journal
    earlier_attempts text not null, -- of its earlier journals
    told bytea, -- the event as all runs of this journal are told it, sealed with the order's key
    handed_on bytea, -- what the last `again` handed on, sealed with the order's key
    why bytea, -- why it is in its state, sealed with the order's key
    created_at bigint not null,
    changed_at bigint not null,
    swept bigint not null default 0 check (swept in (0, 1)), -- its journals were past their time and are gone
    foreign key (shop, event) references events (shop, id)
);
create index jobs_due on jobs (state, due_at);
create index jobs_cancelled on jobs (state) where cancel = 1;
create index jobs_of_lane on jobs (lane, state, turn);
create index jobs_to_sweep on jobs (changed_at) where swept = 0;
create index jobs_of_event on jobs (shop, event);

create table journal_entries (
    job text not null references jobs (id),
    journal bigint not null,
    position bigint not null,
    record bytea not null, -- sealed with the order's key
    primary key (job, journal, position)
);

-- What came of events. Nothing is replaced: of one kind and subject the latest counts.
create table outcomes (
    id bigint generated always as identity primary key,
    shop text not null,
    order_id text not null,
    account text not null,
    job text not null references jobs (id),
    outcome_key text not null,
    order_version bigint not null, -- which the order had then
    kind text not null,
    outcome bytea not null, -- sealed with the order's key
    held bigint not null check (held in (0, 1)), -- waits for a person
    emitted_at bigint not null,
    unique (job, outcome_key),
    foreign key (shop, order_id) references orders (shop, id)
);
create index outcomes_of_order on outcomes (shop, order_id, account);
create index outcomes_held on outcomes (shop, held) where held = 1;

-- Found by the digest of their plain bytes. The same bytes stand once for each that has them: an order's copy is sealed with the
-- order's key and goes with it, and no other order or cart misses it.
create table blobs (
    shop text not null,
    digest text not null, -- of the plain bytes
    order_id text not null, -- whose copy it is; '' = no order's: a raw configuration in a cart, and its pictures
    configuration text not null, -- of a picture: the digest of the raw configuration that it shows; else ''
    kind text not null check (kind in ('configuration', 'picture', 'answer', 'document')),
    media_type text not null,
    size bigint not null, -- of the plain bytes
    blob_key bytea, -- of one that is no order's: sealed with the store's key
    created_at bigint not null, -- when it was stored last
    client text not null, -- of one that is no order's: a keyed hash of who stored it, by which the quota is shared out; else ''
    brought_back bigint not null check (brought_back in (0, 1)), -- a cart needed it again after it was stored
    bytes bytea not null, -- sealed with blob_key, or with the order's key
    primary key (shop, digest, order_id, configuration)
);
create index blobs_of_order on blobs (shop, order_id);
create index blobs_of_configuration on blobs (shop, configuration);
create index blobs_of_clients on blobs (shop, order_id, client, created_at, size);
create index blobs_by_age on blobs (kind, created_at);

-- Holds nothing of a customer: orders and jobs by id, settings, counts.
create table event_log (
    id bigint generated always as identity primary key,
    at bigint not null,
    who text not null,
    what text not null,
    shop text,
    subject text not null,
    before text,
    after text
);
create index event_log_of_shop on event_log (shop, id);
create index event_log_by_age on event_log (at);

create function event_log_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the event log is append-only';
end
$$;
create trigger event_log_is_append_only before update on event_log
for each row execute function event_log_is_append_only();
