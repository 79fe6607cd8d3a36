//! What was said of an account rather than of an order.

use std::time::SystemTime;

use cartwright::types::{Message, Outcome};
use cartwright::{AccountId, ShopId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;

use crate::audit_log::NewAuditEntry;
use crate::database::{WriteTransaction, milliseconds, moment};
use crate::error::StoreError;
use crate::facades::Webhooks;
use crate::keys::aad;
use crate::notify::Subject;
use crate::outcome::outcome_key_of;
use crate::vault::{random, to_hex};

/// How far something that was said of an account has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountOutcomeState {
    /// Settings were pushed, and the host has not looked at them yet.
    New,
    /// It waits for a person.
    PendingApproval,
    /// The settings are the account's.
    Applied,
    /// A later push of the same settings took its place while it waited.
    Superseded,
    /// A person refused it.
    Rejected,
    /// There is nothing to do about it, or somebody has seen to it.
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
            .ok_or_else(|| StoreError::Corrupt(format!("nothing said of an account has the state {name:?}")))
    }
}

/// Something that was said of an account.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountOutcome {
    /// Its id.
    pub id: String,
    /// The shop.
    pub shop: ShopId,
    /// The account.
    pub account: AccountId,
    /// What was said.
    pub outcome: Outcome,
    /// How far it has come.
    pub state: AccountOutcomeState,
    /// Why it waits.
    pub reason: Option<String>,
    /// When it was said.
    pub at: SystemTime,
    /// When it was settled.
    pub settled_at: Option<SystemTime>,
}

type Row = (String, String, String, Vec<u8>, String, i64, Option<i64>);

/// As it is sealed.
#[derive(Serialize, Deserialize)]
struct AccountOutcomeContent {
    outcome: Outcome,
    #[serde(default)]
    reason: Option<String>,
}

impl Webhooks<'_> {
    /// At most `limit` of what was said of a shop's accounts, in the order in which it was said, what came after the one of this id: all
    /// of it, or what is in one state. What cannot be read is in it as a note that says so.
    ///
    /// # Errors
    /// As the database says.
    pub async fn account_outcomes(
        self,
        shop: &ShopId,
        state: Option<AccountOutcomeState>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AccountOutcome>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "select id, shop, account, outcome, state, emitted_at, settled_at from account_outcomes
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

    /// Of a shop or of all, one or all, in this state; in the order in which it was said. Each that cannot be read is an error of its own.
    pub(super) async fn read_account_outcomes(
        self,
        connection: &mut AnyConnection,
        (shop, id, state): (Option<&ShopId>, Option<&str>, AccountOutcomeState),
    ) -> Result<Vec<Result<AccountOutcome, StoreError>>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "select id, shop, account, outcome, state, emitted_at, settled_at from account_outcomes
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

    /// At most `limit` pushes of any shop that the host has not looked at, in the order in which they came: those after this number, each
    /// with its own. Each that cannot be read is an error of its own.
    pub(super) async fn pending_pushes(
        self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Result<AccountOutcome, StoreError>)>, StoreError> {
        type Numbered = (i64, String, String, String, Vec<u8>, String, i64, Option<i64>);
        let rows: Vec<Numbered> = sqlx::query_as(
            "select position, id, shop, account, outcome, state, emitted_at, settled_at from account_outcomes
             where state = 'new' and position > $1 order by position limit $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(self.store.pool())
        .await?;
        let rows = rows.into_iter().map(|(number, id, shop, account, said, state, outcomes, settled_at)| {
            (number, self.account_outcome((id, shop, account, said, state, outcomes, settled_at)))
        });
        Ok(rows.collect())
    }

    fn readable_account_outcome(self, row: Row) -> Result<AccountOutcome, StoreError> {
        let (id, shop, account, _, state, at, settled_at) = &row;
        let what = aad("account outcome", shop, id);
        let readable = |error: StoreError| {
            if !matches!(error, StoreError::Corrupt(_)) {
                return Err(error);
            }
            tracing::error!(outcome = id, %error, "an outcome of an account cannot be read");
            let text = "This entry is damaged and cannot be read; restore the database from a copy.".to_owned();
            Ok(AccountOutcome {
                id: id.clone(),
                shop: shop.parse().map_err(|error| StoreError::corrupt(&what, error))?,
                account: account.parse().map_err(|error| StoreError::corrupt(&what, error))?,
                outcome: Outcome::Note(Message { key: "damaged".to_owned(), parameters: Vec::new(), text }),
                state: AccountOutcomeState::of(state)?,
                reason: None,
                at: moment(*at),
                settled_at: settled_at.map(moment),
            })
        };
        self.account_outcome(row.clone()).or_else(readable)
    }

    fn account_outcome(
        self,
        (id, shop, account, sealed, state, at, settled_at): Row,
    ) -> Result<AccountOutcome, StoreError> {
        let what = aad("account outcome", &shop, &id);
        let said: AccountOutcomeContent = serde_json::from_slice(&self.store.keys().decrypt(&what, &sealed)?)
            .map_err(|error| StoreError::corrupt(&what, error))?;
        Ok(AccountOutcome {
            shop: shop.parse().map_err(|error| StoreError::corrupt(&what, error))?,
            account: account.parse().map_err(|error| StoreError::corrupt(&what, error))?,
            outcome: said.outcome,
            state: AccountOutcomeState::of(&state)?,
            reason: said.reason,
            at: moment(at),
            settled_at: settled_at.map(moment),
            id,
        })
    }

    /// Says that a person has seen to something that was said of an account, and logs who. Settings are approved or refused.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it does not wait for that, and as the database says.
    pub async fn resolve_account_outcome(
        self,
        shop: &ShopId,
        id: &str,
        actor: &str,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let held = self.pending_account_outcome(shop, id).await?;
        if matches!(held.outcome, Outcome::PushSettings(_)) {
            return Err(not_pending(id));
        }
        self.set_account_outcome_state(&held, AccountOutcomeState::Resolved, (actor, "resolve-outcome", None), now)
            .await
    }

    pub(super) async fn pending_account_outcome(self, shop: &ShopId, id: &str) -> Result<AccountOutcome, StoreError> {
        let held = (Some(shop), Some(id), AccountOutcomeState::PendingApproval);
        let found = self.read_account_outcomes(&mut *self.store.pool().acquire().await?, held).await?.pop();
        found.ok_or_else(|| not_pending(id))?
    }

    pub(super) async fn set_account_outcome_state(
        self,
        held: &AccountOutcome,
        state: AccountOutcomeState,
        (actor, what, settings): (&str, &str, Option<&serde_json::Value>),
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        self.move_account_outcome(&mut work, held, (held.outcome.clone(), held.reason.clone()), state, now).await?;
        let logged = |state: AccountOutcomeState| json!({ "id": held.id, "state": state.name(), "settings": settings });
        let (before, after) = (logged(held.state), logged(state));
        let entry = NewAuditEntry {
            actor,
            what,
            shop: Some(&held.shop),
            subject: held.account.as_str(),
            before: Some(&before),
            after: Some(&after),
            secrets: &[],
        };
        work.commit_audited(&entry, now).await
    }

    /// Takes something from the state that it was read in to another.
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
        let settled_at = !matches!(state, AccountOutcomeState::New | AccountOutcomeState::PendingApproval);
        let moved = sqlx::query(
            "update account_outcomes set outcome = $4, state = $5, settled_at = $6
             where shop = $1 and id = $2 and state = $3",
        )
        .bind(from.shop.as_str())
        .bind(&from.id)
        .bind(from.state.name())
        .bind(self.store.keys().current().encrypt_json(&what, &AccountOutcomeContent { outcome, reason })?)
        .bind(state.name())
        .bind(settled_at.then(|| milliseconds(now)))
        .execute(&mut **work)
        .await?;
        if moved.rows_affected() == 0 {
            return Err(not_pending(&from.id));
        }
        self.notify_account(work, (&from.shop, &from.account), &from.id, (kind, state), milliseconds(now)).await
    }

    /// Keeps what was said of an account. Settings that were pushed are looked at by the host later, because their plugin has to
    /// be asked.
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
        let (id, kind) = (to_hex(&random::<8>()?), outcome_key_of(&outcome).kind);
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
    StoreError::NotFound { what: "held outcome of an account", id: id.to_owned() }
}
