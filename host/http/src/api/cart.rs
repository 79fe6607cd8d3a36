//! Operations on carts and product pages. The platform stores its carts: each request sends the current lines, and its
//! response says how to change them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use cartwright::types::{EmbedData, Message};
use cartwright::{
    AddToCart, CartChange, CartError, CartLine, CartOperation, LineCheck, PageError, ShopId, Stage, StrategyChoice,
    Visitor,
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

impl From<CartError> for Problem {
    fn from(error: CartError) -> Self {
        let kind = match &error {
            CartError::Setup(error) => return error.clone().into(),
            CartError::Hook(error) => return error.clone().into(),
            CartError::Page(PageError::Malformed { .. }) => {
                return Self::new(StatusCode::BAD_GATEWAY, "plugin-failed", error.to_string()).with_error(&error);
            }
            CartError::Page(PageError::NotGranted { .. }) => "denied",
            CartError::Platform(_) => {
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, "platform", error.to_string())
                    .with_error(&error)
                    .with_retry_after(5);
            }
            CartError::Unserializable(_) => {
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unwritable", error.to_string())
                    .with_error(&error);
            }
            CartError::OverBudget(_) => "over-budget",
            CartError::Quantity { .. } => "quantity",
            CartError::NeedsConfiguration(_) => "needs-configuration",
            CartError::Configuration(_) => "configuration",
            CartError::NotLinked { .. } => "not-linked",
            CartError::OtherProduct { .. } => "other-product",
            CartError::Sku { .. } => "sku",
            CartError::Product { .. } => "product",
            CartError::Variant { .. } => "variant",
            CartError::NotPurchasable(_) => "not-purchasable",
            CartError::Price { .. } => "price",
            CartError::RecurringPrice { .. } => "recurring-price",
            CartError::ConfigurationExpired { .. } => "must-reconfigure",
            CartError::OfferMoney { .. } | CartError::QuoteMoney { .. } => "money",
            CartError::UnknownStrategy { .. } => "no-strategy",
            CartError::Plan(_) => "plan",
            CartError::Rejected(_) => "rejected",
            CartError::UnknownLine(_) => "no-line",
            CartError::DuplicateLine(_) => "twice",
            CartError::QuotedLine { .. } => "offered",
            CartError::Seal { .. } => "seal",
            CartError::BundleChild(_) => "child-of-bundle",
            CartError::SetLine { .. } => "line-of-set",
            CartError::MustReconfigure { .. } => "must-reconfigure",
        };
        let mut problem = Self::unprocessable(kind, error.to_string()).with_error(&error);
        match error {
            CartError::Rejected(message) => problem = problem.with_shopper_message(message),
            CartError::QuotedLine { .. } => {
                let text = "This was offered as it is. Remove it from the cart to buy it differently.".to_owned();
                let message = Message { key: "offered".to_owned(), parameters: Vec::new(), text };
                problem = problem.with_shopper_message(message);
            }
            CartError::RecurringPrice { .. } => {
                let text = "This product cannot be sold in this shop.".to_owned();
                let message = Message { key: "not-sold".to_owned(), parameters: Vec::new(), text };
                problem = problem.with_shopper_message(message);
            }
            CartError::ConfigurationExpired { .. } => {
                let text = "Your configuration is no longer stored. Please configure the product again.".to_owned();
                let message = Message { key: "must-reconfigure".to_owned(), parameters: Vec::new(), text };
                problem = problem.with_shopper_message(message);
            }
            CartError::Configuration(issue) => problem = problem.with_issues(vec![issue]),
            _ => {}
        }
        problem
    }
}

/// A change of the cart, to be applied completely or not at all.
#[derive(Debug, Serialize, ToSchema)]
struct ChangeDocument {
    /// Operations to apply, in this order; empty if nothing changes.
    operations: Vec<CartOperation>,
    /// Messages for the merchant. Not sent to storefronts.
    warnings: Vec<Message>,
    /// How the change was computed, stage by stage. Not sent to storefronts.
    stages: Vec<Stage>,
}

/// Returns the change with the members that the caller may see.
fn cart_response(caller: &Caller, change: Result<CartChange, CartError>) -> Result<Json<ChangeDocument>, Problem> {
    match change {
        Ok(CartChange { operations, .. }) if caller.is_storefront() => {
            Ok(Json(ChangeDocument { operations, warnings: Vec::new(), stages: Vec::new() }))
        }
        Ok(CartChange { operations, warnings, stages }) => Ok(Json(ChangeDocument { operations, warnings, stages })),
        Err(error) => Err(caller.redacted(error.into())),
    }
}

/// A configuration to add to the cart.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddBody {
    /// Product of the shop whose page the configuration was made on.
    product: String,
    /// Configuration that the page sent, byte for byte; absent for a linked product that the shop also sells
    /// unconfigured.
    #[serde(default)]
    configuration: Option<String>,
    /// Variant that the shopper chose before configuring, if there was a choice.
    #[serde(default)]
    variant: Option<String>,
    /// Quantity to add.
    #[schema(minimum = 1)]
    quantity: u32,
    /// Strategy to use instead of the product link's, for a preview. Not allowed for storefronts.
    #[serde(default)]
    strategy: Option<StrategyChoice>,
    /// Current lines of the cart.
    #[serde(default)]
    lines: Vec<CartLine>,
    /// Facts about the shopper.
    #[serde(default)]
    visitor: Visitor,
}

impl AddBody {
    fn read(self, caller: &Caller) -> Result<AddToCart, Problem> {
        if self.strategy.is_some() && caller.is_storefront() {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "role",
                "a storefront cannot choose the strategy; leave it out",
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

/// What to show on a product page.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct PageBody {
    /// Cart line whose configuration the shopper continues to edit.
    reopen: Option<CartLine>,
    /// Facts about the shopper.
    visitor: Visitor,
}

/// Returns what a page needs to show a product's configurator.
///
/// Pass the response to `cartwright.js`.
#[utoipa::path(post, path = "/v1/shops/{shop}/products/{product}/embed-data", tag = "cart", operation_id = "read_embed_data",
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

/// Adds a configuration to the cart.
///
/// A line that equals one in the cart raises that line's quantity instead.
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

/// A configuration that replaces a line.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditBody {
    /// Key of the line, or of the bundle's parent. A line that changed in the meantime has another key.
    key: String,
    /// Product of the shop; the same as the line's.
    product: String,
    /// Configuration that the page sent, byte for byte.
    configuration: String,
    /// Variant that the shopper chose; the line's by default.
    #[serde(default)]
    variant: Option<String>,
    /// New quantity; unchanged by default.
    #[serde(default)]
    quantity: Option<u32>,
    /// Current lines of the cart.
    lines: Vec<CartLine>,
    /// Facts about the shopper.
    #[serde(default)]
    visitor: Visitor,
}

/// Replaces the configuration of a line or bundle.
///
/// The new line is checked completely before the old one is removed.
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

/// Plans the lines of a quote request, instead of a purchase.
///
/// Nothing is stored yet: the platform's server sends the lines to `quotes`.
#[utoipa::path(post, path = "/v1/shops/{shop}/cart/quote", tag = "cart", operation_id = "request_quote",
    params(("shop" = ShopId, Path)), request_body = AddBody, responses((status = 200, body = ChangeDocument), Problems))]
async fn quote(
    Storefront(caller): Storefront,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(body): Body<AddBody>,
) -> Result<Json<ChangeDocument>, Problem> {
    cart_response(&caller, node.host().request_quote(&shop, body.read(&caller)?).await)
}

/// Selects a line of a cart. Any line of a set stands for the set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LineBody {
    /// Key of the line.
    key: String,
    /// Current lines of the cart.
    lines: Vec<CartLine>,
    /// Facts about the shopper.
    #[serde(default)]
    visitor: Visitor,
}

/// A new quantity for a line.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuantityBody {
    /// Key of the line.
    key: String,
    /// New quantity. For a line of a set, that of the set: each of its lines is planned again for it.
    #[schema(minimum = 1)]
    quantity: u32,
    /// Current lines of the cart.
    lines: Vec<CartLine>,
    /// Facts about the shopper.
    #[serde(default)]
    visitor: Visitor,
}

/// Changes the quantity of a line and prices it again.
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

/// Plans and prices a line again from its stored configuration.
///
/// The response has no operations if nothing changed.
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

/// Removes a line.
///
/// A bundle is removed with all its children, and a set with all its lines; a child can be removed only if its strategy
/// allows it.
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
    /// Cart line as it was ordered. A set is reordered by its line that names the configured product, which has the
    /// set's id as its key.
    ordered_line: CartLine,
    /// Current lines of the cart.
    #[serde(default)]
    lines: Vec<CartLine>,
    /// Facts about the shopper.
    #[serde(default)]
    visitor: Visitor,
}

/// Adds a line of a past order to the cart, at current prices.
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

/// A cart to check before ordering.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CheckBody {
    /// Current lines of the cart.
    lines: Vec<CartLine>,
    /// Facts about the shopper.
    #[serde(default)]
    visitor: Visitor,
}

/// Checks whether each top-level line of a cart can be ordered.
///
/// Call it before ordering: a changed price needs the shopper's consent.
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

/// Two carts to merge.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MergeBody {
    /// Lines of the anonymous cart.
    anonymous: Vec<CartLine>,
    /// Lines of the customer's cart.
    customer: Vec<CartLine>,
    /// Facts about the shopper.
    #[serde(default)]
    visitor: Visitor,
}

/// Merges an anonymous cart into a customer's cart.
///
/// The response contains the changes to the customer's cart.
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
