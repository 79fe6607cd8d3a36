//! Who did what, when, and what it was before and after. Only ever added to, so that nothing of a customer may ever stand in it:
//! it names orders and jobs by their ids, and its values are settings and counts.

use std::time::SystemTime;

use cartwright::ShopId;
use serde_json::Value;
use sqlx::AnyConnection;

use crate::database::{WriteTransaction, milliseconds, moment};
use crate::error::StoreError;
use crate::facades::AuditLog;
use crate::order_list::skip_damaged;

/// What stands in a secret's place.
const MASK: &str = "(secret)";

/// Something to be logged.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewAuditEntry<'a> {
    /// Who did it: a person's name, "host", a plugin's id.
    pub actor: &'a str,
    /// What: "set-account", "cancel-job".
    pub what: &'a str,
    /// In which shop; none = in the installation.
    pub shop: Option<&'a ShopId>,
    /// To what: an account's, a job's, an order's id.
    pub subject: &'a str,
    /// What it was.
    pub before: Option<&'a Value>,
    /// What it is.
    pub after: Option<&'a Value>,
    /// Members of these names are masked, however deep they stand.
    pub secrets: &'a [&'a str],
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its number; grows.
    pub id: i64,
    /// When.
    pub at: SystemTime,
    /// Who did it.
    pub actor: String,
    /// What.
    pub what: String,
    /// In which shop.
    pub shop: Option<ShopId>,
    /// To what.
    pub subject: String,
    /// What it was, secrets masked.
    pub before: Option<Value>,
    /// What it is, secrets masked.
    pub after: Option<Value>,
}

impl AuditLog<'_> {
    /// Adds an entry; returns its number.
    ///
    /// # Errors
    /// As the database says.
    pub async fn log(self, entry: &NewAuditEntry<'_>, now: SystemTime) -> Result<i64, StoreError> {
        append_audit_entry(&mut *self.store.pool().acquire().await?, entry, milliseconds(now)).await
    }

    /// At most `limit` entries, the newest first, of one shop or of all; `before` is the last number of the page before.
    ///
    /// # Errors
    /// As the database says.
    pub async fn entries(
        self,
        shop: Option<&ShopId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let (mut entries, mut before) = (Vec::new(), before.unwrap_or(i64::MAX));
        // A damaged row is reported in the log and leaves its place in the page to the next.
        loop {
            let wanted = i64::from(limit) - i64::try_from(entries.len()).unwrap_or(i64::MAX);
            let rows: Vec<Row> = sqlx::query_as(
                "select id, at, who, what, shop, subject, before, after from audit_log
                 where (shop = $1 or $1 is null) and id < $2 order by id desc limit $3",
            )
            .bind(shop.map(ShopId::as_str))
            .bind(before)
            .bind(wanted)
            .fetch_all(self.store.pool())
            .await?;
            let is_last = i64::try_from(rows.len()).is_ok_and(|rows| rows < wanted);
            before = rows.last().map_or(before, |row| row.0);
            let (held, count) = (entries.len(), rows.len());
            entries.extend(skip_damaged(rows.into_iter().map(entry)));
            if is_last || entries.len() == held + count {
                return Ok(entries);
            }
        }
    }
}

/// Id, at, who, what, shop, subject, before, after.
type Row = (i64, i64, String, String, Option<String>, String, Option<String>, Option<String>);

fn entry((id, at, actor, what, shop, subject, before, after): Row) -> Result<AuditEntry, StoreError> {
    let damaged = |error: &dyn std::fmt::Display| StoreError::corrupt(&format!("log entry {id}"), error);
    let json = |text: Option<String>| text.map(|text| serde_json::from_str(&text)).transpose();
    Ok(AuditEntry {
        id,
        at: moment(at),
        actor,
        what,
        shop: shop.map(|shop| shop.parse()).transpose().map_err(|error| damaged(&error))?,
        subject,
        before: json(before).map_err(|error| damaged(&error))?,
        after: json(after).map_err(|error| damaged(&error))?,
    })
}

impl WriteTransaction {
    /// Commits a change together with its entry in the audit log.
    pub(crate) async fn commit_audited(mut self, entry: &NewAuditEntry<'_>, now: SystemTime) -> Result<(), StoreError> {
        append_audit_entry(&mut self, entry, milliseconds(now)).await?;
        self.commit().await
    }
}

/// Adds an entry and returns its number. Use [`WriteTransaction::commit_audited`] where the entry is the last thing that is written.
pub(crate) async fn append_audit_entry(
    connection: &mut AnyConnection,
    entry: &NewAuditEntry<'_>,
    now: i64,
) -> Result<i64, StoreError> {
    let text = |value: Option<&Value>| value.map(|value| mask(value, entry.secrets).to_string());
    let (id,): (i64,) = sqlx::query_as(
        "insert into audit_log (at, who, what, shop, subject, before, after) values ($1, $2, $3, $4, $5, $6, $7)
         returning id",
    )
    .bind(now)
    .bind(entry.actor)
    .bind(entry.what)
    .bind(entry.shop.map(ShopId::as_str))
    .bind(entry.subject)
    .bind(text(entry.before))
    .bind(text(entry.after))
    .fetch_one(connection)
    .await?;
    Ok(id)
}

fn mask(value: &Value, secrets: &[&str]) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Value::Null => Value::Null,
                    _ if secrets.contains(&name.as_str()) => MASK.into(),
                    value => mask(value, secrets),
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(values) => values.iter().map(|value| mask(value, secrets)).collect(),
        other => other.clone(),
    }
}
