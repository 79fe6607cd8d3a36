//! Reading, retrying and cancelling the jobs of one shop. Callers whose access key is bound to a shop use this module;
//! the command line uses the store, which has the jobs of all shops.

use std::time::SystemTime;

use cartwright::ShopId;
use cartwright_store::{JobDetail, RetryMode, Store, StoreError};

/// Returns a job of a shop.
///
/// # Errors
/// Returns [`StoreError::NotFound`] if the shop has no such job.
pub async fn get(store: &Store, shop: &ShopId, id: &str) -> Result<JobDetail, StoreError> {
    let detail = store.jobs().get(id).await?;
    match detail.summary.shop == *shop {
        true => Ok(detail),
        false => Err(StoreError::NotFound { what: "job", id: id.to_owned() }),
    }
}

/// Retries a job of a shop as soon as a worker is free.
///
/// # Errors
/// Returns the errors of [`get`] and of [`Jobs::retry`](cartwright_store::Jobs::retry).
pub async fn retry(
    store: &Store,
    shop: &ShopId,
    id: &str,
    mode: RetryMode,
    actor: &str,
    now: SystemTime,
) -> Result<(), StoreError> {
    get(store, shop, id).await?;
    store.jobs().retry(id, mode, actor, now).await
}

/// Cancels a job of a shop: at once if it is not running, otherwise after its current step.
///
/// # Errors
/// Returns the errors of [`get`] and of [`Jobs::cancel`](cartwright_store::Jobs::cancel).
pub async fn cancel(store: &Store, shop: &ShopId, id: &str, actor: &str, now: SystemTime) -> Result<(), StoreError> {
    get(store, shop, id).await?;
    store.jobs().cancel(id, actor, now).await
}
