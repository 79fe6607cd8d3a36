//! Orders in a list.

use axum::Json;
use axum::extract::State;
use cartwright::ShopId;
use cartwright::types::Money;
use cartwright_service::documents::moment;
use cartwright_store::{ListedOrder, OrderFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Backend;
use crate::extract::{Path, Query};
use crate::node::Node;
use crate::problem::{Problem, Problems};

const MAX_LIMIT: u32 = 500;
const DEFAULT_LIMIT: u32 = 50;

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which orders are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Those with this in their id, and those whose number it is.
    search: Option<String>,
    /// Those first reported before the order with this id.
    after: Option<String>,
    /// How many; 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// An order in a list, without anybody's name or address.
#[derive(Debug, Serialize, ToSchema)]
struct ListedOrderDocument {
    /// The platform's order id.
    id: String,
    /// What is known of it; none when it was erased or is damaged.
    known: Option<KnownOrderDocument>,
    /// Is what is stored of it damaged? Restore the database from a copy.
    is_damaged: bool,
    /// When it was first reported.
    #[schema(format = DateTime)]
    created_at: String,
    /// When its newest version was reported.
    #[schema(format = DateTime)]
    changed_at: String,
    /// When it was closed; none = it is open.
    closed_at: Option<String>,
    /// Does an outcome wait for a person, or is a line held back although the order is released and open?
    needs_attention: bool,
}

/// An order in its newest version, in short.
#[derive(Debug, Serialize, ToSchema)]
struct KnownOrderDocument {
    /// The number that people know it by.
    number: String,
    /// Grows with every change.
    version: u64,
    /// When it was placed.
    #[schema(format = DateTime)]
    placed_at: String,
    /// "none", "part", "full" or "refunded".
    payment: String,
    /// May it be produced?
    released: bool,
    /// Was it cancelled?
    cancelled: bool,
    /// What the whole order costs.
    total: Money,
    /// How many lines it has.
    lines: usize,
}

impl From<ListedOrder> for ListedOrderDocument {
    fn from(listed: ListedOrder) -> Self {
        let known = listed.order.map(|order| KnownOrderDocument {
            number: order.number,
            version: order.version,
            placed_at: order.placed_at,
            payment: order.payment,
            released: order.released,
            cancelled: order.cancelled,
            total: order.total,
            lines: order.lines.len(),
        });
        Self {
            id: listed.id,
            known,
            is_damaged: listed.damaged,
            created_at: moment(listed.created),
            changed_at: moment(listed.changed),
            closed_at: listed.closed.map(moment),
            needs_attention: listed.needs_attention,
        }
    }
}

/// Some orders.
#[derive(Debug, Serialize, ToSchema)]
struct OrderPage {
    /// Those that were reported last first.
    orders: Vec<ListedOrderDocument>,
    /// What `after` gives the next page; none at the end.
    after: Option<String>,
}

/// A shop's orders.
#[utoipa::path(get, path = "/v1/shops/{shop}/orders", tag = "orders", operation_id = "list_orders",
    params(("shop" = ShopId, Path), Which), responses((status = 200, body = OrderPage), Problems))]
async fn list(
    _: Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(Which { search, after, limit }): Query<Which>,
) -> Result<Json<OrderPage>, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::unprocessable("limit", format!("a page has 1 to {MAX_LIMIT} orders")));
    }
    let orders = node.store().orders().list(&shop, &OrderFilter { search, after }, limit).await?;
    let full = u32::try_from(orders.len()) == Ok(limit);
    let after = orders.last().filter(|_| full).map(|last| last.id.clone());
    Ok(Json(OrderPage { orders: orders.into_iter().map(ListedOrderDocument::from).collect(), after }))
}
