//! Publication of planned changes: [`Cartwright::publish`] is the only function that changes what a shop serves.
//!
//! Every change has two steps. A `plan_…` function, or a method of [`ShopState`], checks the change and returns the
//! resulting state; that state is then published in place of the one that it was planned on. If another change was
//! published first, the change is planned again on the new state, so no change is lost and no lock is held while a
//! plugin runs. A change in memory does just this; a change on a database is stored between the two steps.

use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use cartwright_cart::shop::Shop;
use cartwright_contract::error::{ProductLinkIssues, SetupError};
use cartwright_contract::ids::{AccountId, Digest, ShopId};

use crate::host::{Cartwright, read, write};
use crate::shop::{AccountSetup, ProductLink, ShopState};
use crate::snapshot::ShopSnapshot;
use crate::switch::{NewHostPolicy, Revocation, VersionSwitch};

/// The error of a plan whose shop was changed meanwhile. Plan the change again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shop was changed after this change was planned; plan it again")]
pub struct OutdatedPlan;

impl Cartwright {
    /// Returns the ids of all shops.
    pub fn shop_ids(&self) -> Vec<ShopId> {
        read(self.shops()).keys().cloned().collect()
    }

    /// Returns the served state of a shop.
    ///
    /// # Errors
    /// Returns an error if the shop does not exist.
    pub fn shop_state(&self, shop: &ShopId) -> Result<Arc<ShopState>, SetupError> {
        let served = read(self.shops()).get(shop).map(|served| served.load_full());
        served.ok_or_else(|| SetupError::UnknownShop(shop.clone()))
    }

    /// Returns a snapshot of the served state of a shop, which a store can save.
    ///
    /// # Errors
    /// Returns an error if the shop does not exist.
    pub fn snapshot(&self, shop: &ShopId) -> Result<ShopSnapshot, SetupError> {
        Ok(self.shop_state(shop)?.snapshot())
    }

    /// Serves a planned state in place of `expected`, the state that it was planned on. `expected` is `None` for a new
    /// shop. Calls in flight end with the state that they began with.
    ///
    /// # Errors
    /// Returns [`OutdatedPlan`] if another state is served meanwhile; nothing changes then.
    pub fn publish(&self, expected: Option<&Arc<ShopState>>, planned: ShopState) -> Result<(), OutdatedPlan> {
        let (shop, planned) = (planned.shop.id.clone(), Arc::new(planned));
        let Some(expected) = expected else {
            return match write(self.shops()).entry(shop) {
                Entry::Occupied(_) => Err(OutdatedPlan),
                Entry::Vacant(entry) => {
                    entry.insert(Arc::new(ArcSwap::new(planned)));
                    Ok(())
                }
            };
        };
        let served = read(self.shops()).get(&shop).cloned().ok_or(OutdatedPlan)?;
        let found = served.compare_and_swap(expected, planned);
        if Arc::ptr_eq(&found, expected) { Ok(()) } else { Err(OutdatedPlan) }
    }

    /// Revokes a plugin version by a [plan](Self::plan_revocation).
    pub fn publish_revocation(&self, planned: Revocation) {
        let Revocation { digest, replacement } = planned;
        write(self.revoked()).insert(digest, replacement);
    }

    /// Adds a shop.
    ///
    /// # Errors
    /// Returns an error if the shop exists, or if a value is invalid.
    pub fn add_shop(&self, shop: Shop) -> Result<(), SetupError> {
        let exists = SetupError::AlreadyExists(format!("the shop {}", shop.id));
        self.publish(None, ShopState::new(shop)?).map_err(|OutdatedPlan| exists)
    }

    /// Adds or changes an account, as [planned](Self::plan_account).
    ///
    /// # Errors
    /// The same as [`plan_account`](Self::plan_account); the account is unchanged.
    pub async fn set_account(&self, shop: &ShopId, plugin: Digest, setup: AccountSetup) -> Result<(), SetupError> {
        loop {
            let state = self.shop_state(shop)?;
            let planned = self.plan_account(&state, plugin, &setup).await?;
            if self.publish(Some(&state), planned).is_ok() {
                return Ok(());
            }
        }
    }

    /// Adds or changes product links, all of them or none, as [planned](Self::plan_links). Returns the plugins'
    /// warnings.
    ///
    /// # Errors
    /// The same as [`plan_links`](Self::plan_links); the links are unchanged.
    pub async fn link(&self, shop: &ShopId, links: &[ProductLink]) -> Result<Vec<ProductLinkIssues>, SetupError> {
        loop {
            let state = self.shop_state(shop)?;
            let (planned, warnings) = self.plan_links(&state, links).await?;
            if self.publish(Some(&state), planned).is_ok() {
                return Ok(warnings);
            }
        }
    }

    /// Removes a product link, as [planned](ShopState::without_link).
    ///
    /// # Errors
    /// Returns an error if the shop does not exist, or the product is not linked.
    pub fn unlink(&self, shop: &ShopId, product: &str) -> Result<(), SetupError> {
        loop {
            let state = self.shop_state(shop)?;
            let planned = state.without_link(product)?;
            if self.publish(Some(&state), planned).is_ok() {
                return Ok(());
            }
        }
    }

    /// Switches an account to another version of its plugin, as [planned](Self::plan_version_switch).
    ///
    /// # Errors
    /// The same as [`plan_version_switch`](Self::plan_version_switch); the account then stays with its version.
    pub async fn switch_version(
        &self,
        shop: &ShopId,
        account: &AccountId,
        to: Digest,
        hosts: NewHostPolicy,
    ) -> Result<VersionSwitch, SetupError> {
        loop {
            let state = self.shop_state(shop)?;
            let from = state.account(account)?.current;
            let planned = self.plan_version_switch(&state, account, to, hosts).await?;
            let publishing = Instant::now();
            let published = self.publish(Some(&state), planned);
            let lock_duration = publishing.elapsed();
            if published.is_ok() {
                return Ok(VersionSwitch { shop: shop.clone(), account: account.clone(), from, to, lock_duration });
            }
        }
    }

    /// Revokes a plugin version, as [planned](Self::plan_revocation).
    ///
    /// # Errors
    /// The same as [`plan_revocation`](Self::plan_revocation).
    pub fn revoke(&self, digest: Digest, replacement: Option<Digest>) -> Result<(), SetupError> {
        self.publish_revocation(self.plan_revocation(digest, replacement)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cartwright_contract::settings::Secret;

    use super::*;

    fn shop(currency: &str) -> Shop {
        Shop::new("rings".parse().unwrap(), currency, 2, Secret::new("a key of the tests, 32 bytes long"))
    }

    #[test]
    fn a_plan_that_another_change_made_outdated_is_not_published() {
        let host = Cartwright::builder().start().unwrap();
        host.add_shop(shop("EUR")).unwrap();
        assert!(matches!(host.add_shop(shop("GBP")), Err(SetupError::AlreadyExists(_))));
        let id = shop("EUR").id;
        let state = host.shop_state(&id).unwrap();
        let (first, second) = (state.with_shop(shop("CHF")).unwrap(), state.with_shop(shop("NOK")).unwrap());
        assert_eq!(host.shop(&id).unwrap().currencies.main().code, "EUR", "a plan changes nothing");
        assert_eq!(host.publish(Some(&state), first), Ok(()));
        assert_eq!(host.publish(Some(&state), second.clone()), Err(OutdatedPlan));
        assert_eq!(host.publish(None, second.clone()), Err(OutdatedPlan));
        assert_eq!(host.shop(&id).unwrap().currencies.main().code, "CHF");
        assert_eq!(host.publish(Some(&host.shop_state(&id).unwrap()), second), Ok(()));
        assert_eq!(host.shop(&id).unwrap().currencies.main().code, "NOK");
    }
}
