//! Operations on product links: one at a time, many at once, as a CSV table, and the switch from one vendor to another.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use cartwright::{AccountId, ProductLink, ProductLinkIssues, Readiness, SetupError, ShopId, StrategyChoice};
use cartwright_service::links_table::{self, MAX_LINKS, TableError, TableFor};
use cartwright_store::{Expected, link_version};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{PageQuery, next_cursor};
use crate::access::{Integrator, Reader};
use crate::extract::{Body, Path, Precondition, Query, Raw, Tagged, require_media_type};
use crate::node::Node;
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(list, set_links))
        .routes(routes!(export_csv, import_csv))
        .routes(routes!(read, set, remove))
        .routes(routes!(readiness))
}

impl From<TableError> for Problem {
    fn from(error: TableError) -> Self {
        let status = match &error {
            TableError::Read(_) => StatusCode::UNPROCESSABLE_ENTITY,
            TableError::Write(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, "csv", error.to_string())
    }
}

/// A page of product links.
#[derive(Debug, Serialize, ToSchema)]
struct ProductLinkPage {
    /// Product links, by product.
    links: Vec<ProductLink>,
    /// Value of `after` for the next page; `null` on the last page.
    after: Option<String>,
}

/// Lists the product links of a shop, by product.
#[utoipa::path(get, path = "/v1/shops/{shop}/product-links", tag = "links", operation_id = "list_product_links",
    params(("shop" = ShopId, Path), PageQuery), responses((status = 200, body = ProductLinkPage), Problems))]
async fn list(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<ProductLinkPage>, Problem> {
    let links = page.of(node.host().snapshot(&shop)?.links, |link| link.shop_product.clone())?;
    let after = next_cursor(&links, page.limit()?, |link| link.shop_product.clone());
    Ok(Json(ProductLinkPage { links, after }))
}

/// The result of storing product links.
#[derive(Debug, Serialize, ToSchema)]
struct LinkedProducts {
    /// Number of stored product links.
    links: usize,
    /// Warnings for the merchant about these product links.
    warnings: Vec<ProductLinkIssues>,
}

/// Sets many product links, all or none, at most one for each product.
///
/// If a link names another account than before, this is a vendor switch: lines that were made with the old link are
/// still served by it.
#[utoipa::path(put, path = "/v1/shops/{shop}/product-links", tag = "links", operation_id = "set_product_links",
    params(("shop" = ShopId, Path)), request_body = [ProductLink], responses((status = 200, body = LinkedProducts), Problems))]
async fn set_links(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(links): Body<Vec<ProductLink>>,
) -> Result<Json<LinkedProducts>, Problem> {
    link(&node, &shop, links, &caller.actor).await
}

#[allow(clippy::indexing_slicing, reason = "`duplicate` returns positions in the list that it was given")]
async fn link(
    node: &Node,
    shop: &ShopId,
    links: Vec<ProductLink>,
    actor: &str,
) -> Result<Json<LinkedProducts>, Problem> {
    if links.is_empty() || links.len() > MAX_LINKS {
        return Err(Problem::unprocessable("links", format!("send 1 to {MAX_LINKS} product links at a time")));
    }
    if let Some((first, second)) = links_table::duplicate(&links) {
        let (first_number, second_number, product) = (first + 1, second + 1, &links[second].shop_product);
        let detail = format!(
            "links {first_number} and {second_number} are both for the product {product:?}; send only one of them"
        );
        return Err(Problem::unprocessable("links", detail));
    }
    let warnings = node.installation().link(shop, &links, Expected::Any, actor, node.now()).await?;
    Ok(Json(LinkedProducts { links: links.len(), warnings }))
}

/// Returns the link of a product.
///
/// Its ETag identifies the link's current content.
#[utoipa::path(get, path = "/v1/shops/{shop}/product-links/{product}", tag = "links", operation_id = "read_product_link",
    params(("shop" = ShopId, Path), ("product" = String, Path)), responses((status = 200, body = ProductLink), Problems))]
async fn read(
    _: Reader,
    State(node): State<Node>,
    Path((shop, product)): Path<(ShopId, String)>,
) -> Result<Tagged<ProductLink>, Problem> {
    let links = node.host().snapshot(&shop)?.links;
    let link = links.into_iter().find(|link| link.shop_product == product).ok_or(SetupError::NotLinked(product))?;
    Ok(Tagged(link_version(&link), link))
}

/// The desired link of a product.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProductLinkBody {
    /// Account that serves the product.
    account: AccountId,
    /// Product id of the vendor.
    vendor_product: String,
    /// Further vendor products that a configuration may contain.
    #[serde(default)]
    additional_vendor_products: Vec<String>,
    /// Preset that the configurator starts with.
    #[serde(default)]
    preset: Option<String>,
    /// SKUs that a browser may choose from.
    #[serde(default)]
    allowed_skus: Vec<String>,
    /// Settings of the account that this product overrides.
    #[serde(default)]
    settings: Map<String, Value>,
    /// Strategy that plans the cart.
    #[serde(default)]
    strategy: StrategyChoice,
    /// Settings of the strategy's plugin that this product overrides, if the strategy belongs to another account.
    #[serde(default)]
    strategy_settings: Map<String, Value>,
}

impl ProductLinkBody {
    fn of(self, shop_product: String) -> ProductLink {
        ProductLink {
            shop_product,
            account: self.account,
            vendor_product: self.vendor_product,
            additional_vendor_products: self.additional_vendor_products,
            preset: self.preset,
            allowed_skus: self.allowed_skus,
            settings: self.settings,
            strategy: self.strategy,
            strategy_settings: self.strategy_settings,
        }
    }
}

/// Links a product, or changes its link.
#[utoipa::path(put, path = "/v1/shops/{shop}/product-links/{product}", tag = "links", operation_id = "set_product_link",
    params(("shop" = ShopId, Path), ("product" = String, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of the last read."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if the product is not linked.")),
    request_body = ProductLinkBody, responses((status = 200, body = LinkedProducts), Problems))]
async fn set(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, product)): Path<(ShopId, String)>,
    precondition: Precondition,
    Body(body): Body<ProductLinkBody>,
) -> Result<Tagged<LinkedProducts>, Problem> {
    let link = body.of(product);
    let version = link_version(&link);
    let expected = precondition.expected();
    let warnings = node.installation().link(&shop, &[link], expected, &caller.actor, node.now()).await?;
    Ok(Tagged(version, LinkedProducts { links: 1, warnings }))
}

/// Removes the link of a product.
///
/// Lines that were made with it are still served by it.
#[utoipa::path(delete, path = "/v1/shops/{shop}/product-links/{product}", tag = "links", operation_id = "remove_product_link",
    params(("shop" = ShopId, Path), ("product" = String, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of the last read.")),
    responses((status = 204), Problems))]
async fn remove(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path((shop, product)): Path<(ShopId, String)>,
    precondition: Precondition,
) -> Result<StatusCode, Problem> {
    let expected = precondition.expected();
    node.installation().unlink(&shop, &product, expected, &caller.actor, node.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Product links that would replace those of an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadinessBody {
    /// Account that serves the products now.
    from: AccountId,
    /// Product links to switch to.
    links: Vec<ProductLink>,
}

/// Reports which products could be switched to other links, without changing anything.
///
/// Send the links to `set_product_links` to switch.
#[utoipa::path(post, path = "/v1/shops/{shop}/vendor-switch/readiness", tag = "links", operation_id = "read_readiness",
    params(("shop" = ShopId, Path)), request_body = ReadinessBody, responses((status = 200, body = Readiness), Problems))]
async fn readiness(
    _: Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(ReadinessBody { from, links }): Body<ReadinessBody>,
) -> Result<Json<Readiness>, Problem> {
    Ok(Json(node.host().readiness(&shop, &from, &links).await?))
}

/// Returns the product links of a shop as a CSV table (RFC 4180), one row for each product.
///
/// Lists and settings are JSON: `["RING L","RING XL"]`. A text that a spreadsheet would run as a formula, or convert to
/// a number or a date, is enclosed in apostrophes, as is one with blanks at its ends; the apostrophes are removed when
/// the table is sent back.
#[utoipa::path(get, path = "/v1/shops/{shop}/product-links.csv", tag = "links", operation_id = "read_product_links_csv",
    params(("shop" = ShopId, Path)), responses((status = 200, content_type = "text/csv", body = String), Problems))]
async fn export_csv(_: Reader, State(node): State<Node>, Path(shop): Path<ShopId>) -> Result<Response, Problem> {
    let table = links_table::write(&node.host().snapshot(&shop)?.links, TableFor::Program)?;
    Ok(([(CONTENT_TYPE, "text/csv; charset=utf-8")], table).into_response())
}

/// Sets the product links of a table, all or none.
///
/// Only `shop_product`, `account` and `vendor_product` are required. Products that the table does not name stay as they
/// are. The table must be UTF-8, with or without a byte order mark, and its columns are separated by commas, semicolons
/// or tabs, as spreadsheets write them.
#[utoipa::path(put, path = "/v1/shops/{shop}/product-links.csv", tag = "links", operation_id = "set_product_links_csv",
    params(("shop" = ShopId, Path)), request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = LinkedProducts), Problems))]
async fn import_csv(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    headers: HeaderMap,
    Raw(table): Raw,
) -> Result<Json<LinkedProducts>, Problem> {
    require_media_type(&headers, "text/csv")?;
    link(&node, &shop, links_table::read(&table)?, &caller.actor).await
}
