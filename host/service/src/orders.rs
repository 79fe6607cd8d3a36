//! An order as the host knows it.

use cartwright::ShopId;
use cartwright::types::Order;
use cartwright_store::{JobFilter, JobSummary, Store, StoreError, StoredOutcome};

/// Maximum number of jobs that are read of an order. It has few; this is a bound, not a page.
const MAX_JOBS: u32 = 1000;

/// An order with what was done about it.
#[derive(Debug)]
pub struct OrderOverview {
    /// The order in its newest version.
    pub order: Order,
    /// The jobs that handle its events.
    pub jobs: Vec<JobSummary>,
    /// What plugins said of it, in order.
    pub outcomes: Vec<StoredOutcome>,
}

/// Reads an order of a shop; `None` if nothing was reported of it yet.
///
/// # Errors
/// As the database says.
pub async fn overview(store: &Store, shop: &ShopId, id: &str) -> Result<Option<OrderOverview>, StoreError> {
    let Some(order) = store.orders().get(shop, id).await? else { return Ok(None) };
    let outcomes = store.outcomes().list(shop, id).await?;
    let filter = JobFilter { shop: Some(shop.clone()), order: Some(id.to_owned()), ..JobFilter::default() };
    let jobs = store.jobs().list(&filter, MAX_JOBS).await?;
    Ok(Some(OrderOverview { order, jobs, outcomes }))
}
