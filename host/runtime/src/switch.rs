//! Switches of versions and vendors in a running shop.
//!
//! A version switch changes an account to another version of its plugin; a vendor switch changes products to links of
//! another account ([`plan_links`](Cartwright::plan_links)). Both are planned and checked completely before they are
//! published. Calls in flight end with the state that they began with, and lines stay with the version that made them.

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

/// The result of a version switch of one account.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionSwitch {
    /// The shop.
    pub shop: ShopId,
    /// The account.
    pub account: AccountId,
    /// The previous version.
    pub from: Digest,
    /// The new version.
    pub to: Digest,
    /// How long it took to publish the switch.
    #[serde(skip)]
    pub lock_duration: Duration,
}

/// A checked plan to revoke a plugin version, see [`Cartwright::plan_revocation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    pub(crate) digest: Digest,
    pub(crate) replacement: Option<Digest>,
}

/// Policy for stored secrets that a new version would send to hosts that they are not authorized for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewHostPolicy {
    /// Refuses the switch. The error names the secrets.
    Reject,
    /// Authorizes the secrets for hosts that the version declares by name, because the person who switches vouches for
    /// the version. Hosts that come from settings are not authorized.
    Approved,
}

/// Readiness of one product for another vendor.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProductReadiness {
    /// The shop's product.
    pub shop_product: String,
    /// Whether the product can be switched.
    pub ready: bool,
    /// Errors, and warnings for the merchant.
    pub issues: Vec<FieldIssue>,
}

/// A readiness report: what would prevent products from being switched to another vendor.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Readiness {
    /// The products of the mapping.
    pub products: Vec<ProductReadiness>,
    /// Products of the old account that are not in the mapping; they stay with it.
    pub unmapped: Vec<String>,
}

impl Readiness {
    /// Returns whether all mapped products can be switched.
    pub fn is_ready(&self) -> bool {
        self.products.iter().all(|product| product.ready)
    }
}

impl Cartwright {
    /// Plans the switch of an account to another version of its plugin. The new version migrates the settings and
    /// checks them. To roll back, switch to the previous version.
    ///
    /// # Errors
    /// Returns an error if the version is unknown, revoked, of another plugin, or does not accept the settings;
    /// [`SetupError::Links`] if it does not accept those of product links.
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

    /// Returns the account with its settings in the new version's form. A renamed secret keeps its value.
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
        // Secrets of the older form stay, because lines that are pinned to it still use them.
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

    /// Reports which products could be switched to other links, without changing anything.
    ///
    /// # Errors
    /// Returns an error if the shop or the old account does not exist.
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
            let sold =
                self.platform().catalog.variants(shop, &state.shop.currencies.main().code, &link.shop_product).await;
            if !sold.is_ok_and(|variants| !variants.is_empty()) {
                readiness.ready = false;
                readiness.issues.push(issue("The catalog does not know this product.".to_owned()));
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

    /// Plans the revocation of a plugin version. Lines that are pinned to it go to the replacement, or must be
    /// configured again without one.
    ///
    /// # Errors
    /// Returns an error if the replacement is not installed, is revoked, or is of another plugin.
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

    /// Returns whether this version is revoked.
    pub fn is_revoked(&self, digest: &Digest) -> bool {
        read(self.revoked()).contains_key(digest)
    }

    /// Returns the version that serves lines pinned to this one.
    pub(crate) fn replacement(&self, digest: &Digest) -> Result<Digest, String> {
        let revoked = read(self.revoked());
        let mut at = *digest;
        // A replacement is not revoked when it is named, so the chain is finite and at most as long as the list.
        for _ in 0..=revoked.len() {
            match revoked.get(&at) {
                None => return Ok(at),
                Some(Some(next)) => at = *next,
                Some(None) => return Err(format!("the version {digest} was revoked without a replacement")),
            }
        }
        Err(format!("the version {digest} was revoked"))
    }

    /// Returns the link that a line was made with: the product's current one, or one that a vendor switch replaced.
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
