//! A host together with its store. Every change of a set-up is planned by the host, committed with its audit entry, and
//! only then published: here at once, and on every other node of the database when it catches up.
//!
//! Nodes need not know each other. A change is planned on what this node serves, and is committed only if that equals
//! the stored state; otherwise it is planned again on the current state. The cost is that the changes of one database
//! are serialized, which their rate allows.

mod changes;

pub use changes::{account_version, link_version, shop_version};
pub(crate) use changes::{check, version};

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use cartwright::{
    AccountId, AccountSnapshot, Cartwright, Digest, InstallError, OutdatedPlan, PluginVersion, ProductLink, SetupError,
    ShopId, ShopState,
};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::audit_log::{NewAuditEntry, append_audit_entry};
use crate::database::{Store, milliseconds};
use crate::error::StoreError;
use crate::restore::ServedState;
use crate::restore_failure::RestoreFailure;
use crate::shops::{change_number, shop_change_number};

/// Time between two looks for changes by other nodes.
const CATCH_UP_INTERVAL: Duration = Duration::from_millis(250);

/// Why a change was not made. Nothing changed then.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The host or a plugin refused the change.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The component cannot be installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The object exists, although the caller expected that it does not.
    #[error("{0} already exists")]
    Exists(String),
    /// The object changed since the caller read it. Read it again, then decide anew.
    #[error("{0} changed since you read it; read it again, then repeat your change")]
    Changed(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ChangeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The state that a caller expects before a change, so that no other change is overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// Any state.
    Any,
    /// The object does not exist yet.
    Absent,
    /// The object has this version, as returned by [`account_version`], [`link_version`], [`shop_version`],
    /// [`origins_version`](crate::origins_version), [`endpoint_version`](crate::endpoint_version) and
    /// [`rates_version`](crate::rates_version).
    Version(&'a str),
    /// The preconditions of an HTTP request (RFC 9110, section 13).
    Preconditions {
        /// `If-Match`: the object exists and has one of these versions.
        matching: Option<&'a Versions>,
        /// `If-None-Match`: the object does not exist or has none of these versions.
        not_matching: Option<&'a Versions>,
    },
}

/// The versions that a caller names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// Every version.
    All,
    /// The listed versions.
    Listed(Vec<String>),
}

impl Versions {
    /// Returns whether the version that was found, if any, is among these.
    fn contain(&self, found: Option<&str>) -> bool {
        match (self, found) {
            (_, None) => false,
            (Self::All, Some(_)) => true,
            (Self::Listed(versions), Some(found)) => versions.iter().any(|version| version == found),
        }
    }
}

/// How the current state differs from the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unexpected {
    /// The object exists, and must not.
    Exists,
    /// The object has another version, or does not exist.
    Changed,
}

impl Expected<'_> {
    /// Compares the version that was found, if any, with what the caller expects.
    pub(crate) fn check(self, found: Option<&str>) -> Result<(), Unexpected> {
        let (holds, unexpected) = match self {
            Self::Any => (true, Unexpected::Changed),
            Self::Absent => (found.is_none(), Unexpected::Exists),
            Self::Version(expected) => (found == Some(expected), Unexpected::Changed),
            Self::Preconditions { matching, not_matching } => match not_matching {
                _ if matching.is_some_and(|versions| !versions.contain(found)) => (false, Unexpected::Changed),
                Some(Versions::All) => (found.is_none(), Unexpected::Exists),
                Some(versions) => (!versions.contain(found), Unexpected::Changed),
                None => (true, Unexpected::Changed),
            },
        };
        if holds { Ok(()) } else { Err(unexpected) }
    }
}

/// A host whose shops and components are those of its store. Changes that are made here are stored, and served by every
/// node.
#[derive(Debug, Clone)]
pub struct Installation {
    inner: Arc<Inner>,
}

struct Inner {
    host: Arc<Cartwright>,
    store: Store,
    served: Mutex<ServedState>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installation").field("store", &self.store).finish_non_exhaustive()
    }
}

/// A shop as a change reads it.
struct ShopRead {
    /// `None` if this node serves no such shop.
    state: Option<Arc<ShopState>>,
    change_number: Option<i64>,
}

impl ShopRead {
    /// Returns the state that a change of the shop is planned on.
    fn state(&self, shop: &ShopId) -> Result<&ShopState, SetupError> {
        self.state.as_deref().ok_or_else(|| SetupError::UnknownShop(shop.clone()))
    }

    fn account(&self, id: &AccountId) -> Option<AccountSnapshot> {
        self.state.as_ref()?.account_snapshot(id).ok()
    }

    fn link(&self, product: &str) -> Option<&ProductLink> {
        self.state.as_ref()?.link(product)
    }
}

/// A planned change: the state to publish, what to store, and the audit entry.
struct Change {
    planned: ShopState,
    write: Write,
    what: &'static str,
    subject: String,
    before: Option<Value>,
    after: Option<Value>,
}

enum Write {
    Shop,
    Account(Box<AccountSnapshot>),
    Links(Vec<ProductLink>),
    NoLink(String),
}

impl Installation {
    /// Loads everything that is stored into the host. Returns the failures; they do not prevent the rest from being
    /// served.
    ///
    /// # Errors
    /// Fails if the database does; call it again.
    pub async fn open(host: Arc<Cartwright>, store: Store) -> Result<(Self, Vec<RestoreFailure>), StoreError> {
        let mut served = ServedState::default();
        let faults = store.restore_changed(&host, &mut served, Instant::now()).await?;
        Ok((Self { inner: Arc::new(Inner { host, store, served: Mutex::new(served) }) }, faults))
    }

    /// Returns the host.
    pub fn host(&self) -> &Arc<Cartwright> {
        &self.inner.host
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Loads what other nodes changed since the last call.
    ///
    /// # Errors
    /// Fails if the database does; call it again.
    pub async fn catch_up(&self) -> Result<Vec<RestoreFailure>, StoreError> {
        let mut served = self.inner.served.lock().await;
        self.inner.store.restore_changed(&self.inner.host, &mut served, Instant::now()).await
    }

    /// Catches up four times a second, until the handle is aborted. While the database is unavailable, this node serves
    /// what it has loaded.
    pub fn follow(&self) -> JoinHandle<()> {
        let installation = self.clone();
        tokio::spawn(async move {
            let mut unavailable = false;
            loop {
                tokio::time::sleep(CATCH_UP_INTERVAL).await;
                let found = installation.catch_up().await;
                match &found {
                    Err(error) if !unavailable => tracing::warn!(%error, "cannot load the changes of other nodes"),
                    Ok(_) if unavailable => tracing::info!("loading the changes of other nodes again"),
                    _ => {}
                }
                unavailable = found.is_err();
            }
        })
    }

    /// Installs a component on every node. The digest, if given, must match.
    ///
    /// # Errors
    /// If the component is not a plugin, or its digest differs.
    pub async fn install(
        &self,
        bytes: &[u8],
        pinned: Option<Digest>,
        actor: &str,
        now: SystemTime,
    ) -> Result<Arc<PluginVersion>, ChangeError> {
        let plugin = self.host().install(bytes, pinned).await?;
        let about = plugin.metadata();
        let mut work = self.store().begin().await?;
        let version = &about.identity.version;
        let (digest, new) = self.store().components().save_in(&mut work, &about.id, version, bytes, now).await?;
        if new {
            let after = json!({ "plugin": about.id, "version": version });
            let entry = NewAuditEntry {
                actor,
                action: "install",
                subject: &digest.to_string(),
                after: Some(&after),
                ..NewAuditEntry::default()
            };
            append_audit_entry(&mut work, &entry, milliseconds(now)).await?;
        }
        work.commit().await?;
        Ok(plugin)
    }

    /// Revokes a version on every node; lines that are pinned to it go to the replacement.
    ///
    /// # Errors
    /// If the replacement is not installed, is revoked, or belongs to another plugin.
    pub async fn revoke(
        &self,
        digest: Digest,
        replacement: Option<Digest>,
        actor: &str,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        self.catch_up().await?;
        let planned = self.host().plan_revocation(digest, replacement)?;
        let mut work = self.store().begin().await?;
        let before = self.store().components().revoke_in(&mut work, &digest, replacement.as_ref(), now).await?;
        let audit_value =
            |revoked: bool, replacement: Option<Digest>| json!({ "revoked": revoked, "replacement": replacement });
        let before = audit_value(before.is_some(), before.flatten());
        let after = audit_value(true, replacement);
        let entry = NewAuditEntry {
            actor,
            action: "revoke",
            subject: &digest.to_string(),
            before: Some(&before),
            after: Some(&after),
            ..NewAuditEntry::default()
        };
        work.commit_audited(&entry, now).await?;
        self.host().publish_revocation(planned);
        Ok(())
    }

    /// Returns the shop that this node serves, and its change number.
    async fn read_shop(&self, shop: &ShopId) -> Result<ShopRead, StoreError> {
        self.catch_up().await?;
        let served = self.inner.served.lock().await;
        Ok(ShopRead { state: self.host().shop_state(shop).ok(), change_number: served.shops.get(shop).copied() })
    }

    /// Commits a change that was planned on what was read, and publishes it. Returns false if the stored state has
    /// changed since.
    async fn commit(&self, read: &ShopRead, change: Change, actor: &str, now: SystemTime) -> Result<bool, StoreError> {
        let Change { planned, write, what, subject, before, after } = change;
        let shop = planned.shop().id.clone();
        let mut work = self.store().begin().await?;
        // The lock on this row serializes changes.
        change_number(&mut work).await?;
        if shop_change_number(&mut work, &shop).await? != read.change_number {
            work.rollback().await?;
            return Ok(false);
        }
        let store = self.store();
        match &write {
            Write::Shop => store.shops().save_shop_in(&mut work, planned.shop(), now).await?,
            Write::Account(account) => store.shops().save_account_in(&mut work, &shop, account, now).await?,
            Write::Links(links) => store.shops().save_links_in(&mut work, &shop, links, now).await?,
            Write::NoLink(product) => store.shops().end_link_in(&mut work, &shop, product, now).await?,
        }
        let entry = NewAuditEntry {
            actor,
            action: what,
            shop: Some(&shop),
            subject: &subject,
            before: before.as_ref(),
            after: after.as_ref(),
            secrets: &[],
        };
        let committed = shop_change_number(&mut work, &shop).await?;
        work.commit_audited(&entry, now).await?;
        let mut served = self.inner.served.lock().await;
        match self.host().publish(read.state.as_ref(), planned) {
            Ok(()) => served.shops.extend(committed.map(|number| (shop, number))),
            // Another change was published first: the stored state now contains both.
            Err(OutdatedPlan) => {
                drop(served);
                self.catch_up().await?;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preconditions_hold_as_rfc_9110_says() {
        let listed = |versions: &[&str]| Versions::Listed(versions.iter().map(ToString::to_string).collect());
        let (all, ab, c) = (Versions::All, listed(&["a", "b"]), listed(&["c"]));
        for (matching, not_matching, found, expected) in [
            (None, None, None, Ok(())),
            (Some(&all), None, Some("a"), Ok(())),
            (Some(&all), None, None, Err(Unexpected::Changed)),
            (Some(&ab), None, Some("b"), Ok(())),
            (Some(&ab), None, Some("c"), Err(Unexpected::Changed)),
            (Some(&ab), None, None, Err(Unexpected::Changed)),
            (None, Some(&all), None, Ok(())),
            (None, Some(&all), Some("a"), Err(Unexpected::Exists)),
            (None, Some(&c), Some("a"), Ok(())),
            (None, Some(&c), Some("c"), Err(Unexpected::Changed)),
            (None, Some(&c), None, Ok(())),
            // Both are evaluated, If-Match first.
            (Some(&ab), Some(&c), Some("a"), Ok(())),
            (Some(&all), Some(&c), Some("c"), Err(Unexpected::Changed)),
            (Some(&ab), Some(&all), Some("a"), Err(Unexpected::Exists)),
        ] {
            let preconditions = Expected::Preconditions { matching, not_matching };
            assert_eq!(preconditions.check(found), expected, "{preconditions:?} of {found:?}");
        }
    }
}
