//! Links between a shop's products and its vendors': one by one, many at once, as a table, and from one vendor to another.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use cartwright::{AccountId, Link, LinkIssues, Readiness, SetupError, ShopId, StrategyChoice};
use cartwright_store::{Expected, link_version};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::part::{Part, after};
use crate::serve::access::{Integrator, Reader};
use crate::serve::extract::{Body, Path, Precondition, Query, Raw, Tagged, sent_as};
use crate::serve::node::Node;
use crate::serve::problem::{Problem, Problems};

/// The most links of one request.
const MOST_LINKS: usize = 10_000;

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(list, set_many))
        .routes(routes!(as_csv, from_csv))
        .routes(routes!(read, set, remove))
        .routes(routes!(readiness))
}

/// Some links.
#[derive(Debug, Serialize, ToSchema)]
struct LinkPage {
    /// By product.
    links: Vec<Link>,
    /// What `after` gives the next page; none at the end.
    after: Option<String>,
}

/// A shop's links, by product.
#[utoipa::path(get, path = "/v1/shops/{shop}/links", tag = "links", operation_id = "list_links",
    params(("shop" = ShopId, Path), Part), responses((status = 200, body = LinkPage), Problems))]
async fn list(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(part): Query<Part>,
) -> Result<Json<LinkPage>, Problem> {
    let links = part.of(node.host().snapshot(&shop)?.links, |link| link.shop_product.clone())?;
    let after = after(&links, part.limit()?, |link| link.shop_product.clone());
    Ok(Json(LinkPage { links, after }))
}

/// What came of links that were taken.
#[derive(Debug, Serialize, ToSchema)]
struct Linked {
    /// How many.
    links: usize,
    /// What the merchant should know of them.
    warnings: Vec<LinkIssues>,
}

/// Sets many links, all of them or none. With other accounts than they had it is a vendor swap: lines that were made with the old
/// links are still served by them.
#[utoipa::path(put, path = "/v1/shops/{shop}/links", tag = "links", operation_id = "set_links",
    params(("shop" = ShopId, Path)), request_body = [Link], responses((status = 200, body = Linked), Problems))]
async fn set_many(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(links): Body<Vec<Link>>,
) -> Result<Json<Linked>, Problem> {
    link(&node, &shop, links, &caller.who).await
}

async fn link(node: &Node, shop: &ShopId, links: Vec<Link>, who: &str) -> Result<Json<Linked>, Problem> {
    if links.is_empty() || links.len() > MOST_LINKS {
        return Err(Problem::unprocessable("links", format!("send 1 to {MOST_LINKS} links at a time")));
    }
    let warnings = node.installation().link(shop, &links, Expected::Anything, who, node.now()).await?;
    Ok(Json(Linked { links: links.len(), warnings }))
}

/// A product's link. Its ETag names what it is set to.
#[utoipa::path(get, path = "/v1/shops/{shop}/links/{product}", tag = "links", operation_id = "read_link",
    params(("shop" = ShopId, Path), ("product" = String, Path)), responses((status = 200, body = Link), Problems))]
async fn read(
    _: Reader,
    State(node): State<Node>,
    Path((shop, product)): Path<(ShopId, String)>,
) -> Result<Tagged<Link>, Problem> {
    let links = node.host().snapshot(&shop)?.links;
    let link = links.into_iter().find(|link| link.shop_product == product).ok_or(SetupError::NoLink(product))?;
    Ok(Tagged(link_version(&link), link))
}

/// What a product is to be linked to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkBody {
    /// The vendor account.
    account: AccountId,
    /// The vendor's product id.
    vendor_product: String,
    /// Further vendor products that a configuration may contain.
    #[serde(default)]
    other_vendor_products: Vec<String>,
    /// A preset to start from.
    #[serde(default)]
    preset: Option<String>,
    /// The SKUs that a browser may choose among.
    #[serde(default)]
    allowed_skus: Vec<String>,
    /// Settings that this product overrides.
    #[serde(default)]
    settings: Map<String, Value>,
    /// Which strategy plans the cart.
    #[serde(default)]
    strategy: StrategyChoice,
    /// Where that is another account's: the settings of its plugin that this product overrides.
    #[serde(default)]
    strategy_settings: Map<String, Value>,
}

impl LinkBody {
    fn of(self, shop_product: String) -> Link {
        Link {
            shop_product,
            account: self.account,
            vendor_product: self.vendor_product,
            other_vendor_products: self.other_vendor_products,
            preset: self.preset,
            allowed_skus: self.allowed_skus,
            settings: self.settings,
            strategy: self.strategy,
            strategy_settings: self.strategy_settings,
        }
    }
}

/// Links a product, or changes its link.
#[utoipa::path(put, path = "/v1/shops/{shop}/links/{product}", tag = "links", operation_id = "set_link",
    params(("shop" = ShopId, Path), ("product" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if it is not linked.")),
    request_body = LinkBody, responses((status = 200, body = Linked), Problems))]
async fn set(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, product)): Path<(ShopId, String)>,
    precondition: Precondition,
    Body(body): Body<LinkBody>,
) -> Result<Tagged<Linked>, Problem> {
    let link = body.of(product);
    let version = link_version(&link);
    let expected = precondition.expected();
    let warnings = node.installation().link(&shop, &[link], expected, &caller.who, node.now()).await?;
    Ok(Tagged(version, Linked { links: 1, warnings }))
}

/// Takes a product's link away. Lines that were made with it are still served by it.
#[utoipa::path(delete, path = "/v1/shops/{shop}/links/{product}", tag = "links", operation_id = "remove_link",
    params(("shop" = ShopId, Path), ("product" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
    responses((status = 204), Problems))]
async fn remove(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, product)): Path<(ShopId, String)>,
    precondition: Precondition,
) -> Result<axum::http::StatusCode, Problem> {
    let expected = precondition.expected();
    node.installation().unlink(&shop, &product, expected, &caller.who, node.now()).await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// Links that would take the place of an account's.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadinessBody {
    /// The account that serves the products now.
    from: AccountId,
    /// What they would be linked to.
    links: Vec<Link>,
}

/// Says which products could be switched to other links, without changing anything. Send the links to `set_links` to switch.
#[utoipa::path(post, path = "/v1/shops/{shop}/vendor-swap/readiness", tag = "links", operation_id = "read_readiness",
    params(("shop" = ShopId, Path)), request_body = ReadinessBody, responses((status = 200, body = Readiness), Problems))]
async fn readiness(
    _: Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(ReadinessBody { from, links }): Body<ReadinessBody>,
) -> Result<Json<Readiness>, Problem> {
    Ok(Json(node.host().readiness(&shop, &from, &links).await?))
}

/// A line of the table. Lists are separated by spaces; settings are JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    shop_product: String,
    account: String,
    vendor_product: String,
    #[serde(default)]
    other_vendor_products: String,
    #[serde(default)]
    preset: String,
    #[serde(default)]
    allowed_skus: String,
    #[serde(default)]
    settings: String,
    #[serde(default)]
    strategy_account: String,
    #[serde(default)]
    strategy: String,
    #[serde(default)]
    strategy_settings: String,
}

impl Row {
    fn of(link: &Link) -> Self {
        let settings = |settings: &Map<String, Value>| match settings.is_empty() {
            true => String::new(),
            false => Value::Object(settings.clone()).to_string(),
        };
        Self {
            shop_product: quoted(link.shop_product.clone()),
            account: quoted(link.account.to_string()),
            vendor_product: quoted(link.vendor_product.clone()),
            other_vendor_products: quoted(link.other_vendor_products.join(" ")),
            preset: quoted(link.preset.clone().unwrap_or_default()),
            allowed_skus: quoted(link.allowed_skus.join(" ")),
            settings: settings(&link.settings),
            strategy_account: quoted(link.strategy.account.as_ref().map(ToString::to_string).unwrap_or_default()),
            strategy: quoted(link.strategy.name.clone().unwrap_or_default()),
            strategy_settings: settings(&link.strategy_settings),
        }
    }

    fn link(self) -> Result<Link, String> {
        let account = |text: String| text.parse::<AccountId>().map_err(|error| error.to_string());
        let some = |text: String| Some(unquoted(text)).filter(|text| !text.is_empty());
        let list = |text: String| unquoted(text).split_whitespace().map(str::to_owned).collect();
        let settings = |name: &str, text: &str| match text.trim() {
            "" => Ok(Map::new()),
            text => serde_json::from_str(text).map_err(|error| format!("{name}: {error}")),
        };
        Ok(Link {
            account: account(unquoted(self.account))?,
            vendor_product: unquoted(self.vendor_product),
            other_vendor_products: list(self.other_vendor_products),
            preset: some(self.preset),
            allowed_skus: list(self.allowed_skus),
            settings: settings("settings", &self.settings)?,
            strategy: StrategyChoice {
                account: some(self.strategy_account).map(account).transpose()?,
                name: some(self.strategy),
            },
            strategy_settings: settings("strategy_settings", &self.strategy_settings)?,
            shop_product: unquoted(self.shop_product),
        })
    }
}

/// Would a spreadsheet run it as a formula (<https://owasp.org/www-community/attacks/CSV_Injection>), or did somebody see to that?
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

/// An apostrophe makes a formula a text; [`unquoted`] takes it away again.
fn quoted(text: String) -> String {
    if is_formula(&text) { format!("'{text}") } else { text }
}

fn unquoted(text: String) -> String {
    match text.strip_prefix('\'').filter(|_| is_formula(&text)) {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// A shop's links as a table (RFC 4180), one line for each product. Lists are separated by spaces, settings are JSON.
#[utoipa::path(get, path = "/v1/shops/{shop}/links.csv", tag = "links", operation_id = "read_links_csv",
    params(("shop" = ShopId, Path)), responses((status = 200, content_type = "text/csv", body = String), Problems))]
async fn as_csv(_: Reader, State(node): State<Node>, Path(shop): Path<ShopId>) -> Result<Response, Problem> {
    table_of(&node.host().snapshot(&shop)?.links)
}

/// Links as a table.
pub(crate) fn table_of(links: &[Link]) -> Result<Response, Problem> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let failed = |error: String| Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "csv", error);
    for link in links {
        table.serialize(Row::of(link)).map_err(|error| failed(error.to_string()))?;
    }
    let bytes = table.into_inner().map_err(|error| failed(error.to_string()))?;
    Ok(([(CONTENT_TYPE, "text/csv; charset=utf-8")], bytes).into_response())
}

/// Sets the links of a table, all of them or none. Only `shop_product`, `account` and `vendor_product` are needed. Products that the
/// table does not name keep theirs.
#[utoipa::path(put, path = "/v1/shops/{shop}/links.csv", tag = "links", operation_id = "set_links_csv",
    params(("shop" = ShopId, Path)), request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = Linked), Problems))]
async fn from_csv(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    headers: HeaderMap,
    Raw(table): Raw,
) -> Result<Json<Linked>, Problem> {
    sent_as(&headers, "text/csv")?;
    link(&node, &shop, in_table(&table)?, &caller.who).await
}

/// The links of a table.
pub(crate) fn in_table(table: &[u8]) -> Result<Vec<Link>, Problem> {
    if table.contains(&0) {
        return Err(Problem::unprocessable("csv", "the table holds a NUL"));
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(table);
    let mut links = Vec::new();
    for (at, row) in reader.deserialize::<Row>().enumerate() {
        let wrong = |why: String| Problem::unprocessable("csv", format!("line {} of the table: {why}", at + 2));
        links.push(row.map_err(|error| wrong(error.to_string()))?.link().map_err(wrong)?);
    }
    if links.is_empty() || links.len() > MOST_LINKS {
        return Err(Problem::unprocessable("csv", format!("a table has 1 to {MOST_LINKS} links")));
    }
    Ok(links)
}
