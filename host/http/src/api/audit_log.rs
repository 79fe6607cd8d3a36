//! The audit log: each change with its actor, time and subject, and the values before and after.

use axum::Json;
use axum::extract::State;
use cartwright::{ShopId, timestamp};
use cartwright_service::audit_log::redact;
use cartwright_store::AuditEntry;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{next_cursor, page_limit};
use crate::access::{Admin, Caller, Reader};
use crate::extract::{Path, Query};
use crate::node::Node;
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new().routes(routes!(all)).routes(routes!(of_shop))
}

/// Selects audit entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Returns only entries before the one with this number.
    before: Option<i64>,
    /// Maximum number of entries; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
struct AuditEntryDocument {
    /// Number of the entry; later entries have higher numbers.
    id: i64,
    /// Time of the change.
    #[schema(format = DateTime)]
    at: String,
    /// Person, key or process that made the change.
    actor: String,
    /// Kind of change.
    action: String,
    /// Shop that the change belongs to; `null` for changes of the installation.
    shop: Option<ShopId>,
    /// Object that was changed.
    subject: String,
    /// Value before the change, with secrets masked.
    before: Option<Value>,
    /// Value after the change, with secrets masked.
    after: Option<Value>,
}

impl From<AuditEntry> for AuditEntryDocument {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, at, actor, action, shop, subject, before, after } = entry;
        Self { id, at: timestamp(at), actor, action, shop, subject, before, after }
    }
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
struct AuditPage {
    /// Entries, newest first.
    entries: Vec<AuditEntryDocument>,
    /// Value of `before` for the next page; `null` on the last page.
    before: Option<i64>,
}

/// Lists the changes in the whole installation.
#[utoipa::path(get, path = "/v1/audit-log", tag = "log", operation_id = "read_audit_log", params(AuditQuery),
    responses((status = 200, body = AuditPage), Problems))]
async fn all(
    Admin(caller): Admin,
    State(node): State<Node>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    page(&node, None, query, &caller).await
}

/// Lists the changes in a shop.
///
/// The offers made to shoppers are redacted for integrators.
#[utoipa::path(get, path = "/v1/shops/{shop}/audit-log", tag = "log", operation_id = "read_shop_audit_log",
    params(("shop" = ShopId, Path), AuditQuery), responses((status = 200, body = AuditPage), Problems))]
async fn of_shop(
    Reader(caller): Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    page(&node, Some(&shop), query, &caller).await
}

async fn page(
    node: &Node,
    shop: Option<&ShopId>,
    AuditQuery { before, limit }: AuditQuery,
    caller: &Caller,
) -> Result<Json<AuditPage>, Problem> {
    let limit = page_limit(limit)?;
    let entries = node.store().audit().entries(shop, before, limit).await?;
    let before = next_cursor(&entries, limit, |entry| entry.id);
    let entries = entries.into_iter().map(|entry| redact(caller.as_actor().role, entry).into());
    Ok(Json(AuditPage { entries: entries.collect(), before }))
}
