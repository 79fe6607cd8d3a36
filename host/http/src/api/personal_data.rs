//! Operations on personal data: exporting and erasing that of an order or of a customer.

use axum::Json;
use axum::extract::State;
use cartwright::{Digest, ShopId};
use cartwright_store::{CustomerEmail, Export, ExportFile, InvalidEmail, UnfinishedJobs};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Backend;
use crate::extract::{Path, Query};
use crate::node::Node;
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(export_order))
        .routes(routes!(erase_order))
        .routes(routes!(export_customer))
        .routes(routes!(erase_customer))
}

/// All stored data about an order or a customer.
#[derive(Debug, Serialize, ToSchema)]
struct ExportDocument {
    /// Stored data, in the contract's JSON form.
    document: Value,
    /// Files that the document names.
    files: Vec<ExportFileDocument>,
}

/// A file of an export.
#[derive(Debug, Serialize, ToSchema)]
struct ExportFileDocument {
    /// Name of the file in the export.
    name: String,
    /// Digest of the file's bytes.
    digest: Digest,
    /// Media type, RFC 6838.
    media_type: String,
}

impl From<Export> for ExportDocument {
    fn from(export: Export) -> Self {
        let file =
            |file: ExportFile| ExportFileDocument { name: file.name, digest: file.digest, media_type: file.media_type };
        Self { document: export.document, files: export.files.into_iter().map(file).collect() }
    }
}

/// Exports all stored data of an order, unencrypted.
#[utoipa::path(get, path = "/v1/shops/{shop}/orders/{order}/export", tag = "orders", operation_id = "export_order",
    params(("shop" = ShopId, Path), ("order" = String, Path)),
    responses((status = 200, body = ExportDocument), Problems))]
async fn export_order(
    _: Backend,
    State(node): State<Node>,
    Path((shop, order)): Path<(ShopId, String)>,
) -> Result<Json<ExportDocument>, Problem> {
    Ok(Json(node.store().personal_data().export_order(&shop, &order).await?.into()))
}

/// How to erase an order with unfinished jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EraseQuery {
    /// Whether to drop unfinished jobs. Their vendors may not have received the erasure request. If false, unfinished
    /// jobs prevent the erasure.
    #[serde(default)]
    drop_jobs: bool,
}

impl EraseQuery {
    fn unfinished_jobs(&self) -> UnfinishedJobs {
        if self.drop_jobs { UnfinishedJobs::Cancel } else { UnfinishedJobs::Refuse }
    }
}

/// The number of erased orders.
#[derive(Debug, Serialize, ToSchema)]
struct ErasedOrders {
    /// Number of orders, without those that were erased before.
    orders: usize,
}

/// Erases all data of an order.
///
/// Report the order's `erase` event first: it informs the vendors.
#[utoipa::path(delete, path = "/v1/shops/{shop}/orders/{order}", tag = "orders", operation_id = "erase_order",
    params(("shop" = ShopId, Path), ("order" = String, Path), EraseQuery),
    responses((status = 200, body = ErasedOrders), Problems))]
async fn erase_order(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, order)): Path<(ShopId, String)>,
    Query(erasing): Query<EraseQuery>,
) -> Result<Json<ErasedOrders>, Problem> {
    let erased = node
        .store()
        .personal_data()
        .erase_order(&shop, &order, erasing.unfinished_jobs(), &caller.actor, node.now())
        .await?;
    node.observability().lines().forget(&shop);
    Ok(Json(ErasedOrders { orders: erased.into() }))
}

/// Parses the e-mail address in a path. A blank address is refused: it would match all orders without an address.
fn customer(email: &str) -> Result<CustomerEmail, Problem> {
    email.parse().map_err(|error: InvalidEmail| Problem::bad_request(error.to_string()))
}

/// Exports all stored data of a customer.
///
/// This covers the orders that were billed or delivered to this e-mail address, or have it as their customer, in any of
/// their versions.
#[utoipa::path(get, path = "/v1/shops/{shop}/customers/{email}/export", tag = "orders", operation_id = "export_customer",
    params(("shop" = ShopId, Path), ("email" = String, Path)),
    responses((status = 200, body = ExportDocument), Problems))]
async fn export_customer(
    _: Backend,
    State(node): State<Node>,
    Path((shop, email)): Path<(ShopId, String)>,
) -> Result<Json<ExportDocument>, Problem> {
    Ok(Json(node.store().personal_data().export_customer(&shop, &customer(&email)?).await?.into()))
}

/// Erases all data of a customer.
///
/// This covers the orders that were billed or delivered to this e-mail address, or have it as their customer, in any of
/// their versions, including those whose address the platform has since replaced.
#[utoipa::path(delete, path = "/v1/shops/{shop}/customers/{email}", tag = "orders", operation_id = "erase_customer",
    params(("shop" = ShopId, Path), ("email" = String, Path), EraseQuery),
    responses((status = 200, body = ErasedOrders), Problems))]
async fn erase_customer(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, email)): Path<(ShopId, String)>,
    Query(erasing): Query<EraseQuery>,
) -> Result<Json<ErasedOrders>, Problem> {
    let orders = node
        .store()
        .personal_data()
        .erase_customer(&shop, &customer(&email)?, erasing.unfinished_jobs(), &caller.actor, node.now())
        .await?;
    node.observability().lines().forget(&shop);
    Ok(Json(ErasedOrders { orders: orders.len() }))
}
