//! Orders with their jobs and outcomes.

use cartwright::ShopId;
use cartwright::types::Order;
use cartwright_store::{JobFilter, JobSummary, Store, StoreError, StoredOutcome};

/// Maximum number of jobs in an overview. An order has one job per event and account, so all of them are returned in
/// practice.
const MAX_JOBS: u32 = 1000;

/// An order with its jobs and outcomes.
#[derive(Debug)]
pub struct OrderOverview {
    /// The newest version of the order.
    pub order: Order,
    /// The jobs of its events, oldest first.
    pub jobs: Vec<JobSummary>,
    /// The outcomes that plugins reported, oldest first.
    pub outcomes: Vec<StoredOutcome>,
}

/// Returns an order of a shop with its jobs and outcomes. `None` if the platform has not reported the order.
///
/// # Errors
/// Returns an error if the database fails.
pub async fn overview(store: &Store, shop: &ShopId, id: &str) -> Result<Option<OrderOverview>, StoreError> {
    let Some(order) = store.orders().get(shop, id).await? else { return Ok(None) };
    let outcomes = store.outcomes().list(shop, id).await?;
    let filter = JobFilter { shop: Some(shop.clone()), order: Some(id.to_owned()), ..JobFilter::default() };
    let jobs = store.jobs().list(&filter, MAX_JOBS).await?;
    Ok(Some(OrderOverview { order, jobs, outcomes }))
}
