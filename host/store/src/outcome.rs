//! The outcomes of order events. Each is applied in the transaction of its journal entry, once for each key.
//!
//! All outcomes are in one table, in the sequence of their arrival. References, statuses, memos, bills of materials and
//! shipments are read from there: of one kind and subject the latest counts, and nothing is overwritten.

use std::collections::HashMap;
use std::time::SystemTime;

use cartwright::types::{BytesSource, Document, Message, NamedJson, OrderEvent, OrderEventKind, Outcome, Shipment};
use cartwright::{AccountId, Digest, ShopId, timestamp};
use serde_json::json;
use sqlx::AnyConnection;

use crate::audit_log::NewAuditEntry;
use crate::blobs::{Kind, NewBlob, keep_as_document};
use crate::database::{WriteTransaction, milliseconds, system_time};
use crate::error::StoreError;
use crate::event::{Lines, NewJob, reserved_event_id};
use crate::facades::Outcomes;
use crate::keys::aad;
use crate::line_status::LineStatuses;
use crate::notify::Subject;
use crate::stored_outcome::{OutcomeSelection, StoredOutcome};
use crate::vault::Key;

impl Outcomes<'_> {
    /// Returns all outcomes of an order in sequence, which are its timeline. An unreadable one is replaced by a note
    /// that says so.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Erased`], or an error of the database.
    pub async fn list(self, shop: &ShopId, order: &str) -> Result<Vec<StoredOutcome>, StoreError> {
        let mut connection = self.store.pool().acquire().await?;
        let known = self.store.orders().read_order(&mut connection, shop, order).await?;
        let known = known.ok_or_else(|| StoreError::NotFound { what: "order", id: order.to_owned() })?;
        let rows = self.outcome_rows(&mut connection, shop, order, OutcomeSelection::All).await?;
        let readable = |row: &Row| row.open(&known.key).or_else(|error| row.unreadable(&error));
        let mut outcomes = rows.iter().map(readable).collect::<Result<Vec<_>, StoreError>>()?;
        let statuses = LineStatuses::new(&known.order, &outcomes);
        let older = older_shipments(&outcomes);
        for (said, is_older) in outcomes.iter_mut().zip(older) {
            said.is_late = is_older || statuses.is_late(said.id);
        }
        Ok(outcomes)
    }

    /// Returns the current outcomes of an order: the latest of each account, kind and subject.
    ///
    /// # Errors
    /// As [`Outcomes::list`].
    pub async fn present(self, shop: &ShopId, order: &str) -> Result<Vec<StoredOutcome>, StoreError> {
        let mut outcomes = self.list(shop, order).await?;
        outcomes.retain(|said| !said.is_late);
        let subject = |said: &StoredOutcome| {
            let OutcomeKey { kind, subject, .. } = outcome_key_of(&said.outcome);
            (said.account.clone(), kind, subject.ok_or(said.id))
        };
        let newest: HashMap<_, i64> = outcomes.iter().map(|said| (subject(said), said.id)).collect();
        outcomes.retain(|said| newest.get(&subject(said)) == Some(&said.id));
        Ok(outcomes)
    }

    /// Resolves an outcome that needs attention, with an audit entry.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if no such outcome needs attention, or an error of the database.
    pub async fn resolve(self, shop: &ShopId, outcome: i64, actor: &str, now: SystemTime) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        let resolved: Option<(String,)> =
            sqlx::query_as("update order_outcomes set needs_attention = 0 where shop = $1 and id = $2 and needs_attention = 1 returning order_id")
                .bind(shop.as_str())
                .bind(outcome)
                .fetch_optional(&mut *work)
                .await?;
        let id = outcome.to_string();
        let Some((order,)) = resolved else {
            return Err(StoreError::NotFound { what: "outcome that needs attention", id });
        };
        let logged = |waits: bool| json!({ "order": order, "waits for a person": waits });
        let (before, after) = (logged(true), logged(false));
        let entry = NewAuditEntry {
            actor,
            action: "resolve-outcome",
            shop: Some(shop),
            subject: &id,
            before: Some(&before),
            after: Some(&after),
            secrets: &[],
        };
        work.commit_audited(&entry, now).await
    }

    /// Returns the selected outcomes of an order in sequence. Unlike [`Outcomes::list`] it is for decisions, so that an
    /// unreadable outcome is an error.
    pub(crate) async fn outcomes_in(
        self,
        connection: &mut AnyConnection,
        key: &Key,
        shop: &ShopId,
        order: &str,
        selection: OutcomeSelection,
    ) -> Result<Vec<StoredOutcome>, StoreError> {
        let rows = self.outcome_rows(connection, shop, order, selection).await?;
        rows.iter().map(|row| row.open(key)).collect()
    }

    async fn outcome_rows(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        order: &str,
        selection: OutcomeSelection,
    ) -> Result<Vec<Row>, StoreError> {
        type Columns = (i64, String, Option<String>, String, String, Vec<u8>, i64, i64, i64);
        let (kinds, id) = match selection {
            OutcomeSelection::All => (["", ""], None),
            OutcomeSelection::Statuses => (["line-status", "line-status"], None),
            OutcomeSelection::Visible => (["line-status", "vendor-reference"], None),
            OutcomeSelection::One(id) => (["", ""], Some(id)),
        };
        let rows: Vec<Columns> = sqlx::query_as(
            "select id, account, job, outcome_key, kind, outcome, needs_attention, order_version, emitted_at from order_outcomes
             where shop = $1 and order_id = $2 and ($3 = '' or kind = $3 or kind = $4) and ($5 is null or id = $5)
             order by id",
        )
        .bind(shop.as_str())
        .bind(order)
        .bind(kinds[0])
        .bind(kinds[1])
        .bind(id)
        .fetch_all(connection)
        .await?;
        let row =
            |(id, account, job, outcome_key, kind, outcome, needs_attention, order_version, emitted_at): Columns| Row {
                id,
                account,
                job,
                outcome_key,
                kind,
                outcome,
                needs_attention,
                order_version,
                emitted_at,
            };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Applies an outcome of a job, unless the job already reported it.
    pub(crate) async fn apply(
        self,
        work: &mut WriteTransaction,
        source: &OutcomeSource<'_>,
        outcome_key: &str,
        outcome: &Outcome,
        at: SystemTime,
    ) -> Result<(), StoreError> {
        let now = milliseconds(at);
        if self.add_outcome(work, source, outcome_key, outcome.clone(), now).await? {
            match (outcome, source.job) {
                (Outcome::Forward(named), Some(job)) => {
                    self.forward(work, source, (job, outcome_key), named.clone(), now).await?;
                }
                (Outcome::LineStatus(_), _) => self.close_if_last(work, source.shop, source.order, now).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Closes an order whose last line has ended. Call it once after all statuses that are reported together.
    pub(crate) async fn close_if_last(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        order: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        if let Some(known) = self.store.orders().read_order(work, shop, order).await? {
            self.store.orders().close_if_over(work, shop, (&known.order, &known.key), now).await?;
        }
        Ok(())
    }

    /// Stores an outcome of an order. Returns false if its job already reported it. After a line status, call
    /// [`Outcomes::close_if_last`].
    pub(crate) async fn add_outcome(
        self,
        work: &mut WriteTransaction,
        source: &OutcomeSource<'_>,
        outcome_key: &str,
        mut outcome: Outcome,
        now: i64,
    ) -> Result<bool, StoreError> {
        if let Outcome::Document(document) = &mut outcome {
            self.store_document(work, source, document, now).await?;
        }
        let OutcomeKey { kind, needs_attention, .. } = outcome_key_of(&outcome);
        if source.job.is_none() && self.is_repeated(work, source, kind, &outcome).await? {
            return Ok(false);
        }
        if matches!(outcome, Outcome::LineStatus(_)) {
            // Two accounts that ship the last two lines at once would each see the other's line as it was.
            self.store.orders().lock_order(work, source.shop, source.order).await?;
        }
        let added: Option<(i64,)> = sqlx::query_as(
            "insert into order_outcomes (shop, order_id, account, job, outcome_key, order_version, kind, outcome, needs_attention,
                                   emitted_at)
             values ($1, $2, $3, $4, $5, (select version from orders where shop = $1 and id = $2), $6, $7, $8, $9)
             on conflict (job, outcome_key) do nothing returning id",
        )
        .bind(source.shop.as_str())
        .bind(source.order)
        .bind(source.account.as_str())
        .bind(source.job)
        .bind(outcome_key)
        .bind(kind)
        .bind(source.key.encrypt_json(&aad("outcome", outcome_key, source.job.unwrap_or_default()), &outcome)?)
        .bind(i64::from(needs_attention))
        .bind(now)
        .fetch_optional(&mut **work)
        .await?;
        let Some((id,)) = added else { return Ok(false) };
        let OutcomeSource { shop, order, account, job, .. } = source;
        let mut data = json!({ "shop": shop, "order": order, "account": account, "outcome": id, "job": job });
        if let (Outcome::Document(document), Some(data)) = (&outcome, data.as_object_mut()) {
            data.insert("audience".to_owned(), json!(document.audience));
        }
        self.store
            .notifications()
            .notify_in(work, shop.as_str(), Subject::Order(order), (&format!("outcome.{kind}"), data), now)
            .await?;
        if let Outcome::VendorReference(named) = &outcome {
            self.store.orders().index_vendor_reference(work, source, named).await?;
        }
        if matches!(outcome, Outcome::PushSettings(_)) {
            self.store.webhooks().add_account_outcome(work, source.shop, source.account, outcome, now).await?;
        }
        Ok(true)
    }

    /// Returns whether a webhook just reported the same. A vendor that sends the same webhook each minute must not make
    /// the order larger each time: a memo or note that is repeated directly is stored once. Outcomes of jobs are
    /// counted by their journals.
    async fn is_repeated(
        self,
        work: &mut WriteTransaction,
        source: &OutcomeSource<'_>,
        kind: &str,
        outcome: &Outcome,
    ) -> Result<bool, StoreError> {
        if !matches!(outcome, Outcome::SetMemo(_) | Outcome::Note(_)) {
            return Ok(false);
        }
        let last: Option<(String, Vec<u8>)> = sqlx::query_as(
            "select outcome_key, outcome from order_outcomes
             where shop = $1 and order_id = $2 and account = $3 and kind = $4 and job is null order by id desc limit 1",
        )
        .bind(source.shop.as_str())
        .bind(source.order)
        .bind(source.account.as_str())
        .bind(kind)
        .fetch_optional(&mut **work)
        .await?;
        let Some((key, encrypted)) = last else { return Ok(false) };
        let last: Outcome = source.key.decrypt_json(&aad("outcome", &key, ""), &encrypted)?;
        Ok(last == *outcome)
    }

    /// Stores a document as a blob of the order, and its digest in the table.
    async fn store_document(
        self,
        work: &mut WriteTransaction,
        source: &OutcomeSource<'_>,
        document: &mut Document,
        now: i64,
    ) -> Result<(), StoreError> {
        let owner = (source.order, source.key);
        match &mut document.content {
            BytesSource::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                let digest = Digest::of(&bytes);
                let media_type = &document.media_type;
                let blob = NewBlob { kind: Kind::Document, digest: &digest, media_type, bytes: &bytes };
                self.store.blobs().put_in(work, source.shop, owner, &blob, now).await?;
                document.content = BytesSource::Stored(digest.to_string());
            }
            BytesSource::Stored(digest) => {
                if let Ok(digest) = digest.parse() {
                    self.store.blobs().copy_to_order(work, source.shop, owner, &digest, now).await?;
                    keep_as_document(work, source.shop, owner.0, &digest).await?;
                }
            }
        }
        Ok(())
    }

    /// Turns a forwarded text into an event of the same order, for the same account.
    async fn forward(
        self,
        work: &mut WriteTransaction,
        source: &OutcomeSource<'_>,
        (job_id, outcome_key): (&str, &str),
        named: NamedJson,
        now: i64,
    ) -> Result<(), StoreError> {
        let (plugin, all_lines): (String, i64) = sqlx::query_as(
            "select j.plugin, l.all_lines from jobs j join job_lanes l on l.id = j.lane_id where j.id = $1",
        )
        .bind(job_id)
        .fetch_one(&mut **work)
        .await?;
        let job = NewJob {
            account: source.account.clone(),
            plugin: plugin.parse().map_err(|error| StoreError::corrupt("a job's plugin", error))?,
            lines: if all_lines == 1 { Lines::All } else { Lines::Own },
        };
        let id = format!("job:{job_id}:{outcome_key}");
        self.add_forwarded_event(work, source.shop, source.order, ForwardedEvent { id, at: now, named }, job).await
    }

    /// Creates an event `forwarded` of a stored order, and its job.
    pub(crate) async fn add_forwarded_event(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        order: &str,
        forwarded: ForwardedEvent,
        job: NewJob,
    ) -> Result<(), StoreError> {
        let missing = || StoreError::NotFound { what: "order", id: order.to_owned() };
        let known = self.store.orders().read_order(work, shop, order).await?.ok_or_else(missing)?;
        let event = OrderEvent {
            id: reserved_event_id("forwarded", &forwarded.id),
            at: timestamp(system_time(forwarded.at)),
            kind: OrderEventKind::Forwarded(forwarded.named),
            order: known.order,
            previous_outcomes: Vec::new(),
            memos: Vec::new(),
            extra: Vec::new(),
        };
        // The id identifies the forwarded text: if it is already recorded, the text was forwarded before.
        self.store.orders().add_event(work, shop, (&event, &known.key), &[job], forwarded.at).await?;
        Ok(())
    }
}

/// A forwarded text for `orders.handle`.
pub(crate) struct ForwardedEvent {
    /// Text that the event's id is derived from.
    pub(crate) id: String,
    /// Time of the report, in milliseconds.
    pub(crate) at: i64,
    pub(crate) named: NamedJson,
}

/// The order that an outcome concerns, and its reporter.
pub(crate) struct OutcomeSource<'a> {
    pub(crate) shop: &'a ShopId,
    pub(crate) order: &'a str,
    pub(crate) account: &'a AccountId,
    /// Job that reported the outcome; `None` = a webhook or a feed.
    pub(crate) job: Option<&'a str>,
    /// Key of the order.
    pub(crate) key: &'a Key,
}

/// A row of the table.
struct Row {
    id: i64,
    account: String,
    job: Option<String>,
    outcome_key: String,
    kind: String,
    outcome: Vec<u8>,
    needs_attention: i64,
    order_version: i64,
    emitted_at: i64,
}

impl Row {
    fn open(&self, key: &Key) -> Result<StoredOutcome, StoreError> {
        let aad = aad("outcome", &self.outcome_key, self.job.as_deref().unwrap_or_default());
        let outcome = key.decrypt_json(&aad, &self.outcome)?;
        self.with(outcome)
    }

    /// Returns a note that the outcome cannot be read.
    fn unreadable(&self, error: &StoreError) -> Result<StoredOutcome, StoreError> {
        tracing::error!(outcome = self.id, %error, "an outcome of an order cannot be read");
        let text =
            format!("This entry ({}) is damaged and cannot be read; restore the database from a backup.", self.kind);
        self.with(Outcome::Note(Message { key: "damaged".to_owned(), parameters: Vec::new(), text }))
    }

    fn with(&self, outcome: Outcome) -> Result<StoredOutcome, StoreError> {
        Ok(StoredOutcome {
            id: self.id,
            account: self.account.parse().map_err(|error| StoreError::corrupt("an outcome's account", error))?,
            outcome,
            job: self.job.clone(),
            needs_attention: self.needs_attention == 1,
            order_version: u64::try_from(self.order_version).unwrap_or(0),
            at: system_time(self.emitted_at),
            is_late: false,
        })
    }
}

/// Returns for each outcome whether it is a shipment as it was before a known later one of the same account and id.
fn older_shipments(outcomes: &[StoredOutcome]) -> Vec<bool> {
    let mut newest: HashMap<(&AccountId, &str), jiff::Timestamp> = HashMap::new();
    let mut older = Vec::with_capacity(outcomes.len());
    for said in outcomes {
        let sent = match &said.outcome {
            Outcome::Shipment(Shipment { id: Some(id), at: Some(at), .. }) => at.parse().ok().map(|at| (id, at)),
            _ => None,
        };
        older.push(sent.is_some_and(|(id, at)| {
            let newest = newest.entry((&said.account, id)).or_insert(at);
            let is_older = at < *newest;
            *newest = at.max(*newest);
            is_older
        }));
    }
    older
}

/// The key of an outcome.
pub(crate) struct OutcomeKey {
    /// Kind of the outcome, as the contract spells it.
    pub(crate) kind: &'static str,
    /// Subject of the outcome: a later one with the same subject replaces it. `None` if it can never be replaced.
    subject: Option<Vec<Option<String>>>,
    /// Whether a person must resolve it.
    pub(crate) needs_attention: bool,
}

pub(crate) fn outcome_key_of(outcome: &Outcome) -> OutcomeKey {
    let of_its_own = |kind| OutcomeKey { kind, subject: None, needs_attention: false };
    let about =
        |kind, subject: Option<&String>| OutcomeKey { subject: Some(vec![subject.cloned()]), ..of_its_own(kind) };
    match outcome {
        Outcome::Note(_) => of_its_own("note"),
        Outcome::VendorReference(named) => about("vendor-reference", named.line.as_ref()),
        Outcome::LineStatus(status) => about("line-status", Some(&status.line)),
        Outcome::Production(production) => about("production", production.line.as_ref()),
        Outcome::Shipment(shipment) => match &shipment.id {
            Some(id) => about("shipment", Some(id)),
            None => of_its_own("shipment"),
        },
        Outcome::Document(document) => match &document.content {
            // The same file of the same line under the same name was sent again. Bytes alone do not identify a
            // document: two lines may have equal files, and one file may have two names.
            BytesSource::Stored(digest) => {
                let Document { line, kind, name, .. } = document;
                let subject = vec![line.clone(), Some(kind.clone()), Some(name.clone()), Some(digest.clone())];
                OutcomeKey { subject: Some(subject), ..of_its_own("document") }
            }
            BytesSource::Bytes(_) => of_its_own("document"),
        },
        Outcome::BillOfMaterials(materials) => about("bill-of-materials", Some(&materials.line)),
        Outcome::NeedsMerchant(_) => OutcomeKey { needs_attention: true, ..of_its_own("needs-merchant") },
        Outcome::SetMemo(memo) => about("set-memo", Some(&memo.name)),
        Outcome::PushSettings(_) => of_its_own("push-settings"),
        Outcome::Forward(_) => of_its_own("forward"),
        Outcome::Other(_) => of_its_own("other"),
    }
}
