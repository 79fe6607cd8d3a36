//! Unencrypted exports of all data of an order, or of all orders of a customer.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cartwright::types::{BytesSource, Document, Outcome};
use cartwright::{Digest, ShopId, timestamp};
use serde_json::{Value, json};
use sqlx::AnyConnection;

use crate::customer::CustomerEmail;
use crate::database::system_time;
use crate::error::StoreError;
use crate::facades::PersonalData;
use crate::job::{JobFilter, JobSummary};
use crate::journal;
use crate::keys::aad;
use crate::stored_outcome::{OutcomeSelection, StoredOutcome};
use crate::vault::Key;

/// Number of jobs that are read at once.
const PAGE: u32 = 100;

/// The exported data of one order or more.
#[derive(Debug, Clone)]
pub struct Export {
    /// `{ "orders": [{ "shop", "order", "bills_of_materials", "events", "jobs", "outcomes", "files", "webhooks",
    /// "answers", "quote" }] }`; the last is null unless a quote is stored under the order. Values of the contract are
    /// spelled as in the contract's JSON, jobs contain their journals entry by entry, times are RFC 3339.
    pub document: Value,
    /// Files that the document names, to be written beside it.
    pub files: Vec<ExportFile>,
}

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFile {
    /// Name of the file: letters, digits, ".", "-" and "_"; unique in the export.
    pub name: String,
    /// Digest of its bytes, for [`Blobs::get`](cartwright::Blobs::get): files may be large, and are read one at a time.
    pub digest: Digest,
    /// Media type, RFC 6838.
    pub media_type: String,
}

impl PersonalData<'_> {
    /// Exports all data of an order.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Erased`], or an error of the database.
    pub async fn export_order(self, shop: &ShopId, order: &str) -> Result<Export, StoreError> {
        let (order, files) = self.export_one(shop, order).await?;
        Ok(Export { document: json!({ "orders": [order] }), files })
    }

    /// Exports all data of the orders of a customer, see [`PersonalData::orders_of_customer`].
    ///
    /// # Errors
    /// As [`PersonalData::orders_of_customer`].
    pub async fn export_customer(self, shop: &ShopId, email: &CustomerEmail) -> Result<Export, StoreError> {
        let (mut orders, mut files, mut names) = (Vec::new(), Vec::new(), HashSet::new());
        for order in self.orders_of_customer(shop, email).await? {
            let (order, of_order) = self.export_one(shop, &order).await?;
            orders.push(order);
            files.extend(of_order.into_iter().filter(|file| names.insert(file.name.clone())));
        }
        Ok(Export { document: json!({ "orders": orders }), files })
    }

    async fn export_one(self, shop: &ShopId, id: &str) -> Result<(Value, Vec<ExportFile>), StoreError> {
        let jobs = self.jobs_of_order(shop, id).await?;
        let mut connection = self.store.pool().acquire().await?;
        let known = self.store.orders().read_order(&mut connection, shop, id).await?;
        let known = known.ok_or_else(|| StoreError::NotFound { what: "order", id: id.to_owned() })?;
        let outcomes =
            self.store.outcomes().outcomes_in(&mut connection, &known.key, shop, id, OutcomeSelection::All).await?;
        let (files, listed) = files(&mut connection, shop, id, &outcomes).await?;
        let mut exported = Vec::with_capacity(jobs.len());
        for job in jobs {
            exported.push(export_job(&mut connection, &job, &known.key).await?);
        }
        let bills_of_materials =
            self.store.orders().bills_of_materials_in(&mut connection, shop, id, &known.key).await?;
        let document = json!({
            "shop": shop.as_str(),
            "order": value(&known.order)?,
            "bills_of_materials": value(&bills_of_materials)?,
            "events": events(&mut connection, shop, id, &known.key).await?,
            "jobs": exported,
            "outcomes": outcomes.iter().map(outcome).collect::<Result<Vec<_>, _>>()?,
            "files": listed,
            "webhooks": self.store.webhooks().requests_of_order(&mut connection, shop, id).await?,
            "answers": self.store.idempotency().answers_of_order(&mut connection, shop, id).await?,
            "quote": self.store.quotes().quote_of_order(&mut connection, shop, id, &known.key).await?,
        });
        Ok((document, files))
    }

    async fn jobs_of_order(self, shop: &ShopId, order: &str) -> Result<Vec<JobSummary>, StoreError> {
        let mut filter = JobFilter { shop: Some(shop.clone()), order: Some(order.to_owned()), ..JobFilter::default() };
        let mut jobs = Vec::new();
        loop {
            let page = self.store.jobs().list(&filter, PAGE).await?;
            let Some(last) = page.last() else { return Ok(jobs) };
            filter.after = Some(last.id.clone());
            jobs.extend(page);
        }
    }
}

async fn export_job(connection: &mut AnyConnection, job: &JobSummary, key: &Key) -> Result<Value, StoreError> {
    type Row = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);
    let (number, event_sent, continuation_state, reason): Row =
        sqlx::query_as("select journal, event_sent, continuation_state, state_reason from jobs where id = $1")
            .bind(&job.id)
            .fetch_one(&mut *connection)
            .await?;
    let open = |what: &str, encrypted: Option<Vec<u8>>| -> Result<Option<Value>, StoreError> {
        encrypted.map(|encrypted| key.decrypt_json(&aad(what, "", &job.id), &encrypted)).transpose()
    };
    let mut journals = Vec::new();
    for number in 0..=u32::try_from(number).unwrap_or(0) {
        journals.push(value(&journal::load(connection, &job.id, number, key).await?.records)?);
    }
    Ok(json!({
        "id": job.id, "account": job.account.as_str(), "event": job.event, "kind": job.kind,
        "plugin": job.plugin.to_string(), "state": job.state.name(), "created": timestamp(job.created),
        "changed": timestamp(job.changed),
        "event_sent": open("event_sent", event_sent)?,
        "continuation_state": open("continuation_state", continuation_state)?,
        "reason": open("state_reason", reason)?,
        "journals": journals,
    }))
}

async fn events(
    connection: &mut AnyConnection,
    shop: &ShopId,
    order: &str,
    key: &Key,
) -> Result<Vec<Value>, StoreError> {
    let rows: Vec<(String, Vec<u8>, i64)> = sqlx::query_as(
        "select id, event, recorded_at from order_events where shop = $1 and order_id = $2 order by recorded_at, id",
    )
    .bind(shop.as_str())
    .bind(order)
    .fetch_all(connection)
    .await?;
    let rows = rows.into_iter().map(|(id, encrypted, recorded)| {
        let event: Value = key.decrypt_json(&aad("event", shop.as_str(), &id), &encrypted)?;
        Ok(json!({ "recorded": timestamp(system_time(recorded)), "event": event }))
    });
    rows.collect()
}

async fn files(
    connection: &mut AnyConnection,
    shop: &ShopId,
    order: &str,
    outcomes: &[StoredOutcome],
) -> Result<(Vec<ExportFile>, Vec<Value>), StoreError> {
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "select digest, kind, media_type, created_at from blobs where shop = $1 and order_id = $2
         order by created_at, digest",
    )
    .bind(shop.as_str())
    .bind(order)
    .fetch_all(connection)
    .await?;
    // Names that plugins gave documents: the same bytes may have several.
    let mut documents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for outcome in outcomes {
        if let Outcome::Document(Document { name, content: BytesSource::Stored(digest), .. }) = &outcome.outcome {
            documents.entry(digest).or_default().insert(name);
        }
    }
    let (mut files, mut listed, mut names) = (Vec::new(), Vec::new(), HashSet::new());
    for (digest, kind, media_type, stored) in rows {
        let known: Digest = digest.parse().map_err(|error| StoreError::corrupt("a blob's digest", error))?;
        let document_names = documents.get(digest.as_str()).into_iter().flatten().copied();
        let unnamed = (!documents.contains_key(digest.as_str())).then_some("");
        for name in document_names.chain(unnamed).map(|name| file_name(&kind, &digest, name)) {
            // Names that differ only in unsafe characters are equal.
            if names.insert(name.clone()) {
                listed.push(json!({
                    "name": name, "kind": kind, "digest": digest, "media_type": media_type,
                    "stored": timestamp(system_time(stored)),
                }));
                files.push(ExportFile { name, digest: known, media_type: media_type.clone() });
            }
        }
    }
    Ok((files, listed))
}

/// Returns a file name, which contains the safe characters of a plugin's own name of a document.
fn file_name(kind: &str, digest: &str, document: &str) -> String {
    let safe = |character: char| {
        if character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_') { character } else { '_' }
    };
    let document: String = document.chars().take(80).map(safe).collect();
    let separator = if document.is_empty() { "" } else { "-" };
    format!("{kind}-{digest}{separator}{document}")
}

fn outcome(outcome: &StoredOutcome) -> Result<Value, StoreError> {
    Ok(json!({
        "account": outcome.account.as_str(), "job": outcome.job, "at": timestamp(outcome.at),
        "order_version": outcome.order_version, "held": outcome.needs_attention, "outcome": value(&outcome.outcome)?,
    }))
}

fn value(content: &impl serde::Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(content).map_err(|error| StoreError::corrupt("exported data", error))
}
