//! Operations on a platform's notification endpoint. Notifications are signed (Standard Webhooks) and delivered at
//! least once.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use cartwright::timestamp;
use cartwright::{Grants, Secret, ShopId};
use cartwright_service::notifications::{self, SECRET_OVERLAP, SetEndpointError};
use cartwright_store::{EndpointError, NotificationState, StoredNotification, endpoint_version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{PageQuery, next_cursor};
use crate::access::Backend;
use crate::extract::{Body, Path, Precondition, Query, Tagged};
use crate::idempotency::secret_response;
use crate::node::Node;
use crate::problem::{Problem, Problems};

/// Help text for a client that lost the response with a new secret.
const LOST_SECRET_HELP: &str =
    "the endpoint has a new signing secret, which is shown once; if the response was lost, rotate it";

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(read, set, remove))
        .routes(routes!(rotate))
        .routes(routes!(undelivered))
        .routes(routes!(retry_notification))
}

impl From<SetEndpointError> for Problem {
    fn from(error: SetEndpointError) -> Self {
        match error {
            SetEndpointError::Setup(error) => error.into(),
            SetEndpointError::Grants(error) => error.into(),
            SetEndpointError::Endpoint(error) => error.into(),
        }
    }
}

impl From<EndpointError> for Problem {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Change(error) => error.into(),
            EndpointError::Store(error) => error.into(),
            error => Self::unprocessable("endpoint", error.to_string()),
        }
    }
}

/// The notification endpoint of a platform.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndpointDocument {
    /// URL of the endpoint; https.
    url: String,
    /// Exceptions to public addresses and TLS: `networks` may be reached, and the hosts in `plain_http` without TLS.
    #[serde(default)]
    grants: Grants,
}

/// The endpoint, with its signing secret if that is new.
#[derive(Debug, Serialize, ToSchema)]
struct SetEndpoint {
    /// Secret that notifications are signed with, `whsec_…`. It is not shown again; `null` if the endpoint keeps its
    /// secret.
    secret: Option<String>,
}

fn shown(secret: &Secret) -> String {
    String::from_utf8_lossy(secret.expose()).into_owned()
}

/// Returns the notification endpoint.
///
/// Its ETag identifies the endpoint's current content.
#[utoipa::path(get, path = "/v1/shops/{shop}/notification-endpoint", tag = "notifications",
    operation_id = "read_notification_endpoint", params(("shop" = ShopId, Path)),
    responses((status = 200, body = EndpointDocument), Problems))]
async fn read(
    _: Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
) -> Result<Tagged<EndpointDocument>, Problem> {
    let endpoint = node.store().notifications().endpoint(&shop).await?;
    let missing = || Problem::not_found(format!("the shop {shop} has no notification endpoint"));
    let endpoint = endpoint.ok_or_else(missing)?;
    let version = endpoint_version(&endpoint);
    Ok(Tagged(version, EndpointDocument { url: endpoint.url, grants: endpoint.grants }))
}

/// Sets the notification endpoint.
///
/// Everything that happens from now on is notified there.
#[utoipa::path(put, path = "/v1/shops/{shop}/notification-endpoint", tag = "notifications",
    operation_id = "set_notification_endpoint", params(("shop" = ShopId, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of the last read."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if the shop has no endpoint.")),
    request_body = EndpointDocument, responses((status = 200, body = SetEndpoint), Problems))]
async fn set(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    precondition: Precondition,
    Body(EndpointDocument { url, grants }): Body<EndpointDocument>,
) -> Result<Response, Problem> {
    let (installation, expected, actor) = (node.installation(), precondition.expected(), caller.as_actor());
    let (endpoint, secret) =
        notifications::set_endpoint(installation, &shop, url, Some(grants), expected, actor, node.now()).await?;
    let set = Tagged(endpoint_version(&endpoint), SetEndpoint { secret: secret.as_ref().map(shown) });
    Ok(if secret.is_some() { secret_response(set, LOST_SECRET_HELP) } else { set.into_response() })
}

/// Removes the notification endpoint.
///
/// Pending notifications are deleted.
#[utoipa::path(delete, path = "/v1/shops/{shop}/notification-endpoint", tag = "notifications",
    operation_id = "remove_notification_endpoint", params(("shop" = ShopId, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of the last read.")),
    responses((status = 204), Problems))]
async fn remove(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    precondition: Precondition,
) -> Result<StatusCode, Problem> {
    let expected = precondition.expected();
    node.store().notifications().remove_endpoint(&shop, expected, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the endpoint a new signing secret.
///
/// For a day, notifications are signed with the previous secret too.
#[utoipa::path(post, path = "/v1/shops/{shop}/notification-endpoint/rotate", tag = "notifications",
    operation_id = "rotate_notification_secret", params(("shop" = ShopId, Path)),
    responses((status = 200, body = SetEndpoint), Problems))]
async fn rotate(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
) -> Result<Response, Problem> {
    let secret = node.store().notifications().rotate_secret(&shop, SECRET_OVERLAP, &caller.actor, node.now()).await?;
    Ok(secret_response(Json(SetEndpoint { secret: Some(shown(&secret)) }), LOST_SECRET_HELP))
}

/// A notification that was not delivered yet.
#[derive(Debug, Serialize, ToSchema)]
struct NotificationDocument {
    /// Id that the platform sees.
    id: String,
    /// Whether the notification is retried automatically.
    is_retrying: bool,
    /// Number of delivery attempts.
    attempts: u32,
    /// Why the last attempt failed.
    reason: Option<String>,
    /// Time of creation.
    #[schema(format = DateTime)]
    created: String,
    /// Body of the notification.
    body: String,
}

/// A page of undelivered notifications.
#[derive(Debug, Serialize, ToSchema)]
struct NotificationPage {
    /// Notifications, oldest first.
    notifications: Vec<NotificationDocument>,
    /// Value of `after` for the next page; `null` on the last page.
    after: Option<String>,
}

/// Lists the notifications that were not delivered yet.
#[utoipa::path(get, path = "/v1/shops/{shop}/notifications", tag = "notifications", operation_id = "list_notifications",
    params(("shop" = ShopId, Path), PageQuery), responses((status = 200, body = NotificationPage), Problems))]
async fn undelivered(
    _: Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<NotificationPage>, Problem> {
    let limit = page.limit()?;
    let from = page.cursor()?;
    let document = |notification: StoredNotification| NotificationDocument {
        id: notification.id,
        is_retrying: matches!(notification.state, NotificationState::Waiting { .. }),
        attempts: notification.attempt,
        reason: notification.reason,
        created: timestamp(notification.created),
        body: notification.body,
    };
    let notifications = node.store().notifications().list(&shop, false, from, limit).await?;
    let after = next_cursor(&notifications, limit, |notification| notification.number.to_string());
    Ok(Json(NotificationPage { notifications: notifications.into_iter().map(document).collect(), after }))
}

/// Retries a failed notification.
#[utoipa::path(post, path = "/v1/shops/{shop}/notifications/{id}/retry", tag = "notifications",
    operation_id = "retry_notification", params(("shop" = ShopId, Path), ("id" = String, Path)),
    responses((status = 204), Problems))]
async fn retry_notification(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
) -> Result<StatusCode, Problem> {
    node.store().notifications().retry(&shop, &id, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
