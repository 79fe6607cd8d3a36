//! The event log: who did what, when, and what it was before and after.

use axum::Json;
use axum::extract::State;
use cartwright::ShopId;
use cartwright_service::documents::moment;
use cartwright_store::AuditEntry;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Admin, Caller, Reader};
use crate::extract::{Path, Query};
use crate::node::Node;
use crate::problem::{Problem, Problems};

const MAX_LIMIT: u32 = 500;
const DEFAULT_LIMIT: u32 = 50;
/// What stands in the place of what is not for the caller.
const REDACTED: &str = "(not told)";

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new().routes(routes!(all)).routes(routes!(of_shop))
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Those before the entry of this number.
    before: Option<i64>,
    /// How many; 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// An entry of the log.
#[derive(Debug, Serialize, ToSchema)]
struct AuditEntryDocument {
    /// Its number; grows.
    id: i64,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Who did it.
    actor: String,
    /// What.
    action: String,
    /// In which shop.
    shop: Option<ShopId>,
    /// To what.
    subject: String,
    /// What it was, secrets masked.
    before: Option<Value>,
    /// What it is, secrets masked.
    after: Option<Value>,
}

impl From<AuditEntry> for AuditEntryDocument {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, at, actor, what: action, shop, subject, before, after } = entry;
        Self { id, at: moment(at), actor, action, shop, subject, before, after }
    }
}

/// Some entries.
#[derive(Debug, Serialize, ToSchema)]
struct AuditPage {
    /// The newest first.
    entries: Vec<AuditEntryDocument>,
    /// What `before` gives the next page; none at the end.
    before: Option<i64>,
}

/// What was done in the whole installation.
#[utoipa::path(get, path = "/v1/audit-log", tag = "log", operation_id = "read_log", params(Which),
    responses((status = 200, body = AuditPage), Problems))]
async fn all(
    Admin(caller): Admin,
    State(node): State<Node>,
    Query(which): Query<Which>,
) -> Result<Json<AuditPage>, Problem> {
    page(&node, None, which, &caller).await
}

/// What was done in a shop. What a shopper was offered is not told to an integrator.
#[utoipa::path(get, path = "/v1/shops/{shop}/audit-log", tag = "log", operation_id = "read_shop_log",
    params(("shop" = ShopId, Path), Which), responses((status = 200, body = AuditPage), Problems))]
async fn of_shop(
    Reader(caller): Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(which): Query<Which>,
) -> Result<Json<AuditPage>, Problem> {
    page(&node, Some(&shop), which, &caller).await
}

async fn page(
    node: &Node,
    shop: Option<&ShopId>,
    Which { before, limit }: Which,
    caller: &Caller,
) -> Result<Json<AuditPage>, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::unprocessable("limit", format!("a page has 1 to {MAX_LIMIT} entries")));
    }
    let entries = node.store().audit().entries(shop, before, limit).await?;
    let full = u32::try_from(entries.len()) == Ok(limit);
    let before = entries.last().filter(|_| full).map(|last| last.id);
    let entries = entries.into_iter().map(|entry| redact(caller, entry).into());
    Ok(Json(AuditPage { entries: entries.collect(), before }))
}

/// An entry as this caller may see it: what one shopper was offered is the merchant's affair, and not that of who sets the shop up.
pub fn redact(caller: &Caller, mut entry: AuditEntry) -> AuditEntry {
    if caller.is_integrator() && entry.what.ends_with("-quotation") {
        for value in [&mut entry.before, &mut entry.after].into_iter().flatten() {
            if let Some(prices) = value.get_mut("prices").filter(|prices| !prices.is_null()) {
                *prices = REDACTED.into();
            }
        }
    }
    entry
}
