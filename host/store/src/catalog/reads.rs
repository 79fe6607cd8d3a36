//! Reads of the catalog by plugins and the host.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use cartwright::types::{SkuQuery, VariantInfo};
use cartwright::{Catalog, PlatformError, ShopId};
use sqlx::AssertSqlSafe;

use super::placeholders::{MAX_ROWS_PER_STATEMENT, places};
use super::variant::CatalogVariant;
use super::{Row, is_storable, read};
use crate::database::{Store, in_time};
use crate::error::StoreError;
use crate::facades::StoredCatalog;

#[async_trait]
impl Catalog for Store {
    async fn resolve(
        &self,
        shop: &ShopId,
        currency: &str,
        queries: &[SkuQuery],
    ) -> Result<Vec<Vec<VariantInfo>>, PlatformError> {
        let folded: BTreeSet<String> =
            queries.iter().filter(|query| is_storable(&query.sku)).map(|query| query.sku.to_lowercase()).collect();
        let folded: Vec<&str> = folded.iter().map(String::as_str).collect();
        let mut found: HashMap<String, Vec<CatalogVariant>> = HashMap::new();
        for chunk in folded.chunks(MAX_ROWS_PER_STATEMENT) {
            for variant in in_time(self.catalog().variants_with(shop, chunk)).await.map_err(platform_error)? {
                found.entry(variant.sku.to_lowercase()).or_default().push(variant);
            }
        }
        let answer = |query: &SkuQuery| {
            let same = found.get(&query.sku.to_lowercase()).into_iter().flatten();
            let fitting = same.filter(|variant| {
                query.within_product.as_ref().is_none_or(|product| *product == variant.product)
                    && (query.ignore_case || variant.sku == query.sku)
            });
            fitting.map(|variant| variant.clone().info(currency)).collect()
        };
        Ok(queries.iter().map(answer).collect())
    }

    async fn variants(&self, shop: &ShopId, currency: &str, product: &str) -> Result<Vec<VariantInfo>, PlatformError> {
        let variants = in_time(self.catalog().variants_of(shop, product)).await.map_err(platform_error)?;
        Ok(variants.into_iter().map(|variant| variant.info(currency)).collect())
    }

    async fn exchange_rate(&self, shop: &ShopId, from: &str, to: &str) -> Result<Option<String>, PlatformError> {
        let read = async {
            let found: Option<(String,)> = sqlx::query_as(
                "select rate from exchange_rates where shop = $1 and from_currency = $2 and to_currency = $3",
            )
            .bind(shop.as_str())
            .bind(from)
            .bind(to)
            .fetch_optional(self.pool())
            .await?;
            Ok::<_, StoreError>(found.map(|(rate,)| rate))
        };
        in_time(read).await.map_err(platform_error)
    }
}

fn platform_error(error: StoreError) -> PlatformError {
    PlatformError(error.to_string())
}

impl CatalogVariant {
    /// Returns the variant with its price in one currency.
    fn info(self, currency: &str) -> VariantInfo {
        VariantInfo {
            price: self.prices.into_iter().find(|price| price.currency == currency),
            id: self.id,
            product: self.product,
            sku: self.sku,
            title: self.title,
            tax_class: self.tax_class,
            purchasable: self.purchasable,
            in_stock: self.stock.map(|stock| stock > 0),
            weight_grams: self.weight_grams,
            minimum: self.minimum,
            maximum: self.maximum,
            extra: Vec::new(),
        }
    }
}

impl StoredCatalog<'_> {
    async fn variants_of(self, shop: &ShopId, product: &str) -> Result<Vec<CatalogVariant>, StoreError> {
        if !is_storable(product) {
            return Ok(Vec::new());
        }
        let rows: Vec<Row> = sqlx::query_as(
            "select product, id, sku, variant from variants where shop = $1 and product = $2 order by position, id",
        )
        .bind(shop.as_str())
        .bind(product)
        .fetch_all(self.store.pool())
        .await?;
        Ok(rows.into_iter().map(read).collect())
    }

    /// Returns every variant with one of these SKUs, ignoring case, in the catalog's sequence.
    async fn variants_with(self, shop: &ShopId, skus: &[&str]) -> Result<Vec<CatalogVariant>, StoreError> {
        let select = format!(
            "select product, id, sku, variant from variants where shop = $1 and sku_lowercase in ({}) order by position, product, id",
            places(1, skus.len(), 2)
        );
        let mut query = sqlx::query_as(AssertSqlSafe(select)).bind(shop.as_str());
        for sku in skus {
            query = query.bind(*sku);
        }
        let rows: Vec<Row> = query.fetch_all(self.store.pool()).await?;
        Ok(rows.into_iter().map(read).collect())
    }
}
