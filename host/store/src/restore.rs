//! Setting a host up from what is kept: when it starts, and when another node changed something.
//!
//! What cannot be restored does not keep the rest from being served, and is tried again: a host may be too busy to ask a component about
//! itself, or a row may be damaged until a copy is restored. A component that the host refuses for what it is stays refused, with the
//! reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cartwright::{Cartwright, Digest, ShopId, ShopSnapshot};

use crate::component::StoredComponent;
use crate::database::{Store, in_time};
use crate::error::StoreError;

/// How long to wait before something is tried again, after the first failure, the second, and so on.
const RETRY_BACKOFF: [Duration; 7] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
];

/// What a host was given of what is kept.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// Everything up to this tick. `None` before the first time.
    tick: Option<i64>,
    /// The tick of each shop's last change.
    pub(crate) shops: BTreeMap<ShopId, i64>,
    /// The components that the host could not be given.
    failed_components: BTreeMap<Digest, FailedRestore>,
    /// The shops that the host could not be given.
    failed_shops: BTreeMap<ShopId, FailedRestore>,
}

/// Something that could not be restored, and when it is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FailedRestore {
    why: String,
    failures: usize,
    /// `None` if it is refused for what it is.
    retry_at: Option<Instant>,
}

impl FailedRestore {
    fn new(before: Option<&Self>, why: String, is_permanent: bool, now: Instant) -> Self {
        let failures = before.map_or(0, |before| before.failures) + 1;
        let wait = RETRY_BACKOFF[(failures - 1).min(RETRY_BACKOFF.len() - 1)];
        Self { why, failures, retry_at: (!is_permanent).then(|| now + wait) }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| at <= now)
    }
}

/// Something that is kept and cannot be used as it is. Everything else was restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} was not restored: {why}")]
pub struct NotRestored {
    /// The component or the shop.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

impl Store {
    /// Installs every kept component that the host does not have, and puts every kept shop in its place. What cannot be used is
    /// returned and logged, and does not keep the rest from being served. A node that others work beside uses
    /// [`Installation`](crate::Installation), which goes on reading what they change.
    ///
    /// # Errors
    /// As the database says; call it again.
    pub async fn restore(&self, host: &Cartwright) -> Result<Vec<NotRestored>, StoreError> {
        let mut served = Served::default();
        self.restore_changed(host, &mut served, Instant::now()).await
    }

    /// The same for what changed since `served` was read, and for what failed and is due again; brings `served` up to date.
    pub(crate) async fn restore_changed(
        &self,
        host: &Cartwright,
        served: &mut Served,
        now: Instant,
    ) -> Result<Vec<NotRestored>, StoreError> {
        let read = async { Ok(sqlx::query_as("select tick from setup_clock").fetch_one(self.pool()).await?) };
        let (tick,): (i64,) = in_time(read).await?;
        let is_due = served.failed_components.values().any(|failed| failed.is_due(now))
            || served.failed_shops.values().any(|failed| failed.is_due(now));
        if served.tick == Some(tick) && !is_due {
            return Ok(Vec::new());
        }
        let since = served.tick.unwrap_or(-1);
        let mut faults = self.restore_components(host, served, now).await?;
        let changed: Vec<(String,)> = sqlx::query_as("select id from shops where changed_tick > $1 order by id")
            .bind(since)
            .fetch_all(self.pool())
            .await?;
        let changed = changed
            .into_iter()
            .map(|(id,)| id.parse::<ShopId>().map_err(|error| fault(format!("the shop {id:?}"), error.to_string())));
        let mut shops: BTreeSet<ShopId> = BTreeSet::new();
        for id in changed {
            match id {
                Ok(id) => drop(shops.insert(id)),
                Err(fault) => faults.push(fault),
            }
        }
        shops.extend(served.failed_shops.iter().filter(|(_, failed)| failed.is_due(now)).map(|(id, _)| id.clone()));
        for id in shops {
            let restored = match in_time(self.read_shop(&id)).await {
                Ok((snapshot, tick)) => host.restore(snapshot).await.map(|()| tick).map_err(|error| error.to_string()),
                // One shop's damage is not the others'.
                Err(error @ (StoreError::Corrupt(_) | StoreError::WrongKey { .. } | StoreError::NotFound { .. })) => {
                    Err(error.to_string())
                }
                Err(error) => return Err(error),
            };
            match restored {
                Ok(tick) => {
                    served.failed_shops.remove(&id);
                    served.shops.insert(id, tick);
                }
                // What it serves by now is not what is kept: nothing may be changed from here.
                Err(why) => {
                    served.shops.remove(&id);
                    let before = served.failed_shops.get(&id);
                    let failed = FailedRestore::new(before, why.clone(), false, now);
                    faults.push(failed_again(format!("the shop {id}"), before, why));
                    served.failed_shops.insert(id, failed);
                }
            }
        }
        served.tick = Some(tick);
        Ok(faults)
    }

    async fn restore_components(
        &self,
        host: &Cartwright,
        served: &mut Served,
        now: Instant,
    ) -> Result<Vec<NotRestored>, StoreError> {
        let (components, mut faults) = in_time(self.readable_components(served.tick.unwrap_or(-1))).await?;
        let is_retried = served.failed_components.values().any(|failed| failed.is_due(now));
        // Their revocations failed with them.
        let components = if is_retried { in_time(self.readable_components(-1)).await?.0 } else { components };
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
            let (why, is_permanent) = match in_time(self.component(digest)).await {
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
                Ok(None) => ("its bytes are gone".to_owned(), false),
                Err(error @ StoreError::Corrupt(_)) => (error.to_string(), false),
                Err(error) => return Err(error),
            };
            let failed = FailedRestore::new(before, why.clone(), is_permanent, now);
            faults.push(failed_again(format!("the component {digest} ({plugin} {version})"), before, why));
            served.failed_components.insert(*digest, failed);
        }
        // A row that cannot be read any more was not tried, and waits longer too.
        for failed in served.failed_components.values_mut().filter(|failed| failed.is_due(now)) {
            *failed = FailedRestore::new(Some(failed), failed.why.clone(), false, now);
        }
        // In the order in which they were revoked: a replacement may have been revoked later.
        let mut revoked: Vec<_> = components.iter().filter(|component| component.revoked.is_some()).collect();
        revoked.sort_by_key(|component| component.revoked);
        for component in revoked {
            // One that is not installed serves nothing.
            if host.plugin(&component.digest).is_none() {
                continue;
            }
            if let Err(error) = host.revoke(component.digest, component.replacement) {
                let what = format!("that the component {} is revoked", component.digest);
                faults.push(fault(what, error.to_string()));
            }
        }
        Ok(faults)
    }

    /// A shop as it is kept at one moment, and the tick of its last change.
    async fn read_shop(&self, id: &ShopId) -> Result<(ShopSnapshot, i64), StoreError> {
        let mut reading = self.begin_reading().await?;
        let (tick,): (i64,) = sqlx::query_as("select changed_tick from shops where id = $1")
            .bind(id.as_str())
            .fetch_one(&mut *reading)
            .await?;
        let shop = self.read_shops(&mut reading, Some(id)).await?.into_iter().next();
        let shop = shop.ok_or_else(|| StoreError::NotFound { what: "shop", id: id.to_string() })?;
        let accounts = self.read_accounts(&mut reading, id).await?;
        let links = self.read_links(&mut reading, id).await?;
        reading.rollback().await?;
        let (present, past): (Vec<_>, Vec<_>) = links.into_iter().partition(|link| link.present);
        let (links, past_links) = [present, past].map(|links| links.into_iter().map(|kept| kept.link).collect()).into();
        Ok((ShopSnapshot { shop, accounts, links, past_links }, tick))
    }
}

pub(crate) fn fault(what: String, why: String) -> NotRestored {
    tracing::error!(what, why, "not restored");
    NotRestored { what, why }
}

/// Logs what failed, unless it failed before for the same reason.
fn failed_again(what: String, before: Option<&FailedRestore>, why: String) -> NotRestored {
    match before {
        Some(before) if before.why == why => {
            tracing::debug!(what, why, failures = before.failures + 1, "not restored again");
            NotRestored { what, why }
        }
        _ => fault(what, why),
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
