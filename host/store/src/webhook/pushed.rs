//! Settings that vendors pushed: taken, held, approved, refused.
//!
//! The webhook that brought them was answered when they were kept. They are looked at afterwards, because the plugin has to be
//! asked whether they are good, and no transaction is held while a plugin runs.

use std::collections::BTreeSet;
use std::time::SystemTime;

use cartwright::types::{Outcome, Setting};
use cartwright::webhook::{Pushed, form_value};
use cartwright::{AccountId, AccountSnapshot, Cartwright, SetupError, ShopId};
use serde_json::{Map, Value};

use super::account::{AccountOutcome, AccountOutcomeState as State};
use crate::audit_log::{NewAuditEntry, append_audit_entry};
use crate::database::{WriteTransaction, in_time, milliseconds};
use crate::error::StoreError;
use crate::facades::Webhooks;

/// So many pushes are read at once.
const BATCH: u32 = 100;
/// So often a change is made anew when somebody else changed the account meanwhile.
const MAX_ATTEMPTS: u32 = 3;

/// Pushed settings could not be settled. They are as they were.
#[derive(Debug, thiserror::Error)]
pub enum PushedError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The account does not take them, or products' links do not go with them: read what is wrong, then change those links, refuse the
    /// settings, or have the vendor push others.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// What a push does to an account.
struct PushedChange<'a> {
    pushed: &'a AccountOutcome,
    settings: Vec<Setting>,
    /// What is held of the same push.
    pending: Vec<Setting>,
    /// The names of the settings that older pushes no longer decide: approving those later would bring older values back.
    superseded_settings: BTreeSet<String>,
    actor: &'a str,
    what: &'static str,
}

impl Webhooks<'_> {
    /// Looks at what vendors pushed since the last time: takes what may take effect at once and is valid, into the store and the
    /// host, and holds the rest with the reason. A [`Worker`](crate::Worker) calls it when it starts and after each webhook. Returns
    /// how many pushes could not be looked at now, because the host does not run their account or its plugin was too busy: call it
    /// again.
    ///
    /// # Errors
    /// As the database says.
    pub async fn process_pushed_settings(self, host: &Cartwright, now: SystemTime) -> Result<usize, StoreError> {
        let (mut left, mut later, mut last) = (0, BTreeSet::new(), i64::MIN);
        loop {
            let pushes = in_time(self.pending_pushes(last, BATCH)).await?;
            if pushes.is_empty() {
                return Ok(left);
            }
            for (number, pushed) in pushes {
                last = number;
                let Some(pushed) = readable(pushed)? else { continue };
                let account = (pushed.shop.clone(), pushed.account.clone());
                // The second push before the first would be undone by the first.
                if later.contains(&account) || !self.is_settled(host, &pushed, now).await? {
                    left += 1;
                    later.insert(account);
                }
            }
        }
    }

    /// False when the push cannot be looked at now.
    async fn is_settled(self, host: &Cartwright, pushed: &AccountOutcome, now: SystemTime) -> Result<bool, StoreError> {
        match self.process(host, pushed, now).await {
            // Or another node was quicker.
            Ok(()) | Err(PushedError::Store(StoreError::NotFound { .. })) => Ok(true),
            Err(PushedError::Store(StoreError::Conflict(_))) => Ok(false),
            Err(PushedError::Store(error)) => Err(error),
            Err(PushedError::Setup(error)) if is_of_this_host(&error) => Ok(false),
            Err(PushedError::Setup(error)) => {
                self.hold_for_approval(pushed, &error.to_string(), now).await.map(|()| true)
            }
        }
    }

    /// Gives held settings to their account: checked by its form, its plugin and with its links as any change is, logged with what
    /// they were before.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when they are not held, [`PushedError::Setup`] when they are not valid or links do not go with them.
    pub async fn approve_pushed_settings(
        self,
        host: &Cartwright,
        shop: &ShopId,
        id: &str,
        actor: &str,
        now: SystemTime,
    ) -> Result<(), PushedError> {
        let pushed = self.pending_account_outcome(shop, id).await?;
        let Outcome::PushSettings(settings) = pushed.outcome.clone() else { return Err(no_push(id).into()) };
        let Pushed { immediate: mut at_once, needs_approval: pending } =
            host.sort_pushed(shop, &pushed.account, settings)?;
        at_once.extend(pending);
        let (pending, superseded_settings, what) = (Vec::new(), BTreeSet::new(), "approve-settings");
        self.change(
            host,
            &PushedChange { pushed: &pushed, settings: at_once, pending, superseded_settings, actor, what },
            now,
        )
        .await
    }

    /// Refuses held settings, and logs who did. The account keeps what it has.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when they are not held, and as the database says.
    pub async fn reject_pushed_settings(
        self,
        shop: &ShopId,
        id: &str,
        actor: &str,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let pushed = self.pending_account_outcome(shop, id).await?;
        let Outcome::PushSettings(settings) = &pushed.outcome else { return Err(no_push(id)) };
        let refused = Value::Object(as_entered(settings));
        self.set_account_outcome_state(&pushed, State::Rejected, (actor, "reject-settings", Some(&refused)), now).await
    }

    async fn process(self, host: &Cartwright, pushed: &AccountOutcome, now: SystemTime) -> Result<(), PushedError> {
        let Outcome::PushSettings(settings) = pushed.outcome.clone() else { return Err(no_push(&pushed.id).into()) };
        // Also those that the account has already: of "41, 42, 41" nothing is left to be approved.
        let superseded_settings = names(&settings);
        let Pushed { immediate: at_once, needs_approval: pending } =
            host.sort_pushed(&pushed.shop, &pushed.account, settings)?;
        if at_once.is_empty() && !pending.is_empty() {
            return Ok(self.hold_for_approval(pushed, &approval_reason(&pending), now).await?);
        }
        let plugin = host.current_version(&pushed.shop, &pushed.account)?;
        let (actor, what) = (plugin.id().as_str(), "push-settings");
        let change = PushedChange { pushed, settings: at_once, pending, superseded_settings, actor, what };
        self.change(host, &change, now).await
    }

    async fn change(self, host: &Cartwright, change: &PushedChange<'_>, now: SystemTime) -> Result<(), PushedError> {
        for _ in 1..MAX_ATTEMPTS {
            match self.try_change(host, change, now).await {
                Err(PushedError::Store(StoreError::Conflict(_))) => {}
                ended => return ended,
            }
        }
        self.try_change(host, change, now).await
    }

    async fn try_change(
        self,
        host: &Cartwright,
        change: &PushedChange<'_>,
        now: SystemTime,
    ) -> Result<(), PushedError> {
        let PushedChange { pushed, settings, .. } = change;
        let (shop, id) = (&pushed.shop, &pushed.account);
        let served = host.shop_state(shop)?;
        let mut account = self.stored_account(shop, id).await?;
        let kept = account.versions.entry(account.current).or_default();
        let (mut before, after) = (Map::new(), as_entered(settings));
        for setting in settings {
            let old = kept.insert(setting.name.clone(), setting.value.clone());
            before.insert(setting.name.clone(), old.as_ref().and_then(form_value).unwrap_or_default());
        }
        account.revision += 1;
        let planned = match after.is_empty() {
            true => None,
            false => Some(host.plan_account_snapshot(&served, account.clone()).await?),
        };
        in_time(self.apply_change(change, &account, (before, after), now)).await?;
        if let Some(planned) = planned
            && host.publish(Some(&served), planned).is_err()
        {
            // Another change of the shop was published first, so that it is served as it is stored by now.
            self.store.restore_shop(host, shop).await??;
        }
        Ok(())
    }

    /// Writes a change down, with the account's settings `before` and `after` it.
    async fn apply_change(
        self,
        change: &PushedChange<'_>,
        account: &AccountSnapshot,
        (before, after): (Map<String, Value>, Map<String, Value>),
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let PushedChange { pushed, settings, pending, superseded_settings, .. } = change;
        let (shop, id) = (&pushed.shop, &pushed.account);
        let mut work = self.store.begin().await?;
        // The rest of the push is taken from this row, which then says what took effect.
        let outcome = Outcome::PushSettings(settings.clone());
        self.move_account_outcome(&mut work, pushed, (outcome, None), State::Applied, now).await?;
        self.supersede_pending(&mut work, pushed, superseded_settings, now).await?;
        if !pending.is_empty() {
            let (rest, reason) = (Outcome::PushSettings(pending.clone()), approval_reason(pending));
            let state = (State::PendingApproval, Some(reason));
            self.insert_account_outcome(&mut work, (shop, id), rest, state, milliseconds(pushed.at)).await?;
        }
        if !after.is_empty() {
            self.store.shops().save_account_in(&mut work, shop, account, now).await?;
            let (before, after) = (Value::Object(before), Value::Object(after));
            let entry = NewAuditEntry {
                actor: change.actor,
                what: change.what,
                shop: Some(shop),
                subject: id.as_str(),
                before: Some(&before),
                after: Some(&after),
                ..NewAuditEntry::default()
            };
            append_audit_entry(&mut work, &entry, milliseconds(now)).await?;
        }
        work.commit().await
    }

    async fn stored_account(self, shop: &ShopId, id: &AccountId) -> Result<AccountSnapshot, StoreError> {
        let found = in_time(self.store.shops().accounts(shop)).await?.into_iter().find(|account| account.id == *id);
        found.ok_or_else(|| StoreError::NotFound { what: "account", id: id.to_string() })
    }

    /// Holds a whole push.
    async fn hold_for_approval(self, pushed: &AccountOutcome, reason: &str, now: SystemTime) -> Result<(), StoreError> {
        let held = async {
            let mut work = self.store.begin().await?;
            if let Outcome::PushSettings(settings) = &pushed.outcome {
                self.supersede_pending(&mut work, pushed, &names(settings), now).await?;
            }
            let said = (pushed.outcome.clone(), Some(reason.to_owned()));
            self.move_account_outcome(&mut work, pushed, said, State::PendingApproval, now).await?;
            work.commit().await
        };
        in_time(held).await
    }

    /// What waits for approval and is pushed anew waits no longer: approving it later would bring the older values back.
    async fn supersede_pending(
        self,
        work: &mut WriteTransaction,
        pushed: &AccountOutcome,
        superseded_settings: &BTreeSet<String>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let held = (Some(&pushed.shop), None, State::PendingApproval);
        for held in self.read_account_outcomes(work, held).await? {
            let Some(held) = readable(held)? else { continue };
            let Outcome::PushSettings(old) = &held.outcome else { continue };
            let rest: Vec<Setting> =
                old.iter().filter(|old| !superseded_settings.contains(&old.name)).cloned().collect();
            if held.account != pushed.account || held.id == pushed.id || rest.len() == old.len() {
                continue;
            }
            let (settings, state) = match rest.is_empty() {
                true => (old.clone(), State::Superseded),
                false => (rest, State::PendingApproval),
            };
            let said = (Outcome::PushSettings(settings), held.reason.clone());
            self.move_account_outcome(work, &held, said, state, now).await?;
        }
        Ok(())
    }
}

/// One that is damaged holds up no other; it is logged.
fn readable(found: Result<AccountOutcome, StoreError>) -> Result<Option<AccountOutcome>, StoreError> {
    match found {
        Err(error @ StoreError::Corrupt(_)) => {
            tracing::error!(%error, "a push of settings cannot be read");
            Ok(None)
        }
        found => found.map(Some),
    }
}

fn names(settings: &[Setting]) -> BTreeSet<String> {
    settings.iter().map(|setting| setting.name.clone()).collect()
}

fn no_push(id: &str) -> StoreError {
    StoreError::NotFound { what: "push of settings", id: id.to_owned() }
}

/// Is it this host's state that is in the way, and not the settings?
fn is_of_this_host(error: &SetupError) -> bool {
    match error {
        SetupError::Invalid(_) | SetupError::Links(_) => false,
        SetupError::Hook(error) => error.is_retryable(),
        _ => true,
    }
}

fn as_entered(settings: &[Setting]) -> Map<String, Value> {
    settings.iter().filter_map(|setting| Some((setting.name.clone(), form_value(&setting.value)?))).collect()
}

fn approval_reason(pending: &[Setting]) -> String {
    let names: Vec<&str> = pending.iter().map(|setting| setting.name.as_str()).collect();
    format!(
        "{} decides what runs on the shop's pages: compare it with what the vendor's pages say, then approve or refuse it; \
         addresses on hosts in grants.hosts need no approval",
        names.join(", ")
    )
}
