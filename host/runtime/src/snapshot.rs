//! Snapshots of shops, which a store saves and restores when a host starts or another node changed the shop.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cartwright_cart::shop::{Shop, check_shop};
use cartwright_contract::error::{ProductLinkIssues, SetupError, invalid, setup_issue};
use cartwright_contract::grants::Grants;
use cartwright_contract::ids::{AccountId, Digest, ShopId};
use cartwright_contract::settings::{Secrets, Settings};

use crate::host::{Cartwright, read, write};
use crate::setup::read_link;
use crate::shop::{Account, AccountSetup, AccountVersion, ProductLink, ShopSlot, ShopState};
use crate::switch::NewHostPolicy;

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

/// Changes made here take effect at once. [`check_account`](Self::check_account),
/// [`account_changed`](Self::account_changed), [`switched_account`](Self::switched_account) and
/// [`check_links`](Self::check_links) compute the result of a change without applying it, for a store that saves a
/// change before it takes effect.
impl Cartwright {
    /// Returns the ids of all shops.
    pub fn shop_ids(&self) -> Vec<ShopId> {
        read(self.shops()).keys().cloned().collect()
    }

    /// Returns the current state of a shop.
    ///
    /// # Errors
    /// Returns an error if the shop does not exist.
    pub fn snapshot(&self, shop: &ShopId) -> Result<ShopSnapshot, SetupError> {
        let state = self.shop_state(shop)?;
        Ok(ShopSnapshot {
            shop: (*state.shop).clone(),
            accounts: state.accounts.values().map(|account| AccountSnapshot::of(account)).collect(),
            links: state.links.values().map(|linked| linked.link.clone()).collect(),
            replaced_links: state.replaced_links.values().map(|linked| linked.link.clone()).collect(),
        })
    }

    /// Adds a shop, or replaces the one with its id; calls in flight end with the state that they began with. No
    /// plugin is called and nothing is compared, because each value was checked when it was set. Install the plugin
    /// versions first, revoked ones included.
    ///
    /// # Errors
    /// Returns an error if a plugin version of an account is not installed, or if its form lacks a field; the shop is
    /// unchanged.
    pub async fn restore(&self, snapshot: ShopSnapshot) -> Result<(), SetupError> {
        let ShopSnapshot { shop, accounts, links, replaced_links } = snapshot;
        check_shop(&shop)?;
        let id = shop.id.clone();
        let mut state = ShopState {
            shop: Arc::new(shop),
            accounts: BTreeMap::new(),
            links: BTreeMap::new(),
            replaced_links: BTreeMap::new(),
        };
        for account in accounts {
            let account = self.restored(account)?;
            state.accounts.insert(account.id.clone(), Arc::new(account));
        }
        for link in links {
            state.links.insert(link.shop_product.clone(), Arc::new(read_link(&state, link)?));
        }
        for link in replaced_links {
            let place = (link.shop_product.clone(), link.account.clone());
            state.replaced_links.insert(place, Arc::new(read_link(&state, link)?));
        }
        let fresh =
            || Arc::new(ShopSlot { state: ArcSwap::from_pointee(state.clone()), change_lock: Default::default() });
        let cell = write(self.shops()).entry(id).or_insert_with(fresh).clone();
        let _changing = cell.change_lock.lock().await;
        cell.state.store(Arc::new(state));
        Ok(())
    }

    /// Checks whether a shop would be accepted. Changes nothing.
    ///
    /// # Errors
    /// Returns an error if a value is invalid.
    pub fn check_shop(&self, shop: &Shop) -> Result<(), SetupError> {
        check_shop(shop)
    }

    /// Checks whether a plugin would accept this account, and whether the product links that use it fit. Changes
    /// nothing: for a store that saves a change before it takes effect.
    ///
    /// # Errors
    /// Returns every invalid field at once, or [`SetupError::Links`].
    pub async fn check_account(&self, shop: &ShopId, account: AccountSnapshot) -> Result<(), SetupError> {
        let state = self.shop_state(shop)?;
        let account = self.restored(account)?;
        self.with_account(&state, account).await.map(drop)
    }

    /// Returns the account that [`set_account`](Self::set_account) would produce. Changes nothing.
    ///
    /// # Errors
    /// The same as [`set_account`](Self::set_account).
    pub async fn account_changed(
        &self,
        shop: &ShopId,
        plugin: Digest,
        setup: AccountSetup,
    ) -> Result<AccountSnapshot, SetupError> {
        let state = self.shop_state(shop)?;
        let id = setup.id.clone();
        let changed = self.changed_account(&state, plugin, setup).await?;
        Ok(AccountSnapshot::of(changed.account(&id)?))
    }

    /// Returns the account that [`switch_version`](Self::switch_version) would produce. Changes nothing.
    ///
    /// # Errors
    /// The same as [`switch_version`](Self::switch_version).
    pub async fn switched_account(
        &self,
        shop: &ShopId,
        account: &AccountId,
        to: Digest,
        hosts: NewHostPolicy,
    ) -> Result<AccountSnapshot, SetupError> {
        let state = self.shop_state(shop)?;
        let (_, changed) = self.prepare_switch(&state, account, to, hosts).await?;
        Ok(AccountSnapshot::of(changed.account(account)?))
    }

    /// Checks whether these product links would be accepted. Changes nothing. Returns the plugins' warnings with the
    /// products of their links.
    ///
    /// # Errors
    /// Returns [`SetupError::Links`] with every issue of every link.
    pub async fn check_links(
        &self,
        shop: &ShopId,
        links: &[ProductLink],
    ) -> Result<Vec<ProductLinkIssues>, SetupError> {
        let state = self.shop_state(shop)?;
        let (mut warnings, mut misfits) = (Vec::new(), Vec::new());
        for link in links {
            let (issues, into) = match self.check_link(&state, link.clone()).await {
                Ok((_, issues)) => (issues, &mut warnings),
                Err(SetupError::Invalid(issues)) => (issues, &mut misfits),
                Err(error @ SetupError::UnknownAccount(_)) => {
                    (vec![setup_issue("account", error.to_string())], &mut misfits)
                }
                Err(error) => return Err(error),
            };
            if !issues.is_empty() {
                into.push(ProductLinkIssues { shop_product: link.shop_product.clone(), issues });
            }
        }
        if misfits.is_empty() { Ok(warnings) } else { Err(SetupError::Links(misfits)) }
    }

    /// Adds an account, or replaces the one with its id, as [`restore`](Self::restore) does for a whole shop.
    ///
    /// # Errors
    /// The same as [`restore`](Self::restore); the account is unchanged.
    pub async fn restore_account(&self, shop: &ShopId, account: AccountSnapshot) -> Result<(), SetupError> {
        let cell = self.shop_slot(shop)?;
        let _changing = cell.change_lock.lock().await;
        let account = self.restored(account)?;
        let mut changed = (**cell.state.load()).clone();
        changed.accounts.insert(account.id.clone(), Arc::new(account));
        cell.state.store(Arc::new(changed));
        Ok(())
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
