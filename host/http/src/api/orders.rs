//! Orders: what the platform reports, what the vendors said, and the files that came of it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use cartwright::types::{Address, Event, EventKind, Money, Order};
use cartwright::{CartLine, Digest, OrderedLine, ShopId};
use cartwright_service::documents::{JobDocument, OutcomeDocument};
use cartwright_store::{
    CustomerEmail, InvalidEmail, JobFilter, OrderBillOfMaterials, RecordOutcome, SoldLine, SoldLines, UnfinishedJobs,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Backend, Caller};
use crate::extract::{Body, Path, Query};
use crate::moment::Moment;
use crate::node::Node;
use crate::problem::{Problem, Problems};

/// How long a document's link holds unless it is said, in seconds.
const LINK_SECONDS: u32 = 3600;
/// An order's jobs are few; this is a bound, not a page.
const MAX_JOBS: u32 = 1000;

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(report))
        .routes(routes!(read))
        .routes(routes!(settle))
        .routes(routes!(close))
        .routes(routes!(materials))
        .routes(routes!(materials_csv))
        .routes(routes!(document_url))
        .routes(routes!(export))
        .routes(routes!(erase))
        .routes(routes!(of_customer))
        .routes(routes!(erase_customer))
        .routes(routes!(needs_attention))
}

/// Something that happened to an order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EventBody {
    /// Unique in the shop: the same event again does nothing twice, another event under a known id is a conflict. It does not begin with
    /// "~".
    #[schema(min_length = 1, max_length = 200)]
    id: String,
    /// When, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    at: Moment,
    /// What. The order agrees with it: `cancelled` is true of one that was cancelled, and the payment of one that was paid or paid back
    /// is not "none", unless it costs nothing. Pieces that were paid back or sent name each line of the order at most once, with 1 to as
    /// many pieces as its cart line has.
    kind: EventKind,
    /// The order as it is now, with all its lines.
    order: OrderBody,
}

/// An order as the platform has it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    /// The platform's order id. It does not begin with "~".
    #[schema(min_length = 1, max_length = 200)]
    id: String,
    /// The number that people know it by, which is not blank; the id unless given.
    #[serde(default)]
    number: Option<String>,
    /// The language that it was placed in, BCP 47; the shop's unless given.
    #[serde(default)]
    locale: Option<String>,
    /// Placed to try the shop out? Nothing is made or sent for it.
    #[serde(default)]
    test: bool,
    /// Grows with every change, to at most 2^63 - 1: other content under a version that is known is a conflict.
    version: u64,
    /// When it was placed, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    placed_at: Moment,
    /// How far it is paid.
    payment: Payment,
    /// Was it cancelled?
    #[serde(default)]
    cancelled: bool,
    /// What the whole order costs. An order that costs nothing needs no payment.
    total: Money,
    /// Who is billed.
    #[serde(default)]
    billing: Option<Address>,
    /// Where it is delivered.
    #[serde(default)]
    delivery: Option<Address>,
    /// The shop's own address.
    #[serde(default)]
    shop_address: Option<Address>,
    /// All its lines that came from this host's cart: bundles with their children, each cart line once.
    lines: Vec<OrderLineBody>,
}

/// How far an order is paid.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Payment {
    /// Not at all.
    None,
    /// In part.
    Part,
    /// In full. An order that costs nothing counts as paid in full, whatever is said.
    Full,
    /// Paid back in full: nothing of it is produced that was not begun.
    Refunded,
}

/// A line of an order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderLineBody {
    /// The platform's id of the order line.
    #[schema(min_length = 1, max_length = 200)]
    id: String,
    /// The cart line that it came from, whole, as the host gave it.
    line: CartLine,
    /// Pieces that are to be made, at most those of the cart line: fewer when some were cancelled, 0 when all were. Those of the cart
    /// line unless given; for a child of a bundle, as many as go with its parent's.
    #[serde(default)]
    quantity: Option<u32>,
    /// Did the merchant approve what was held back?
    #[serde(default)]
    approved: bool,
    /// May the line be produced when the order may? No holds it back for the merchant, and its whole bundle with it.
    #[serde(default = "yes")]
    released: bool,
    /// How far the platform knows it to be: "ordered", "shipped", "cancelled" …
    #[serde(default)]
    status: Option<String>,
}

fn yes() -> bool {
    true
}

/// What came of a report.
#[derive(Debug, Serialize, ToSchema)]
struct ReportedEvent {
    /// False: this very event was reported before, and nothing was done.
    new: bool,
    /// The jobs that handle it.
    jobs: Vec<String>,
}

impl OrderLineBody {
    fn as_ordered(&self) -> OrderedLine<'_> {
        OrderedLine {
            id: &self.id,
            line: &self.line,
            quantity: self.quantity,
            released: self.released,
            approved: self.approved,
            status: self.status.as_deref(),
        }
    }
}

impl OrderBody {
    fn read(self, node: &Node, shop: &ShopId) -> Result<(Order, SoldLines), Problem> {
        let host = node.host();
        let like = host.shop(shop)?;
        let ordered: Vec<OrderedLine<'_>> = self.lines.iter().map(OrderLineBody::as_ordered).collect();
        let lines = host.order_lines(shop, &self.id, &self.total, &ordered)?;
        let sold = self.lines.iter().map(|OrderLineBody { id, line, .. }| (id.clone(), SoldLine::from(line))).collect();
        let order = Order {
            reference: host.reference(shop, &self.id, None),
            number: self.number.unwrap_or_else(|| self.id.clone()),
            locale: self.locale.unwrap_or_else(|| like.locale.clone()),
            id: self.id,
            test: self.test,
            vendor_reference: None,
            version: self.version,
            placed_at: self.placed_at.to_string(),
            payment: match self.payment {
                Payment::None => "none",
                Payment::Part => "part",
                Payment::Full => "full",
                Payment::Refunded => "refunded",
            }
            .to_owned(),
            released: false,
            cancelled: self.cancelled,
            total: self.total,
            billing: self.billing,
            delivery: self.delivery,
            shop_address: self.shop_address,
            lines,
            extra: Vec::new(),
        };
        Ok((order, sold))
    }
}

/// Takes in what happened to an order, and tells the plugins that it concerns. Stored before it is answered; the same event twice
/// does nothing twice. A conflict (409) records nothing: `event-id` when another event has the id, `same-version` when the order is known
/// in this version with other content, `older` when it is known in a higher version. An order with a line whose configuration is no longer
/// kept is refused (422, `configuration-gone`) unless the order is known with it: have the product configured anew.
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
    let event = Event { id, at, kind, order, earlier: Vec::new(), remembered: Vec::new(), extra: Vec::new() };
    let recorded = node.store().orders().report(node.host(), &shop, &event, &sold, &caller.actor, node.now()).await?;
    Ok(Json(match recorded {
        RecordOutcome::New { jobs } => ReportedEvent { new: true, jobs },
        RecordOutcome::AlreadyRecorded => ReportedEvent { new: false, jobs: Vec::new() },
    }))
}

/// An order as the host knows it.
#[derive(Debug, Serialize, ToSchema)]
struct OrderDocument {
    /// In its newest version.
    order: Order,
    /// The jobs that handle its events.
    jobs: Vec<JobDocument>,
    /// What the plugins said, in order: its timeline.
    outcomes: Vec<OutcomeDocument>,
}

/// An order: its lines and how far they are, its jobs, and what the vendors said.
#[utoipa::path(get, path = "/v1/shops/{shop}/orders/{order}", tag = "orders", operation_id = "read_order",
    params(("shop" = ShopId, Path), ("order" = String, Path)),
    responses((status = 200, body = OrderDocument), Problems))]
async fn read(
    _: Backend,
    State(node): State<Node>,
    Path((shop, id)): Path<(ShopId, String)>,
) -> Result<Json<OrderDocument>, Problem> {
    let store = node.store();
    let order = store.orders().get(&shop, &id).await?.ok_or_else(|| no_order(&id))?;
    let outcomes = store.outcomes().list(&shop, &id).await?;
    let filter = JobFilter { shop: Some(shop), order: Some(id), ..JobFilter::default() };
    let jobs = store.jobs().list(&filter, MAX_JOBS).await?;
    Ok(Json(OrderDocument {
        order,
        jobs: jobs.iter().map(JobDocument::from).collect(),
        outcomes: outcomes.iter().map(OutcomeDocument::from).collect(),
    }))
}

fn no_order(id: &str) -> Problem {
    Problem::not_found(format!("the host knows no order {id} of this shop; nothing was reported of it yet"))
}

/// The platform's ids of the orders that wait for a person: an outcome does, or a line is held back although the order is released and open.
#[utoipa::path(get, path = "/v1/shops/{shop}/orders-needing-attention", tag = "orders", operation_id = "list_held_orders",
    params(("shop" = ShopId, Path)), responses((status = 200, body = [String]), Problems))]
async fn needs_attention(
    _: Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
) -> Result<Json<Vec<String>>, Problem> {
    Ok(Json(node.store().orders().held_orders(&shop).await?))
}

/// Says that a person has done what an outcome asked for.
#[utoipa::path(post, path = "/v1/shops/{shop}/outcomes/{outcome}/resolve", tag = "orders", operation_id = "settle_outcome",
    params(("shop" = ShopId, Path), ("outcome" = i64, Path)), responses((status = 204), Problems))]
async fn settle(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, outcome)): Path<(ShopId, i64)>,
) -> Result<axum::http::StatusCode, Problem> {
    node.store().outcomes().resolve(&shop, outcome, &caller.actor, node.now()).await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// Says that nothing more comes of an order: its vendors' webhooks about it are no longer heard.
#[utoipa::path(post, path = "/v1/shops/{shop}/orders/{order}/close", tag = "orders", operation_id = "close_order",
    params(("shop" = ShopId, Path), ("order" = String, Path)), responses((status = 204), Problems))]
async fn close(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, order)): Path<(ShopId, String)>,
) -> Result<axum::http::StatusCode, Problem> {
    node.store().orders().close_order(&shop, &order, &caller.actor, node.now()).await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// The bills of materials of an order, as its vendors confirmed them.
#[utoipa::path(get, path = "/v1/shops/{shop}/orders/{order}/bill-of-materials", tag = "orders", operation_id = "read_materials",
    params(("shop" = ShopId, Path), ("order" = String, Path)), responses((status = 200, body = Object), Problems))]
async fn materials(
    _: Backend,
    State(node): State<Node>,
    Path((shop, order)): Path<(ShopId, String)>,
) -> Result<Json<OrderBillOfMaterials>, Problem> {
    Ok(Json(node.store().orders().order_bill_of_materials(&shop, &order).await?))
}

/// The same as a table (RFC 4180), one row for each article of each line.
#[utoipa::path(get, path = "/v1/shops/{shop}/orders/{order}/bill-of-materials.csv", tag = "orders", operation_id = "read_materials_csv",
    params(("shop" = ShopId, Path), ("order" = String, Path)),
    responses((status = 200, content_type = "text/csv", body = String), Problems))]
async fn materials_csv(
    _: Backend,
    State(node): State<Node>,
    Path((shop, order)): Path<(ShopId, String)>,
) -> Result<Response, Problem> {
    let table = node.store().orders().order_bill_of_materials(&shop, &order).await?.csv()?;
    Ok(([(CONTENT_TYPE, "text/csv; charset=utf-8")], table).into_response())
}

/// For how long.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DocumentUrlQuery {
    /// How long the link holds, in seconds, at most a week; an hour unless given.
    #[param(minimum = 1, maximum = 604_800)]
    seconds: Option<u32>,
}

/// Where a document is.
#[derive(Debug, Serialize, ToSchema)]
struct DocumentUrlDocument {
    /// Its address. It is signed, ends by itself, and needs no key.
    url: String,
}

/// Makes a link to a document that an outcome of an order named.
#[utoipa::path(post, path = "/v1/shops/{shop}/outcomes/{outcome}/document-url", tag = "orders", operation_id = "link_document",
    params(("shop" = ShopId, Path), ("outcome" = i64, Path), DocumentUrlQuery),
    responses((status = 200, body = DocumentUrlDocument), Problems))]
async fn document_url(
    _: Backend,
    State(node): State<Node>,
    Path((shop, outcome)): Path<(ShopId, i64)>,
    Query(DocumentUrlQuery { seconds }): Query<DocumentUrlQuery>,
) -> Result<Json<DocumentUrlDocument>, Problem> {
    let seconds = seconds.unwrap_or(LINK_SECONDS);
    if !(1..=604_800).contains(&seconds) {
        return Err(Problem::unprocessable("seconds", "a link holds for 1 to 604800 seconds"));
    }
    let valid_for = Duration::from_secs(seconds.into());
    let link = node.store().documents().document_url(&shop, outcome, valid_for, node.now()).await?;
    Ok(Json(DocumentUrlDocument { url: node.public_url(&link.to_string()) }))
}

/// Everything that is kept of an order or a customer.
#[derive(Debug, Serialize, ToSchema)]
struct ExportDocument {
    /// What is kept, as the contract's JSON spells it.
    document: Value,
    /// The files that it names.
    files: Vec<ExportFileDocument>,
}

/// A file of an export.
#[derive(Debug, Serialize, ToSchema)]
struct ExportFileDocument {
    /// Its name in the export.
    name: String,
    /// Of its bytes.
    digest: Digest,
    /// RFC 6838 media type.
    media_type: String,
}

impl From<cartwright_store::Export> for ExportDocument {
    fn from(export: cartwright_store::Export) -> Self {
        let file = |file: cartwright_store::ExportFile| ExportFileDocument {
            name: file.name,
            digest: file.digest,
            media_type: file.media_type,
        };
        Self { document: export.document, files: export.files.into_iter().map(file).collect() }
    }
}

/// Everything that is kept of an order, in the open.
#[utoipa::path(get, path = "/v1/shops/{shop}/orders/{order}/export", tag = "orders", operation_id = "export_order",
    params(("shop" = ShopId, Path), ("order" = String, Path)),
    responses((status = 200, body = ExportDocument), Problems))]
async fn export(
    _: Backend,
    State(node): State<Node>,
    Path((shop, order)): Path<(ShopId, String)>,
) -> Result<Json<ExportDocument>, Problem> {
    Ok(Json(node.store().personal_data().export_order(&shop, &order).await?.into()))
}

/// What becomes of jobs that are not over.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Erasing {
    /// Drop jobs that are not over: their vendors may not have been told to forget. Without it they keep the order from being
    /// forgotten.
    #[serde(default)]
    drop_jobs: bool,
}

impl Erasing {
    fn unfinished_jobs(&self) -> UnfinishedJobs {
        if self.drop_jobs { UnfinishedJobs::Cancel } else { UnfinishedJobs::Refuse }
    }
}

/// How many orders were forgotten.
#[derive(Debug, Serialize, ToSchema)]
struct ErasedOrders {
    /// The orders, without those that were forgotten before.
    orders: usize,
}

/// Forgets everything of an order. Report its event `erase` before: the vendors are told by that.
#[utoipa::path(delete, path = "/v1/shops/{shop}/orders/{order}", tag = "orders", operation_id = "erase_order",
    params(("shop" = ShopId, Path), ("order" = String, Path), Erasing),
    responses((status = 200, body = ErasedOrders), Problems))]
async fn erase(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, order)): Path<(ShopId, String)>,
    Query(erasing): Query<Erasing>,
) -> Result<Json<ErasedOrders>, Problem> {
    let erased = node
        .store()
        .personal_data()
        .erase_order(&shop, &order, erasing.unfinished_jobs(), &caller.actor, node.now())
        .await?;
    node.observability().lines().forget(&shop);
    Ok(Json(ErasedOrders { orders: erased.into() }))
}

/// Whom an address in a path means. Blanks are nobody's: they would mean everybody who gave no address.
fn customer(email: &str) -> Result<CustomerEmail, Problem> {
    email.parse().map_err(|error: InvalidEmail| Problem::bad_request(error.to_string()))
}

/// Everything that is kept of the orders that were billed or delivered to this e-mail address in any of their versions.
#[utoipa::path(get, path = "/v1/shops/{shop}/customers/{email}/export", tag = "orders", operation_id = "export_customer",
    params(("shop" = ShopId, Path), ("email" = String, Path)),
    responses((status = 200, body = ExportDocument), Problems))]
async fn of_customer(
    _: Backend,
    State(node): State<Node>,
    Path((shop, email)): Path<(ShopId, String)>,
) -> Result<Json<ExportDocument>, Problem> {
    Ok(Json(node.store().personal_data().export_customer(&shop, &customer(&email)?).await?.into()))
}

/// Forgets everything of the orders that were billed or delivered to this e-mail address in any of their versions, also of those whose
/// address the platform replaced meanwhile.
#[utoipa::path(delete, path = "/v1/shops/{shop}/customers/{email}", tag = "orders", operation_id = "erase_customer",
    params(("shop" = ShopId, Path), ("email" = String, Path), Erasing),
    responses((status = 200, body = ErasedOrders), Problems))]
async fn erase_customer(
    Backend(Caller { actor, .. }): Backend,
    State(node): State<Node>,
    Path((shop, email)): Path<(ShopId, String)>,
    Query(erasing): Query<Erasing>,
) -> Result<Json<ErasedOrders>, Problem> {
    let orders = node
        .store()
        .personal_data()
        .erase_customer(&shop, &customer(&email)?, erasing.unfinished_jobs(), &actor, node.now())
        .await?;
    node.observability().lines().forget(&shop);
    Ok(Json(ErasedOrders { orders: orders.len() }))
}
