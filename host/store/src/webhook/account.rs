//! Outcomes that webhooks reported for an account rather than for an order.

use std::time::SystemTime;

use cartwright::types::{Message, Outcome};
use cartwright::{AccountId, ShopId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;

use crate::audit_log::NewAuditEntry;
use crate::database::{WriteTransaction, milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::Webhooks;
use crate::keys::aad;
use crate::notify::Subject;
use crate::outcome::outcome_key_of;
use crate::vault::random;

/// The state of an account outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountOutcomeState {
    /// Settings were pushed, and the host has not processed them yet.
    New,
    /// The settings wait for approval.
    PendingApproval,
    /// The settings were applied to the account.
    Applied,
    /// A later push of the same settings replaced this one while it waited.
    Superseded,
    /// A person rejected the settings.
    Rejected,
    /// There is nothing to do, or a person resolved it.
    Resolved,
}

impl AccountOutcomeState {
    /// Returns the name of the state in the database and in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::PendingApproval => "pending-approval",
            Self::Applied => "applied",
            Self::Superseded => "superseded",
            Self::Rejected => "rejected",
            Self::Resolved => "resolved",
        }
    }

    fn of(name: &str) -> Result<Self, StoreError> {
        let all = [Self::New, Self::PendingApproval, Self::Applied, Self::Superseded, Self::Rejected, Self::Resolved];
        all.into_iter()
            .find(|state| state.name() == name)
            .ok_or_else(|| StoreError::Corrupt(format!("{name:?} is not a state of an account outcome")))
    }
}

/// An outcome that was reported for an account.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountOutcome {
    /// Id of the outcome.
    pub id: String,
    /// Shop of the account.
    pub shop: ShopId,
    /// Account that it concerns.
    pub account: AccountId,
    /// The outcome.
    pub outcome: Outcome,
    /// State of the outcome.
    pub state: AccountOutcomeState,
    /// Why the outcome waits.
    pub reason: Option<String>,
    /// Time of the report.
    pub at: SystemTime,
    /// Time at which it was resolved.
    pub resolved_at: Option<SystemTime>,
}

type Row = (String, String, String, Vec<u8>, String, i64, Option<i64>);

/// The encrypted value of the table.
#[derive(Serialize, Deserialize)]
struct AccountOutcomeContent {
    outcome: Outcome,
    #[serde(default)]
    reason: Option<String>,
}

impl Webhooks<'_> {
    /// Returns at most `limit` outcomes of a shop's accounts after the one with this id, in the sequence of their
    /// reports: all, or those in one state. An unreadable one is replaced by a note that says so.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn account_outcomes(
        self,
        shop: &ShopId,
        state: Option<AccountOutcomeState>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AccountOutcome>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "select id, shop, account, outcome, state, emitted_at, resolved_at from account_outcomes
             where shop = $1 and (state = $2 or $2 is null)
             and ($3 is null or position > (select position from account_outcomes where shop = $1 and id = $3))
             order by position limit $4",
        )
        .bind(shop.as_str())
        .bind(state.map(|state| state.name()))
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(self.store.pool())
        .await?;
        rows.into_iter().map(|row| self.readable_account_outcome(row)).collect()
    }

    /// Reads the outcomes of a shop or of all, one or all, in this state, in the sequence of their reports. Each
    /// unreadable one is an error of its own.
    pub(super) async fn read_account_outcomes(
        self,
        connection: &mut AnyConnection,
        (shop, id, state): (Option<&ShopId>, Option<&str>, AccountOutcomeState),
    ) -> Result<Vec<Result<AccountOutcome, StoreError>>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "select id, shop, account, outcome, state, emitted_at, resolved_at from account_outcomes
             where (shop = $1 or $1 is null) and (id = $2 or $2 is null) and state = $3
             order by position",
        )
        .bind(shop.map(ShopId::as_str))
        .bind(id)
        .bind(state.name())
        .fetch_all(connection)
        .await?;
        Ok(rows.into_iter().map(|row| self.account_outcome(row)).collect())
    }

    /// Reads at most `limit` unprocessed pushes of any shop after this number, in the sequence of their arrival, each
    /// with its number. Each unreadable one is an error of its own.
    pub(super) async fn pending_pushes(
        self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Result<AccountOutcome, StoreError>)>, StoreError> {
        type Numbered = (i64, String, String, String, Vec<u8>, String, i64, Option<i64>);
        let rows: Vec<Numbered> = sqlx::query_as(
            "select position, id, shop, account, outcome, state, emitted_at, resolved_at from account_outcomes
             where state = 'new' and position > $1 order by position limit $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(self.store.pool())
        .await?;
        let rows = rows.into_iter().map(|(number, id, shop, account, encrypted, state, at, resolved_at)| {
            (number, self.account_outcome((id, shop, account, encrypted, state, at, resolved_at)))
        });
        Ok(rows.collect())
    }

    fn readable_account_outcome(self, row: Row) -> Result<AccountOutcome, StoreError> {
        let (id, shop, account, _, state, at, resolved_at) = &row;
        let what = aad("account outcome", shop, id);
        let readable = |error: StoreError| {
            if !matches!(error, StoreError::Corrupt(_)) {
                return Err(error);
            }
            tracing::error!(outcome = id, %error, "an outcome of an account cannot be read");
            let text = "This entry is damaged and cannot be read; restore the database from a backup.".to_owned();
            Ok(AccountOutcome {
                id: id.clone(),
                shop: shop.parse().map_err(|error| StoreError::corrupt(&what, error))?,
                account: account.parse().map_err(|error| StoreError::corrupt(&what, error))?,
                outcome: Outcome::Note(Message { key: "damaged".to_owned(), parameters: Vec::new(), text }),
                state: AccountOutcomeState::of(state)?,
                reason: None,
                at: system_time(*at),
                resolved_at: resolved_at.map(system_time),
            })
        };
        self.account_outcome(row.clone()).or_else(readable)
    }

    fn account_outcome(
        self,
        (id, shop, account, encrypted, state, at, resolved_at): Row,
    ) -> Result<AccountOutcome, StoreError> {
        let what = aad("account outcome", &shop, &id);
        let content: AccountOutcomeContent = serde_json::from_slice(&self.store.keys().decrypt(&what, &encrypted)?)
            .map_err(|error| StoreError::corrupt(&what, error))?;
        Ok(AccountOutcome {
            shop: shop.parse().map_err(|error| StoreError::corrupt(&what, error))?,
            account: account.parse().map_err(|error| StoreError::corrupt(&what, error))?,
            outcome: content.outcome,
            state: AccountOutcomeState::of(&state)?,
            reason: content.reason,
            at: system_time(at),
            resolved_at: resolved_at.map(system_time),
            id,
        })
    }

    /// Resolves an account outcome, with an audit entry. Settings are approved or rejected instead.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it does not wait for that, or an error of the database.
    pub async fn resolve_account_outcome(
        self,
        shop: &ShopId,
        id: &str,
        actor: &str,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let pending = self.pending_account_outcome(shop, id).await?;
        if matches!(pending.outcome, Outcome::PushSettings(_)) {
            return Err(not_pending(id));
        }
        self.set_account_outcome_state(&pending, AccountOutcomeState::Resolved, (actor, "resolve-outcome", None), now)
            .await
    }

    pub(super) async fn pending_account_outcome(self, shop: &ShopId, id: &str) -> Result<AccountOutcome, StoreError> {
        let selection = (Some(shop), Some(id), AccountOutcomeState::PendingApproval);
        let found = self.read_account_outcomes(&mut *self.store.pool().acquire().await?, selection).await?.pop();
        found.ok_or_else(|| not_pending(id))?
    }

    pub(super) async fn set_account_outcome_state(
        self,
        pending: &AccountOutcome,
        state: AccountOutcomeState,
        (actor, what, settings): (&str, &str, Option<&serde_json::Value>),
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        self.move_account_outcome(&mut work, pending, (pending.outcome.clone(), pending.reason.clone()), state, now)
            .await?;
        let audit_value =
            |state: AccountOutcomeState| json!({ "id": pending.id, "state": state.name(), "settings": settings });
        let (before, after) = (audit_value(pending.state), audit_value(state));
        let entry = NewAuditEntry {
            actor,
            action: what,
            shop: Some(&pending.shop),
            subject: pending.account.as_str(),
            before: Some(&before),
            after: Some(&after),
            secrets: &[],
        };
        work.commit_audited(&entry, now).await
    }

    /// Changes the state of an account outcome that was read.
    pub(super) async fn move_account_outcome(
        self,
        work: &mut WriteTransaction,
        from: &AccountOutcome,
        (outcome, reason): (Outcome, Option<String>),
        state: AccountOutcomeState,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let what = aad("account outcome", from.shop.as_str(), &from.id);
        let kind = outcome_key_of(&outcome).kind;
        let is_resolved = !matches!(state, AccountOutcomeState::New | AccountOutcomeState::PendingApproval);
        let update = sqlx::query(
            "update account_outcomes set outcome = $4, state = $5, resolved_at = $6
             where shop = $1 and id = $2 and state = $3",
        )
        .bind(from.shop.as_str())
        .bind(&from.id)
        .bind(from.state.name())
        .bind(self.store.keys().current().encrypt_json(&what, &AccountOutcomeContent { outcome, reason })?)
        .bind(state.name())
        .bind(is_resolved.then(|| milliseconds(now)))
        .execute(&mut **work)
        .await?;
        if update.rows_affected() == 0 {
            return Err(not_pending(&from.id));
        }
        self.notify_account(work, (&from.shop, &from.account), &from.id, (kind, state), milliseconds(now)).await
    }

    /// Stores an account outcome. Pushed settings are processed later, because that requires a call of the plugin.
    pub(crate) async fn add_account_outcome(
        self,
        work: &mut WriteTransaction,
        shop: &ShopId,
        account: &AccountId,
        outcome: Outcome,
        now: i64,
    ) -> Result<(), StoreError> {
        let state = match &outcome {
            Outcome::PushSettings(_) => AccountOutcomeState::New,
            Outcome::NeedsMerchant(_) => AccountOutcomeState::PendingApproval,
            _ => AccountOutcomeState::Resolved,
        };
        self.insert_account_outcome(work, (shop, account), outcome, (state, None), now).await
    }

    pub(super) async fn insert_account_outcome(
        self,
        work: &mut WriteTransaction,
        (shop, account): (&ShopId, &AccountId),
        outcome: Outcome,
        (state, reason): (AccountOutcomeState, Option<String>),
        now: i64,
    ) -> Result<(), StoreError> {
        let (id, kind) = (hex::encode(random::<8>()?), outcome_key_of(&outcome).kind);
        let what = aad("account outcome", shop.as_str(), &id);
        sqlx::query(
            "insert into account_outcomes (id, shop, account, kind, outcome, state, emitted_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&id)
        .bind(shop.as_str())
        .bind(account.as_str())
        .bind(kind)
        .bind(self.store.keys().current().encrypt_json(&what, &AccountOutcomeContent { outcome, reason })?)
        .bind(state.name())
        .bind(now)
        .execute(&mut **work)
        .await?;
        self.notify_account(work, (shop, account), &id, (kind, state), now).await
    }

    async fn notify_account(
        self,
        work: &mut WriteTransaction,
        (shop, account): (&ShopId, &AccountId),
        id: &str,
        (kind, state): (&str, AccountOutcomeState),
        now: i64,
    ) -> Result<(), StoreError> {
        let data = json!({ "shop": shop, "account": account, "outcome": id, "state": state.name() });
        let (what, subject) = (format!("account.{kind}"), Subject::Account(account.as_str()));
        self.store.notifications().notify_in(work, shop.as_str(), subject, (&what, data), now).await
    }
}

fn not_pending(id: &str) -> StoreError {
    StoreError::NotFound { what: "account outcome that needs attention", id: id.to_owned() }
}
