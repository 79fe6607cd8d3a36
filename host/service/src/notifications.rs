//! The endpoint that receives a shop's notifications.

use std::time::{Duration, SystemTime};

use cartwright::{Grants, Secret, SetupError, ShopId};
use cartwright_store::{EndpointError, Expected, Installation, NotificationEndpoint};

use crate::actor::{Actor, GrantRefused};

/// Time for which notifications are signed with the old secret too after a rotation.
pub const SECRET_OVERLAP: Duration = Duration::from_secs(86_400);

/// Why an endpoint was not set. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SetEndpointError {
    /// There is no such shop.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The actor may not grant this.
    #[error(transparent)]
    Grants(#[from] GrantRefused),
    /// The URL cannot be used, or the endpoint is not as expected.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

/// Sets the endpoint of a shop. If `grants` is `None`, the current grants stay. Returns the endpoint, and the signing
/// secret if it is new; it cannot be read again.
///
/// # Errors
/// Returns [`SetEndpointError::Grants`] if the actor may not give these grants, and the errors of
/// [`Notifications::set_endpoint`](cartwright_store::Notifications::set_endpoint).
pub async fn set_endpoint(
    installation: &Installation,
    shop: &ShopId,
    url: String,
    grants: Option<Grants>,
    expected: Expected<'_>,
    actor: Actor<'_>,
    now: SystemTime,
) -> Result<(NotificationEndpoint, Option<Secret>), SetEndpointError> {
    installation.host().shop(shop)?;
    let decide_grants = |granted: &Grants| -> Result<Grants, SetEndpointError> {
        let wanted = grants.unwrap_or_else(|| granted.clone());
        actor.check_grants(granted, &wanted)?;
        Ok(wanted)
    };
    let notifications = installation.store().notifications();
    notifications.set_endpoint(shop, url, decide_grants, expected, actor.name, now).await
}
