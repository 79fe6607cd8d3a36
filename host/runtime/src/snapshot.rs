//! A shop as it stands: what is kept of it, and given again when a host starts or another node changed it.

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

impl ShopState {
    /// Everything that is kept of the shop. [`Cartwright::plan_restore`] makes a state of it again.
    pub fn snapshot(&self) -> ShopSnapshot {
        ShopSnapshot {
            shop: (*self.shop).clone(),
            accounts: self.accounts.values().map(|account| AccountSnapshot::of(account)).collect(),
            links: self.links.values().map(|linked| linked.link.clone()).collect(),
            replaced_links: self.replaced_links.values().map(|linked| linked.link.clone()).collect(),
        }
    }

    /// Everything that is kept of an account.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn account_snapshot(&self, account: &AccountId) -> Result<AccountSnapshot, SetupError> {
        Ok(AccountSnapshot::of(self.account(account)?))
    }
}

impl Cartwright {
    /// Plans a shop that is as its snapshot says. No plugin is asked, and nothing is compared: each value was checked when it was
    /// set. Install the components first, revoked ones among them.
    ///
    /// # Errors
    /// When a component that an account needs is not installed, or its form has no such field.
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
            let place = (link.shop_product.clone(), link.account.clone());
            state.replaced_links.insert(place, Arc::new(read_link(&state, link)?));
        }
        Ok(state)
    }

    /// Plans an account that is as its snapshot says, checked by its plugin and with the links that use it.
    ///
    /// # Errors
    /// Every wrong field at once, or [`SetupError::Links`].
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
