//! Quotations: what a shopper asks the merchant's price for, what is offered, and the offer's way into a cart.
//!
//! `cart/quotation` says what would be asked for, to whomever asks. The platform keeps it here, with its own id, when it knows for
//! whom: a page's key asks the merchant for nothing.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use cartwright::types::{Address, Money};
use cartwright::{CartLine, CartOperation, QuoteOffer, ShopId};
use cartwright_service::documents::moment;
use cartwright_store::{NewQuote, Quote, QuoteState, QuoteSummary};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Backend;
use crate::extract::{Body, Path, Precondition, Query, Tagged};
use crate::idempotency::of_order;
use crate::moment::Moment;
use crate::node::Node;
use crate::problem::{Problem, Problems};

const MAX_LIMIT: u32 = 500;
const DEFAULT_LIMIT: u32 = 50;

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(list, request))
        .routes(routes!(read))
        .routes(routes!(offer))
        .routes(routes!(withdraw))
        .routes(routes!(accept))
}

/// A quotation, without its lines.
#[derive(Debug, Serialize, ToSchema)]
struct QuoteEntry {
    /// The platform's id.
    id: String,
    /// How far it is.
    state: QuoteState,
    /// Grows with each change: its ETag.
    version: u64,
    /// When the offer ends.
    #[schema(format = DateTime)]
    valid_until: Option<String>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    requested_at: String,
    /// When it was changed last.
    #[schema(format = DateTime)]
    changed_at: String,
}

impl From<QuoteSummary> for QuoteEntry {
    fn from(summary: QuoteSummary) -> Self {
        Self {
            id: summary.id,
            state: summary.state,
            version: summary.version,
            valid_until: summary.valid_until.map(moment),
            requested_at: moment(summary.requested_at),
            changed_at: moment(summary.changed),
        }
    }
}

/// A quotation.
#[derive(Debug, Serialize, ToSchema)]
struct QuoteDocument {
    /// How far it is.
    #[serde(flatten)]
    entry: QuoteEntry,
    /// The platform's own name of who asks.
    customer: Option<String>,
    /// What it is kept as: `orders/{order}` shows its jobs and what vendors said of it.
    order: String,
    /// What was asked for, at the prices of then.
    lines: Vec<CartLine>,
    /// What is offered: of each top line the price of one. Empty before there is an offer.
    prices: Vec<OfferedPrice>,
}

/// The price of one of a line.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OfferedPrice {
    /// The line's key, or the bundle's parent's: its price is dealt out over the children.
    key: String,
    /// What one costs, in the shop's currency and scale.
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

/// Which quotations are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// In this state.
    #[param(inline)]
    state: Option<QuoteState>,
    /// Asked for after the one with this id.
    after: Option<String>,
    /// How many; 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Some quotations.
#[derive(Debug, Serialize, ToSchema)]
struct QuotePage {
    /// Those that were asked for first.
    quotes: Vec<QuoteEntry>,
    /// What `after` gives the next page; none at the end.
    after: Option<String>,
}

/// A shop's quotations.
#[utoipa::path(get, path = "/v1/shops/{shop}/quotes", tag = "quotes", operation_id = "list_quotations",
    params(("shop" = ShopId, Path), Which), responses((status = 200, body = QuotePage), Problems))]
async fn list(
    _: Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(Which { state, after, limit }): Query<Which>,
) -> Result<Json<QuotePage>, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::unprocessable("limit", format!("a page has 1 to {MAX_LIMIT} quotations")));
    }
    let found = node.store().quotes().list(&shop, state, after.as_deref(), limit, node.now()).await?;
    let full = u32::try_from(found.len()) == Ok(limit);
    let after = found.last().filter(|_| full).map(|last| last.id.clone());
    Ok(Json(QuotePage { quotes: found.into_iter().map(QuoteEntry::from).collect(), after }))
}

/// What a shopper asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RequestQuoteBody {
    /// The platform's id: the same id is the same quotation, and does nothing twice.
    #[schema(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9._-]+$")]
    id: String,
    /// The platform's own name of who asks. It is kept, and given back.
    #[serde(default)]
    customer: Option<String>,
    /// Who asks, for vendors and order hooks that are granted personal data.
    #[serde(default)]
    contact: Option<Address>,
    /// The language, BCP 47; the shop's unless given.
    #[serde(default)]
    locale: Option<String>,
    /// What for: the lines as `cart/quotation` or the cart gave them, bundles whole.
    #[schema(min_items = 1)]
    lines: Vec<CartLine>,
}

/// Asks the merchant for an offer, and tells the vendors whose products it is for. Every line must be as this host sealed it.
#[utoipa::path(post, path = "/v1/shops/{shop}/quotes", tag = "quotes", operation_id = "keep_quotation",
    params(("shop" = ShopId, Path)), request_body = RequestQuoteBody,
    responses((status = 200, body = QuoteDocument, description = "It was asked for before."),
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
    let (kept, new) = node.store().quotes().request(host, &shop, &quote, &caller.actor, node.now()).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let order = kept.order.clone();
    Ok(of_order((status, document(kept)), shop, order))
}

/// A quotation. Its ETag names its version.
#[utoipa::path(get, path = "/v1/shops/{shop}/quotes/{quote}", tag = "quotes", operation_id = "read_quotation",
    params(("shop" = ShopId, Path), ("quote" = String, Path)),
    responses((status = 200, body = QuoteDocument), Problems))]
async fn read(
    _: Backend,
    State(node): State<Node>,
    Path((shop, quote)): Path<(ShopId, String)>,
) -> Result<Tagged<QuoteDocument>, Problem> {
    Ok(document(node.store().quotes().get(&shop, &quote, node.now()).await?))
}

/// What the merchant offers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuoteOfferBody {
    /// Of each top line what one costs.
    prices: Vec<OfferedPrice>,
    /// When the offer ends, RFC 3339; within a year.
    #[schema(value_type = String, format = DateTime)]
    valid_until: Moment,
}

/// Offers a price for every line, until the offer ends. What was not accepted may be offered anew.
#[utoipa::path(post, path = "/v1/shops/{shop}/quotes/{quote}/offer", tag = "quotes",
    operation_id = "offer_quotation", params(("shop" = ShopId, Path), ("quote" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
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

/// Says that nothing comes of a quotation which was not accepted: the merchant makes no offer, or the shopper wants none.
#[utoipa::path(post, path = "/v1/shops/{shop}/quotes/{quote}/withdraw", tag = "quotes",
    operation_id = "withdraw_quotation", params(("shop" = ShopId, Path), ("quote" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read.")),
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

/// Whose cart it goes into.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AcceptBody {
    /// The cart as it is.
    lines: Vec<CartLine>,
}

/// What an accepted offer changes in the cart.
#[derive(Debug, Serialize, ToSchema)]
struct AcceptedDocument {
    /// What to do, all of it or nothing: the lines at the offered prices, sealed until the offer ends. Empty when the cart holds them.
    operations: Vec<CartOperation>,
    /// The quotation as it is now.
    quote: QuoteDocument,
}

/// Puts what is offered into a cart. Accepted again, before the offer ends, it gives what the cart does not hold yet: nothing is added
/// twice.
#[utoipa::path(post, path = "/v1/shops/{shop}/quotes/{quote}/accept", tag = "quotes",
    operation_id = "accept_quotation", params(("shop" = ShopId, Path), ("quote" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read: what the shopper saw.")),
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
