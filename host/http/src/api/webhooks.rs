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

use super::part::{Part, after, no_cursor};
use crate::access::{Integrator, Reader};
use crate::extract::{Body, Path, Query};
use crate::idempotency::shown_once;
use crate::node::Node;
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(list, make))
        .routes(routes!(end))
        .routes(routes!(failed))
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
struct AddressDocument {
    /// What it is found by.
    id: String,
    /// The account.
    account: AccountId,
    /// The plugin's endpoint.
    endpoint: String,
    /// When it was made.
    #[schema(format = DateTime)]
    made: String,
    /// When it ends or ended, where a person said so.
    ends: Option<String>,
}

/// Some webhook addresses.
#[derive(Debug, Serialize, ToSchema)]
struct AddressPage {
    /// By account and endpoint.
    addresses: Vec<AddressDocument>,
    /// What `after` gives the next page; none at the end.
    after: Option<String>,
}

/// A shop's webhook addresses, those that ended included.
#[utoipa::path(get, path = "/v1/shops/{shop}/webhook-addresses", tag = "webhooks", operation_id = "list_webhook_addresses",
    params(("shop" = ShopId, Path), Part), responses((status = 200, body = AddressPage), Problems))]
async fn list(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(part): Query<Part>,
) -> Result<Json<AddressPage>, Problem> {
    let limit = part.limit()?;
    let from = part.after.map(|after| after.parse().map_err(|_| no_cursor())).transpose()?;
    let addresses = node.store().webhook_addresses(&shop, from, limit).await?;
    let after = after(&addresses, limit, |address| address.stored.selector.to_string());
    let document = |address: cartwright_store::WebhookAddressInfo| AddressDocument {
        id: address.stored.selector.to_string(),
        account: address.stored.destination.account.clone(),
        endpoint: address.stored.destination.endpoint.clone(),
        made: moment(address.made),
        ends: address.stored.ends.map(moment),
    };
    Ok(Json(AddressPage { addresses: addresses.into_iter().map(document).collect(), after }))
}

/// Which endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddressBody {
    /// The account.
    account: AccountId,
    /// The endpoint, as its plugin names it.
    endpoint: String,
}

/// An address that was made. It is shown now and never again: give it to the vendor.
#[derive(Debug, Serialize, ToSchema)]
struct MadeAddress {
    /// What it is found by.
    id: String,
    /// The address.
    url: String,
}

/// Makes a new address for an endpoint, beside those that it has.
#[utoipa::path(post, path = "/v1/shops/{shop}/webhook-addresses", tag = "webhooks", operation_id = "make_webhook_address",
    params(("shop" = ShopId, Path)), request_body = AddressBody, responses((status = 201, body = MadeAddress), Problems))]
async fn make(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(AddressBody { account, endpoint }): Body<AddressBody>,
) -> Result<Response, Problem> {
    let (id, url) = new_address(&node, Destination { shop, account, endpoint }, &caller.who).await?;
    let lost =
        format!("the address {id} was made, and is shown once; if that answer was lost, end it and make another");
    Ok(shown_once((StatusCode::CREATED, Json(MadeAddress { id, url })), lost))
}

/// A new address: what it is found by, and itself.
pub async fn new_address(node: &Node, to: Destination, who: &str) -> Result<(String, String), Problem> {
    let plugin = node.host().running(&to.shop, &to.account)?;
    let known: Vec<&str> = plugin.about().endpoints.iter().map(|known| known.name.as_str()).collect();
    if !known.contains(&to.endpoint.as_str()) {
        let detail = format!("{} has no endpoint {:?}; it has: {}", plugin.id(), to.endpoint, known.join(", "));
        return Err(Problem::unprocessable("endpoint", detail));
    }
    let address = node.store().make_webhook_address(&to, who, node.now()).await?;
    Ok((address.selector().to_string(), node.public_url(&format!("webhooks/{}", *address.reveal()))))
}

/// Ends an address at once.
#[utoipa::path(delete, path = "/v1/shops/{shop}/webhook-addresses/{address}", tag = "webhooks",
    operation_id = "end_webhook_address", params(("shop" = ShopId, Path), ("address" = String, Path)),
    responses((status = 204), Problems))]
async fn end(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, address)): Path<(ShopId, String)>,
) -> Result<StatusCode, Problem> {
    end_now(&node, &shop, &address, &caller.who).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the address that is found by this.
pub async fn end_now(node: &Node, shop: &ShopId, id: &str, who: &str) -> Result<(), Problem> {
    let selector: Selector = id.parse().map_err(|_| Problem::not_found(format!("there is no webhook address {id}")))?;
    Ok(node.store().end_webhook_address(shop, selector, node.now(), who, node.now()).await?)
}

/// A notice that was not answered well. Its body is not shown.
#[derive(Debug, Serialize, ToSchema)]
struct NoticeDocument {
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
    times: u64,
    /// Why it was not answered well; none while it is run.
    why: Option<String>,
}

/// Some notices that were not answered well.
#[derive(Debug, Serialize, ToSchema)]
struct NoticePage {
    /// The latest first.
    notices: Vec<NoticeDocument>,
    /// What `after` gives the next page; none at the end.
    after: Option<String>,
}

/// The notices that were not answered well. Their vendors may send them again.
#[utoipa::path(get, path = "/v1/shops/{shop}/failed-notices", tag = "webhooks", operation_id = "list_failed_notices",
    params(("shop" = ShopId, Path), Part), responses((status = 200, body = NoticePage), Problems))]
async fn failed(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(part): Query<Part>,
) -> Result<Json<NoticePage>, Problem> {
    let limit = part.limit()?;
    // By when it came and its id: one that came again meanwhile stands elsewhere.
    let from = part.after.as_deref().map(|after| came(after).ok_or_else(no_cursor)).transpose()?;
    let notices = node.store().open_notices(&shop, from, limit).await?;
    let after = after(&notices, limit, |notice| format!("{}~{}", milliseconds(notice.at), notice.id));
    let document = |notice: cartwright_store::OpenNotice| NoticeDocument {
        id: notice.id,
        account: notice.destination.account,
        endpoint: notice.destination.endpoint,
        at: moment(notice.at),
        times: notice.times,
        why: notice.why,
    };
    Ok(Json(NoticePage { notices: notices.into_iter().map(document).collect(), after }))
}

fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn came(after: &str) -> Option<(SystemTime, &str)> {
    let (at, id) = after.split_once('~')?;
    let at = i64::try_from(at.parse::<u64>().ok()?).ok()?;
    Some((SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at.unsigned_abs()))?, id))
}

/// Something that a vendor said of an account rather than of an order.
#[derive(Debug, Serialize, ToSchema)]
struct PushedDocument {
    /// Its id.
    id: String,
    /// The account.
    account: AccountId,
    /// When it was said.
    #[schema(format = DateTime)]
    at: String,
    /// How far it has come: "new", "held", "applied", "replaced", "refused" or "seen".
    state: &'static str,
    /// Why it waits for a person.
    why: Option<String>,
    /// What was said.
    outcome: Outcome,
}

/// Some of what vendors pushed.
#[derive(Debug, Serialize, ToSchema)]
struct PushedPage {
    /// The earliest first.
    pushed: Vec<PushedDocument>,
    /// What `after` gives the next page; none at the end.
    after: Option<String>,
}

/// What vendors pushed that waits for approval: settings that decide what runs on the shop's pages.
#[utoipa::path(get, path = "/v1/shops/{shop}/pushed-settings", tag = "webhooks", operation_id = "list_pushed_settings",
    params(("shop" = ShopId, Path), Part), responses((status = 200, body = PushedPage), Problems))]
async fn pushed(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(part): Query<Part>,
) -> Result<Json<PushedPage>, Problem> {
    let limit = part.limit()?;
    let held = Some(AccountOutcomeState::Held);
    let held = node.store().account_outcomes(&shop, held, part.after.as_deref(), limit).await?;
    let after = after(&held, limit, |held| held.id.clone());
    let document = |said: cartwright_store::AccountOutcome| PushedDocument {
        id: said.id,
        account: said.account,
        at: moment(said.at),
        state: said.state.name(),
        why: said.why,
        outcome: said.outcome,
    };
    Ok(Json(PushedPage { pushed: held.into_iter().map(document).collect(), after }))
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
    known(&node, &shop)?;
    node.store().approve_pushed(node.host(), &shop, &id, &caller.who, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses pushed settings; the account keeps what it has.
#[utoipa::path(post, path = "/v1/shops/{shop}/pushed-settings/{id}/refuse", tag = "webhooks",
    operation_id = "refuse_pushed_settings", params(("shop" = ShopId, Path), ("id" = String, Path)),
    responses((status = 204), Problems))]
async fn refuse(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
) -> Result<StatusCode, Problem> {
    known(&node, &shop)?;
    node.store().refuse_pushed(&shop, &id, &caller.who, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn known(node: &Node, shop: &ShopId) -> Result<(), SetupError> {
    node.host().shop(shop).map(drop)
}
