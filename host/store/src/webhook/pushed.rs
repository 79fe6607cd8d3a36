//! Settings that vendors pushed: taken, held, approved, refused.
//!
//! The webhook that brought them was answered when they were kept. They are looked at afterwards, because the plugin has to be
//! asked whether they are good, and no transaction is held while a plugin runs.

use std::collections::BTreeSet;
use std::time::SystemTime;

use cartwright::types::{Outcome, Setting};
use cartwright::webhook::{Pushed, entered};
use cartwright::{AccountId, AccountSnapshot, Cartwright, SetupError, ShopId};
use serde_json::{Map, Value};

use super::account::{AccountOutcome, AccountOutcomeState as State};
use crate::database::{Store, Work, in_time, milliseconds};
use crate::error::StoreError;
use crate::event_log::{NewLogEntry, log_in};

/// So many pushes are read at once.
const BATCH: u32 = 100;
/// So often a change is made anew when somebody else changed the account meanwhile.
const TRIES: u32 = 3;

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
struct Change<'a> {
    pushed: &'a AccountOutcome,
    settings: Vec<Setting>,
    /// What is held of the same push.
    waiting: Vec<Setting>,
    /// The names of the settings that older pushes no longer decide: approving those later would bring older values back.
    renewed: BTreeSet<String>,
    who: &'a str,
    what: &'static str,
}

impl Store {
    /// Looks at what vendors pushed since the last time: takes what may take effect at once and is valid, into the store and the
    /// host, and holds the rest with the reason. A [`Worker`](crate::Worker) calls it when it starts and after each webhook. Returns
    /// how many pushes could not be looked at now, because the host does not run their account or its plugin was too busy: call it
    /// again.
    ///
    /// # Errors
    /// As the database says.
    pub async fn settle_pushed(&self, host: &Cartwright, now: SystemTime) -> Result<usize, StoreError> {
        let (mut left, mut later, mut last) = (0, BTreeSet::new(), i64::MIN);
        loop {
            let pushes = in_time(self.new_pushes(last, BATCH)).await?;
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
    async fn is_settled(
        &self,
        host: &Cartwright,
        pushed: &AccountOutcome,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        match self.look_at(host, pushed, now).await {
            // Or another node was quicker.
            Ok(()) | Err(PushedError::Store(StoreError::NotFound { .. })) => Ok(true),
            Err(PushedError::Store(StoreError::Conflict(_))) => Ok(false),
            Err(PushedError::Store(error)) => Err(error),
            Err(PushedError::Setup(error)) if is_of_this_host(&error) => Ok(false),
            Err(PushedError::Setup(error)) => self.hold(pushed, &error.to_string(), now).await.map(|()| true),
        }
    }

    /// Gives held settings to their account: checked by its form, its plugin and with its links as any change is, logged with what
    /// they were before.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when they are not held, [`PushedError::Setup`] when they are not valid or links do not go with them.
    pub async fn approve_pushed(
        &self,
        host: &Cartwright,
        shop: &ShopId,
        id: &str,
        who: &str,
        now: SystemTime,
    ) -> Result<(), PushedError> {
        let pushed = self.held_account_outcome(shop, id).await?;
        let Outcome::PushSettings(settings) = pushed.outcome.clone() else { return Err(no_push(id).into()) };
        let Pushed { mut at_once, waiting } = host.sort_pushed(shop, &pushed.account, settings)?;
        at_once.extend(waiting);
        let (waiting, renewed, what) = (Vec::new(), BTreeSet::new(), "approve-settings");
        self.change(host, &Change { pushed: &pushed, settings: at_once, waiting, renewed, who, what }, now).await
    }

    /// Refuses held settings, and logs who did. The account keeps what it has.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when they are not held, and as the database says.
    pub async fn refuse_pushed(&self, shop: &ShopId, id: &str, who: &str, now: SystemTime) -> Result<(), StoreError> {
        let pushed = self.held_account_outcome(shop, id).await?;
        let Outcome::PushSettings(settings) = &pushed.outcome else { return Err(no_push(id)) };
        let refused = Value::Object(as_entered(settings));
        self.settle_account_outcome(&pushed, State::Refused, (who, "refuse-settings", Some(&refused)), now).await
    }

    async fn look_at(&self, host: &Cartwright, pushed: &AccountOutcome, now: SystemTime) -> Result<(), PushedError> {
        let Outcome::PushSettings(settings) = pushed.outcome.clone() else { return Err(no_push(&pushed.id).into()) };
        // Also those that the account has already: of "41, 42, 41" nothing is left to be approved.
        let renewed = names(&settings);
        let Pushed { at_once, waiting } = host.sort_pushed(&pushed.shop, &pushed.account, settings)?;
        if at_once.is_empty() && !waiting.is_empty() {
            return Ok(self.hold(pushed, &why_held(&waiting), now).await?);
        }
        let plugin = host.running(&pushed.shop, &pushed.account)?;
        let (who, what) = (plugin.id().as_str(), "push-settings");
        let change = Change { pushed, settings: at_once, waiting, renewed, who, what };
        self.change(host, &change, now).await
    }

    async fn change(&self, host: &Cartwright, change: &Change<'_>, now: SystemTime) -> Result<(), PushedError> {
        for _ in 1..TRIES {
            match self.try_change(host, change, now).await {
                Err(PushedError::Store(StoreError::Conflict(_))) => {}
                ended => return ended,
            }
        }
        self.try_change(host, change, now).await
    }

    async fn try_change(&self, host: &Cartwright, change: &Change<'_>, now: SystemTime) -> Result<(), PushedError> {
        let Change { pushed, settings, .. } = change;
        let (shop, id) = (&pushed.shop, &pushed.account);
        let mut account = self.account_kept(shop, id).await?;
        let kept = account.versions.entry(account.current).or_default();
        let (mut before, after) = (Map::new(), as_entered(settings));
        for setting in settings {
            let old = kept.insert(setting.name.clone(), setting.value.clone());
            before.insert(setting.name.clone(), old.as_ref().and_then(entered).unwrap_or_default());
        }
        account.revision += 1;
        if !after.is_empty() {
            host.check_account(shop, account.clone()).await?;
        }
        in_time(self.apply_change(change, &account, (before, after), now)).await?;
        if settings.is_empty() {
            return Ok(());
        }
        // What is kept by now: somebody else may have changed the account since.
        let account = self.account_kept(shop, id).await?;
        Ok(host.restore_account(shop, account).await?)
    }

    /// Writes a change down, with the account's settings `before` and `after` it.
    async fn apply_change(
        &self,
        change: &Change<'_>,
        account: &AccountSnapshot,
        (before, after): (Map<String, Value>, Map<String, Value>),
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let Change { pushed, settings, waiting, renewed, .. } = change;
        let (shop, id) = (&pushed.shop, &pushed.account);
        let mut work = self.begin().await?;
        // The rest of the push is taken from this row, which then says what took effect.
        let outcome = Outcome::PushSettings(settings.clone());
        self.move_account_outcome(&mut work, pushed, (outcome, None), State::Applied, now).await?;
        self.replace_held(&mut work, pushed, renewed, now).await?;
        if !waiting.is_empty() {
            let (rest, why) = (Outcome::PushSettings(waiting.clone()), why_held(waiting));
            let state = (State::Held, Some(why));
            self.insert_account_outcome(&mut work, (shop, id), rest, state, milliseconds(pushed.at)).await?;
        }
        if !after.is_empty() {
            self.save_account_in(&mut work, shop, account, now).await?;
            let (before, after) = (Value::Object(before), Value::Object(after));
            let entry = NewLogEntry {
                who: change.who,
                what: change.what,
                shop: Some(shop),
                subject: id.as_str(),
                before: Some(&before),
                after: Some(&after),
                ..NewLogEntry::default()
            };
            log_in(&mut work, &entry, milliseconds(now)).await?;
        }
        work.commit().await
    }

    async fn account_kept(&self, shop: &ShopId, id: &AccountId) -> Result<AccountSnapshot, StoreError> {
        let found = in_time(self.accounts(shop)).await?.into_iter().find(|account| account.id == *id);
        found.ok_or_else(|| StoreError::NotFound { what: "account", id: id.to_string() })
    }

    /// Holds a whole push.
    async fn hold(&self, pushed: &AccountOutcome, why: &str, now: SystemTime) -> Result<(), StoreError> {
        let held = async {
            let mut work = self.begin().await?;
            if let Outcome::PushSettings(settings) = &pushed.outcome {
                self.replace_held(&mut work, pushed, &names(settings), now).await?;
            }
            let said = (pushed.outcome.clone(), Some(why.to_owned()));
            self.move_account_outcome(&mut work, pushed, said, State::Held, now).await?;
            work.commit().await
        };
        in_time(held).await
    }

    /// What waits for approval and is pushed anew waits no longer: approving it later would bring the older values back.
    async fn replace_held(
        &self,
        work: &mut Work,
        pushed: &AccountOutcome,
        renewed: &BTreeSet<String>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let held = (Some(&pushed.shop), None, State::Held);
        for held in self.read_account_outcomes(work, held).await? {
            let Some(held) = readable(held)? else { continue };
            let Outcome::PushSettings(old) = &held.outcome else { continue };
            let rest: Vec<Setting> = old.iter().filter(|old| !renewed.contains(&old.name)).cloned().collect();
            if held.account != pushed.account || held.id == pushed.id || rest.len() == old.len() {
                continue;
            }
            let (settings, state) = match rest.is_empty() {
                true => (old.clone(), State::Replaced),
                false => (rest, State::Held),
            };
            let said = (Outcome::PushSettings(settings), held.why.clone());
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
    settings.iter().filter_map(|setting| Some((setting.name.clone(), entered(&setting.value)?))).collect()
}

fn why_held(waiting: &[Setting]) -> String {
    let names: Vec<&str> = waiting.iter().map(|setting| setting.name.as_str()).collect();
    format!(
        "{} decides what runs on the shop's pages: compare it with what the vendor's pages say, then approve or refuse it; \
         addresses on hosts in grants.hosts need no approval",
        names.join(", ")
    )
}
