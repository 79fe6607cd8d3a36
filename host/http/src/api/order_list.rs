//! The list of orders.

use axum::Json;
use axum::extract::State;
use cartwright::types::Money;
use cartwright::{ShopId, timestamp};
use cartwright_store::{ListedOrder, OrderFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{next_cursor, page_limit};
use crate::access::Backend;
use crate::extract::{Path, Query};
use crate::node::Node;
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Selects orders.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OrderQuery {
    /// Returns only orders whose id contains this text, or whose number equals it.
    search: Option<String>,
    /// Returns only orders first reported before the one with this id.
    after: Option<String>,
    /// Maximum number of orders; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// An order in a list, without names and addresses.
#[derive(Debug, Serialize, ToSchema)]
struct ListedOrderDocument {
    /// Order id of the platform.
    id: String,
    /// Summary of the newest version; `null` if the order was erased or is damaged.
    known: Option<KnownOrderDocument>,
    /// Whether the stored order is damaged. If so, restore the database from a backup.
    is_damaged: bool,
    /// Time of the first report.
    #[schema(format = DateTime)]
    created_at: String,
    /// Time at which the newest version was reported.
    #[schema(format = DateTime)]
    changed_at: String,
    /// Time at which the order was closed; `null` while it is open.
    closed_at: Option<String>,
    /// Whether an outcome needs attention, or a line is on hold although the order is released and open.
    needs_attention: bool,
}

/// A summary of an order in its newest version.
#[derive(Debug, Serialize, ToSchema)]
struct KnownOrderDocument {
    /// Order number that people use.
    number: String,
    /// Version; grows with every change.
    version: u64,
    /// Time at which the order was placed.
    #[schema(format = DateTime)]
    placed_at: String,
    /// Amount that was paid, refunds included.
    paid: Money,
    /// Amount that was refunded.
    refunded: Money,
    /// Whether the order may be produced.
    released: bool,
    /// Whether the order was cancelled.
    cancelled: bool,
    /// Total price of the order.
    total: Money,
    /// Number of lines.
    lines: usize,
}

impl From<ListedOrder> for ListedOrderDocument {
    fn from(listed: ListedOrder) -> Self {
        let known = listed.order.map(|order| KnownOrderDocument {
            number: order.number,
            version: order.version,
            placed_at: order.placed_at,
            paid: order.paid,
            refunded: order.refunded,
            released: order.released,
            cancelled: order.cancelled,
            total: order.total,
            lines: order.lines.len(),
        });
        Self {
            id: listed.id,
            known,
            is_damaged: listed.damaged,
            created_at: timestamp(listed.created),
            changed_at: timestamp(listed.changed),
            closed_at: listed.closed.map(timestamp),
            needs_attention: listed.needs_attention,
        }
    }
}

/// A page of orders.
#[derive(Debug, Serialize, ToSchema)]
struct OrderPage {
    /// Orders, most recently reported first.
    orders: Vec<ListedOrderDocument>,
    /// Value of `after` for the next page; `null` on the last page.
    after: Option<String>,
}

/// Lists the orders of a shop.
#[utoipa::path(get, path = "/v1/shops/{shop}/orders", tag = "orders", operation_id = "list_orders",
    params(("shop" = ShopId, Path), OrderQuery), responses((status = 200, body = OrderPage), Problems))]
async fn list(
    _: Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(OrderQuery { search, after, limit }): Query<OrderQuery>,
) -> Result<Json<OrderPage>, Problem> {
    let limit = page_limit(limit)?;
    let orders = node.store().orders().list(&shop, &OrderFilter { search, after }, limit).await?;
    let after = next_cursor(&orders, limit, |order| order.id.clone());
    Ok(Json(OrderPage { orders: orders.into_iter().map(ListedOrderDocument::from).collect(), after }))
}
