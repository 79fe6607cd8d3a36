//! The audit log: each change with its actor, time, subject, and the values before and after. It is append-only, so
//! that it must never contain data of a customer: it names orders and jobs by their ids, and its values are settings
//! and counts.

use std::time::SystemTime;

use cartwright::ShopId;
use serde_json::Value;
use sqlx::AnyConnection;

use crate::database::{WriteTransaction, milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::AuditLog;
use crate::order_list::skip_damaged;

/// Text that replaces a secret.
const MASK: &str = "(secret)";

/// An entry to add.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewAuditEntry<'a> {
    /// Person, process or plugin that made the change: a person's name, "host", a plugin's id.
    pub actor: &'a str,
    /// Kind of change: "set-account", "cancel-job".
    pub action: &'a str,
    /// Shop that was changed; `None` = the installation.
    pub shop: Option<&'a ShopId>,
    /// Id of the account, job or order that was changed.
    pub subject: &'a str,
    /// Value before the change.
    pub before: Option<&'a Value>,
    /// Value after the change.
    pub after: Option<&'a Value>,
    /// Names of members that are masked, at any depth.
    pub secrets: &'a [&'a str],
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Number of the entry; later entries have higher numbers.
    pub id: i64,
    /// Time of the change.
    pub at: SystemTime,
    /// Actor of the change.
    pub actor: String,
    /// Kind of change.
    pub action: String,
    /// Shop that was changed; `None` = the installation.
    pub shop: Option<ShopId>,
    /// Id of what was changed.
    pub subject: String,
    /// Value before the change, with secrets masked.
    pub before: Option<Value>,
    /// Value after the change, with secrets masked.
    pub after: Option<Value>,
}

impl AuditLog<'_> {
    /// Adds an entry and returns its number.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn log(self, entry: &NewAuditEntry<'_>, now: SystemTime) -> Result<i64, StoreError> {
        append_audit_entry(&mut *self.store.pool().acquire().await?, entry, milliseconds(now)).await
    }

    /// Returns at most `limit` entries, newest first, of one shop or of all; `before` is the last number of the
    /// previous page.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn entries(
        self,
        shop: Option<&ShopId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let (mut entries, mut before) = (Vec::new(), before.unwrap_or(i64::MAX));
        // A damaged row is logged, and the next row takes its position in the page.
        loop {
            let wanted = i64::from(limit) - i64::try_from(entries.len()).unwrap_or(i64::MAX);
            let rows: Vec<Row> = sqlx::query_as(
                "select id, at, actor, action, shop, subject, before, after from audit_log
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

/// Columns: id, time, actor, kind, shop, subject, before, after.
type Row = (i64, i64, String, String, Option<String>, String, Option<String>, Option<String>);

fn entry((id, at, actor, action, shop, subject, before, after): Row) -> Result<AuditEntry, StoreError> {
    let damaged = |error: &dyn std::fmt::Display| StoreError::corrupt(&format!("audit entry {id}"), error);
    let json = |text: Option<String>| text.map(|text| serde_json::from_str(&text)).transpose();
    Ok(AuditEntry {
        id,
        at: system_time(at),
        actor,
        action,
        shop: shop.map(|shop| shop.parse()).transpose().map_err(|error| damaged(&error))?,
        subject,
        before: json(before).map_err(|error| damaged(&error))?,
        after: json(after).map_err(|error| damaged(&error))?,
    })
}

impl WriteTransaction {
    /// Commits a change together with its audit entry.
    pub(crate) async fn commit_audited(mut self, entry: &NewAuditEntry<'_>, now: SystemTime) -> Result<(), StoreError> {
        append_audit_entry(&mut self, entry, milliseconds(now)).await?;
        self.commit().await
    }
}

/// Adds an entry and returns its number. Use [`WriteTransaction::commit_audited`] where the entry is the last thing
/// that is written.
pub(crate) async fn append_audit_entry(
    connection: &mut AnyConnection,
    entry: &NewAuditEntry<'_>,
    now: i64,
) -> Result<i64, StoreError> {
    let text = |value: Option<&Value>| value.map(|value| mask(value, entry.secrets).to_string());
    let (id,): (i64,) = sqlx::query_as(
        "insert into audit_log (at, actor, action, shop, subject, before, after) values ($1, $2, $3, $4, $5, $6, $7)
         returning id",
    )
    .bind(now)
    .bind(entry.actor)
    .bind(entry.action)
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
