//! Operations on quotes: a shopper's request for the merchant's price, the offer, and its acceptance into a cart.
//!
//! `cart/quote` plans the lines of a quote for any caller. The platform's server then stores the quote here, under its
//! own id, when it knows the customer: a storefront's key cannot send requests to the merchant.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use cartwright::timestamp;
use cartwright::types::{Address, Money};
use cartwright::{CartLine, CartOperation, QuoteOffer, ShopId};
use cartwright_store::{NewQuote, Quote, QuoteError, QuoteState, QuoteSummary};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{next_cursor, page_limit};
use crate::access::Backend;
use crate::extract::{Body, Path, Precondition, Query, Tagged};
use crate::idempotency::of_order;
use crate::node::Node;
use crate::problem::{Problem, Problems};
use crate::request_time::RequestTime;

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(list, request))
        .routes(routes!(read))
        .routes(routes!(offer))
        .routes(routes!(withdraw))
        .routes(routes!(accept))
}

impl From<QuoteError> for Problem {
    fn from(error: QuoteError) -> Self {
        let (status, kind) = match error {
            QuoteError::Cart(error) => return error.into(),
            QuoteError::Order(error) => return error.into(),
            QuoteError::Report(error) => return error.into(),
            QuoteError::Store(error) => return error.into(),
            QuoteError::Id(_) | QuoteError::End => (StatusCode::UNPROCESSABLE_ENTITY, "quote"),
            QuoteError::Exists(_) => (StatusCode::CONFLICT, "exists"),
            QuoteError::Changed(_) => (StatusCode::PRECONDITION_FAILED, "changed"),
            QuoteError::State { .. } => (StatusCode::CONFLICT, "quote-state"),
            QuoteError::Expired { .. } => (StatusCode::CONFLICT, "offer-expired"),
        };
        Self::new(status, kind, error.to_string())
    }
}

/// A quote without its lines.
#[derive(Debug, Serialize, ToSchema)]
struct QuoteEntry {
    /// Id of the platform.
    id: String,
    /// State of the quote.
    state: QuoteState,
    /// Version, which grows with each change and is the ETag.
    version: u64,
    /// Time at which the offer expires.
    #[schema(format = DateTime)]
    valid_until: Option<String>,
    /// Time of the request.
    #[schema(format = DateTime)]
    requested_at: String,
    /// Time of the last change.
    #[schema(format = DateTime)]
    changed_at: String,
}

impl From<QuoteSummary> for QuoteEntry {
    fn from(summary: QuoteSummary) -> Self {
        Self {
            id: summary.id,
            state: summary.state,
            version: summary.version,
            valid_until: summary.valid_until.map(timestamp),
            requested_at: timestamp(summary.requested_at),
            changed_at: timestamp(summary.changed),
        }
    }
}

/// A quote.
#[derive(Debug, Serialize, ToSchema)]
struct QuoteDocument {
    /// The quote without its lines.
    #[serde(flatten)]
    entry: QuoteEntry,
    /// Platform's id of the customer.
    customer: Option<String>,
    /// Order under which the quote is stored: `orders/{order}` shows its jobs and outcomes.
    order: String,
    /// Requested lines, at the prices of the time of the request.
    lines: Vec<CartLine>,
    /// Offered unit price of each line that is not a child of a bundle; empty before there is an offer.
    prices: Vec<OfferedPrice>,
}

/// An offered unit price of a line.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OfferedPrice {
    /// Key of the line, or of the bundle's parent, whose price is distributed over the children. Each line of a set has
    /// its own price.
    key: String,
    /// Unit price, in the shop's currency and scale.
    unit: Money,
}

fn document(quote: Quote) -> Tagged<QuoteDocument> {
    let Quote { summary, order, request: requested_at, offer } = quote;
    let prices = offer.map(|offer| offer.prices).unwrap_or_default();
    Tagged(
        summary.version.to_string(),
        QuoteDocument {
            entry: summary.into(),
            customer: requested_at.customer,
            order,
            lines: requested_at.lines,
            prices: prices.into_iter().map(|(key, unit)| OfferedPrice { key, unit }).collect(),
        },
    )
}

/// Selects quotes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct QuoteQuery {
    /// Returns only quotes in this state.
    #[param(inline)]
    state: Option<QuoteState>,
    /// Returns only quotes requested after the one with this id.
    after: Option<String>,
    /// Maximum number of quotes; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// A page of quotes.
#[derive(Debug, Serialize, ToSchema)]
struct QuotePage {
    /// Quotes, in the order of their requests.
    quotes: Vec<QuoteEntry>,
    /// Value of `after` for the next page; `null` on the last page.
    after: Option<String>,
}

/// Lists the quotes of a shop.
#[utoipa::path(get, path = "/v1/shops/{shop}/quotes", tag = "quotes", operation_id = "list_quotes",
    params(("shop" = ShopId, Path), QuoteQuery), responses((status = 200, body = QuotePage), Problems))]
async fn list(
    _: Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(QuoteQuery { state, after, limit }): Query<QuoteQuery>,
) -> Result<Json<QuotePage>, Problem> {
    let limit = page_limit(limit)?;
    let quotes = node.store().quotes().list(&shop, state, after.as_deref(), limit, node.now()).await?;
    let after = next_cursor(&quotes, limit, |quote| quote.id.clone());
    Ok(Json(QuotePage { quotes: quotes.into_iter().map(QuoteEntry::from).collect(), after }))
}

/// A quote request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RequestQuoteBody {
    /// Id of the platform. Sending the same id again refers to the same quote and has no effect.
    #[schema(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9._-]+$")]
    id: String,
    /// Platform's id of the customer, which is stored and returned.
    #[serde(default)]
    customer: Option<String>,
    /// Contact of the customer, for vendors and order hooks that are granted personal data.
    #[serde(default)]
    contact: Option<Address>,
    /// Language, BCP 47; the shop's by default.
    #[serde(default)]
    locale: Option<String>,
    /// Requested lines as `cart/quote` or the cart returned them, with complete bundles.
    #[schema(min_items = 1)]
    lines: Vec<CartLine>,
}

/// Requests an offer from the merchant, and notifies the vendors of the products.
///
/// Every line must be sealed by this host and unchanged.
#[utoipa::path(post, path = "/v1/shops/{shop}/quotes", tag = "quotes", operation_id = "create_quote",
    params(("shop" = ShopId, Path)), request_body = RequestQuoteBody,
    responses((status = 200, body = QuoteDocument, description = "The quote was requested before."),
        (status = 201, body = QuoteDocument), Problems))]
async fn request(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(RequestQuoteBody { id, customer, contact, locale, lines }): Body<RequestQuoteBody>,
) -> Result<Response, Problem> {
    let host = node.host();
    let locale = match locale {
        Some(locale) => locale,
        None => host.shop(&shop)?.locale.clone(),
    };
    let quote = NewQuote { id, customer, contact, locale, lines };
    let (stored, new) = node.store().quotes().request(host, &shop, &quote, &caller.actor, node.now()).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let order = stored.order.clone();
    Ok(of_order((status, document(stored)), shop, order))
}

/// Returns a quote.
///
/// Its ETag is its version.
#[utoipa::path(get, path = "/v1/shops/{shop}/quotes/{quote}", tag = "quotes", operation_id = "read_quote",
    params(("shop" = ShopId, Path), ("quote" = String, Path)),
    responses((status = 200, body = QuoteDocument), Problems))]
async fn read(
    _: Backend,
    State(node): State<Node>,
    Path((shop, quote)): Path<(ShopId, String)>,
) -> Result<Tagged<QuoteDocument>, Problem> {
    Ok(document(node.store().quotes().get(&shop, &quote, node.now()).await?))
}

/// The merchant's offer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuoteOfferBody {
    /// Unit price of each top-level line.
    prices: Vec<OfferedPrice>,
    /// Time at which the offer expires, RFC 3339; within a year.
    #[schema(value_type = String, format = DateTime)]
    valid_until: RequestTime,
}

/// Offers a price for every line, until the offer expires.
///
/// A quote that was not accepted can be offered again.
#[utoipa::path(post, path = "/v1/shops/{shop}/quotes/{quote}/offer", tag = "quotes",
    operation_id = "offer_quote", params(("shop" = ShopId, Path), ("quote" = String, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of the last read.")),
    request_body = QuoteOfferBody, responses((status = 200, body = QuoteDocument), Problems))]
async fn offer(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, quote)): Path<(ShopId, String)>,
    precondition: Precondition,
    Body(QuoteOfferBody { prices, valid_until }): Body<QuoteOfferBody>,
) -> Result<Response, Problem> {
    let mut by_key = BTreeMap::new();
    for OfferedPrice { key, unit } in prices {
        if by_key.insert(key.clone(), unit).is_some() {
            return Err(Problem::unprocessable("twice", format!("the line {key} has two prices")));
        }
    }
    let offer = QuoteOffer { quote, prices: by_key, until: valid_until.into() };
    let expected = precondition.expected();
    let offered = node.store().quotes().offer(node.host(), &shop, &offer, expected, &caller.actor, node.now()).await?;
    let order = offered.order.clone();
    Ok(of_order(document(offered), shop, order))
}

/// Withdraws a quote that was not accepted: the merchant makes no offer, or the shopper declines it.
#[utoipa::path(post, path = "/v1/shops/{shop}/quotes/{quote}/withdraw", tag = "quotes",
    operation_id = "withdraw_quote", params(("shop" = ShopId, Path), ("quote" = String, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of the last read.")),
    responses((status = 200, body = QuoteDocument), Problems))]
async fn withdraw(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, quote)): Path<(ShopId, String)>,
    precondition: Precondition,
) -> Result<Response, Problem> {
    let store = node.store();
    let expected = precondition.expected();
    let withdrawn = store.quotes().withdraw(&shop, &quote, expected, &caller.actor, node.now()).await?;
    let order = withdrawn.order.clone();
    Ok(of_order(document(withdrawn), shop, order))
}

/// The cart that an offer is accepted into.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AcceptBody {
    /// Current lines of the cart.
    lines: Vec<CartLine>,
}

/// The change of the cart that accepts an offer.
#[derive(Debug, Serialize, ToSchema)]
struct AcceptedDocument {
    /// Operations to apply, completely or not at all: they add the lines at the offered prices, sealed until the offer
    /// expires. Empty if the cart contains the lines.
    operations: Vec<CartOperation>,
    /// Quote after the acceptance.
    quote: QuoteDocument,
}

/// Accepts an offer into a cart.
///
/// Accepting it again before it expires returns only the lines that the cart does not contain yet, so that nothing is
/// added twice.
#[utoipa::path(post, path = "/v1/shops/{shop}/quotes/{quote}/accept", tag = "quotes",
    operation_id = "accept_quote", params(("shop" = ShopId, Path), ("quote" = String, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of the last read, which is the offer that the shopper saw.")),
    request_body = AcceptBody, responses((status = 200, body = AcceptedDocument), Problems))]
async fn accept(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path((shop, quote)): Path<(ShopId, String)>,
    precondition: Precondition,
    Body(AcceptBody { lines }): Body<AcceptBody>,
) -> Result<Response, Problem> {
    let (store, expected) = (node.store(), precondition.expected());
    let accepted =
        store.quotes().accept(node.host(), &shop, &quote, &lines, expected, &caller.actor, node.now()).await?;
    let Tagged(version, quote) = document(accepted.0);
    let order = quote.order.clone();
    let accepted = Tagged(version, AcceptedDocument { operations: accepted.1.operations, quote });
    Ok(of_order(accepted, shop, order))
}
