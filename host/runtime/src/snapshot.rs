//! A shop as it stands: what is kept of it, and given again when a host starts or another node changed it.

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

/// A vendor account as it stands.
#[derive(Debug, Clone)]
pub struct AccountSnapshot {
    /// Its id within the shop.
    pub id: AccountId,
    /// The component that it runs.
    pub current: Digest,
    /// Its settings in the form of each component that its lines may be pinned to, the current one's among them.
    pub versions: BTreeMap<Digest, Settings>,
    /// Its secrets by field name.
    pub secrets: Secrets,
    /// What the operator grants it.
    pub grants: Grants,
    /// How often it was set or swapped, from 1: what is kept of it follows the revision before.
    pub revision: u64,
}

/// A shop as it stands.
#[derive(Debug, Clone)]
pub struct ShopSnapshot {
    /// The shop.
    pub shop: Shop,
    /// Its vendor accounts.
    pub accounts: Vec<AccountSnapshot>,
    /// Its links.
    pub links: Vec<ProductLink>,
    /// Links that a vendor swap replaced: they serve the lines that were made with them.
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

/// Changes are made here, and take effect at once; [`check_account`](Self::check_account), [`account_changed`](Self::account_changed),
/// [`switched_account`](Self::switched_account) and [`check_links`](Self::check_links) say what would come of them, for a store that
/// keeps a change before it is served.
impl Cartwright {
    /// The ids of all shops.
    pub fn shop_ids(&self) -> Vec<ShopId> {
        read(self.shops()).keys().cloned().collect()
    }

    /// A shop as it stands at this moment.
    ///
    /// # Errors
    /// When the shop does not exist.
    pub fn snapshot(&self, shop: &ShopId) -> Result<ShopSnapshot, SetupError> {
        let state = self.shop_state(shop)?;
        Ok(ShopSnapshot {
            shop: (*state.shop).clone(),
            accounts: state.accounts.values().map(|account| AccountSnapshot::of(account)).collect(),
            links: state.links.values().map(|linked| linked.link.clone()).collect(),
            replaced_links: state.replaced_links.values().map(|linked| linked.link.clone()).collect(),
        })
    }

    /// Puts a shop in the place of the one with its id, or adds it; calls in flight end on what they began with. No plugin is
    /// asked, and nothing is compared: each value was checked when it was set. Install the components first, revoked ones among
    /// them.
    ///
    /// # Errors
    /// When a component that an account needs is not installed, or its form has no such field; the shop is as it was.
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

    /// Would a shop like this be taken? Changes nothing.
    ///
    /// # Errors
    /// When a value is wrong.
    pub fn check_shop(&self, shop: &Shop) -> Result<(), SetupError> {
        check_shop(shop)
    }

    /// Would a plugin take this account, and do the links that use it go with it? Changes nothing: for a store that keeps a change
    /// before it takes effect.
    ///
    /// # Errors
    /// Every wrong field at once, or [`SetupError::Links`].
    pub async fn check_account(&self, shop: &ShopId, account: AccountSnapshot) -> Result<(), SetupError> {
        let state = self.shop_state(shop)?;
        let account = self.restored(account)?;
        self.with_account(&state, account).await.map(drop)
    }

    /// What [`set_account`](Self::set_account) would make of an account. Changes nothing.
    ///
    /// # Errors
    /// As there.
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

    /// What [`switch_version`](Self::switch_version) would make of an account. Changes nothing.
    ///
    /// # Errors
    /// As there.
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

    /// Would these links be taken? Changes nothing. Warnings of the plugins are returned, with their links' products.
    ///
    /// # Errors
    /// [`SetupError::Links`] with every issue of every link.
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

    /// Puts an account in the place of the one with its id, or adds it, as [`restore`](Self::restore) does with all of a shop's.
    ///
    /// # Errors
    /// As there; the account is as it was.
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
