//! Carts and pages. A platform keeps its cart; each request brings the lines as they are and gets back what is to change.

use axum::Json;
use axum::extract::State;
use cartwright::types::{EmbedData, Message};
use cartwright::{
    AddToCart, CartChange, CartError, CartLine, CartOperation, LineCheck, ShopId, Stage, StrategyChoice, Visitor,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Backend, Caller, Storefront};
use crate::extract::{Body, Path};
use crate::node::Node;
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(page))
        .routes(routes!(add))
        .routes(routes!(edit))
        .routes(routes!(quote))
        .routes(routes!(quantity))
        .routes(routes!(refresh))
        .routes(routes!(remove))
        .routes(routes!(reorder))
        .routes(routes!(check))
        .routes(routes!(merge))
}

/// What is to happen to the cart: all of it, or nothing.
#[derive(Debug, Serialize, ToSchema)]
struct ChangeDocument {
    /// What to do, in this order. Empty when nothing changes.
    operations: Vec<CartOperation>,
    /// What the merchant should know. Not told to a storefront.
    warnings: Vec<Message>,
    /// How it came about. Not told to a storefront.
    stages: Vec<Stage>,
}

/// As the caller may see it.
fn cart_response(caller: &Caller, change: Result<CartChange, CartError>) -> Result<Json<ChangeDocument>, Problem> {
    match change {
        Ok(CartChange { operations, .. }) if caller.is_storefront() => {
            Ok(Json(ChangeDocument { operations, warnings: Vec::new(), stages: Vec::new() }))
        }
        Ok(CartChange { operations, warnings, stages }) => Ok(Json(ChangeDocument { operations, warnings, stages })),
        Err(error) => Err(caller.redacted(error.into())),
    }
}

/// A configuration that a shopper wants to buy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddBody {
    /// The shop's product whose page it was made on.
    product: String,
    /// What the page sent, byte for byte; none for a linked product that the shop also sells unconfigured.
    #[serde(default)]
    configuration: Option<String>,
    /// The variant that the shopper chose before configuring, where there was a choice.
    #[serde(default)]
    variant: Option<String>,
    /// How many.
    #[schema(minimum = 1)]
    quantity: u32,
    /// Another strategy than the link's, for a preview. Not for a storefront.
    #[serde(default)]
    strategy: Option<StrategyChoice>,
    /// The cart as it is.
    #[serde(default)]
    lines: Vec<CartLine>,
    /// Who asks.
    #[serde(default)]
    visitor: Visitor,
}

impl AddBody {
    fn read(self, caller: &Caller) -> Result<AddToCart, Problem> {
        if self.strategy.is_some() && caller.is_storefront() {
            return Err(Problem::new(
                axum::http::StatusCode::FORBIDDEN,
                "role",
                "a storefront does not choose the strategy; leave it out",
            ));
        }
        Ok(AddToCart {
            product: self.product,
            configuration: self.configuration.map(String::into_bytes),
            variant: self.variant,
            quantity: self.quantity,
            strategy: self.strategy,
            lines: self.lines,
            visitor: caller.visitor(self.visitor)?,
            stages: None,
        })
    }
}

/// What a page of a product needs.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct PageBody {
    /// A line of the cart, to go on from its configuration.
    reopen: Option<CartLine>,
    /// Who asks.
    visitor: Visitor,
}

/// What a page needs to show the configurator of a product: give it to `cartwright.js`.
#[utoipa::path(post, path = "/v1/shops/{shop}/products/{product}/embed-data", tag = "cart", operation_id = "embed_page",
    params(("shop" = ShopId, Path), ("product" = String, Path)), request_body = PageBody,
    responses((status = 200, body = EmbedData), Problems))]
async fn page(
    Storefront(caller): Storefront,
    State(node): State<Node>,
    Path((shop, product)): Path<(ShopId, String)>,
    Body(PageBody { reopen, visitor }): Body<PageBody>,
) -> Result<Json<EmbedData>, Problem> {
    let embed = node.host().embed(&shop, &product, reopen.as_ref(), &caller.visitor(visitor)?).await;
    embed.map(Json).map_err(|error| caller.redacted(error.into()))
}

/// Puts a configuration into the cart. A line that would hold what another holds already raises that line's quantity.
#[utoipa::path(post, path = "/v1/shops/{shop}/cart/add", tag = "cart", operation_id = "add_to_cart",
    params(("shop" = ShopId, Path)), request_body = AddBody, responses((status = 200, body = ChangeDocument), Problems))]
async fn add(
    Storefront(caller): Storefront,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(body): Body<AddBody>,
) -> Result<Json<ChangeDocument>, Problem> {
    cart_response(&caller, node.host().add_to_cart(&shop, body.read(&caller)?).await)
}

/// A configuration for the place of a line.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditBody {
    /// The line, or the bundle's parent. A line that changed meanwhile has another key.
    key: String,
    /// The shop's product; the line's own.
    product: String,
    /// What the page sent, byte for byte.
    configuration: String,
    /// The variant that the shopper chose; the line's unless given.
    #[serde(default)]
    variant: Option<String>,
    /// How many; as many as before unless given.
    #[serde(default)]
    quantity: Option<u32>,
    /// The cart as it is.
    lines: Vec<CartLine>,
    /// Who asks.
    #[serde(default)]
    visitor: Visitor,
}

/// Puts a configuration in the place of a line or bundle. The new line is checked whole before the old one goes.
#[utoipa::path(post, path = "/v1/shops/{shop}/cart/edit", tag = "cart", operation_id = "edit_line",
    params(("shop" = ShopId, Path)), request_body = EditBody, responses((status = 200, body = ChangeDocument), Problems))]
async fn edit(
    Storefront(caller): Storefront,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(body): Body<EditBody>,
) -> Result<Json<ChangeDocument>, Problem> {
    let add = AddToCart {
        product: body.product,
        configuration: Some(body.configuration.into_bytes()),
        variant: body.variant,
        lines: body.lines,
        visitor: caller.visitor(body.visitor)?,
        ..AddToCart::default()
    };
    cart_response(&caller, node.host().edit_line(&shop, &body.key, body.quantity, add).await)
}

/// Plans what a shopper asks the merchant's price for, instead of buying it. Nothing is kept yet: the platform's server hands the
/// lines to `quotations`.
#[utoipa::path(post, path = "/v1/shops/{shop}/cart/quote", tag = "cart", operation_id = "request_quotation",
    params(("shop" = ShopId, Path)), request_body = AddBody, responses((status = 200, body = ChangeDocument), Problems))]
async fn quote(
    Storefront(caller): Storefront,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(body): Body<AddBody>,
) -> Result<Json<ChangeDocument>, Problem> {
    cart_response(&caller, node.host().request_quote(&shop, body.read(&caller)?).await)
}

/// A line of a cart.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LineBody {
    /// Its key.
    key: String,
    /// The cart as it is.
    lines: Vec<CartLine>,
    /// Who asks.
    #[serde(default)]
    visitor: Visitor,
}

/// A line of a cart, and how many of it are wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuantityBody {
    /// Its key.
    key: String,
    /// How many.
    #[schema(minimum = 1)]
    quantity: u32,
    /// The cart as it is.
    lines: Vec<CartLine>,
    /// Who asks.
    #[serde(default)]
    visitor: Visitor,
}

/// Changes how many of a line are wanted, which prices it again.
#[utoipa::path(post, path = "/v1/shops/{shop}/cart/quantity", tag = "cart", operation_id = "change_quantity",
    params(("shop" = ShopId, Path)), request_body = QuantityBody,
    responses((status = 200, body = ChangeDocument), Problems))]
async fn quantity(
    Storefront(caller): Storefront,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(QuantityBody { key, quantity, lines, visitor }): Body<QuantityBody>,
) -> Result<Json<ChangeDocument>, Problem> {
    cart_response(&caller, node.host().change_quantity(&shop, &key, quantity, &lines, &caller.visitor(visitor)?).await)
}

/// Plans and prices a line again from its stored configuration. No operation when nothing changed.
#[utoipa::path(post, path = "/v1/shops/{shop}/cart/refresh", tag = "cart", operation_id = "refresh_line",
    params(("shop" = ShopId, Path)), request_body = LineBody, responses((status = 200, body = ChangeDocument), Problems))]
async fn refresh(
    Storefront(caller): Storefront,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(LineBody { key, lines, visitor }): Body<LineBody>,
) -> Result<Json<ChangeDocument>, Problem> {
    cart_response(&caller, node.host().refresh_line(&shop, &key, &lines, &caller.visitor(visitor)?).await)
}

/// Takes a line out: a bundle with all its children, a child only where its strategy allows.
#[utoipa::path(post, path = "/v1/shops/{shop}/cart/remove", tag = "cart", operation_id = "remove_line",
    params(("shop" = ShopId, Path)), request_body = LineBody, responses((status = 200, body = ChangeDocument), Problems))]
async fn remove(
    Storefront(caller): Storefront,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(LineBody { key, lines, visitor }): Body<LineBody>,
) -> Result<Json<ChangeDocument>, Problem> {
    cart_response(&caller, node.host().remove_line(&shop, &key, &lines, &caller.visitor(visitor)?).await)
}

/// A line of a past order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReorderBody {
    /// The line, as it was ordered.
    ordered_line: CartLine,
    /// The cart as it is.
    #[serde(default)]
    lines: Vec<CartLine>,
    /// Who asks.
    #[serde(default)]
    visitor: Visitor,
}

/// Buys again what a past order held, priced as of now.
#[utoipa::path(post, path = "/v1/shops/{shop}/cart/reorder", tag = "cart", operation_id = "reorder",
    params(("shop" = ShopId, Path)), request_body = ReorderBody, responses((status = 200, body = ChangeDocument), Problems))]
async fn reorder(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(ReorderBody { ordered_line, lines, visitor }): Body<ReorderBody>,
) -> Result<Json<ChangeDocument>, Problem> {
    cart_response(&caller, node.host().reorder(&shop, &ordered_line, lines, visitor).await)
}

/// A cart before it is ordered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CheckBody {
    /// The cart as it is.
    lines: Vec<CartLine>,
    /// Who orders.
    #[serde(default)]
    visitor: Visitor,
}

/// Says of each top line of a cart whether it can be ordered. Call it before ordering: a changed price needs the shopper's consent.
#[utoipa::path(post, path = "/v1/shops/{shop}/cart/check", tag = "cart", operation_id = "check_cart",
    params(("shop" = ShopId, Path)), request_body = CheckBody, responses((status = 200, body = [LineCheck]), Problems))]
async fn check(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(CheckBody { lines, visitor }): Body<CheckBody>,
) -> Result<Json<Vec<LineCheck>>, Problem> {
    let checks = node.host().check_cart(&shop, &lines, &visitor).await;
    checks.map(Json).map_err(|error| caller.redacted(error.into()))
}

/// Two carts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MergeBody {
    /// What was gathered before logging in.
    anonymous: Vec<CartLine>,
    /// What the customer had.
    customer: Vec<CartLine>,
    /// Who asks.
    #[serde(default)]
    visitor: Visitor,
}

/// Joins a guest's cart with a customer's; the answer is what changes in the customer's.
#[utoipa::path(post, path = "/v1/shops/{shop}/cart/merge", tag = "cart", operation_id = "merge_carts",
    params(("shop" = ShopId, Path)), request_body = MergeBody, responses((status = 200, body = ChangeDocument), Problems))]
async fn merge(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(MergeBody { anonymous, customer, visitor }): Body<MergeBody>,
) -> Result<Json<ChangeDocument>, Problem> {
    cart_response(&caller, node.host().merge_carts(&shop, &anonymous, &customer, &visitor).await)
}
