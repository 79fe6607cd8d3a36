//! Restores a host from its store: when it starts, and when another node changed something.
//!
//! What cannot be restored does not prevent the rest from being served, and is retried: a host may be too busy to ask a
//! component for its metadata, or a row may be damaged until a backup is restored. A component that the host refuses
//! because of its content stays refused, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cartwright::{Cartwright, Digest, SetupError, ShopId, ShopSnapshot};

use crate::component::StoredComponent;
use crate::database::{Store, in_time};
use crate::error::StoreError;
use crate::restore_failure::RestoreFailure;

/// Time to wait before another attempt, after the first failure, the second, and so on.
const RETRY_BACKOFF: [Duration; 7] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
];

/// The part of the stored state that a host was given.
#[derive(Debug, Default)]
pub(crate) struct ServedState {
    /// Highest change number that was read; `None` before the first time.
    change_number: Option<i64>,
    /// Change number of each shop's served state.
    pub(crate) shops: BTreeMap<ShopId, i64>,
    /// Components that could not be restored.
    failed_components: BTreeMap<Digest, FailedRestore>,
    /// Shops that could not be restored.
    failed_shops: BTreeMap<ShopId, FailedRestore>,
}

/// The failure of one object, and when it is retried.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FailedRestore {
    reason: String,
    failures: usize,
    /// Time of the next attempt; `None` if the object is refused because of its content.
    retry_at: Option<Instant>,
}

impl FailedRestore {
    #[allow(clippy::indexing_slicing, reason = "the index is at most that of the last wait")]
    fn new(before: Option<&Self>, reason: String, is_permanent: bool, now: Instant) -> Self {
        let failures = before.map_or(0, |before| before.failures) + 1;
        let wait = RETRY_BACKOFF[(failures - 1).min(RETRY_BACKOFF.len() - 1)];
        Self { reason, failures, retry_at: (!is_permanent).then(|| now + wait) }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| at <= now)
    }
}

impl Store {
    /// Installs every stored component that the host does not have, and replaces every stored shop. Failures are
    /// returned and logged, and do not prevent the rest from being served. A node of several uses
    /// [`Installation`](crate::Installation), which continues to load the others' changes.
    ///
    /// # Errors
    /// Fails if the database does; call it again.
    pub async fn restore(&self, host: &Cartwright) -> Result<Vec<RestoreFailure>, StoreError> {
        let mut served = ServedState::default();
        self.restore_changed(host, &mut served, Instant::now()).await
    }

    /// Restores what changed since `served` was read, and what failed and is due again; updates `served`.
    pub(crate) async fn restore_changed(
        &self,
        host: &Cartwright,
        served: &mut ServedState,
        now: Instant,
    ) -> Result<Vec<RestoreFailure>, StoreError> {
        let read = async { Ok(sqlx::query_as("select number from change_counter").fetch_one(self.pool()).await?) };
        let (change_number,): (i64,) = in_time(read).await?;
        let is_due = served.failed_components.values().any(|failed| failed.is_due(now))
            || served.failed_shops.values().any(|failed| failed.is_due(now));
        if served.change_number == Some(change_number) && !is_due {
            return Ok(Vec::new());
        }
        let since = served.change_number.unwrap_or(-1);
        let mut faults = self.restore_components(host, served, now).await?;
        let query = "select id, change_number from shops where change_number > $1 order by id";
        let changed: Vec<(String, i64)> = sqlx::query_as(query).bind(since).fetch_all(self.pool()).await?;
        let mut shops: BTreeSet<ShopId> = BTreeSet::new();
        for (id, shop_change_number) in changed {
            match id.parse::<ShopId>() {
                // The shop was published when the change was committed.
                Ok(id) if served.shops.get(&id) == Some(&shop_change_number) => {}
                Ok(id) => drop(shops.insert(id)),
                Err(error) => faults.push(RestoreFailure::log(format!("the shop {id:?}"), error.to_string())),
            }
        }
        shops.extend(served.failed_shops.iter().filter(|(_, failed)| failed.is_due(now)).map(|(id, _)| id.clone()));
        for id in shops {
            let restored = match self.restore_shop(host, &id).await {
                Ok(restored) => restored.map_err(|error| error.to_string()),
                // A damaged shop does not affect the others.
                Err(error @ (StoreError::Corrupt(_) | StoreError::WrongKey { .. } | StoreError::NotFound { .. })) => {
                    Err(error.to_string())
                }
                Err(error) => return Err(error),
            };
            match restored {
                Ok(change_number) => {
                    served.failed_shops.remove(&id);
                    served.shops.insert(id, change_number);
                }
                // The host now serves something other than what is stored, so that nothing may be changed from here.
                Err(reason) => {
                    served.shops.remove(&id);
                    let before = served.failed_shops.get(&id);
                    let failed = FailedRestore::new(before, reason.clone(), false, now);
                    faults.push(log_new_failure(format!("the shop {id}"), before, reason));
                    served.failed_shops.insert(id, failed);
                }
            }
        }
        served.change_number = Some(change_number);
        Ok(faults)
    }

    async fn restore_components(
        &self,
        host: &Cartwright,
        served: &mut ServedState,
        now: Instant,
    ) -> Result<Vec<RestoreFailure>, StoreError> {
        let (components, mut faults) = in_time(self.components().readable(served.change_number.unwrap_or(-1))).await?;
        let is_retried = served.failed_components.values().any(|failed| failed.is_due(now));
        // Their revocations failed with them.
        let components = if is_retried { in_time(self.components().readable(-1)).await?.0 } else { components };
        let installed: BTreeSet<Digest> = host.installed().iter().map(|plugin| plugin.digest()).collect();
        for component in &components {
            if installed.contains(&component.digest) {
                served.failed_components.remove(&component.digest);
                continue;
            }
            let before = served.failed_components.get(&component.digest);
            if before.is_some_and(|failed| !failed.is_due(now)) {
                continue;
            }
            let StoredComponent { digest, plugin, version, .. } = component;
            let (reason, is_permanent) = match in_time(self.components().get(digest)).await {
                Ok(Some(bytes)) => match host.install(&bytes, Some(*digest)).await {
                    Ok(_) => {
                        served.failed_components.remove(digest);
                        // Shops may have waited for it.
                        for failed in served.failed_shops.values_mut() {
                            failed.retry_at = Some(now);
                        }
                        continue;
                    }
                    Err(error) => (error.to_string(), !error.is_retryable()),
                },
                Ok(None) => ("its bytes are missing".to_owned(), false),
                Err(error @ StoreError::Corrupt(_)) => (error.to_string(), false),
                Err(error) => return Err(error),
            };
            let failed = FailedRestore::new(before, reason.clone(), is_permanent, now);
            faults.push(log_new_failure(format!("the component {digest} ({plugin} {version})"), before, reason));
            served.failed_components.insert(*digest, failed);
        }
        // A row that has become unreadable was not attempted, and also waits longer.
        for failed in served.failed_components.values_mut().filter(|failed| failed.is_due(now)) {
            *failed = FailedRestore::new(Some(failed), failed.reason.clone(), false, now);
        }
        // In the sequence of their revocations: a replacement may have been revoked later.
        let mut revoked: Vec<_> = components.iter().filter(|component| component.revoked.is_some()).collect();
        revoked.sort_by_key(|component| component.revoked);
        for component in revoked {
            // A component that is not installed serves nothing.
            if host.plugin(&component.digest).is_none() {
                continue;
            }
            if let Err(error) = host.revoke(component.digest, component.replacement) {
                let subject = format!("the revocation of the component {}", component.digest);
                faults.push(RestoreFailure::log(subject, error.to_string()));
            }
        }
        Ok(faults)
    }

    /// Serves a shop as it is stored, and returns its change number. The inner error says why the host cannot serve it.
    pub(crate) async fn restore_shop(
        &self,
        host: &Cartwright,
        id: &ShopId,
    ) -> Result<Result<i64, SetupError>, StoreError> {
        loop {
            // Before the database is read, because what is published afterwards may be newer than what is read.
            let served = host.shop_state(id).ok();
            let (snapshot, change_number) = in_time(self.read_shop(id)).await?;
            let planned = match host.plan_restore(snapshot) {
                Ok(planned) => planned,
                Err(error) => return Ok(Err(error)),
            };
            if host.publish(served.as_ref(), planned).is_ok() {
                return Ok(Ok(change_number));
            }
        }
    }

    /// Returns a consistent snapshot of a shop, with its change number.
    async fn read_shop(&self, id: &ShopId) -> Result<(ShopSnapshot, i64), StoreError> {
        let mut reading = self.begin_reading().await?;
        let (change_number,): (i64,) = sqlx::query_as("select change_number from shops where id = $1")
            .bind(id.as_str())
            .fetch_one(&mut *reading)
            .await?;
        let shop = self.shops().read_shops(&mut reading, Some(id)).await?.into_iter().next();
        let shop = shop.ok_or_else(|| StoreError::NotFound { what: "shop", id: id.to_string() })?;
        let accounts = self.shops().read_accounts(&mut reading, id).await?;
        let links = self.shops().read_links(&mut reading, id).await?;
        reading.rollback().await?;
        let (current, past): (Vec<_>, Vec<_>) = links.into_iter().partition(|link| link.is_current);
        let (links, replaced_links) =
            [current, past].map(|links| links.into_iter().map(|stored| stored.link).collect()).into();
        Ok((ShopSnapshot { shop, accounts, links, replaced_links }, change_number))
    }
}

/// Logs a failure, unless it is the same as before.
fn log_new_failure(subject: String, before: Option<&FailedRestore>, reason: String) -> RestoreFailure {
    match before {
        Some(before) if before.reason == reason => {
            tracing::debug!(subject, reason, failures = before.failures + 1, "still not restored");
            RestoreFailure { subject, reason }
        }
        _ => RestoreFailure::log(subject, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_for_a_passing_reason_is_tried_again_ever_more_seldom() {
        let (start, mut failed) = (Instant::now(), None);
        for wait in RETRY_BACKOFF.into_iter().chain([RETRY_BACKOFF[6]]) {
            let next = FailedRestore::new(failed.as_ref(), "busy".into(), false, start);
            assert!(!next.is_due(start + wait - Duration::from_millis(1)) && next.is_due(start + wait), "{next:?}");
            failed = Some(next);
        }
        let refused = FailedRestore::new(failed.as_ref(), "no plugin".into(), true, start);
        assert!(!refused.is_due(start + Duration::from_secs(86_400)));
    }
}
