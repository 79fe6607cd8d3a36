//! Feeds: which accounts are due to be polled, where their next page begins, and the poller.
//!
//! A page's effects and its cursor are stored in one transaction, so that a page that was not stored is asked for again. A
//! lease lets one node poll an account at a time; its fencing token lets no other node store a page.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cartwright::feed::{FeedAccount, PolledPage};
use cartwright::{AccountId, Cartwright, Clock, ShopId, abridge};
use tokio::task::{JoinError, JoinSet};

use crate::database::{Store, in_time, milliseconds, system_time};
use crate::error::StoreError;
use crate::facades::Feeds;
use crate::keys::aad;

/// Maximum number of feeds that a node polls at once, so that a few slow vendors do not delay others.
const MAX_CONCURRENT_POLLS: usize = 8;
/// Time that a node has to store a page, beyond the deadline of the plugin's call.
const STORE_TIME: Duration = Duration::from_secs(45);

/// The state of an account's feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedStatus {
    /// Time at which a page was last applied; `None` before the first one.
    pub last_polled_at: Option<SystemTime>,
    /// Time of the next poll.
    pub next_poll_at: SystemTime,
    /// Number of failures since a page was last applied.
    pub failures: u32,
    /// Why the last poll failed.
    pub last_error: Option<String>,
}

/// A feed that a node has claimed.
struct FeedClaim {
    feed: FeedAccount,
    /// Where the page begins; `None` at the first time.
    cursor: Option<String>,
    failures: u32,
    fencing_token: i64,
}

impl Feeds<'_> {
    /// Returns the state of an account's feed, or `None` before it was first polled.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn status(self, shop: &ShopId, account: &AccountId) -> Result<Option<FeedStatus>, StoreError> {
        type Row = (Option<i64>, i64, i64, Option<Vec<u8>>);
        let row: Option<Row> = sqlx::query_as(
            "select last_polled_at, next_poll_at, failures, last_error from feeds where shop = $1 and account = $2",
        )
        .bind(shop.as_str())
        .bind(account.as_str())
        .fetch_optional(self.store.pool())
        .await?;
        let Some((last_polled_at, next_poll_at, failures, last_error)) = row else { return Ok(None) };
        Ok(Some(FeedStatus {
            last_polled_at: last_polled_at.map(system_time),
            next_poll_at: system_time(next_poll_at),
            failures: as_u32(failures),
            last_error: self.decrypt("feed error", shop, account, last_error)?,
        }))
    }

    /// Returns which of these feeds are due, the longest-waiting first. A feed that was never polled is due, and one
    /// whose account was changed after its last poll.
    async fn due(self, feeds: Vec<FeedAccount>, now: SystemTime) -> Result<Vec<FeedAccount>, StoreError> {
        type Row = (String, String, i64, i64, i64);
        let rows: Vec<Row> =
            sqlx::query_as("select shop, account, revision, next_poll_at, lease_expires_at from feeds")
                .fetch_all(self.store.pool())
                .await?;
        let known: HashMap<(&str, &str), (i64, i64, i64)> = rows
            .iter()
            .map(|(shop, account, revision, next, lease)| {
                ((shop.as_str(), account.as_str()), (*revision, *next, *lease))
            })
            .collect();
        let now = milliseconds(now);
        let due_since = |feed: &FeedAccount| match known.get(&(feed.shop.as_str(), feed.account.as_str())) {
            Some((_, _, lease)) if *lease > now => None,
            Some((revision, next, _)) => (*next <= now || *revision < as_i64(feed.revision)).then_some(*next),
            None => Some(i64::MIN),
        };
        let mut due: Vec<(i64, FeedAccount)> =
            feeds.into_iter().filter_map(|feed| Some((due_since(&feed)?, feed))).collect();
        due.sort_by_key(|(since, _)| *since);
        Ok(due.into_iter().map(|(_, feed)| feed).collect())
    }

    /// Claims a feed that is due. Returns `None` if another node polls it or has just polled it, or if the account is
    /// not stored.
    async fn claim(self, feed: FeedAccount, now: SystemTime, lease: Duration) -> Result<Option<FeedClaim>, StoreError> {
        let (shop, account) = (feed.shop.as_str(), feed.account.as_str());
        let mut work = self.store.begin().await?;
        sqlx::query(
            "insert into feeds (shop, account, revision, next_poll_at, failures, lease_expires_at, fencing_token)
             select shop, id, 0, 0, 0, 0, 0 from accounts where shop = $1 and id = $2
             on conflict (shop, account) do nothing",
        )
        .bind(shop)
        .bind(account)
        .execute(&mut *work)
        .await?;
        let claimed: Option<(Option<Vec<u8>>, i64, i64)> = sqlx::query_as(
            "update feeds set lease_expires_at = $4, fencing_token = fencing_token + 1
             where shop = $1 and account = $2 and lease_expires_at <= $3 and (next_poll_at <= $3 or revision < $5)
             returning cursor, failures, fencing_token",
        )
        .bind(shop)
        .bind(account)
        .bind(milliseconds(now))
        .bind(milliseconds(now + lease))
        .bind(as_i64(feed.revision))
        .fetch_optional(&mut *work)
        .await?;
        work.commit().await?;
        let Some((cursor, failures, fencing_token)) = claimed else { return Ok(None) };
        let decrypted = self.decrypt("feed cursor", &feed.shop, &feed.account, cursor);
        let mut claim = FeedClaim { feed, cursor: None, failures: as_u32(failures), fencing_token };
        match decrypted {
            Ok(cursor) => claim.cursor = cursor,
            // A damaged feed does not block others.
            Err(error @ StoreError::Corrupt(_)) => {
                let seed = format!("{} {}", claim.feed.shop, claim.feed.account);
                let failures = claim.failures.saturating_add(1);
                let retry = cartwright::durable::feed_retry_delay(failures, None, seed.as_bytes());
                self.fail(&claim, &error.to_string(), retry, now).await?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        Ok(Some(claim))
    }

    /// Applies a page and stores its cursor, in one transaction. Returns false if the lease was lost, so that another
    /// node may have applied the page.
    async fn complete(self, claim: &FeedClaim, page: PolledPage, now: SystemTime) -> Result<bool, StoreError> {
        let FeedAccount { shop, account, revision, interval } = &claim.feed;
        // A cursor that stays where it is would be polled without end.
        let has_more = page.more && claim.cursor.as_deref() != Some(page.cursor.as_str());
        let next = if has_more { now } else { now + *interval };
        let cursor = self.encrypt("feed cursor", shop, account, &page.cursor)?;
        let mut work = self.store.begin().await?;
        // Locks the row until this transaction ends.
        let updated = sqlx::query(
            "update feeds set cursor = $4, revision = $5, next_poll_at = $6, last_polled_at = $7, failures = 0,
                 last_error = null, lease_expires_at = 0
             where shop = $1 and account = $2 and fencing_token = $3",
        )
        .bind(shop.as_str())
        .bind(account.as_str())
        .bind(claim.fencing_token)
        .bind(cursor)
        .bind(as_i64(*revision))
        .bind(milliseconds(next))
        .bind(milliseconds(now))
        .execute(&mut *work)
        .await?;
        if updated.rows_affected() == 0 {
            work.rollback().await?;
            return Ok(false);
        }
        let source = format!("{account}:feed@{}", claim.fencing_token);
        let webhooks = self.store.webhooks();
        webhooks.apply_effects(&mut work, (shop, account), &source, page.effects, milliseconds(now)).await?;
        work.commit().await?;
        self.store.nudge();
        Ok(true)
    }

    /// Records a failure, and when the feed is polled again.
    async fn fail(self, claim: &FeedClaim, reason: &str, retry: Duration, now: SystemTime) -> Result<(), StoreError> {
        let FeedAccount { shop, account, revision, .. } = &claim.feed;
        sqlx::query(
            "update feeds set revision = $4, next_poll_at = $5, failures = failures + 1, last_error = $6,
                 lease_expires_at = 0
             where shop = $1 and account = $2 and fencing_token = $3",
        )
        .bind(shop.as_str())
        .bind(account.as_str())
        .bind(claim.fencing_token)
        .bind(as_i64(*revision))
        .bind(milliseconds(now + retry))
        .bind(self.encrypt("feed error", shop, account, &abridge(reason.to_owned()))?)
        .execute(self.store.pool())
        .await?;
        Ok(())
    }

    fn encrypt(self, kind: &str, shop: &ShopId, account: &AccountId, text: &str) -> Result<Vec<u8>, StoreError> {
        self.store.keys().encrypt(&aad(kind, shop.as_str(), account.as_str()), text.as_bytes())
    }

    fn decrypt(
        self,
        kind: &str,
        shop: &ShopId,
        account: &AccountId,
        encrypted: Option<Vec<u8>>,
    ) -> Result<Option<String>, StoreError> {
        let Some(encrypted) = encrypted else { return Ok(None) };
        let what = aad(kind, shop.as_str(), account.as_str());
        let plain = self.store.keys().decrypt(&what, &encrypted)?;
        let text = std::str::from_utf8(&plain).map_err(|error| StoreError::corrupt(&what, error))?;
        Ok(Some(text.to_owned()))
    }
}

/// A poller of feeds. Any number may run concurrently, on any number of nodes.
#[derive(Clone)]
pub struct FeedPoller {
    store: Store,
    host: Arc<Cartwright>,
    clock: Arc<dyn Clock>,
}

impl FeedPoller {
    /// Creates a poller for the accounts of this host, whose set-up is in this store.
    pub fn new(store: Store, host: Arc<Cartwright>, clock: Arc<dyn Clock>) -> Self {
        Self { store, host, clock }
    }

    /// Polls all feeds that are due, each again while it has more. Returns the number of applied pages. It does not
    /// sleep: a [`Worker`](crate::Worker) polls continuously, and a process without a worker must call this itself.
    ///
    /// # Errors
    /// Fails if the database does. A page that was not stored is asked for again.
    pub async fn poll_due(&self) -> Result<usize, StoreError> {
        let (mut applied, mut out) = (0, JoinSet::new());
        loop {
            self.poll_some(&mut out).await?;
            let Some(finished) = out.join_next().await else { return Ok(applied) };
            applied += usize::from(Self::was_applied(finished)?);
        }
    }

    /// Begins to poll feeds that are due, up to the limit of concurrent polls.
    pub(crate) async fn poll_some(&self, out: &mut JoinSet<Result<bool, StoreError>>) -> Result<(), StoreError> {
        if out.len() >= MAX_CONCURRENT_POLLS {
            return Ok(());
        }
        let feeds = self.host.feeds();
        if feeds.is_empty() {
            return Ok(());
        }
        let due = in_time(self.store.feeds().due(feeds, self.clock.now())).await?;
        for feed in due.into_iter().take(MAX_CONCURRENT_POLLS.saturating_sub(out.len())) {
            let lease = self.host.limits().deadline + self.host.limits().network_deadline + STORE_TIME;
            let claim = in_time(self.store.feeds().claim(feed, self.clock.now(), lease)).await?;
            if let Some(claim) = claim {
                let poller = self.clone();
                out.spawn(async move { poller.poll(&claim).await });
            }
        }
        Ok(())
    }

    /// Returns whether a page was applied.
    pub(crate) fn was_applied(polled: Result<Result<bool, StoreError>, JoinError>) -> Result<bool, StoreError> {
        polled.unwrap_or_else(|error| {
            // The feed is polled again when its lease has expired.
            tracing::error!(%error, "polling a feed panicked");
            Ok(false)
        })
    }

    async fn poll(&self, claim: &FeedClaim) -> Result<bool, StoreError> {
        let FeedAccount { shop, account, .. } = &claim.feed;
        let seed = format!("{shop} {account}");
        let failures = claim.failures.saturating_add(1);
        let polled = self.host.poll_feed(shop, account, claim.cursor.as_deref(), self.clock.now()).await;
        let (reason, retry) = match polled {
            Ok(page) => match in_time(self.store.feeds().complete(claim, page, self.clock.now())).await {
                // The lease expires, and the page is asked for again.
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => {
                    let retry = cartwright::durable::feed_retry_delay(failures, None, seed.as_bytes());
                    (error.to_string(), retry)
                }
                applied => return applied,
            },
            Err(error) => (error.to_string(), error.retry_delay(failures, seed.as_bytes())),
        };
        // The reason may name people, and is only stored.
        tracing::warn!(%shop, %account, failures, ?retry, "a feed could not be polled; its status says why");
        in_time(self.store.feeds().fail(claim, &reason, retry, self.clock.now())).await.map(|()| false)
    }
}

impl fmt::Debug for FeedPoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedPoller").finish_non_exhaustive()
    }
}

fn as_u32(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
