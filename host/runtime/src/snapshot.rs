//! Snapshots of shops, which a store saves and restores when a host starts or another node changed the shop.

use std::collections::BTreeMap;
use std::sync::Arc;

use cartwright_cart::shop::Shop;
use cartwright_contract::error::{SetupError, invalid};
use cartwright_contract::grants::Grants;
use cartwright_contract::ids::{AccountId, Digest};
use cartwright_contract::settings::{Secrets, Settings};

use crate::host::Cartwright;
use crate::setup::read_link;
use crate::shop::{Account, AccountVersion, ProductLink, ShopState};

/// The state of an account.
#[derive(Debug, Clone)]
pub struct AccountSnapshot {
    /// Id of the account within the shop.
    pub id: AccountId,
    /// The current plugin version.
    pub current: Digest,
    /// Settings in the form of each plugin version that lines may be pinned to, the current one included.
    pub versions: BTreeMap<Digest, Settings>,
    /// Secrets by field name.
    pub secrets: Secrets,
    /// Grants of the account.
    pub grants: Grants,
    /// Number of changes and version switches, from 1. A store saves a revision only after the preceding one.
    pub revision: u64,
}

/// The state of a shop.
#[derive(Debug, Clone)]
pub struct ShopSnapshot {
    /// The shop.
    pub shop: Shop,
    /// The accounts.
    pub accounts: Vec<AccountSnapshot>,
    /// The product links.
    pub links: Vec<ProductLink>,
    /// Links that a vendor switch replaced. They serve the lines that were made with them.
    pub replaced_links: Vec<ProductLink>,
}

impl AccountSnapshot {
    fn of(account: &Account) -> Self {
        Self {
            id: account.id.clone(),
            current: account.current,
            versions: account.versions.iter().map(|(digest, version)| (*digest, version.settings.clone())).collect(),
            secrets: account.secrets.clone(),
            grants: account.grants.clone(),
            revision: account.revision,
        }
    }
}

impl ShopState {
    /// Returns everything that is stored of the shop. [`Cartwright::plan_restore`] turns it into a state again.
    pub fn snapshot(&self) -> ShopSnapshot {
        ShopSnapshot {
            shop: (*self.shop).clone(),
            accounts: self.accounts.values().map(|account| AccountSnapshot::of(account)).collect(),
            links: self.links.values().map(|linked| linked.link.clone()).collect(),
            replaced_links: self.replaced_links.values().map(|linked| linked.link.clone()).collect(),
        }
    }

    /// Returns everything that is stored of an account.
    ///
    /// # Errors
    /// Returns an error if there is no such account.
    pub fn account_snapshot(&self, account: &AccountId) -> Result<AccountSnapshot, SetupError> {
        Ok(AccountSnapshot::of(self.account(account)?))
    }
}

impl Cartwright {
    /// Plans a shop from its snapshot. No plugin is called and nothing is compared, because each value was checked
    /// when it was set. Install the plugin versions first, revoked ones included.
    ///
    /// # Errors
    /// Returns an error if a plugin version of an account is not installed, or if its form lacks a field.
    pub fn plan_restore(&self, snapshot: ShopSnapshot) -> Result<ShopState, SetupError> {
        let ShopSnapshot { shop, accounts, links, replaced_links } = snapshot;
        let mut state = ShopState::new(shop)?;
        for account in accounts {
            let account = self.restored(account)?;
            state.accounts.insert(account.id.clone(), Arc::new(account));
        }
        for link in links {
            state.links.insert(link.shop_product.clone(), Arc::new(read_link(&state, link)?));
        }
        for link in replaced_links {
            let key = (link.shop_product.clone(), link.account.clone());
            state.replaced_links.insert(key, Arc::new(read_link(&state, link)?));
        }
        Ok(state)
    }

    /// Plans an account from its snapshot, checked by its plugin and with the links that use it.
    ///
    /// # Errors
    /// Returns every invalid field at once, or [`SetupError::Links`].
    pub async fn plan_account_snapshot(
        &self,
        state: &ShopState,
        account: AccountSnapshot,
    ) -> Result<ShopState, SetupError> {
        let account = self.restored(account)?;
        self.with_account(state, account).await
    }

    fn restored(&self, account: AccountSnapshot) -> Result<Account, SetupError> {
        let AccountSnapshot { id, current, versions, secrets, grants, revision } = account;
        if !versions.contains_key(&current) {
            return Err(invalid("versions", format!("The account {id} has no settings for the version that it runs.")));
        }
        let versions = versions.into_iter().map(|(digest, settings)| {
            let plugin = self.plugin(&digest).ok_or(SetupError::UnknownPlugin(digest))?;
            Ok((digest, Arc::new(AccountVersion::new(plugin, settings))))
        });
        let versions = versions.collect::<Result<BTreeMap<_, _>, SetupError>>()?;
        Ok(Account { id, current, versions, secrets, grants, revision })
    }
}
