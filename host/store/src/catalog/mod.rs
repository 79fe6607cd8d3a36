//! The catalog of a platform that pushes it: its variants with their prices, and its exchange rates.
//!
//! [`Store`](crate::Store) implements [`Catalog`](cartwright::Catalog) on the pushed data, with the same behavior as
//! [`MemoryCatalog`](cartwright::MemoryCatalog). SKUs are folded to lower case in Rust, so that both databases find the
//! same.

mod audit;
mod check;
mod error;
mod placeholders;
mod reads;
mod skus;
mod variant;

use std::time::SystemTime;

use audit::PreviousVariants;
use cartwright::ShopId;
pub use error::{CatalogError, SkuConflict};
use placeholders::{MAX_ROWS_PER_STATEMENT, tuples};
use serde_json::json;
use sqlx::{AnyConnection, AssertSqlSafe};
pub use variant::{CatalogVariant, ExchangeRate, MAX_VARIANTS, VariantKey};

use crate::audit_log::{NewAuditEntry, append_audit_entry};
use crate::database::{WriteTransaction, milliseconds};
use crate::error::StoreError;
use crate::facades::StoredCatalog;
use crate::installation::{Expected, check, version};

/// Maximum length of a search text, in characters; the rest is cut off.
const MAX_SEARCH_CHARS: usize = 200;

impl StoredCatalog<'_> {
    /// Stores variants in a shop's catalog, all or none, with an audit entry. A variant replaces the one of its product
    /// with its id. No variant can take another's SKU, because carts and bundles find variants by SKU: two with the
    /// same SKU are refused, in one list or one after the other. Variants of one list may exchange SKUs, in any
    /// sequence.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`], also for more than [`MAX_VARIANTS`]; [`CatalogError::SkuConflict`], which names both
    /// variants; [`StoreError::NotFound`] if the shop is not stored.
    pub async fn put_variants(
        self,
        shop: &ShopId,
        variants: &[CatalogVariant],
        actor: &str,
        now: SystemTime,
    ) -> Result<(), CatalogError> {
        check::at_most(variants.len())?;
        check::variants(variants)?;
        let mut work = self.store.begin_shop(shop).await?;
        skus::check(&mut work, shop, variants).await?;
        let mut before = PreviousVariants::new();
        let ids: Vec<(&str, &str)> =
            variants.iter().map(|variant| (variant.product.as_str(), variant.id.as_str())).collect();
        for chunk in ids.chunks(MAX_ROWS_PER_STATEMENT) {
            before.extend(with_ids(&mut work, shop, chunk).await?);
        }
        insert(&mut work, shop, variants, now).await?;
        audit::commit(work, shop, (actor, "put-variants"), (&before, variants), now).await?;
        Ok(())
    }

    /// Removes variants from a shop's catalog, all or none, with an audit entry. Returns the number of variants that
    /// existed.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for more than [`MAX_VARIANTS`]; [`StoreError::NotFound`] if the shop is not stored.
    pub async fn remove_variants(
        self,
        shop: &ShopId,
        variants: &[VariantKey],
        actor: &str,
        now: SystemTime,
    ) -> Result<u64, CatalogError> {
        check::at_most(variants.len())?;
        let mut work = self.store.begin_shop(shop).await?;
        let keys: Vec<(&str, &str)> = variants
            .iter()
            .map(|key| (key.product.as_str(), key.id.as_str()))
            .filter(|(a, b)| is_storable(a) && is_storable(b))
            .collect();
        let mut removed = PreviousVariants::new();
        for chunk in keys.chunks(MAX_ROWS_PER_STATEMENT) {
            removed.extend(delete(&mut work, shop, chunk).await?);
        }
        audit::commit(work, shop, (actor, "remove-variants"), (&removed, &[]), now).await?;
        Ok(u64::try_from(removed.len()).unwrap_or(u64::MAX))
    }

    /// Replaces the whole catalog of a shop, with an audit entry. Concurrent calls see either the old or the new
    /// catalog.
    ///
    /// # Errors
    /// As [`StoredCatalog::put_variants`], without its limit.
    pub async fn replace_catalog(
        self,
        shop: &ShopId,
        variants: &[CatalogVariant],
        actor: &str,
        now: SystemTime,
    ) -> Result<(), CatalogError> {
        check::variants(variants)?;
        let mut work = self.store.begin_shop(shop).await?;
        skus::check_list(variants)?;
        let before = sqlx::query_as("delete from variants where shop = $1 returning product, id, variant")
            .bind(shop.as_str())
            .fetch_all(&mut *work)
            .await?;
        insert(&mut work, shop, variants, now).await?;
        let before = audit::parse_rows(before);
        audit::commit(work, shop, (actor, "replace-catalog"), (&before, variants), now).await?;
        Ok(())
    }

    /// Returns at most `limit` variants after `after`, by product and id. `search` is looked for in ids, SKUs and
    /// titles, ignoring case.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn variants_page(
        self,
        shop: &ShopId,
        search: Option<&str>,
        after: Option<&VariantKey>,
        limit: u32,
    ) -> Result<Vec<CatalogVariant>, StoreError> {
        let search: String = search.unwrap_or_default().chars().take(MAX_SEARCH_CHARS).collect();
        let (product, id) = after.map_or(("", ""), |key| (&key.product, &key.id));
        if ![&search, product, id].into_iter().all(is_storable) {
            return Ok(Vec::new());
        }
        let pattern = search.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let rows: Vec<Row> = sqlx::query_as(
            "select product, id, sku, variant from variants
             where shop = $1 and (product, id) > ($2, $3) and search_text like $4 escape '\\'
             order by product, id limit $5",
        )
        .bind(shop.as_str())
        .bind(product)
        .bind(id)
        .bind(format!("%{pattern}%"))
        .bind(i64::from(limit))
        .fetch_all(self.store.pool())
        .await?;
        Ok(rows.into_iter().map(read).collect())
    }

    /// Sets or removes an exchange rate of a platform, with an audit entry. Prices without a rate are refused. Returns
    /// the resulting rates.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`]; [`CatalogError::Change`] if the rates are not as expected; [`StoreError::NotFound`]
    /// if the shop is not stored.
    #[allow(clippy::too_many_arguments)]
    pub async fn put_exchange_rate(
        self,
        shop: &ShopId,
        from: &str,
        to: &str,
        rate: Option<&str>,
        expected: Expected<'_>,
        actor: &str,
        now: SystemTime,
    ) -> Result<Vec<ExchangeRate>, CatalogError> {
        check::exchange_rate(from, to, rate)?;
        let mut work = self.store.begin_shop(shop).await?;
        let rates = exchange_rates(&mut work, shop).await?;
        check(expected, Some(rates_version(&rates)), "the list of exchange rates")?;
        let before = rates.into_iter().find(|known| known.from == from && known.to == to);
        let query = match rate {
            Some(rate) => sqlx::query(
                "insert into exchange_rates (shop, from_currency, to_currency, rate, changed_at)
                 values ($1, $2, $3, $4, $5)
                 on conflict (shop, from_currency, to_currency) do update set rate = $4, changed_at = $5",
            )
            .bind(shop.as_str())
            .bind(from)
            .bind(to)
            .bind(rate)
            .bind(milliseconds(now)),
            None => {
                sqlx::query("delete from exchange_rates where shop = $1 and from_currency = $2 and to_currency = $3")
                    .bind(shop.as_str())
                    .bind(from)
                    .bind(to)
            }
        };
        query.execute(&mut *work).await?;
        let before = before.map(|known| json!({ "rate": known.rate }));
        let after = rate.map(|rate| json!({ "rate": rate }));
        if before != after {
            let entry = NewAuditEntry {
                actor,
                action: "set-exchange-rate",
                shop: Some(shop),
                subject: &format!("{from} to {to}"),
                before: before.as_ref(),
                after: after.as_ref(),
                secrets: &[],
            };
            append_audit_entry(&mut work, &entry, milliseconds(now)).await?;
        }
        let rates = exchange_rates(&mut work, shop).await?;
        work.commit().await?;
        Ok(rates)
    }

    /// Returns a platform's exchange rates, by currencies.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn exchange_rates(self, shop: &ShopId) -> Result<Vec<ExchangeRate>, StoreError> {
        exchange_rates(&mut *self.store.pool().acquire().await?, shop).await
    }
}

async fn exchange_rates(connection: &mut AnyConnection, shop: &ShopId) -> Result<Vec<ExchangeRate>, StoreError> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "select from_currency, to_currency, rate from exchange_rates where shop = $1 order by from_currency, to_currency",
    )
    .bind(shop.as_str())
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(from, to, rate)| ExchangeRate { from, to, rate }).collect())
}

/// Returns the version of a shop's exchange rates.
pub fn rates_version(rates: &[ExchangeRate]) -> String {
    version(&json!(rates))
}

/// Deletes variants, and returns their previous values.
async fn delete(
    work: &mut WriteTransaction,
    shop: &ShopId,
    keys: &[(&str, &str)],
) -> Result<PreviousVariants, StoreError> {
    let delete = format!(
        "delete from variants where shop = $1 and (product, id) in (values {}) returning product, id, variant",
        tuples(keys.len(), 2, 2)
    );
    select(work, shop, delete, keys).await
}

async fn with_ids(
    work: &mut WriteTransaction,
    shop: &ShopId,
    keys: &[(&str, &str)],
) -> Result<PreviousVariants, StoreError> {
    let query = format!(
        "select product, id, variant from variants where shop = $1 and (product, id) in (values {})",
        tuples(keys.len(), 2, 2)
    );
    select(work, shop, query, keys).await
}

async fn select(
    work: &mut WriteTransaction,
    shop: &ShopId,
    query: String,
    keys: &[(&str, &str)],
) -> Result<PreviousVariants, StoreError> {
    let mut query = sqlx::query_as(AssertSqlSafe(query)).bind(shop.as_str());
    for (product, other) in keys {
        query = query.bind(*product).bind(*other);
    }
    Ok(audit::parse_rows(query.fetch_all(&mut **work).await?))
}

async fn insert(
    work: &mut WriteTransaction,
    shop: &ShopId,
    variants: &[CatalogVariant],
    now: SystemTime,
) -> Result<(), StoreError> {
    let (mut place,): (i64,) = sqlx::query_as("select coalesce(max(position), 0) from variants where shop = $1")
        .bind(shop.as_str())
        .fetch_one(&mut **work)
        .await?;
    for chunk in variants.chunks(MAX_ROWS_PER_STATEMENT) {
        let insert = format!(
            "insert into variants (shop, product, id, sku, sku_lowercase, search_text, position, variant, changed_at) values {}
             on conflict (shop, product, id) do update set sku = excluded.sku, sku_lowercase = excluded.sku_lowercase,
                 search_text = excluded.search_text, variant = excluded.variant, changed_at = excluded.changed_at",
            tuples(chunk.len(), 9, 1)
        );
        let mut query = sqlx::query(AssertSqlSafe(insert));
        for variant in chunk {
            place += 1;
            let CatalogVariant { product, id, sku, title, .. } = variant;
            let json_text = serde_json::to_string(variant)
                .map_err(|error| StoreError::Unusable(format!("the variant {id}: {error}")))?;
            query = query
                .bind(shop.as_str())
                .bind(product)
                .bind(id)
                .bind(sku)
                .bind(sku.to_lowercase())
                .bind(format!("{product}\n{id}\n{sku}\n{title}").to_lowercase())
                .bind(place)
                .bind(json_text)
                .bind(milliseconds(now));
        }
        query.execute(&mut **work).await?;
    }
    Ok(())
}

/// Columns: product, id, SKU, and the whole variant as JSON.
type Row = (String, String, String, String);

/// Parses a variant of the table. A damaged one does not hide the others: it cannot be bought, and its title says so.
fn read((product, id, sku, variant): Row) -> CatalogVariant {
    serde_json::from_str(&variant).unwrap_or_else(|error| {
        tracing::error!(product, id, %error, "a variant of the catalog is damaged");
        let title = "This variant is damaged; the platform must send it again".to_owned();
        CatalogVariant {
            product,
            id,
            sku,
            title,
            prices: Vec::new(),
            tax_class: None,
            purchasable: false,
            stock: None,
            weight_grams: None,
            minimum: 1,
            maximum: None,
        }
    })
}

/// Returns whether a text can be stored: PostgreSQL rejects NUL, so that no stored name contains it.
fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}
