//! Operations on the catalog, which the platform keeps up to date here.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use cartwright::ShopId;
use cartwright_store::{CatalogError, CatalogVariant, ExchangeRate, VariantKey, rates_version};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{limit_within, next_cursor};
use crate::access::{Backend, Reader};
use crate::extract::{Body, Path, Precondition, Query, Tagged, Written};
use crate::node::Node;
use crate::problem::{Problem, Problems};

/// Default number of variants of a page.
const DEFAULT_LIMIT: u32 = 100;
/// Maximum number of variants of a page.
const MAX_LIMIT: u32 = 1000;

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new().routes(routes!(list, put)).routes(routes!(remove)).routes(routes!(rates, set_rate))
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Invalid(issues) => {
                Self::unprocessable("invalid", "the catalog has invalid variants").with_issues(issues)
            }
            error @ CatalogError::SkuConflict(_) => Self::new(StatusCode::CONFLICT, "sku-conflict", error.to_string()),
            CatalogError::Change(error) => error.into(),
            CatalogError::Store(error) => error.into(),
        }
    }
}

/// Selects variants.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct VariantQuery {
    /// Part of an id, a SKU or a title to search for.
    search: Option<String>,
    /// Returns only variants after this product…
    after_product: Option<String>,
    /// … and after this variant of it.
    after_id: Option<String>,
    /// Maximum number of variants; 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A page of variants.
#[derive(Debug, Serialize, ToSchema)]
struct VariantPage {
    /// Variants, by product and id.
    variants: Vec<CatalogVariant>,
    /// Values of `after_product` and `after_id` for the next page; `null` on the last page.
    after: Option<VariantKey>,
}

/// Lists the variants that the shop sells.
#[utoipa::path(get, path = "/v1/shops/{shop}/catalog", tag = "catalog", operation_id = "list_variants",
    params(("shop" = ShopId, Path), VariantQuery), responses((status = 200, body = VariantPage), Problems))]
async fn list(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Query(VariantQuery { search, after_product, after_id, limit }): Query<VariantQuery>,
) -> Result<Json<VariantPage>, Problem> {
    let limit = limit_within(limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    node.host().shop(&shop)?;
    let after = after_product.map(|product| VariantKey { product, id: after_id.unwrap_or_default() });
    let variants = node.store().catalog().variants_page(&shop, search.as_deref(), after.as_ref(), limit).await?;
    let after = next_cursor(&variants, limit, |variant| VariantKey {
        product: variant.product.clone(),
        id: variant.id.clone(),
    });
    Ok(Json(VariantPage { variants, after }))
}

/// Variants to store in the catalog.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CatalogBody {
    /// The variants.
    variants: Vec<CatalogVariant>,
    /// Whether these are all variants of the shop. If so, all others are removed.
    #[serde(default)]
    replace_all: bool,
}

/// Stores variants in the catalog, all or none.
///
/// A variant replaces the one with its id. Two variants with one SKU are refused (409, `sku-conflict`, naming both),
/// whether they are sent in one list or one after the other; variants of one list may exchange SKUs.
#[utoipa::path(put, path = "/v1/shops/{shop}/catalog", tag = "catalog", operation_id = "put_variants",
    params(("shop" = ShopId, Path)), request_body = CatalogBody, responses((status = 204), Problems))]
async fn put(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(CatalogBody { variants, replace_all }): Body<CatalogBody>,
) -> Result<StatusCode, Problem> {
    let store = node.store();
    match replace_all {
        true => store.catalog().replace_catalog(&shop, &variants, &caller.actor, node.now()).await?,
        false => store.catalog().put_variants(&shop, &variants, &caller.actor, node.now()).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The number of removed variants.
#[derive(Debug, Serialize, ToSchema)]
struct RemovedVariants {
    /// Number of named variants that existed and were removed.
    removed: u64,
}

/// Removes variants from the catalog.
#[utoipa::path(post, path = "/v1/shops/{shop}/catalog/remove", tag = "catalog", operation_id = "remove_variants",
    params(("shop" = ShopId, Path)), request_body = [VariantKey], responses((status = 200, body = RemovedVariants), Problems))]
async fn remove(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    Body(variants): Body<Vec<VariantKey>>,
) -> Result<Json<RemovedVariants>, Problem> {
    let removed = node.store().catalog().remove_variants(&shop, &variants, &caller.actor, node.now()).await?;
    Ok(Json(RemovedVariants { removed }))
}

/// Lists the platform's exchange rates.
///
/// Prices are converted at these rates only. The ETag identifies the current set of rates.
#[utoipa::path(get, path = "/v1/shops/{shop}/exchange-rates", tag = "catalog", operation_id = "list_exchange_rates",
    params(("shop" = ShopId, Path)), responses((status = 200, body = [ExchangeRate]), Problems))]
async fn rates(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
) -> Result<Tagged<Vec<ExchangeRate>>, Problem> {
    let rates = node.store().catalog().exchange_rates(&shop).await?;
    Ok(Tagged(rates_version(&rates), rates))
}

/// An exchange rate to set or to remove.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RateBody {
    /// Currency to convert from, ISO 4217 in capitals.
    from: String,
    /// Currency to convert to, ISO 4217 in capitals.
    to: String,
    /// Units of `to` for one unit of `from`, as exact decimal text; `null` removes the rate, so that such prices are
    /// refused.
    rate: Option<String>,
}

/// Sets or removes the exchange rate between two currencies.
#[utoipa::path(put, path = "/v1/shops/{shop}/exchange-rates", tag = "catalog", operation_id = "set_exchange_rate",
    params(("shop" = ShopId, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of the last read of all rates.")),
    request_body = RateBody, responses((status = 204), Problems))]
async fn set_rate(
    Backend(caller): Backend,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    precondition: Precondition,
    Body(RateBody { from, to, rate }): Body<RateBody>,
) -> Result<Written, Problem> {
    let (store, expected) = (node.store(), precondition.expected());
    let rates = store
        .catalog()
        .put_exchange_rate(&shop, &from, &to, rate.as_deref(), expected, &caller.actor, node.now())
        .await?;
    Ok(Written(rates_version(&rates)))
}
