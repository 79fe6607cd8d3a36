//! The changes of a set-up: what each checks, what it stores, and its audit entry.

use std::time::SystemTime;

use cartwright::webhook::form_value;
use cartwright::{
    AccountId, AccountSetup, AccountSnapshot, Digest, Grants, NewHostPolicy, ProductLink, ProductLinkIssues,
    SetupError, Shop, ShopId, ShopState,
};
use serde_json::{Map, Value, json};

use super::{Change, ChangeError, Expected, Installation, Unexpected, Write};
use crate::error::StoreError;

/// Maximum number of times that a change is planned, because another one was committed in the meantime.
const MAX_ATTEMPTS: usize = 8;

/// Returns the version of an account's content.
pub fn account_version(account: &AccountSnapshot) -> String {
    account.revision.to_string()
}

/// Returns the version of a product link's content.
pub fn link_version(link: &ProductLink) -> String {
    version(&json!(link))
}

/// Returns the version of a shop's settings, without its accounts and product links.
pub fn shop_version(shop: &Shop) -> String {
    version(&audit_shop(shop))
}

impl Installation {
    /// Creates a shop, or changes its settings; its seal key stays.
    ///
    /// # Errors
    /// If a value is invalid, or the shop is not as expected.
    pub async fn set_shop(
        &self,
        shop: Shop,
        expected: Expected<'_>,
        actor: &str,
        now: SystemTime,
    ) -> Result<Shop, ChangeError> {
        let id = shop.id.clone();
        for _ in 0..MAX_ATTEMPTS {
            let read = self.read_shop(&id).await?;
            let planned = match &read.state {
                Some(state) => state.with_shop(shop.clone())?,
                None => ShopState::new(shop.clone())?,
            };
            let old = read.state.as_deref().map(ShopState::shop);
            check(expected, old.map(shop_version), &format!("the shop {id}"))?;
            let changed = planned.shop().clone();
            let change = Change {
                what: if old.is_some() { "change-shop" } else { "add-shop" },
                subject: id.to_string(),
                before: old.map(audit_shop),
                after: Some(audit_shop(&changed)),
                write: Write::Shop,
                planned,
            };
            if self.commit(&read, change, actor, now).await? {
                return Ok(changed);
            }
        }
        Err(contended(&id))
    }

    /// Creates an account, or changes one that runs the same version, as
    /// [`plan_account`](cartwright::Cartwright::plan_account) defines.
    ///
    /// `check_grants` receives the grants of the account that is changed, or no grants if there is none. It decides
    /// whether the caller may replace them. No other change can come between this check and the commit.
    ///
    /// # Errors
    /// As there; the error of `check_grants`; and if the account is not as expected.
    #[allow(clippy::too_many_arguments)]
    pub async fn set_account<E: From<ChangeError>>(
        &self,
        shop: &ShopId,
        plugin: Digest,
        setup: AccountSetup,
        expected: Expected<'_>,
        check_grants: impl Fn(&Grants) -> Result<(), E>,
        actor: &str,
        now: SystemTime,
    ) -> Result<AccountSnapshot, E> {
        for _ in 0..MAX_ATTEMPTS {
            let read = self.read_shop(shop).await.map_err(ChangeError::from)?;
            let state = read.state(shop).map_err(ChangeError::from)?;
            let old = read.account(&setup.id);
            check(expected, old.as_ref().map(account_version), &format!("the account {}", setup.id))?;
            check_grants(&old.as_ref().map(|old| old.grants.clone()).unwrap_or_default())?;
            let planned = self.host().plan_account(state, plugin, &setup).await.map_err(ChangeError::from)?;
            let account = planned.account_snapshot(&setup.id).map_err(ChangeError::from)?;
            let change = Change {
                what: if old.is_some() { "change-account" } else { "add-account" },
                subject: setup.id.to_string(),
                before: old.as_ref().map(audit_account),
                after: Some(audit_account(&account)),
                write: Write::Account(Box::new(account.clone())),
                planned,
            };
            if self.commit(&read, change, actor, now).await.map_err(ChangeError::from)? {
                return Ok(account);
            }
        }
        Err(contended(shop).into())
    }

    /// Switches an account to another version of its plugin, as
    /// [`plan_version_switch`](cartwright::Cartwright::plan_version_switch) defines.
    ///
    /// # Errors
    /// As there.
    pub async fn switch_version(
        &self,
        shop: &ShopId,
        account: &AccountId,
        to: Digest,
        hosts: NewHostPolicy,
        actor: &str,
        now: SystemTime,
    ) -> Result<AccountSnapshot, ChangeError> {
        for _ in 0..MAX_ATTEMPTS {
            let read = self.read_shop(shop).await?;
            let old = read.account(account).ok_or_else(|| SetupError::UnknownAccount(account.clone()))?;
            let planned = self.host().plan_version_switch(read.state(shop)?, account, to, hosts).await?;
            let switched = planned.account_snapshot(account)?;
            let change = Change {
                what: "switch-version",
                subject: account.to_string(),
                before: Some(audit_account(&old)),
                after: Some(audit_account(&switched)),
                write: Write::Account(Box::new(switched.clone())),
                planned,
            };
            if self.commit(&read, change, actor, now).await? {
                return Ok(switched);
            }
        }
        Err(contended(shop))
    }

    /// Links products, or changes their links, all or none, as [`plan_links`](cartwright::Cartwright::plan_links)
    /// defines. If a link names another account than before, this is a vendor switch. Returns the plugins' warnings.
    ///
    /// # Errors
    /// All issues of all links, or that a link is not as expected.
    pub async fn link(
        &self,
        shop: &ShopId,
        links: &[ProductLink],
        expected: Expected<'_>,
        actor: &str,
        now: SystemTime,
    ) -> Result<Vec<ProductLinkIssues>, ChangeError> {
        for _ in 0..MAX_ATTEMPTS {
            let read = self.read_shop(shop).await?;
            let old = |link: &ProductLink| read.link(&link.shop_product);
            for link in links {
                let what = format!("the link of {:?}", link.shop_product);
                check(expected, old(link).map(link_version), &what)?;
            }
            let (planned, warnings) = self.host().plan_links(read.state(shop)?, links).await?;
            let products: Vec<&str> = links.iter().map(|link| link.shop_product.as_str()).collect();
            let changes_account = links.iter().any(|link| old(link).is_some_and(|old| old.account != link.account));
            let change = Change {
                what: if changes_account { "switch-vendor" } else { "link" },
                subject: match products.as_slice() {
                    [one] => (*one).to_owned(),
                    many => format!("{} products", many.len()),
                },
                before: Some(links.iter().filter_map(|link| old(link).map(|old| json!(old))).collect()),
                after: Some(json!(links)),
                write: Write::Links(links.to_vec()),
                planned,
            };
            if self.commit(&read, change, actor, now).await? {
                return Ok(warnings);
            }
        }
        Err(contended(shop))
    }

    /// Removes the link of a product. Lines that were made with it are still served by it.
    ///
    /// # Errors
    /// If there is no link, or it is not as expected.
    pub async fn unlink(
        &self,
        shop: &ShopId,
        product: &str,
        expected: Expected<'_>,
        actor: &str,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        for _ in 0..MAX_ATTEMPTS {
            let read = self.read_shop(shop).await?;
            let old = read.link(product).ok_or_else(|| SetupError::NotLinked(product.to_owned()))?;
            check(expected, Some(link_version(old)), &format!("the link of {product:?}"))?;
            let change = Change {
                what: "unlink",
                subject: product.to_owned(),
                before: Some(json!(old)),
                after: None,
                write: Write::NoLink(product.to_owned()),
                planned: read.state(shop)?.without_link(product)?,
            };
            if self.commit(&read, change, actor, now).await? {
                return Ok(());
            }
        }
        Err(contended(shop))
    }
}

fn contended(shop: &ShopId) -> ChangeError {
    let reason =
        format!("the shop {shop} is continuously changed by others, or this node cannot serve it as it is stored");
    StoreError::Conflict(reason).into()
}

/// Refuses a change of something that is not as the caller expects.
pub(crate) fn check(expected: Expected<'_>, found: Option<String>, what: &str) -> Result<(), ChangeError> {
    expected.check(found.as_deref()).map_err(|unexpected| match unexpected {
        Unexpected::Exists => ChangeError::Exists(what.to_owned()),
        Unexpected::Changed => ChangeError::Changed(what.to_owned()),
    })
}

/// Returns the version of a value: its digest.
pub(crate) fn version(value: &Value) -> String {
    let mut digest = Digest::of(value.to_string().as_bytes()).to_string();
    digest.truncate(32);
    digest
}

/// Returns the audit value of a shop, without its secret.
fn audit_shop(shop: &Shop) -> Value {
    let Shop {
        id,
        currencies,
        base_country,
        time_zone,
        locale,
        prices_include_tax,
        rounding,
        seal_key: _,
        seal_seconds,
        pin_seconds,
        sell_unconfigured,
        release,
        max_storefront_body_bytes,
    } = shop;
    json!({
        "id": id, "currencies": currencies, "base_country": base_country, "time_zone": time_zone, "locale": locale,
        "prices_include_tax": prices_include_tax, "rounding": rounding, "seal_seconds": seal_seconds, "pin_seconds": pin_seconds,
        "sell_unconfigured": sell_unconfigured, "release": release, "max_storefront_body_bytes": max_storefront_body_bytes,
    })
}

/// Returns the audit value of an account. Of its secrets, it contains only the names, so that it does not reveal
/// whether one changed.
fn audit_account(account: &AccountSnapshot) -> Value {
    let settings = account.versions.get(&account.current).into_iter().flatten();
    let settings: Map<String, Value> =
        settings.filter_map(|(name, value)| Some((name.clone(), form_value(value)?))).collect();
    json!({
        "component": account.current, "settings": settings, "secrets": account.secrets.keys().collect::<Vec<_>>(),
        "grants": account.grants, "revision": account.revision,
    })
}
