//! Prepared configurations: the data that planning needs whatever the quantity, computed once for all plans of a
//! request.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cartwright_cart::budget::OverBudget;
use cartwright_cart::error::CartError;
use cartwright_cart::plan::ItemFacts;
use cartwright_contract::error::{Breach, Failure, HookError};
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::Digest;
use cartwright_contract::records::{Decoded, Item, PriceSource};
use cartwright_contract::text;

use super::pipeline::{BudgetUsage, PlanPipeline};
use crate::shop::{Account, AccountVersion, CheckedLink, ShopState};

/// Maximum number of prepared configurations that a request keeps; a new one evicts the oldest. Lines of one
/// configuration are planned one after the other, so a few are enough, and the memory of a request does not grow with
/// its cart.
const MAX_PREPARED: usize = 4;

/// A configuration that was decoded, checked against the product link and fingerprinted, by one version of the
/// vendor's plugin.
///
/// The vendor's prices are not part of it: `price-items` receives the quantities and may return a price for them, so
/// each plan requests its own.
pub(super) struct Prepared {
    /// The configuration as the browser sent it. Empty for a product that is bought unconfigured.
    pub(super) raw: Vec<u8>,
    /// Digest of `raw`. `None` for a product that is bought unconfigured.
    pub(super) configuration: Option<Digest>,
    /// The result of the plugin's `decode`. The items have their states only if the vendor prices them.
    pub(super) decoded: Decoded,
    /// The fingerprint and the descendants of each item.
    pub(super) facts: Vec<ItemFacts>,
    state: Arc<ShopState>,
    linked: Arc<CheckedLink>,
    vendor: Arc<Account>,
    version: Arc<AccountVersion>,
    /// Whether a plan has used the budget that preparing counted.
    is_planned: AtomicBool,
}

impl Prepared {
    pub(super) fn items(&self) -> &[Item] {
        &self.decoded.items
    }

    /// Returns the items as a strategy receives them: without their states, which strategies do not use.
    pub(super) fn items_without_states(&self) -> Vec<Item> {
        let mut items = self.decoded.items.clone();
        items.iter_mut().for_each(|item| item.state = String::new());
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

    /// Returns whether a pipeline would prepare the configuration in the same way.
    fn is_for(&self, pipeline: &PlanPipeline<'_>) -> bool {
        Arc::ptr_eq(&self.state, &pipeline.state)
            && Arc::ptr_eq(&self.linked, &pipeline.linked)
            && Arc::ptr_eq(&self.vendor, &pipeline.vendor)
            && Arc::ptr_eq(&self.version, &pipeline.version)
    }
}

/// The most recent configurations that a request prepared.
#[derive(Default)]
pub(super) struct PreparedConfigurations {
    prepared: Mutex<VecDeque<Arc<Prepared>>>,
}

impl PreparedConfigurations {
    /// Returns the prepared configuration with this digest for the versions of a pipeline.
    pub(super) fn get(&self, configuration: Digest, pipeline: &PlanPipeline<'_>) -> Option<Arc<Prepared>> {
        let is_meant =
            |prepared: &&Arc<Prepared>| prepared.configuration == Some(configuration) && prepared.is_for(pipeline);
        self.lock().iter().find(is_meant).cloned()
    }

    /// Stores a prepared configuration for the other lines of the request.
    pub(super) fn keep(&self, prepared: &Arc<Prepared>) {
        let mut kept = self.lock();
        if kept.len() == MAX_PREPARED {
            kept.pop_front();
        }
        kept.push_back(prepared.clone());
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Prepared>>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PlanPipeline<'_> {
    /// Decodes a configuration, checks its products and fingerprints its items.
    ///
    /// # Errors
    /// Returns [`CartError::NeedsConfiguration`] without a configuration, unless the shop sells unconfigured;
    /// otherwise an error that describes the fault of the configuration.
    pub(super) async fn prepare(&mut self, raw: Option<Vec<u8>>) -> Result<Arc<Prepared>, CartError> {
        let prepared = self.prepare_configuration(raw).await;
        if let Err(error) = &prepared {
            self.record_failure(error);
        }
        prepared.map(Arc::new)
    }

    /// Continues with a configuration that another pipeline of the request prepared. Its warnings become this
    /// pipeline's as well.
    pub(super) fn reuse(&mut self, prepared: &Prepared) {
        self.warnings.extend(prepared.decoded.warnings.iter().cloned().map(text::message));
    }

    async fn prepare_configuration(&mut self, raw: Option<Vec<u8>>) -> Result<Prepared, CartError> {
        let raw = match raw {
            Some(raw) => raw,
            None if self.state.shop.sell_unconfigured => Vec::new(),
            None => return Err(CartError::NeedsConfiguration(self.product_link.shop_product.clone())),
        };
        self.budget_usage.begin(raw.len())?;
        self.stage_started = Instant::now();
        let configuration = self.begin_stage("decode").digest(&raw)?;
        let mut decoded = self.decode(&raw, configuration).await?;
        self.begin_stage("products").check_products(&decoded.items)?;
        let facts = self.begin_stage("identify").facts(&mut decoded.items).await?;
        if decoded.price_from != PriceSource::Vendor {
            decoded.items.iter_mut().for_each(|item| item.state = String::new());
        }
        Ok(Prepared {
            raw,
            configuration,
            decoded,
            facts,
            state: self.state.clone(),
            linked: self.linked.clone(),
            vendor: self.vendor.clone(),
            version: self.version.clone(),
            is_planned: AtomicBool::new(false),
        })
    }

    /// Returns the digest of a raw configuration after checking its size. `None` without a configuration.
    fn digest(&self, raw: &[u8]) -> Result<Option<Digest>, CartError> {
        let allowed = self.host.limits().bytes_in;
        if raw.len() > allowed {
            let failure = Failure::Limit(Breach::BytesIn { given: raw.len(), allowed });
            return Err(CartError::Hook(HookError::new(self.version.plugin.id(), Hook::Decode, failure)));
        }
        Ok((!raw.is_empty()).then(|| Digest::of(raw)))
    }
}
