//! A host and what its store keeps of it, as one: every change of what is set up is checked by the host, kept together with its
//! entry in the event log, and only then served, here at once and on every other node of the database when it looks again.
//!
//! Nodes need not know of each other. A change is prepared on what this node serves and is kept only if that is still what is kept;
//! otherwise it is prepared anew on what is. The price is that changes of one database go one after the other, which they can afford.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cartwright::webhook::entered;
use cartwright::{
    AccountId, AccountSetup, AccountSnapshot, Cartwright, Digest, InstallError, Link, LinkIssues, Plugin, SetupError,
    Shop, ShopId, ShopSnapshot,
};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::database::Store;
use crate::error::StoreError;
use crate::event_log::{NewLogEntry, log_in};
use crate::restore::{NotRestored, Served};
use crate::setup::tick;

/// How often a node looks for what others changed.
const LOOK: Duration = Duration::from_millis(250);
/// How often a change is prepared anew because another was quicker.
const TRIES: usize = 8;

/// A change was not made; everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The host or a plugin refuses it.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The component cannot be installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// It was expected not to exist.
    #[error("{0} exists already")]
    Exists(String),
    /// It was changed since the caller read it. Read it again, then decide anew.
    #[error("{0} was changed since you read it; read it again, then decide anew")]
    Changed(String),
    /// As the database says.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a caller has read before it changes something, so that nobody's change is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// Whatever it is.
    Anything,
    /// It does not exist yet.
    Nothing,
    /// This version of it, as [`account_version`], [`link_version`] and [`shop_version`] name it.
    Version(&'a str),
}

/// Names what an account is set to.
pub fn account_version(account: &AccountSnapshot) -> String {
    account.revision.to_string()
}

/// Names what a link is set to.
pub fn link_version(link: &Link) -> String {
    version(&json!(link))
}

/// Names what a shop is set to, without its accounts and links.
pub fn shop_version(shop: &Shop) -> String {
    version(&shop_as_logged(shop))
}

/// A host whose shops and components are those of its store. Its own functions that change shops are not to be used beside this.
#[derive(Debug, Clone)]
pub struct Installation {
    inner: Arc<Inner>,
}

struct Inner {
    host: Arc<Cartwright>,
    store: Store,
    served: Mutex<Served>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installation").field("store", &self.store).finish_non_exhaustive()
    }
}

/// A shop as a change of it found it.
struct Seen {
    kept: Option<ShopSnapshot>,
    on: Option<i64>,
}

/// What is to be kept, and what the event log says of it.
struct Change {
    write: Write,
    what: &'static str,
    subject: String,
    before: Option<Value>,
    after: Option<Value>,
}

enum Write {
    Shop(Box<Shop>),
    Account(Box<AccountSnapshot>),
    Links(Vec<Link>),
    NoLink(String),
}

impl Installation {
    /// Gives the host everything that is kept. What cannot be used is returned, and does not keep the rest from being served.
    ///
    /// # Errors
    /// As the database says; call it again.
    pub async fn open(host: Arc<Cartwright>, store: Store) -> Result<(Self, Vec<NotRestored>), StoreError> {
        let mut served = Served::default();
        let faults = store.restore_changed(&host, &mut served).await?;
        Ok((Self { inner: Arc::new(Inner { host, store, served: Mutex::new(served) }) }, faults))
    }

    /// The host.
    pub fn host(&self) -> &Arc<Cartwright> {
        &self.inner.host
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Serves what other nodes changed since the last time.
    ///
    /// # Errors
    /// As the database says; call it again.
    pub async fn catch_up(&self) -> Result<Vec<NotRestored>, StoreError> {
        let mut served = self.inner.served.lock().await;
        self.inner.store.restore_changed(&self.inner.host, &mut served).await
    }

    /// Catches up four times a second, until the handle is aborted. While the database is away this node serves what it has.
    pub fn follow(&self) -> JoinHandle<()> {
        let installation = self.clone();
        tokio::spawn(async move {
            let mut away = false;
            loop {
                tokio::time::sleep(LOOK).await;
                let found = installation.catch_up().await;
                match &found {
                    Err(error) if !away => tracing::warn!(%error, "what other nodes change is not seen"),
                    Ok(_) if away => tracing::info!("what other nodes change is seen again"),
                    _ => {}
                }
                away = found.is_err();
            }
        })
    }

    /// Installs a component on every node. The digest, when it is given, must be its own.
    ///
    /// # Errors
    /// When it is no plugin, or not the pinned one.
    pub async fn install(
        &self,
        bytes: &[u8],
        pinned: Option<Digest>,
        who: &str,
        now: SystemTime,
    ) -> Result<Arc<Plugin>, ChangeError> {
        let plugin = self.host().install(bytes, pinned).await?;
        let about = plugin.about();
        let mut work = self.store().begin().await?;
        let version = &about.identity.version;
        let (digest, new) = self.store().save_component_in(&mut work, &about.id, version, bytes, now).await?;
        if new {
            let after = json!({ "plugin": about.id, "version": version });
            let entry = NewLogEntry {
                who,
                what: "install",
                subject: &digest.to_string(),
                after: Some(&after),
                ..NewLogEntry::default()
            };
            log_in(&mut work, &entry, crate::database::milliseconds(now)).await?;
        }
        work.commit().await?;
        Ok(plugin)
    }

    /// Takes a version out of use on every node; lines that are pinned to it go to the replacement.
    ///
    /// # Errors
    /// When the replacement is not installed, is revoked, or is of another plugin.
    pub async fn revoke(
        &self,
        digest: Digest,
        replacement: Option<Digest>,
        who: &str,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        self.catch_up().await?;
        self.host().check_revocation(digest, replacement)?;
        let mut work = self.store().begin().await?;
        self.store().revoke_component_in(&mut work, &digest, replacement.as_ref(), now).await?;
        let after = json!({ "replacement": replacement });
        let subject = digest.to_string();
        let entry =
            NewLogEntry { who, what: "revoke", subject: &subject, after: Some(&after), ..NewLogEntry::default() };
        log_in(&mut work, &entry, crate::database::milliseconds(now)).await?;
        work.commit().await?;
        self.catch_up().await?;
        Ok(())
    }

    /// Adds a shop, or changes what it is like; its seal key stays.
    ///
    /// # Errors
    /// When a value is wrong, or it is not as expected.
    pub async fn set_shop(
        &self,
        shop: Shop,
        expected: Expected<'_>,
        who: &str,
        now: SystemTime,
    ) -> Result<Shop, ChangeError> {
        self.host().check_shop(&shop)?;
        let id = shop.id.clone();
        for _ in 0..TRIES {
            let seen = self.seen(&id).await?;
            let old = self.host().shop(&id).ok();
            check(expected, old.as_deref().map(shop_version), &format!("the shop {id}"))?;
            let mut shop = shop.clone();
            if let Some(old) = &old {
                shop.seal_key = old.seal_key.clone();
            }
            let change = Change {
                what: if old.is_some() { "change-shop" } else { "add-shop" },
                subject: id.to_string(),
                before: old.as_deref().map(shop_as_logged),
                after: Some(shop_as_logged(&shop)),
                write: Write::Shop(Box::new(shop.clone())),
            };
            if self.keep(&id, &seen, &change, who, now).await? {
                return Ok(shop);
            }
        }
        Err(contended(&id))
    }

    /// Sets up a vendor account, or changes one that runs the same version, as [`Cartwright::set_account`] does.
    ///
    /// # Errors
    /// As there; and when it is not as expected.
    pub async fn set_account(
        &self,
        shop: &ShopId,
        plugin: Digest,
        setup: AccountSetup,
        expected: Expected<'_>,
        who: &str,
        now: SystemTime,
    ) -> Result<AccountSnapshot, ChangeError> {
        for _ in 0..TRIES {
            let seen = self.seen(shop).await?;
            let kept = seen.kept.as_ref();
            let old = kept_account(kept, &setup.id);
            check(expected, old.map(account_version), &format!("the account {}", setup.id))?;
            let account = self.host().account_changed(shop, plugin, setup.clone()).await?;
            let change = Change {
                what: if old.is_some() { "change-account" } else { "add-account" },
                subject: setup.id.to_string(),
                before: old.map(account_as_logged),
                after: Some(account_as_logged(&account)),
                write: Write::Account(Box::new(account.clone())),
            };
            if self.keep(shop, &seen, &change, who, now).await? {
                return Ok(account);
            }
        }
        Err(contended(shop))
    }

    /// Moves an account to another version of its plugin, as [`Cartwright::swap_version`] does. Rolling back is moving to the version
    /// before.
    ///
    /// # Errors
    /// As there.
    pub async fn swap_version(
        &self,
        shop: &ShopId,
        account: &AccountId,
        to: Digest,
        who: &str,
        now: SystemTime,
    ) -> Result<AccountSnapshot, ChangeError> {
        for _ in 0..TRIES {
            let seen = self.seen(shop).await?;
            let kept = seen.kept.as_ref();
            let old = kept_account(kept, account).ok_or_else(|| SetupError::NoAccount(account.clone()))?;
            let swapped = self.host().account_swapped(shop, account, to).await?;
            let change = Change {
                what: "swap-version",
                subject: account.to_string(),
                before: Some(account_as_logged(old)),
                after: Some(account_as_logged(&swapped)),
                write: Write::Account(Box::new(swapped.clone())),
            };
            if self.keep(shop, &seen, &change, who, now).await? {
                return Ok(swapped);
            }
        }
        Err(contended(shop))
    }

    /// Links products, or changes their links, all of them or none. With other accounts than they had it is a vendor swap: lines that
    /// were made with the old links are still served by them. The plugins' warnings are returned.
    ///
    /// # Errors
    /// Every issue of every link, and when one is not as expected.
    pub async fn link(
        &self,
        shop: &ShopId,
        links: &[Link],
        expected: Expected<'_>,
        who: &str,
        now: SystemTime,
    ) -> Result<Vec<LinkIssues>, ChangeError> {
        for _ in 0..TRIES {
            let seen = self.seen(shop).await?;
            let kept = seen.kept.as_ref();
            let old = |link: &Link| kept_link(kept, &link.shop_product);
            for link in links {
                let what = format!("the link of {:?}", link.shop_product);
                check(expected, old(link).map(link_version), &what)?;
            }
            let warnings = self.host().check_links(shop, links).await?;
            let products: Vec<&str> = links.iter().map(|link| link.shop_product.as_str()).collect();
            let moved = links.iter().any(|link| old(link).is_some_and(|old| old.account != link.account));
            let change = Change {
                what: if moved { "swap-vendor" } else { "link" },
                subject: match products.as_slice() {
                    [one] => (*one).to_owned(),
                    many => format!("{} products", many.len()),
                },
                before: Some(links.iter().filter_map(|link| old(link).map(|old| json!(old))).collect()),
                after: Some(json!(links)),
                write: Write::Links(links.to_vec()),
            };
            if self.keep(shop, &seen, &change, who, now).await? {
                return Ok(warnings);
            }
        }
        Err(contended(shop))
    }

    /// Takes a product's link away. Lines that were made with it are still served by it.
    ///
    /// # Errors
    /// When there is none, or it is not as expected.
    pub async fn unlink(
        &self,
        shop: &ShopId,
        product: &str,
        expected: Expected<'_>,
        who: &str,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        for _ in 0..TRIES {
            let seen = self.seen(shop).await?;
            let kept = seen.kept.as_ref();
            let old = kept_link(kept, product).ok_or_else(|| SetupError::NoLink(product.to_owned()))?;
            check(expected, Some(link_version(old)), &format!("the link of {product:?}"))?;
            let change = Change {
                what: "unlink",
                subject: product.to_owned(),
                before: Some(json!(old)),
                after: None,
                write: Write::NoLink(product.to_owned()),
            };
            if self.keep(shop, &seen, &change, who, now).await? {
                return Ok(());
            }
        }
        Err(contended(shop))
    }

    /// What this node serves of a shop, and since which change.
    async fn seen(&self, shop: &ShopId) -> Result<Seen, StoreError> {
        self.catch_up().await?;
        let served = self.inner.served.lock().await;
        Ok(Seen { kept: self.host().snapshot(shop).ok(), on: served.shops.get(shop).copied() })
    }

    /// Keeps a change that was prepared on what was seen, and serves it. False when that is no longer what is kept.
    async fn keep(
        &self,
        shop: &ShopId,
        seen: &Seen,
        change: &Change,
        who: &str,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let mut work = self.store().begin().await?;
        tick(&mut work).await?;
        let (on,): (Option<i64>,) = sqlx::query_as("select max(changed_tick) from shops where id = $1")
            .bind(shop.as_str())
            .fetch_one(&mut *work)
            .await?;
        if on != seen.on {
            work.rollback().await?;
            return Ok(false);
        }
        let store = self.store();
        match &change.write {
            Write::Shop(changed) => store.save_shop_in(&mut work, changed, now).await?,
            Write::Account(account) => store.save_account_in(&mut work, shop, account, now).await?,
            Write::Links(links) => store.save_links_in(&mut work, shop, links, now).await?,
            Write::NoLink(product) => store.end_link_in(&mut work, shop, product, now).await?,
        }
        let entry = NewLogEntry {
            who,
            what: change.what,
            shop: Some(shop),
            subject: &change.subject,
            before: change.before.as_ref(),
            after: change.after.as_ref(),
            secrets: &[],
        };
        log_in(&mut work, &entry, crate::database::milliseconds(now)).await?;
        work.commit().await?;
        self.catch_up().await?;
        Ok(true)
    }
}

fn contended(shop: &ShopId) -> ChangeError {
    let why =
        format!("the shop {shop} is changed from elsewhere all the time, or this node cannot serve it as it is kept");
    StoreError::Conflict(why).into()
}

fn check(expected: Expected<'_>, found: Option<String>, what: &str) -> Result<(), ChangeError> {
    match (expected, found) {
        (Expected::Anything, _) | (Expected::Nothing, None) => Ok(()),
        (Expected::Version(expected), Some(found)) if expected == found => Ok(()),
        (Expected::Nothing, Some(_)) => Err(ChangeError::Exists(what.to_owned())),
        _ => Err(ChangeError::Changed(what.to_owned())),
    }
}

fn kept_account<'a>(kept: Option<&'a ShopSnapshot>, id: &AccountId) -> Option<&'a AccountSnapshot> {
    kept?.accounts.iter().find(|account| account.id == *id)
}

fn kept_link<'a>(kept: Option<&'a ShopSnapshot>, product: &str) -> Option<&'a Link> {
    kept?.links.iter().find(|link| link.shop_product == product)
}

fn version(value: &Value) -> String {
    let mut digest = Digest::of(value.to_string().as_bytes()).to_string();
    digest.truncate(32);
    digest
}

/// Everything of a shop but its secret.
fn shop_as_logged(shop: &Shop) -> Value {
    let Shop {
        id,
        currency,
        scale,
        locale,
        prices_include_tax,
        rounding,
        seal_key: _,
        seal_seconds,
        pin_seconds,
        sell_unconfigured,
        release,
    } = shop;
    json!({
        "id": id, "currency": currency, "scale": scale, "locale": locale, "prices_include_tax": prices_include_tax,
        "rounding": rounding, "seal_seconds": seal_seconds, "pin_seconds": pin_seconds,
        "sell_unconfigured": sell_unconfigured, "release": release,
    })
}

/// An account as it runs: of its secrets no more than which there are, and whether one is another than before cannot be told.
fn account_as_logged(account: &AccountSnapshot) -> Value {
    let settings = account.versions.get(&account.current).into_iter().flatten();
    let settings: Map<String, Value> =
        settings.filter_map(|(name, value)| Some((name.clone(), entered(value)?))).collect();
    json!({
        "component": account.current, "settings": settings, "secrets": account.secrets.keys().collect::<Vec<_>>(),
        "grants": account.grants, "revision": account.revision,
    })
}
