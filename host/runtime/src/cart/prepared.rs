//! Prepared configurations: the data that planning needs whatever the quantity, computed once for all plans of a
//! request.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cartwright_cart::budget::OverBudget;
use cartwright_cart::plan::ItemFacts;
use cartwright_contract::ids::Digest;
use cartwright_contract::records::{DecodeResult, Item};

use super::budget_usage::BudgetUsage;
use crate::shop::{Account, AccountVersion, CheckedLink, ShopState};

/// Maximum number of prepared configurations that a request keeps; a new one evicts the oldest. Lines of one
/// configuration are planned one after the other, so a few are enough, and the memory of a request does not grow with
/// its cart.
const MAX_PREPARED: usize = 4;

/// A raw configuration, before it is prepared.
pub(super) enum RawConfiguration {
    /// What a page sent. The vendor's server may have to resolve it.
    FromPage(Vec<u8>),
    /// What is stored for a line.
    Stored(Vec<u8>),
}

/// A configuration that was decoded, checked against the product link and fingerprinted, by one version of the
/// vendor's plugin.
///
/// The vendor's prices are not part of it: `price-items` receives the quantities and may return a price for them, so
/// each plan requests its own.
pub(super) struct Prepared {
    /// The configuration: what the browser sent, or what the vendor's server returned for that. Empty for a product that
    /// is bought unconfigured.
    pub(super) raw: Arc<Vec<u8>>,
    /// Digest of `raw`. `None` for a product that is bought unconfigured.
    pub(super) configuration: Option<Digest>,
    /// Whether the vendor's server returned `raw` for this request, so that it did not come through a browser.
    pub(super) is_verified: bool,
    /// The result of the plugin's `decode`. The items have their states and files only if the vendor prices them.
    pub(super) decoded: DecodeResult,
    /// The fingerprint and the descendants of each item.
    pub(super) facts: Vec<ItemFacts>,
    key: PreparationKey,
    /// Whether a plan has used the budget that preparing counted.
    is_planned: AtomicBool,
}

/// The set-up that a configuration was prepared with. Pipelines with equal keys prepare it in the same way.
pub(super) struct PreparationKey {
    pub(super) state: Arc<ShopState>,
    pub(super) linked: Arc<CheckedLink>,
    pub(super) vendor: Arc<Account>,
    pub(super) version: Arc<AccountVersion>,
}

impl PreparationKey {
    fn equals(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
            && Arc::ptr_eq(&self.linked, &other.linked)
            && Arc::ptr_eq(&self.vendor, &other.vendor)
            && Arc::ptr_eq(&self.version, &other.version)
    }
}

impl Prepared {
    pub(super) fn new(
        raw: Arc<Vec<u8>>,
        configuration: Option<Digest>,
        is_verified: bool,
        decoded: DecodeResult,
        facts: Vec<ItemFacts>,
        key: PreparationKey,
    ) -> Self {
        Self { raw, configuration, is_verified, decoded, facts, key, is_planned: AtomicBool::new(false) }
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.decoded.items
    }

    /// Returns the items as a strategy receives them: without their states and the bytes of files, which strategies do
    /// not use.
    pub(super) fn items_for_strategy(&self) -> Vec<Item> {
        let mut items = self.decoded.items.clone();
        drop_hashed_bytes(&mut items);
        items
    }

    /// Counts a plan of this configuration. Preparing counted the first plan; each further plan counts the same again.
    ///
    /// # Errors
    /// Returns [`OverBudget`] if the request has planned too much.
    pub(super) fn count_plan(&self, budget_usage: &BudgetUsage) -> Result<(), OverBudget> {
        if self.is_planned.swap(true, Ordering::Relaxed) {
            budget_usage.begin(self.raw.len())?;
            budget_usage.items(self.decoded.items.len())?;
        }
        Ok(())
    }
}

/// The most recent configurations that a request prepared.
#[derive(Default)]
pub(super) struct PreparedConfigurations {
    prepared: Mutex<VecDeque<Arc<Prepared>>>,
}

impl PreparedConfigurations {
    /// Returns the configuration with this digest that was prepared with this key.
    pub(super) fn get(&self, configuration: Digest, key: &PreparationKey) -> Option<Arc<Prepared>> {
        let is_meant =
            |prepared: &&Arc<Prepared>| prepared.configuration == Some(configuration) && prepared.key.equals(key);
        self.lock().iter().find(is_meant).cloned()
    }

    /// Stores a prepared configuration for the other lines of the request.
    pub(super) fn keep(&self, prepared: &Arc<Prepared>) {
        let mut configurations = self.lock();
        if configurations.len() == MAX_PREPARED {
            configurations.pop_front();
        }
        configurations.push_back(prepared.clone());
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Prepared>>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes what only fingerprints are computed from: the states of items, and the bytes of files.
pub(super) fn drop_hashed_bytes(items: &mut [Item]) {
    for item in items {
        item.state = String::new();
        item.attributes.iter_mut().for_each(|attribute| attribute.file = None);
    }
}
