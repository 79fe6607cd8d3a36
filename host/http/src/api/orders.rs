//! Operations on orders: the platform's reports, the outcomes of plugins, and documents.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use cartwright::types::{Address, Charge, LineQuantities, Money, Order, OrderEvent, OrderEventKind, TaxBasis};
use cartwright::{CartLine, OrderError, OrderedLine, ShopId};
use cartwright_service::json::{JobDocument, OutcomeDocument};
use cartwright_service::orders::{self, OrderOverview};
use cartwright_store::{OrderBillOfMaterials, RecordOutcome, ReportError, SoldLine, SoldLines};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Backend;
use crate::extract::{Body, Path, Query};
use crate::node::Node;
use crate::problem::{Problem, Problems};
use crate::request_time::RequestTime;

/// Default validity of a document URL, in seconds.
const DEFAULT_DOCUMENT_URL_SECONDS: u32 = 3600;

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(report))
        .routes(routes!(read))
        .routes(routes!(resolve_outcome))
        .routes(routes!(close))
        .routes(routes!(bill_of_materials))
        .routes(routes!(bill_of_materials_csv))
        .routes(routes!(document_url))
        .routes(routes!(needs_attention))
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let kind = match &error {
            OrderError::Setup(error) => return error.clone().into(),
            OrderError::Seal { .. } => "seal",
            OrderError::DuplicateId(_)
            | OrderError::DuplicateLine { .. }
            | OrderError::DuplicateLineQuantity { .. } => "twice",
            OrderError::MissingBundle { .. } | OrderError::IncompleteBundle { .. } => "bundle",
            OrderError::MissingSet { .. } | OrderError::IncompleteSet { .. } => "set",
            OrderError::Quantity { .. }
            | OrderError::ChildQuantity { .. }
            | OrderError::SetQuantity { .. }
            | OrderError::TooManyPieces { .. }
            | OrderError::PiecesToMake { .. }
            | OrderError::ZeroQuantity { .. }
            | OrderError::UncountedPieces { .. } => "quantity",
            OrderError::Currency { .. }
            | OrderError::OtherCurrency { .. }
            | OrderError::Money { .. }
            | OrderError::LineMoney { .. } => "money",
            OrderError::Id { .. }
            | OrderError::ReservedId { .. }
            | OrderError::Text { .. }
            | OrderError::TooManyLines(_)
            | OrderError::Time { .. }
            | OrderError::BlankNumber
            | OrderError::Version(_)
            | OrderError::Language(_)
            | OrderError::Country { .. }
            | OrderError::Contradiction { .. }
            | OrderError::UnknownLine { .. } => "order",
        };
        Self::unprocessable(kind, error.to_string()).with_error(&error)
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Store(error) => error.into(),
            ReportError::Order(error) => error.into(),
            ReportError::UnknownShop(_) => Self::not_found(error.to_string()),
            ReportError::ConfigurationGone { .. } => Self::unprocessable("configuration-gone", error.to_string()),
            ReportError::Older { .. } => Self::new(StatusCode::CONFLICT, "older", error.to_string()),
            _ => Self::unprocessable("order", error.to_string()),
        }
    }
}

/// Something that happened to an order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EventBody {
    /// Id of the event, unique in the shop and not beginning with "~". Repeating an event has no effect; another event
    /// with a known id is a conflict.
    #[schema(min_length = 1, max_length = 200)]
    id: String,
    /// Time of the event, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    at: RequestTime,
    /// Kind of event. The order must agree with it: `cancelled` is true for a cancellation, `paid` is at least `total` for
    /// the event `paid` and above 0 for `partly-paid`, and `refunded` contains the refund. An order that costs nothing
    /// needs no payment. A shipment or refund names each line of the order at most once, with no more pieces than the
    /// line's quantities have `shipped`, or `cancelled` and `refunded`.
    kind: OrderEventKind,
    /// Current order with all its lines.
    order: OrderBody,
}

/// An order as the platform reports it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    /// Order id of the platform. It does not begin with "~".
    #[schema(min_length = 1, max_length = 200)]
    id: String,
    /// Order number that people use, not blank; the id by default.
    #[serde(default)]
    number: Option<String>,
    /// Language in which the order was placed, BCP 47; the shop's by default.
    #[serde(default)]
    locale: Option<String>,
    /// Customer: the platform's id of the customer, or an e-mail address; omit it for a guest. The host stores and hands
    /// out a pseudonym, the same in all orders of the customer. An e-mail address finds the order for export and erasure.
    #[serde(default)]
    #[schema(max_length = 1_000)]
    customer: Option<String>,
    /// Whether the order is a test of the shop. Nothing is produced or sent for a test order.
    #[serde(default)]
    test: bool,
    /// Version, which grows with every change, at most 2^63 - 1. Other content under a known version is a conflict.
    version: u64,
    /// Time at which the order was placed, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    placed_at: RequestTime,
    /// Amount that was paid, refunds included. The order is paid in full when `paid` without `refunded` is at least
    /// `total`.
    paid: Money,
    /// Amount that was refunded; 0 by default. Once nothing of what was paid is left, production that has not begun does
    /// not begin.
    #[serde(default)]
    refunded: Option<Money>,
    /// Whether the order was cancelled.
    #[serde(default)]
    cancelled: bool,
    /// Currency of the order, ISO 4217; that of `total` by default. All amounts have this currency and the number of
    /// decimals of `total`.
    #[serde(default)]
    #[schema(pattern = "^[A-Z]{3}$")]
    currency: Option<String>,
    /// Total price of the order, with tax. An order that costs nothing needs no payment.
    total: Money,
    /// Tax within `total`.
    #[serde(default)]
    tax_amount: Option<Money>,
    /// Shipping method and its cost, within `total`.
    #[serde(default)]
    shipping: Option<Charge>,
    /// Billing address.
    #[serde(default)]
    billing: Option<Address>,
    /// Delivery address.
    #[serde(default)]
    delivery: Option<Address>,
    /// Address of the shop.
    #[serde(default)]
    shop_address: Option<Address>,
    /// All lines that came from this host's cart: bundles with their children, sets with all their lines,
    /// each cart line once.
    lines: Vec<OrderLineBody>,
}

/// A line of an order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderLineBody {
    /// Id of the order line on the platform.
    #[schema(min_length = 1, max_length = 200)]
    id: String,
    /// Cart line that the order line came from, complete and unchanged.
    line: CartLine,
    /// Pieces that were ordered, and what became of them. By default all pieces of the cart line were ordered and are to
    /// be made; for a child of a bundle, its share of the parent's quantities; for a line of a set that does not name the
    /// configured product, its share of those of the line that does, of which the pieces that are left are rounded up.
    #[serde(default)]
    quantities: Option<QuantitiesBody>,
    /// What the line costs with the quantity ordered, rounded once.
    #[serde(default)]
    total: Option<Money>,
    /// Whether `total` includes tax; as the price of the cart line by default.
    #[serde(default)]
    tax: Option<TaxBasis>,
    /// Tax of the line.
    #[serde(default)]
    tax_amount: Option<Money>,
    /// Whether the merchant approved a line that was on hold.
    #[serde(default)]
    approved: bool,
    /// Whether the line may be produced when the order may. `false` puts the line on hold for the merchant, with its
    /// whole bundle or set.
    #[serde(default = "yes")]
    released: bool,
    /// Status that the platform knows: "ordered", "shipped", "cancelled" …
    #[serde(default)]
    status: Option<String>,
}

fn yes() -> bool {
    true
}

/// Pieces of an order line. To be made are those ordered without those cancelled and refunded, and never fewer than were
/// shipped.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuantitiesBody {
    /// Pieces that were ordered, at most the quantity of the cart line, which is the default.
    #[serde(default)]
    ordered: Option<u32>,
    /// Pieces of those that were cancelled, refunded or not; 0 by default.
    #[serde(default)]
    cancelled: u32,
    /// Pieces of those that were refunded and not cancelled; 0 by default.
    #[serde(default)]
    refunded: u32,
    /// Pieces of those that were shipped or handed over; 0 by default.
    #[serde(default)]
    shipped: u32,
}

/// The result of a report.
#[derive(Debug, Serialize, ToSchema)]
struct ReportedEvent {
    /// Whether the event is new. If not, it was reported before, and nothing was done.
    new: bool,
    /// Ids of the jobs that handle the event.
    jobs: Vec<String>,
}

impl OrderLineBody {
    fn as_ordered(&self) -> OrderedLine<'_> {
        OrderedLine {
            id: &self.id,
            line: &self.line,
            quantities: self.quantities.map(|QuantitiesBody { ordered, cancelled, refunded, shipped }| {
                LineQuantities { ordered: ordered.unwrap_or(self.line.quantity), cancelled, refunded, shipped }
            }),
            total: self.total.as_ref(),
            tax: self.tax,
            tax_amount: self.tax_amount.as_ref(),
            released: self.released,
            approved: self.approved,
            status: self.status.as_deref(),
        }
    }
}

impl OrderBody {
    fn read(self, node: &Node, shop: &ShopId) -> Result<(Order, SoldLines), Problem> {
        let host = node.host();
        let shop_state = host.shop(shop)?;
        let ordered: Vec<OrderedLine<'_>> = self.lines.iter().map(OrderLineBody::as_ordered).collect();
        let lines = host.order_lines(shop, &self.id, &self.total, &ordered)?;
        let sold = self.lines.iter().map(|OrderLineBody { id, line, .. }| (id.clone(), SoldLine::from(line))).collect();
        let order = Order {
            reference: host.reference(shop, &self.id, None),
            number: self.number.unwrap_or_else(|| self.id.clone()),
            locale: self.locale.unwrap_or_else(|| shop_state.locale.clone()),
            currency: self.currency.unwrap_or_else(|| self.total.currency.clone()),
            id: self.id,
            customer: self.customer,
            test: self.test,
            vendor_reference: None,
            version: self.version,
            placed_at: self.placed_at.to_string(),
            paid: self.paid,
            refunded: self.refunded.unwrap_or_else(|| Money { minor: 0, ..self.total.clone() }),
            released: false,
            cancelled: self.cancelled,
            total: self.total,
            tax_amount: self.tax_amount,
            shipping: self.shipping,
            billing: self.billing,
            delivery: self.delivery,
            shop_address: self.shop_address,
            lines,
            extra: Vec::new(),
        };
        Ok((order, sold))
    }
}

/// Stores an order event and starts the jobs of the plugins concerned.
///
/// The event is stored before the response is sent. Repeating an event has no effect. A conflict (409) records nothing:
/// `event-id` if another event has the id, `same-version` if the order is known in this version with other content,
/// `older` if it is known in a higher version. An order with a line whose configuration was deleted is refused (422,
/// `configuration-gone`), unless the order is known with this line: the product must be configured anew.
#[utoipa::path(post, path = "/v1/shops/{shop}/events", tag = "orders", operation_id = "report_event",
    params(("shop" = ShopId, Path)), request_body = EventBody, responses((status = 200, body = ReportedEvent), Problems))]
async fn report(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(EventBody { id, at, kind, order }): Body<EventBody>,
) -> Result<Json<ReportedEvent>, Problem> {
    let (order, sold) = order.read(&node, &shop)?;
    let at = at.to_string();
    let event = OrderEvent { id, at, kind, order, previous_outcomes: Vec::new(), memos: Vec::new(), extra: Vec::new() };
    let recorded = node.store().orders().report(node.host(), &shop, &event, &sold, &caller.actor, node.now()).await?;
    Ok(Json(match recorded {
        RecordOutcome::New { jobs } => ReportedEvent { new: true, jobs },
        RecordOutcome::AlreadyRecorded => ReportedEvent { new: false, jobs: Vec::new() },
    }))
}

/// An order as the host knows it.
#[derive(Debug, Serialize, ToSchema)]
struct OrderDocument {
    /// Newest version of the order.
    order: Order,
    /// Jobs that handle the order's events.
    jobs: Vec<JobDocument>,
    /// Outcomes that plugins reported, in order of time.
    outcomes: Vec<OutcomeDocument>,
}

/// Returns an order with its lines, their status, its jobs and outcomes.
#[utoipa::path(get, path = "/v1/shops/{shop}/orders/{order}", tag = "orders", operation_id = "read_order",
    params(("shop" = ShopId, Path), ("order" = String, Path)),
    responses((status = 200, body = OrderDocument), Problems))]
async fn read(
    _: Backend,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
) -> Result<Json<OrderDocument>, Problem> {
    let overview = orders::overview(node.store(), &shop, &id).await?;
    let OrderOverview { order, jobs, outcomes } = overview.ok_or_else(|| no_order(&id))?;
    Ok(Json(OrderDocument {
        order,
        jobs: jobs.iter().map(JobDocument::from).collect(),
        outcomes: outcomes.iter().map(OutcomeDocument::from).collect(),
    }))
}

fn no_order(id: &str) -> Problem {
    Problem::not_found(format!("order {id} not found in this shop; no event of it was reported yet"))
}

/// Lists the ids of orders that need attention.
///
/// An order needs attention if one of its outcomes does, or if a line is on hold although the order is released and
/// open. The ids are the platform's.
#[utoipa::path(get, path = "/v1/shops/{shop}/orders-needing-attention", tag = "orders", operation_id = "list_orders_needing_attention",
    params(("shop" = ShopId, Path)), responses((status = 200, body = [String]), Problems))]
async fn needs_attention(
    _: Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
) -> Result<Json<Vec<String>>, Problem> {
    Ok(Json(node.store().orders().needing_attention(&shop).await?))
}

/// Resolves an outcome that needs attention.
#[utoipa::path(post, path = "/v1/shops/{shop}/outcomes/{outcome}/resolve", tag = "orders", operation_id = "resolve_outcome",
    params(("shop" = ShopId, Path), ("outcome" = i64, Path)), responses((status = 204), Problems))]
async fn resolve_outcome(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, outcome)): Path<(ShopId, i64)>,
) -> Result<StatusCode, Problem> {
    node.store().outcomes().resolve(&shop, outcome, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Closes an order: webhooks of its vendors about it are ignored from now on.
#[utoipa::path(post, path = "/v1/shops/{shop}/orders/{order}/close", tag = "orders", operation_id = "close_order",
    params(("shop" = ShopId, Path), ("order" = String, Path)), responses((status = 204), Problems))]
async fn close(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, order)): Path<(ShopId, String)>,
) -> Result<StatusCode, Problem> {
    node.store().orders().close_order(&shop, &order, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the bills of materials of an order, as its vendors confirmed them.
#[utoipa::path(get, path = "/v1/shops/{shop}/orders/{order}/bill-of-materials", tag = "orders", operation_id = "read_bill_of_materials",
    params(("shop" = ShopId, Path), ("order" = String, Path)), responses((status = 200, body = Object), Problems))]
async fn bill_of_materials(
    _: Backend,
    State(node): State<Node>,
    Path((shop, order)): Path<(ShopId, String)>,
) -> Result<Json<OrderBillOfMaterials>, Problem> {
    Ok(Json(node.store().orders().order_bill_of_materials(&shop, &order).await?))
}

/// Returns the bills of materials of an order as a CSV table (RFC 4180), one row for each article of each line.
#[utoipa::path(get, path = "/v1/shops/{shop}/orders/{order}/bill-of-materials.csv", tag = "orders", operation_id = "read_bill_of_materials_csv",
    params(("shop" = ShopId, Path), ("order" = String, Path)),
    responses((status = 200, content_type = "text/csv", body = String), Problems))]
async fn bill_of_materials_csv(
    _: Backend,
    State(node): State<Node>,
    Path((shop, order)): Path<(ShopId, String)>,
) -> Result<Response, Problem> {
    let table = node.store().orders().order_bill_of_materials(&shop, &order).await?.csv()?;
    Ok(([(CONTENT_TYPE, "text/csv; charset=utf-8")], table).into_response())
}

/// Selects the validity of a document URL.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DocumentUrlQuery {
    /// Validity in seconds: an hour by default, at most a week.
    #[param(minimum = 1, maximum = 604_800)]
    seconds: Option<u32>,
}

/// The URL of a document.
#[derive(Debug, Serialize, ToSchema)]
struct DocumentUrlDocument {
    /// URL of the document. It is signed, expires, and needs no key.
    url: String,
}

/// Creates a document URL for a document that an outcome of an order names.
#[utoipa::path(post, path = "/v1/shops/{shop}/outcomes/{outcome}/document-url", tag = "orders", operation_id = "create_document_url",
    params(("shop" = ShopId, Path), ("outcome" = i64, Path), DocumentUrlQuery),
    responses((status = 200, body = DocumentUrlDocument), Problems))]
async fn document_url(
    _: Backend,
    State(node): State<Node>,
    Path((shop, outcome)): Path<(ShopId, i64)>,
    Query(DocumentUrlQuery { seconds }): Query<DocumentUrlQuery>,
) -> Result<Json<DocumentUrlDocument>, Problem> {
    let seconds = seconds.unwrap_or(DEFAULT_DOCUMENT_URL_SECONDS);
    if !(1..=604_800).contains(&seconds) {
        return Err(Problem::unprocessable("seconds", "a document URL can be valid for 1 to 604800 seconds"));
    }
    let valid_for = Duration::from_secs(seconds.into());
    let document_url = node.store().documents().document_url(&shop, outcome, valid_for, node.now()).await?;
    Ok(Json(DocumentUrlDocument { url: node.public_url(&document_url.to_string()) }))
}
