//! Settings that vendors push: applying, holding, approving and rejecting them.
//!
//! The webhook was answered when the settings were stored. They are processed afterwards, because the plugin must
//! validate them, and no transaction may stay open while a plugin runs.

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

/// Number of pushes that are read at once.
const BATCH: u32 = 100;
/// Maximum number of times that a change is made again because another changed the account in the meantime.
const MAX_ATTEMPTS: u32 = 3;

/// Why pushed settings could not be approved or rejected. They are unchanged.
#[derive(Debug, thiserror::Error)]
pub enum PushedError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings are invalid for the account or its product links. Change those links, reject the settings, or have
    /// the vendor push others.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// The effect of a push on an account.
struct PushedChange<'a> {
    pushed: &'a AccountOutcome,
    settings: Vec<Setting>,
    /// Settings of the same push that wait for approval.
    pending: Vec<Setting>,
    /// Names of the settings that older pushes must no longer change: approving those later would restore older values.
    superseded_settings: BTreeSet<String>,
    actor: &'a str,
    what: &'static str,
}

impl Webhooks<'_> {
    /// Processes new pushes: applies those that may take effect at once and are valid, to the store and the host, and
    /// holds the others for approval, with the reason. A [`Worker`](crate::Worker) calls it when it starts and after
    /// each webhook. Returns the number of pushes that cannot be processed now, because the host does not run their
    /// account or its plugin was too busy: call it again.
    ///
    /// # Errors
    /// Fails if the database does.
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
                // If the second push were processed before the first, the first would overwrite it.
                if later.contains(&account) || !self.try_process(host, &pushed, now).await? {
                    left += 1;
                    later.insert(account);
                }
            }
        }
    }

    /// Returns false if the push cannot be processed now.
    async fn try_process(
        self,
        host: &Cartwright,
        pushed: &AccountOutcome,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
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

    /// Approves pushed settings and applies them to their account. They are validated by its form, its plugin and its
    /// product links as any change is, with an audit entry that contains the previous values.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if they do not wait for approval, [`PushedError::Setup`] if they are invalid for the
    /// account or its links.
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

    /// Rejects pushed settings, with an audit entry. The account stays unchanged.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if they do not wait for approval, or an error of the database.
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
        // This includes values that the account already has: after "41, 42, 41" nothing is left to approve.
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
        let settings_of_version = account.versions.entry(account.current).or_default();
        let (mut before, after) = (Map::new(), as_entered(settings));
        for setting in settings {
            let old = settings_of_version.insert(setting.name.clone(), setting.value.clone());
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
            // Another change of the shop was published first, so that the shop is now served as it is stored.
            self.store.restore_shop(host, shop).await??;
        }
        Ok(())
    }

    /// Stores a change, with the account's settings `before` and `after` it.
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
        // The rest of the push is removed from this row, which then contains what took effect.
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
                action: change.what,
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

    /// Holds a whole push for approval.
    async fn hold_for_approval(self, pushed: &AccountOutcome, reason: &str, now: SystemTime) -> Result<(), StoreError> {
        let hold = async {
            let mut work = self.store.begin().await?;
            if let Outcome::PushSettings(settings) = &pushed.outcome {
                self.supersede_pending(&mut work, pushed, &names(settings), now).await?;
            }
            let content = (pushed.outcome.clone(), Some(reason.to_owned()));
            self.move_account_outcome(&mut work, pushed, content, State::PendingApproval, now).await?;
            work.commit().await
        };
        in_time(hold).await
    }

    /// Supersedes pending settings that are pushed again: approving them later would restore older values.
    async fn supersede_pending(
        self,
        work: &mut WriteTransaction,
        pushed: &AccountOutcome,
        superseded_settings: &BTreeSet<String>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let selection = (Some(&pushed.shop), None, State::PendingApproval);
        for selection in self.read_account_outcomes(work, selection).await? {
            let Some(selection) = readable(selection)? else { continue };
            let Outcome::PushSettings(old) = &selection.outcome else { continue };
            let rest: Vec<Setting> =
                old.iter().filter(|old| !superseded_settings.contains(&old.name)).cloned().collect();
            if selection.account != pushed.account || selection.id == pushed.id || rest.len() == old.len() {
                continue;
            }
            let (settings, state) = match rest.is_empty() {
                true => (old.clone(), State::Superseded),
                false => (rest, State::PendingApproval),
            };
            let content = (Outcome::PushSettings(settings), selection.reason.clone());
            self.move_account_outcome(work, &selection, content, state, now).await?;
        }
        Ok(())
    }
}

/// Skips a damaged push, which is logged, so that it does not block others.
fn readable(found: Result<AccountOutcome, StoreError>) -> Result<Option<AccountOutcome>, StoreError> {
    match found {
        Err(error @ StoreError::Corrupt(_)) => {
            tracing::error!(%error, "pushed settings cannot be read");
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

/// Returns whether the error is caused by this host's state, and not by the settings.
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
        "{} decides what runs on the shop's pages: compare it with the vendor's own pages, then approve or reject it; \
         URLs on hosts in grants.hosts need no approval",
        names.join(", ")
    )
}
