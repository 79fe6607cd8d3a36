//! Jobs of a shop: read, retried and cancelled through a key that may be bound to that shop. The command line has the
//! jobs of all shops.

use std::time::SystemTime;

use cartwright::ShopId;
use cartwright_store::{JobDetail, RetryMode, Store, StoreError};

/// Reads a job of a shop.
///
/// # Errors
/// [`StoreError::NotFound`] when there is no such job, or it is another shop's.
pub async fn get(store: &Store, shop: &ShopId, id: &str) -> Result<JobDetail, StoreError> {
    let detail = store.jobs().get(id).await?;
    match detail.summary.shop == *shop {
        true => Ok(detail),
        false => Err(StoreError::NotFound { what: "job", id: id.to_owned() }),
    }
}

/// Runs a job of a shop once more, as soon as a worker is free.
///
/// # Errors
/// As [`get`], and as [`Jobs::retry`](cartwright_store::Jobs::retry) says.
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

/// Cancels a job of a shop: at once when it is not running, otherwise between two of its steps.
///
/// # Errors
/// As [`get`], and as [`Jobs::cancel`](cartwright_store::Jobs::cancel) says.
pub async fn cancel(store: &Store, shop: &ShopId, id: &str, actor: &str, now: SystemTime) -> Result<(), StoreError> {
    get(store, shop, id).await?;
    store.jobs().cancel(id, actor, now).await
}
