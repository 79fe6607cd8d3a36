//! Operations on webhooks: webhook URLs, pushed settings that wait for approval, and failed webhooks.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use cartwright::timestamp;
use cartwright::types::{Outcome, WebhookEndpoint};
use cartwright::webhook::Destination;
use cartwright::{AccountId, ShopId};
use cartwright_service::webhooks::{self, WebhookUrlError};
use cartwright_store::{AccountOutcomeState, PushedError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{PageQuery, next_cursor, no_cursor};
use crate::access::{Integrator, Reader};
use crate::extract::{Body, Path, Query};
use crate::idempotency::secret_response;
use crate::node::Node;
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(endpoints))
        .routes(routes!(list, create))
        .routes(routes!(revoke_url))
        .routes(routes!(failed_deliveries))
        .routes(routes!(pushed))
        .routes(routes!(approve))
        .routes(routes!(reject))
}

impl From<WebhookUrlError> for Problem {
    fn from(error: WebhookUrlError) -> Self {
        match error {
            WebhookUrlError::Setup(error) => error.into(),
            WebhookUrlError::Store(error) => error.into(),
            WebhookUrlError::UnknownEndpoint { .. } => Self::unprocessable("endpoint", error.to_string()),
            WebhookUrlError::UnknownUrl(_) => Self::not_found(error.to_string()),
        }
    }
}

impl From<PushedError> for Problem {
    fn from(error: PushedError) -> Self {
        match error {
            PushedError::Store(error) => error.into(),
            PushedError::Setup(error) => error.into(),
        }
    }
}

/// Lists the webhook endpoints of an account.
///
/// They follow from its settings: another setting may add or remove one.
#[utoipa::path(get, path = "/v1/shops/{shop}/accounts/{account}/webhook-endpoints", tag = "webhooks",
    operation_id = "list_webhook_endpoints", params(("shop" = ShopId, Path), ("account" = AccountId, Path)),
    responses((status = 200, body = [WebhookEndpoint]), Problems))]
async fn endpoints(
    _: Reader,
    State(node): State<Node>,
    Path((shop, account)): Path<(ShopId, AccountId)>,
) -> Result<Json<Vec<WebhookEndpoint>>, Problem> {
    Ok(Json(node.host().webhook_endpoints(&shop, &account).await?))
}

/// A webhook URL. The URL itself was shown only when it was created.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookUrlDocument {
    /// Id of the webhook URL.
    id: String,
    /// Account that receives the webhooks.
    account: AccountId,
    /// Webhook endpoint of the account.
    endpoint: String,
    /// Time of creation.
    #[schema(format = DateTime)]
    created_at: String,
    /// Time at which the URL expires or was revoked, if it was revoked.
    expires_at: Option<String>,
}

/// A page of webhook URLs.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookUrlPage {
    /// Webhook URLs, by account and endpoint.
    addresses: Vec<WebhookUrlDocument>,
    /// Value of `after` for the next page; `null` on the last page.
    after: Option<String>,
}

/// Lists the webhook URLs of a shop, including revoked ones.
#[utoipa::path(get, path = "/v1/shops/{shop}/webhook-urls", tag = "webhooks", operation_id = "list_webhook_urls",
    params(("shop" = ShopId, Path), PageQuery), responses((status = 200, body = WebhookUrlPage), Problems))]
async fn list(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<WebhookUrlPage>, Problem> {
    let limit = page.limit()?;
    let from = page.cursor()?;
    let addresses = node.store().webhooks().webhook_urls(&shop, from, limit).await?;
    let after = next_cursor(&addresses, limit, |address| address.stored.selector.to_string());
    let document = |address: cartwright_store::WebhookUrlInfo| WebhookUrlDocument {
        id: address.stored.selector.to_string(),
        account: address.stored.destination.account.clone(),
        endpoint: address.stored.destination.endpoint.clone(),
        created_at: timestamp(address.created_at),
        expires_at: address.stored.expires_at.map(timestamp),
    };
    Ok(Json(WebhookUrlPage { addresses: addresses.into_iter().map(document).collect(), after }))
}

/// The endpoint of a new webhook URL.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookUrlBody {
    /// Account that receives the webhooks.
    account: AccountId,
    /// Webhook endpoint of the account, by name.
    endpoint: String,
}

/// A created webhook URL. It is not shown again: give it to the vendor.
#[derive(Debug, Serialize, ToSchema)]
struct CreatedWebhookUrl {
    /// Id of the webhook URL.
    id: String,
    /// The webhook URL.
    url: String,
}

/// Creates a further webhook URL for an endpoint.
#[utoipa::path(post, path = "/v1/shops/{shop}/webhook-urls", tag = "webhooks", operation_id = "create_webhook_url",
    params(("shop" = ShopId, Path)), request_body = WebhookUrlBody, responses((status = 201, body = CreatedWebhookUrl), Problems))]
async fn create(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(WebhookUrlBody { account, endpoint }): Body<WebhookUrlBody>,
) -> Result<Response, Problem> {
    let destination = Destination { shop, account, endpoint };
    let token = webhooks::create_url(node.installation(), &destination, &caller.actor, node.now()).await?;
    let (id, url) = (token.selector().to_string(), node.webhook_url(&token));
    let help = format!(
        "the webhook URL {id} was created and is shown once; if the response was lost, revoke it and create another"
    );
    Ok(secret_response((StatusCode::CREATED, Json(CreatedWebhookUrl { id, url })), help))
}

/// Revokes a webhook URL at once.
#[utoipa::path(delete, path = "/v1/shops/{shop}/webhook-urls/{address}", tag = "webhooks",
    operation_id = "revoke_webhook_url", params(("shop" = ShopId, Path), ("address" = String, Path)),
    responses((status = 204), Problems))]
async fn revoke_url(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, address)): Path<(ShopId, String)>,
) -> Result<StatusCode, Problem> {
    webhooks::revoke_url(node.store(), &shop, &address, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A failed webhook delivery. Its body is not shown.
#[derive(Debug, Serialize, ToSchema)]
struct FailedWebhookDocument {
    /// Id of the delivery.
    id: String,
    /// Account that received the webhook.
    account: AccountId,
    /// Webhook endpoint of the plugin.
    endpoint: String,
    /// Time of the last attempt.
    #[schema(format = DateTime)]
    at: String,
    /// Number of attempts.
    attempts: u64,
    /// Why the delivery failed; `null` while it runs.
    reason: Option<String>,
}

/// A page of failed webhooks.
#[derive(Debug, Serialize, ToSchema)]
struct FailedWebhookPage {
    /// Failed deliveries, latest first.
    notices: Vec<FailedWebhookDocument>,
    /// Value of `after` for the next page; `null` on the last page.
    after: Option<String>,
}

/// Lists the failed webhooks.
///
/// Their vendors may send them again.
#[utoipa::path(get, path = "/v1/shops/{shop}/failed-webhooks", tag = "webhooks", operation_id = "list_failed_webhooks",
    params(("shop" = ShopId, Path), PageQuery), responses((status = 200, body = FailedWebhookPage), Problems))]
async fn failed_deliveries(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<FailedWebhookPage>, Problem> {
    let limit = page.limit()?;
    // The cursor holds time and id, because a webhook that was sent again in the meantime has another position in the
    // list.
    let from = page.after.as_deref().map(|after| parse_cursor(after).ok_or_else(no_cursor)).transpose()?;
    let notices = node.store().webhooks().failed_webhook_deliveries(&shop, from, limit).await?;
    let after = next_cursor(&notices, limit, |delivery| format!("{}~{}", milliseconds(delivery.at), delivery.id));
    let document = |delivery: cartwright_store::FailedWebhookDelivery| FailedWebhookDocument {
        id: delivery.id,
        account: delivery.destination.account,
        endpoint: delivery.destination.endpoint,
        at: timestamp(delivery.at),
        attempts: delivery.attempts,
        reason: delivery.reason,
    };
    Ok(Json(FailedWebhookPage { notices: notices.into_iter().map(document).collect(), after }))
}

fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn parse_cursor(after: &str) -> Option<(SystemTime, &str)> {
    let (at, id) = after.split_once('~')?;
    let at = i64::try_from(at.parse::<u64>().ok()?).ok()?;
    Some((SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at.unsigned_abs()))?, id))
}

/// Settings or another outcome that a vendor pushed for an account rather than for an order.
#[derive(Debug, Serialize, ToSchema)]
struct PushedSettingsDocument {
    /// Id of the entry.
    id: String,
    /// Account that the vendor pushed to.
    account: AccountId,
    /// Time of the webhook.
    #[schema(format = DateTime)]
    at: String,
    /// State: "new", "pending-approval", "applied", "superseded", "rejected" or "resolved".
    state: &'static str,
    /// Why the entry waits for approval.
    reason: Option<String>,
    /// Outcome that the vendor pushed.
    outcome: Outcome,
}

/// A page of pushed settings.
#[derive(Debug, Serialize, ToSchema)]
struct PushedSettingsPage {
    /// Entries, oldest first.
    pushed: Vec<PushedSettingsDocument>,
    /// Value of `after` for the next page; `null` on the last page.
    after: Option<String>,
}

/// Lists the pushed settings that wait for approval.
///
/// These are settings that decide what runs on the shop's pages.
#[utoipa::path(get, path = "/v1/shops/{shop}/pushed-settings", tag = "webhooks", operation_id = "list_pushed_settings",
    params(("shop" = ShopId, Path), PageQuery), responses((status = 200, body = PushedSettingsPage), Problems))]
async fn pushed(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<PushedSettingsPage>, Problem> {
    let limit = page.limit()?;
    let pending_state = Some(AccountOutcomeState::PendingApproval);
    let pushed = node.store().webhooks().account_outcomes(&shop, pending_state, page.after.as_deref(), limit).await?;
    let after = next_cursor(&pushed, limit, |outcome| outcome.id.clone());
    let document = |outcome: cartwright_store::AccountOutcome| PushedSettingsDocument {
        id: outcome.id,
        account: outcome.account,
        at: timestamp(outcome.at),
        state: outcome.state.name(),
        reason: outcome.reason,
        outcome: outcome.outcome,
    };
    Ok(Json(PushedSettingsPage { pushed: pushed.into_iter().map(document).collect(), after }))
}

/// Approves pushed settings: they are checked as any change is, and stored in the account.
#[utoipa::path(post, path = "/v1/shops/{shop}/pushed-settings/{id}/approve", tag = "webhooks",
    operation_id = "approve_pushed_settings", params(("shop" = ShopId, Path), ("id" = String, Path)),
    responses((status = 204), Problems))]
async fn approve(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
) -> Result<StatusCode, Problem> {
    webhooks::approve_settings(node.installation(), &shop, &id, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rejects pushed settings; the account stays unchanged.
#[utoipa::path(post, path = "/v1/shops/{shop}/pushed-settings/{id}/reject", tag = "webhooks",
    operation_id = "reject_pushed_settings", params(("shop" = ShopId, Path), ("id" = String, Path)),
    responses((status = 204), Problems))]
async fn reject(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
) -> Result<StatusCode, Problem> {
    webhooks::reject_settings(node.installation(), &shop, &id, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
