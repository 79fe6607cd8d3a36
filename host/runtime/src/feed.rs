//! Feeds: vendors without webhooks are polled for what happened.
//!
//! The plugin returns pages, each with the cursor from which the next one continues. Its reports are checked and applied
//! as those of a webhook are. A store keeps the cursor, and stores it in the transaction that applies the reports: a
//! page that was not stored is asked for again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cartwright_contract::clock::timestamp;
use cartwright_contract::error::{Failure, HookError, SetupError};
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::{AccountId, ShopId};
use cartwright_contract::platform::PlatformError;
use cartwright_contract::records::FeedPage;
use cartwright_engine::durable::feed_retry_delay;
use cartwright_engine::{CallOptions, Interface, PollResult};

use crate::host::{Cartwright, read};
use crate::shop::{Account, ShopState, context};
use crate::vendor::check_exported;
use crate::webhook::{Effects, EffectsError, ReportSource, WebhookError, new_request_id};

/// Maximum length of a cursor in bytes.
const MAX_CURSOR_BYTES: usize = 4 << 10;

/// An account whose plugin has a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedAccount {
    /// The shop.
    pub shop: ShopId,
    /// The account.
    pub account: AccountId,
    /// Revision of the account. A feed that failed is polled again when it grows.
    pub revision: u64,
    /// The interval at which it is polled.
    pub interval: Duration,
}

/// A page of a feed, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct PolledPage {
    /// What happened.
    pub effects: Effects,
    /// Where the next poll continues.
    pub cursor: String,
    /// Whether there is more already.
    pub more: bool,
}

/// Why a feed could not be polled. Nothing was applied.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FeedError {
    /// The shop or the account does not exist, or the plugin failed.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The host could not determine whether the page concerns orders of the account.
    #[error("the page was not applied: {0}")]
    Uncertain(String),
}

impl FeedError {
    /// Returns the delay before the feed is polled again, if it has failed this often in a row. `seed` decides the
    /// jitter.
    pub fn retry_delay(&self, failures: u32, seed: &[u8]) -> Duration {
        let error = match self {
            Self::Setup(SetupError::Hook(error)) => Some(error),
            Self::Setup(_) | Self::Uncertain(_) => None,
        };
        feed_retry_delay(failures, error, seed)
    }
}

impl From<HookError> for FeedError {
    fn from(error: HookError) -> Self {
        Self::Setup(error.into())
    }
}

impl Cartwright {
    /// Returns the accounts of all shops whose plugins have a feed.
    pub fn feeds(&self) -> Vec<FeedAccount> {
        let served: Vec<_> = read(self.shops()).values().map(|served| served.load_full()).collect();
        let accounts = served.iter().flat_map(|state| state.accounts.values().map(move |account| (state, account)));
        let with_feed = accounts.filter(|(_, account)| account.version().plugin.has(Interface::Feed));
        let feed = |(state, account): (&Arc<ShopState>, &Arc<Account>)| FeedAccount {
            shop: state.shop.id.clone(),
            account: account.id.clone(),
            revision: account.revision,
            interval: account.grants.feed_interval(),
        };
        with_feed.map(feed).collect()
    }

    /// Polls the feed of an account for what happened since `cursor`, `None` at the first time.
    ///
    /// # Errors
    /// Returns an error if the plugin has no feed or fails, or if the order book is unavailable.
    pub async fn poll_feed(
        &self,
        shop: &ShopId,
        account: &AccountId,
        cursor: Option<&str>,
        at: SystemTime,
    ) -> Result<PolledPage, FeedError> {
        let state = self.shop_state(shop)?;
        let account = state.account(account)?;
        let version = account.version();
        let plugin = &version.plugin;
        check_exported(plugin, Interface::Feed, Hook::Poll)?;
        let broke = |what: String| HookError::new(plugin.id(), Hook::Poll, Failure::ContractViolation(what));
        let mut context = context(&state.shop, account, version, None, None);
        context.now = timestamp(at);
        let scope = self.scope(&state.shop, account, plugin);
        let options = CallOptions::new(scope.clone());
        let PollResult { page, readable } = self.engine().poll_feed(plugin, options, &context, cursor).await?;
        let FeedPage { reports, cursor, more, extra: _ } = page;
        if cursor.len() > MAX_CURSOR_BYTES {
            let bytes = cursor.len();
            return Err(broke(format!("its cursor has {bytes} bytes; at most {MAX_CURSOR_BYTES} are allowed")).into());
        }
        let id = new_request_id().map_err(|error: WebhookError| FeedError::Uncertain(error.to_string()))?;
        let id = format!("feed:{id}");
        let source = ReportSource {
            platform: self.platform(),
            form: &plugin.metadata().form,
            shop,
            account: &account.id,
            id: &id,
            at,
            readable: &readable,
        };
        match source.check(reports).await {
            Ok(checked) => {
                for reason in checked.dropped {
                    self.engine().warn_in_plugin_log(Hook::Poll, plugin, &scope, &reason);
                }
                Ok(PolledPage { effects: checked.effects, cursor, more })
            }
            Err(EffectsError::Breach(what)) => Err(broke(what).into()),
            Err(EffectsError::Uncertain(PlatformError(reason))) => Err(FeedError::Uncertain(reason)),
        }
    }
}
