//! Webhook URLs for vendors, and settings that vendors pushed.

use std::time::SystemTime;

use cartwright::webhook::{Destination, Selector, WebhookToken};
use cartwright::{AccountId, SetupError, ShopId};
use cartwright_store::{Installation, PushedError, Store, StoreError};

/// Why a webhook URL was not created or revoked.
#[derive(Debug, thiserror::Error)]
pub enum WebhookUrlError {
    /// The account has no such endpoint.
    #[error("{account} has no webhook endpoint {endpoint:?}; under its settings it has: {known}")]
    UnknownEndpoint {
        /// The account.
        account: AccountId,
        /// The endpoint.
        endpoint: String,
        /// The endpoints that the account has.
        known: String,
    },
    /// There is no webhook URL with this id.
    #[error("webhook URL {0} not found")]
    UnknownUrl(String),
    /// There is no such shop or account.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The store failed, or has no such account or URL.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Creates a further webhook URL for an endpoint of an account. [`WebhookToken::reveal`] shows the last segment of the
/// URL, which cannot be read again.
///
/// # Errors
/// Returns an error if the account has no such endpoint under its settings, or if there is no such account.
pub async fn create_url(
    installation: &Installation,
    destination: &Destination,
    actor: &str,
    now: SystemTime,
) -> Result<WebhookToken, WebhookUrlError> {
    let endpoints = installation.host().webhook_endpoints(&destination.shop, &destination.account).await?;
    let known: Vec<&str> = endpoints.iter().map(|known| known.name.as_str()).collect();
    if !known.contains(&destination.endpoint.as_str()) {
        return Err(WebhookUrlError::UnknownEndpoint {
            account: destination.account.clone(),
            endpoint: destination.endpoint.clone(),
            known: known.join(", "),
        });
    }
    Ok(installation.store().webhooks().create_webhook_url(destination, actor, now).await?)
}

/// Revokes a webhook URL of a shop at once.
///
/// # Errors
/// Returns [`WebhookUrlError::UnknownUrl`] if the shop has no URL with this id.
pub async fn revoke_url(
    store: &Store,
    shop: &ShopId,
    id: &str,
    actor: &str,
    now: SystemTime,
) -> Result<(), WebhookUrlError> {
    let selector: Selector = id.parse().map_err(|_| WebhookUrlError::UnknownUrl(id.to_owned()))?;
    Ok(store.webhooks().revoke_webhook_url(shop, selector, now, actor, now).await?)
}

/// Approves settings that a vendor pushed: the account gets them, after the checks of any change.
///
/// # Errors
/// Returns an error if there is no such shop, and the errors of
/// [`Webhooks::approve_pushed_settings`](cartwright_store::Webhooks::approve_pushed_settings).
pub async fn approve_settings(
    installation: &Installation,
    shop: &ShopId,
    id: &str,
    actor: &str,
    now: SystemTime,
) -> Result<(), PushedError> {
    let host = installation.host();
    host.shop(shop)?;
    installation.store().webhooks().approve_pushed_settings(host, shop, id, actor, now).await
}

/// Rejects settings that a vendor pushed: the account keeps its current ones.
///
/// # Errors
/// Returns an error if there is no such shop, and the errors of
/// [`Webhooks::reject_pushed_settings`](cartwright_store::Webhooks::reject_pushed_settings).
pub async fn reject_settings(
    installation: &Installation,
    shop: &ShopId,
    id: &str,
    actor: &str,
    now: SystemTime,
) -> Result<(), PushedError> {
    installation.host().shop(shop)?;
    Ok(installation.store().webhooks().reject_pushed_settings(shop, id, actor, now).await?)
}
