//! Switching what serves a shop, while it is served.
//!
//! A version switch changes an account to another version of its plugin; a vendor switch changes products to links of another account
//! ([`plan_links`](Cartwright::plan_links)). Both are planned and checked whole before they are published. Calls in flight end on what
//! they began with, and lines keep going to the version that made them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cartwright_cart::line::CartLine;
use cartwright_contract::error::SetupError;
use cartwright_contract::ids::{AccountId, Digest, ShopId};
use cartwright_contract::records::{FieldIssue, Setting, SettingValue};
use cartwright_engine::CallOptions;
use serde::Serialize;

use crate::host::{Cartwright, read};
use crate::shop::{Account, AccountVersion, CheckedLink, ProductLink, ShopState, with_new_scope};

/// A version swap of one account.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionSwitch {
    /// The shop.
    pub shop: ShopId,
    /// The account.
    pub account: AccountId,
    /// What it ran before.
    pub from: Digest,
    /// What it runs now.
    pub to: Digest,
    /// How long it took to publish the switch.
    #[serde(skip)]
    pub lock_duration: Duration,
}

/// A checked plan to take a plugin version out of use: see [`Cartwright::plan_revocation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    pub(crate) digest: Digest,
    pub(crate) replacement: Option<Digest>,
}

/// May secrets that are kept go to hosts which a version declares by itself, and for which they were not entered?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewHostPolicy {
    /// No: a swap to such a version is refused, and names the secrets.
    Reject,
    /// Yes: whoever swaps vouches for the version. Hosts that stand in settings are nobody's to vouch for.
    Approved,
}

/// Whether a product is ready for another vendor.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProductReadiness {
    /// The shop's product.
    pub shop_product: String,
    /// Can it be switched?
    pub ready: bool,
    /// What is wrong, and what the merchant should know.
    pub issues: Vec<FieldIssue>,
}

/// Whether a shop is ready for another vendor.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Readiness {
    /// The products that were mapped.
    pub products: Vec<ProductReadiness>,
    /// Products of the old account that no mapping names; they stay with it.
    pub unmapped: Vec<String>,
}

impl Readiness {
    /// Can all mapped products be switched?
    pub fn is_ready(&self) -> bool {
        self.products.iter().all(|product| product.ready)
    }
}

impl Cartwright {
    /// Plans the switch of an account to another version of its plugin: the new version migrates the settings and checks them.
    /// Rolling back is a switch to the version before.
    ///
    /// # Errors
    /// When the version is unknown, revoked, of another plugin, or does not accept the settings; [`SetupError::Links`] when it does
    /// not accept those of links.
    pub async fn plan_version_switch(
        &self,
        state: &ShopState,
        account: &AccountId,
        to: Digest,
        hosts: NewHostPolicy,
    ) -> Result<ShopState, SetupError> {
        let old = state.account(account)?.clone();
        let plugin = self.plugin_version(&to)?;
        let from = old.version().clone();
        if plugin.id() != from.plugin.id() {
            return Err(SetupError::PluginMismatch { current: from.plugin.id().clone(), offered: plugin.id().clone() });
        }
        let mut migrated = self.migrate(state, &old, &from, AccountVersion::new(plugin, BTreeMap::new())).await?;
        migrated.current = to;
        if hosts == NewHostPolicy::Approved {
            let version = migrated.version().clone();
            version.plugin.metadata().form.authorize_new_hosts(&version.settings, &mut migrated.secrets);
        }
        migrated.revision = old.revision + 1;
        self.with_account(state, migrated).await
    }

    /// The account with its settings in the new version's form. A renamed secret keeps its value.
    async fn migrate(
        &self,
        state: &ShopState,
        old: &Account,
        from: &AccountVersion,
        mut to: AccountVersion,
    ) -> Result<Account, SetupError> {
        let mut values: Vec<Setting> =
            from.settings.iter().map(|(name, value)| Setting { name: name.clone(), value: value.clone() }).collect();
        values.extend(old.secrets.keys().map(|name| Setting { name: name.clone(), value: SettingValue::SecretIsSet }));
        let plugin = to.plugin.clone();
        let scope = self.scope(&state.shop, old, &plugin);
        let version = &from.plugin.metadata().identity.version;
        let migrated = self.engine().migrate_settings(&plugin, CallOptions::new(scope), version, &values).await?;
        // Secrets of the older form stay: lines that are pinned to it still use them.
        let mut secrets = old.secrets.clone();
        for setting in migrated {
            let is_secret = plugin.metadata().form.field(&setting.name).is_some_and(|field| field.kind == "secret");
            match setting.value {
                SettingValue::SecretIsSet => {}
                SettingValue::Text(text) if is_secret => {
                    let renamed = text.strip_prefix("secret:").and_then(|name| old.secrets.get(name));
                    if let Some(secret) = renamed {
                        secrets.insert(setting.name, secret.clone());
                    }
                }
                value => drop(to.settings.insert(setting.name, value)),
            }
        }
        let mut account = old.clone();
        account.secrets = secrets;
        account.versions = with_new_scope(&old.versions);
        account.versions.insert(plugin.digest(), Arc::new(to));
        Ok(account)
    }

    /// Says which products could be switched to other links, without changing anything.
    ///
    /// # Errors
    /// When the shop or the old account does not exist.
    pub async fn readiness(
        &self,
        shop: &ShopId,
        from: &AccountId,
        links: &[ProductLink],
    ) -> Result<Readiness, SetupError> {
        let state = self.shop_state(shop)?;
        state.account(from)?;
        let mut products = Vec::with_capacity(links.len());
        for link in links {
            let shop_product = link.shop_product.clone();
            let mut readiness = match self.check_link(&state, link.clone()).await {
                Ok((_, issues)) => ProductReadiness { shop_product, ready: true, issues },
                Err(SetupError::Invalid(issues)) => ProductReadiness { shop_product, ready: false, issues },
                Err(error) => ProductReadiness { shop_product, ready: false, issues: vec![issue(error.to_string())] },
            };
            let sold = self.platform().catalog.variants(shop, &state.shop.currency, &link.shop_product).await;
            if !sold.is_ok_and(|variants| !variants.is_empty()) {
                readiness.ready = false;
                readiness.issues.push(issue("The catalogue does not know this product.".to_owned()));
            }
            products.push(readiness);
        }
        let unmapped = state
            .links
            .values()
            .filter(|linked| linked.link.account == *from)
            .map(|linked| linked.link.shop_product.clone())
            .filter(|product| !links.iter().any(|link| link.shop_product == *product))
            .collect();
        Ok(Readiness { products, unmapped })
    }

    /// Plans to take a version out of use. Lines that are pinned to it go to the replacement, or must be configured again.
    ///
    /// # Errors
    /// When the replacement is not installed, is revoked, or is of another plugin.
    pub fn plan_revocation(&self, digest: Digest, replacement: Option<Digest>) -> Result<Revocation, SetupError> {
        let revoked = self.plugin(&digest).ok_or(SetupError::UnknownPlugin(digest))?;
        let planned = Revocation { digest, replacement };
        if read(self.revoked()).get(&digest) == Some(&replacement) {
            return Ok(planned);
        }
        if let Some(replacement) = replacement {
            let replacement = self.plugin_version(&replacement)?;
            if replacement.id() != revoked.id() {
                let (current, offered) = (revoked.id().clone(), replacement.id().clone());
                return Err(SetupError::PluginMismatch { current, offered });
            }
        }
        Ok(planned)
    }

    /// Was this version taken out of use?
    pub fn is_revoked(&self, digest: &Digest) -> bool {
        read(self.revoked()).contains_key(digest)
    }

    /// The version that serves lines pinned to this one.
    pub(crate) fn replacement(&self, digest: &Digest) -> Result<Digest, String> {
        let revoked = read(self.revoked());
        let mut at = *digest;
        // A replacement is never revoked when it is named, so the chain is finite; it cannot be longer than the list.
        for _ in 0..=revoked.len() {
            match revoked.get(&at) {
                None => return Ok(at),
                Some(Some(next)) => at = *next,
                Some(None) => return Err(format!("the version {digest} was revoked without a replacement")),
            }
        }
        Err(format!("the version {digest} was revoked"))
    }

    /// The link that a line was made with: the product's present one, or the one before a vendor swap.
    pub(crate) fn link_of(&self, state: &ShopState, line: &CartLine) -> Option<Arc<CheckedLink>> {
        let current = state.links.get(&line.linked_product).filter(|linked| linked.link.account == line.pin.account);
        let past = || state.replaced_links.get(&(line.linked_product.clone(), line.pin.account.clone()));
        current.or_else(past).cloned()
    }
}

fn issue(text: String) -> FieldIssue {
    let message = cartwright_contract::records::Message { key: "not-ready".into(), parameters: Vec::new(), text };
    FieldIssue { field: "shop_product".into(), message, blocking: true }
}
