//! Webhooks: the addresses that vendors are given, what they pushed and waits for a person, and notices that failed.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use cartwright::types::Outcome;
use cartwright::webhook::{Destination, Selector};
use cartwright::{AccountId, SetupError, ShopId};
use cartwright_service::documents::moment;
use cartwright_store::{AccountOutcomeState, PushedError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{PageQuery, after, no_cursor};
use crate::access::{Integrator, Reader};
use crate::extract::{Body, Path, Query};
use crate::idempotency::secret_response;
use crate::node::Node;
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke_url))
        .routes(routes!(failed_deliveries))
        .routes(routes!(pushed))
        .routes(routes!(approve))
        .routes(routes!(refuse))
}

impl From<PushedError> for Problem {
    fn from(error: PushedError) -> Self {
        match error {
            PushedError::Store(error) => error.into(),
            PushedError::Setup(error) => error.into(),
        }
    }
}

/// An address that a vendor sends webhooks to. The address itself was shown once, when it was made.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookUrlDocument {
    /// What it is found by.
    id: String,
    /// The account.
    account: AccountId,
    /// The plugin's endpoint.
    endpoint: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends or ended, where a person said so.
    expires_at: Option<String>,
}

/// Some webhook addresses.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookUrlPage {
    /// By account and endpoint.
    addresses: Vec<WebhookUrlDocument>,
    /// What `after` gives the next page; none at the end.
    after: Option<String>,
}

/// A shop's webhook addresses, those that ended included.
#[utoipa::path(get, path = "/v1/shops/{shop}/webhook-urls", tag = "webhooks", operation_id = "list_webhook_addresses",
    params(("shop" = ShopId, Path), PageQuery), responses((status = 200, body = WebhookUrlPage), Problems))]
async fn list(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(part): Query<PageQuery>,
) -> Result<Json<WebhookUrlPage>, Problem> {
    let limit = part.limit()?;
    let from = part.after.map(|after| after.parse().map_err(|_| no_cursor())).transpose()?;
    let addresses = node.store().webhooks().webhook_urls(&shop, from, limit).await?;
    let after = after(&addresses, limit, |address| address.stored.selector.to_string());
    let document = |address: cartwright_store::WebhookUrlInfo| WebhookUrlDocument {
        id: address.stored.selector.to_string(),
        account: address.stored.destination.account.clone(),
        endpoint: address.stored.destination.endpoint.clone(),
        created_at: moment(address.created_at),
        expires_at: address.stored.expires_at.map(moment),
    };
    Ok(Json(WebhookUrlPage { addresses: addresses.into_iter().map(document).collect(), after }))
}

/// Which endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookUrlBody {
    /// The account.
    account: AccountId,
    /// The endpoint, as its plugin names it.
    endpoint: String,
}

/// An address that was made. It is shown now and never again: give it to the vendor.
#[derive(Debug, Serialize, ToSchema)]
struct CreatedWebhookUrl {
    /// What it is found by.
    id: String,
    /// The address.
    url: String,
}

/// Makes a new address for an endpoint, beside those that it has.
#[utoipa::path(post, path = "/v1/shops/{shop}/webhook-urls", tag = "webhooks", operation_id = "make_webhook_address",
    params(("shop" = ShopId, Path)), request_body = WebhookUrlBody, responses((status = 201, body = CreatedWebhookUrl), Problems))]
async fn create(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(WebhookUrlBody { account, endpoint }): Body<WebhookUrlBody>,
) -> Result<Response, Problem> {
    let (id, url) = create_url(&node, Destination { shop, account, endpoint }, &caller.actor).await?;
    let lost =
        format!("the address {id} was made, and is shown once; if that answer was lost, end it and make another");
    Ok(secret_response((StatusCode::CREATED, Json(CreatedWebhookUrl { id, url })), lost))
}

/// A new address: what it is found by, and itself.
pub async fn create_url(node: &Node, to: Destination, actor: &str) -> Result<(String, String), Problem> {
    let plugin = node.host().current_version(&to.shop, &to.account)?;
    let known: Vec<&str> = plugin.metadata().endpoints.iter().map(|known| known.name.as_str()).collect();
    if !known.contains(&to.endpoint.as_str()) {
        let detail = format!("{} has no endpoint {:?}; it has: {}", plugin.id(), to.endpoint, known.join(", "));
        return Err(Problem::unprocessable("endpoint", detail));
    }
    let address = node.store().webhooks().create_webhook_url(&to, actor, node.now()).await?;
    Ok((address.selector().to_string(), node.public_url(&format!("webhooks/{}", *address.reveal()))))
}

/// Ends an address at once.
#[utoipa::path(delete, path = "/v1/shops/{shop}/webhook-urls/{address}", tag = "webhooks",
    operation_id = "end_webhook_address", params(("shop" = ShopId, Path), ("address" = String, Path)),
    responses((status = 204), Problems))]
async fn revoke_url(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, address)): Path<(ShopId, String)>,
) -> Result<StatusCode, Problem> {
    revoke(&node, &shop, &address, &caller.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the address that is found by this.
pub async fn revoke(node: &Node, shop: &ShopId, id: &str, actor: &str) -> Result<(), Problem> {
    let selector: Selector = id.parse().map_err(|_| Problem::not_found(format!("there is no webhook address {id}")))?;
    Ok(node.store().webhooks().revoke_webhook_url(shop, selector, node.now(), actor, node.now()).await?)
}

/// A notice that was not answered well. Its body is not shown.
#[derive(Debug, Serialize, ToSchema)]
struct FailedWebhookDocument {
    /// Its id.
    id: String,
    /// The account.
    account: AccountId,
    /// The plugin's endpoint.
    endpoint: String,
    /// When it came last.
    #[schema(format = DateTime)]
    at: String,
    /// How often it came.
    attempts: u64,
    /// Why it was not answered well; none while it is run.
    reason: Option<String>,
}

/// Some notices that were not answered well.
#[derive(Debug, Serialize, ToSchema)]
struct FailedWebhookPage {
    /// The latest first.
    notices: Vec<FailedWebhookDocument>,
    /// What `after` gives the next page; none at the end.
    after: Option<String>,
}

/// The notices that were not answered well. Their vendors may send them again.
#[utoipa::path(get, path = "/v1/shops/{shop}/failed-webhooks", tag = "webhooks", operation_id = "list_failed_notices",
    params(("shop" = ShopId, Path), PageQuery), responses((status = 200, body = FailedWebhookPage), Problems))]
async fn failed_deliveries(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(part): Query<PageQuery>,
) -> Result<Json<FailedWebhookPage>, Problem> {
    let limit = part.limit()?;
    // By when it came and its id: one that came again meanwhile stands elsewhere.
    let from = part.after.as_deref().map(|after| parse_cursor(after).ok_or_else(no_cursor)).transpose()?;
    let notices = node.store().webhooks().failed_webhook_deliveries(&shop, from, limit).await?;
    let after = after(&notices, limit, |delivery| format!("{}~{}", milliseconds(delivery.at), delivery.id));
    let document = |delivery: cartwright_store::FailedWebhookDelivery| FailedWebhookDocument {
        id: delivery.id,
        account: delivery.destination.account,
        endpoint: delivery.destination.endpoint,
        at: moment(delivery.at),
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

/// Something that a vendor said of an account rather than of an order.
#[derive(Debug, Serialize, ToSchema)]
struct PushedSettingsDocument {
    /// Its id.
    id: String,
    /// The account.
    account: AccountId,
    /// When it was said.
    #[schema(format = DateTime)]
    at: String,
    /// How far it has come: "new", "pending-approval", "applied", "superseded", "rejected" or "resolved".
    state: &'static str,
    /// Why it waits for a person.
    reason: Option<String>,
    /// What was said.
    outcome: Outcome,
}

/// Some of what vendors pushed.
#[derive(Debug, Serialize, ToSchema)]
struct PushedSettingsPage {
    /// The earliest first.
    pushed: Vec<PushedSettingsDocument>,
    /// What `after` gives the next page; none at the end.
    after: Option<String>,
}

/// What vendors pushed that waits for approval: settings that decide what runs on the shop's pages.
#[utoipa::path(get, path = "/v1/shops/{shop}/pushed-settings", tag = "webhooks", operation_id = "list_pushed_settings",
    params(("shop" = ShopId, Path), PageQuery), responses((status = 200, body = PushedSettingsPage), Problems))]
async fn pushed(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(part): Query<PageQuery>,
) -> Result<Json<PushedSettingsPage>, Problem> {
    let limit = part.limit()?;
    let held = Some(AccountOutcomeState::PendingApproval);
    let held = node.store().webhooks().account_outcomes(&shop, held, part.after.as_deref(), limit).await?;
    let after = after(&held, limit, |held| held.id.clone());
    let document = |said: cartwright_store::AccountOutcome| PushedSettingsDocument {
        id: said.id,
        account: said.account,
        at: moment(said.at),
        state: said.state.name(),
        reason: said.reason,
        outcome: said.outcome,
    };
    Ok(Json(PushedSettingsPage { pushed: held.into_iter().map(document).collect(), after }))
}

/// Gives pushed settings to their account, checked as any change is.
#[utoipa::path(post, path = "/v1/shops/{shop}/pushed-settings/{id}/approve", tag = "webhooks",
    operation_id = "approve_pushed_settings", params(("shop" = ShopId, Path), ("id" = String, Path)),
    responses((status = 204), Problems))]
async fn approve(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
) -> Result<StatusCode, Problem> {
    check_shop(&node, &shop)?;
    node.store().webhooks().approve_pushed_settings(node.host(), &shop, &id, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses pushed settings; the account keeps what it has.
#[utoipa::path(post, path = "/v1/shops/{shop}/pushed-settings/{id}/reject", tag = "webhooks",
    operation_id = "refuse_pushed_settings", params(("shop" = ShopId, Path), ("id" = String, Path)),
    responses((status = 204), Problems))]
async fn refuse(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
) -> Result<StatusCode, Problem> {
    check_shop(&node, &shop)?;
    node.store().webhooks().reject_pushed_settings(&shop, &id, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn check_shop(node: &Node, shop: &ShopId) -> Result<(), SetupError> {
    node.host().shop(shop).map(drop)
}
