//! Operations on shops.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use cartwright::types::{Currency, Rounding};
use cartwright::{Currencies, ReleasePolicy, Shop, ShopId};
use cartwright_service::shops::{self, OriginsError};
use cartwright_store::{origins_version, shop_version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{PageQuery, next_cursor};
use crate::access::{Admin, Integrator, Reader};
use crate::extract::{Body, Path, Precondition, Query, Tagged, Written};
use crate::node::Node;
use crate::problem::{Problem, Problems};

pub(crate) fn routes() -> OpenApiRouter<Node> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(read, set)).routes(routes!(origins, set_origins))
}

impl From<OriginsError> for Problem {
    fn from(error: OriginsError) -> Self {
        match error {
            OriginsError::Setup(error) => error.into(),
            OriginsError::Change(error) => error.into(),
            OriginsError::TooMany | OriginsError::Invalid(_) => Self::unprocessable("origins", error.to_string()),
        }
    }
}

/// The settings of a shop. Members that are left out have their default values.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ShopDocument {
    /// Id of the shop; the same as in the path.
    #[serde(default)]
    id: Option<ShopId>,
    /// Currencies that the shop sells in, with the decimals of its prices: at least one, the main one first.
    #[schema(value_type = Vec<Currency>)]
    currencies: Currencies,
    /// Country that the shop sells from, ISO 3166-1 alpha-2 in capitals.
    #[serde(default)]
    #[schema(pattern = "^[A-Z]{2}$")]
    base_country: Option<String>,
    /// Time zone, a name of the IANA database such as `Europe/Amsterdam`.
    #[serde(default)]
    time_zone: Option<String>,
    /// Language of texts, BCP 47; English by default.
    #[serde(default)]
    locale: Option<String>,
    /// Whether prices are entered with tax; false by default.
    #[serde(default)]
    prices_include_tax: Option<bool>,
    /// Rounding rule; half up by default.
    #[serde(default)]
    rounding: Option<Rounding>,
    /// Validity of a sealed price, in seconds: a day by default, at most 366 days.
    #[serde(default)]
    seal_seconds: Option<u32>,
    /// Time after the end of its seal during which a cart line is served by the version that it is pinned to, in
    /// seconds: 30 days by default, at most five years.
    #[serde(default)]
    pin_seconds: Option<u32>,
    /// Whether a linked product can be bought without a configuration; false by default.
    #[serde(default)]
    sell_unconfigured: Option<bool>,
    /// When orders are released for production; when they are paid in full by default.
    #[serde(default)]
    release: Option<ReleasePolicy>,
    /// Maximum size of a request body sent with a storefront's key, in bytes; the node's setting by default.
    /// Configurations that contain images need more than others.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 16_777_216)]
    max_storefront_body_bytes: Option<u32>,
}

impl ShopDocument {
    fn of(shop: &Shop) -> Self {
        Self {
            id: Some(shop.id.clone()),
            currencies: shop.currencies.clone(),
            base_country: shop.base_country.clone(),
            time_zone: shop.time_zone.clone(),
            locale: Some(shop.locale.clone()),
            prices_include_tax: Some(shop.prices_include_tax),
            rounding: Some(shop.rounding),
            seal_seconds: Some(shop.seal_seconds),
            pin_seconds: Some(shop.pin_seconds),
            sell_unconfigured: Some(shop.sell_unconfigured),
            release: Some(shop.release),
            max_storefront_body_bytes: shop.max_storefront_body_bytes,
        }
    }

    /// Converts to the runtime's shop. An existing shop keeps its seal key.
    fn shop(self, id: ShopId) -> Result<Shop, Problem> {
        if let Some(other) = self.id.filter(|own| *own != id) {
            return Err(Problem::unprocessable(
                "body",
                format!("id: the path names the shop {id}, but the body names {other}"),
            ));
        }
        let mut shop = shops::new_shop(id, self.currencies)?;
        shop.base_country = self.base_country;
        shop.time_zone = self.time_zone;
        shop.locale = self.locale.unwrap_or(shop.locale);
        shop.prices_include_tax = self.prices_include_tax.unwrap_or(shop.prices_include_tax);
        shop.rounding = self.rounding.unwrap_or(shop.rounding);
        shop.seal_seconds = self.seal_seconds.unwrap_or(shop.seal_seconds);
        shop.pin_seconds = self.pin_seconds.unwrap_or(shop.pin_seconds);
        shop.sell_unconfigured = self.sell_unconfigured.unwrap_or(shop.sell_unconfigured);
        shop.release = self.release.unwrap_or(shop.release);
        shop.max_storefront_body_bytes = self.max_storefront_body_bytes;
        Ok(shop)
    }
}

/// A page of shops.
#[derive(Debug, Serialize, ToSchema)]
struct ShopPage {
    /// Shops, by id.
    shops: Vec<ShopDocument>,
    /// Value of `after` for the next page; `null` on the last page.
    after: Option<String>,
}

/// Lists all shops.
#[utoipa::path(get, path = "/v1/shops", tag = "shops", operation_id = "list_shops", params(PageQuery),
    responses((status = 200, body = ShopPage), Problems))]
async fn list(_: Admin, State(node): State<Node>, Query(page): Query<PageQuery>) -> Result<Json<ShopPage>, Problem> {
    let host = node.host();
    let mut ids = host.shop_ids();
    ids.sort();
    let ids = page.of(ids, |id| id.to_string())?;
    let after = next_cursor(&ids, page.limit()?, ToString::to_string);
    let shops = ids.iter().filter_map(|id| Some(ShopDocument::of(host.shop(id).ok()?.as_ref())));
    Ok(Json(ShopPage { shops: shops.collect(), after }))
}

/// Returns a shop.
///
/// Its ETag identifies the current settings.
#[utoipa::path(get, path = "/v1/shops/{shop}", tag = "shops", operation_id = "read_shop",
    params(("shop" = ShopId, Path)), responses((status = 200, body = ShopDocument), Problems))]
async fn read(_: Reader, State(node): State<Node>, Path(shop): Path<ShopId>) -> Result<Tagged<ShopDocument>, Problem> {
    let shop = node.host().shop(&shop)?;
    Ok(Tagged(shop_version(&shop), ShopDocument::of(&shop)))
}

/// Creates a shop, or changes its settings.
///
/// The host generates the seal key of its prices, which does not change.
#[utoipa::path(put, path = "/v1/shops/{shop}", tag = "shops", operation_id = "set_shop",
    params(("shop" = ShopId, Path), ("If-Match" = Option<String>, Header, description = "ETag of the last read."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if the shop does not exist.")),
    request_body = ShopDocument, responses((status = 200, body = ShopDocument), Problems))]
async fn set(
    Admin(caller): Admin,
    State(node): State<Node>,
    Path(id): Path<ShopId>,
    precondition: Precondition,
    Body(document): Body<ShopDocument>,
) -> Result<Tagged<ShopDocument>, Problem> {
    let shop = document.shop(id)?;
    let set = node.installation().set_shop(shop, precondition.expected(), &caller.actor, node.now()).await?;
    Ok(Tagged(shop_version(&set), ShopDocument::of(&set)))
}

/// Lists the origins whose pages may send requests from a browser, with a storefront's key.
///
/// The ETag identifies the current set of origins.
#[utoipa::path(get, path = "/v1/shops/{shop}/origins", tag = "shops", operation_id = "read_origins",
    params(("shop" = ShopId, Path)), responses((status = 200, body = BTreeSet<String>), Problems))]
async fn origins(
    _: Reader,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
) -> Result<Tagged<BTreeSet<String>>, Problem> {
    node.host().shop(&shop)?;
    let origins = node.store().shops().origins(&shop).await?;
    Ok(Tagged(origins_version(&origins), origins))
}

/// Sets the allowed origins, each as a browser spells it: `https://shop.example`.
#[utoipa::path(put, path = "/v1/shops/{shop}/origins", tag = "shops", operation_id = "set_origins",
    params(("shop" = ShopId, Path), ("If-Match" = Option<String>, Header, description = "ETag of the last read.")),
    request_body = BTreeSet<String>, responses((status = 204), Problems))]
async fn set_origins(
    Integrator(caller): Integrator,
    State(node): State<Node>,
    Path(shop): Path<ShopId>,
    precondition: Precondition,
    Body(origins): Body<BTreeSet<String>>,
) -> Result<Written, Problem> {
    let (installation, expected) = (node.installation(), precondition.expected());
    shops::set_origins(installation, &shop, &origins, expected, &caller.actor, node.now()).await?;
    Ok(Written(origins_version(&origins)))
}
