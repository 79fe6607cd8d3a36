//! Uniqueness of SKUs: carts and bundles find variants by SKU, so that of two variants with the same SKU neither could
//! be sold.

use std::collections::{BTreeMap, BTreeSet};

use cartwright::ShopId;
use sqlx::AssertSqlSafe;

use super::error::{CatalogError, SkuConflict};
use super::placeholders::{MAX_ROWS_PER_STATEMENT, places};
use super::variant::{CatalogVariant, VariantKey};
use crate::database::WriteTransaction;

/// Maximum number of conflicts that one error names.
const MAX_CONFLICTS: usize = 100;

type Key<'a> = (&'a str, &'a str);

/// Checks a list by itself, as the whole catalog of a shop.
pub(super) fn check_list(variants: &[CatalogVariant]) -> Result<(), CatalogError> {
    result(shared(variants.iter().map(|variant| (variant.sku.as_str(), key(variant)))))
}

/// Checks a list against the stored variants of the shop. A variant in the list gives up its old SKU.
pub(super) async fn check(
    work: &mut WriteTransaction,
    shop: &ShopId,
    variants: &[CatalogVariant],
) -> Result<(), CatalogError> {
    let new_keys: BTreeSet<Key<'_>> = variants.iter().map(key).collect();
    let folded: BTreeSet<String> = variants.iter().map(|variant| variant.sku.to_lowercase()).collect();
    let folded: Vec<&str> = folded.iter().map(String::as_str).filter(|sku| !sku.is_empty()).collect();
    let mut known: Vec<(String, String, String)> = Vec::new();
    for chunk in folded.chunks(MAX_ROWS_PER_STATEMENT) {
        let select = format!(
            "select sku, product, id from variants where shop = $1 and sku_lowercase in ({})",
            places(1, chunk.len(), 2)
        );
        let mut query = sqlx::query_as(AssertSqlSafe(select)).bind(shop.as_str());
        for sku in chunk {
            query = query.bind(*sku);
        }
        known.extend(query.fetch_all(&mut **work).await?);
    }
    let stored = known.iter().map(|(sku, product, id)| (sku.as_str(), (product.as_str(), id.as_str())));
    let stored = stored.filter(|(_, key)| !new_keys.contains(key));
    result(shared(stored.chain(variants.iter().map(|variant| (variant.sku.as_str(), key(variant))))))
}

fn key(variant: &CatalogVariant) -> Key<'_> {
    (&variant.product, &variant.id)
}

/// Returns the SKUs that two variants share, each with the first two of them; the result does not depend on the
/// sequence of the list.
fn shared<'a>(variants: impl Iterator<Item = (&'a str, Key<'a>)>) -> Vec<SkuConflict> {
    let mut by_sku: BTreeMap<&str, BTreeSet<Key<'_>>> = BTreeMap::new();
    for (sku, key) in variants.filter(|(sku, _)| !sku.is_empty()) {
        by_sku.entry(sku).or_default().insert(key);
    }
    let variant = |(product, id): Key<'_>| VariantKey { product: product.to_owned(), id: id.to_owned() };
    let conflicts = by_sku.into_iter().filter_map(|(sku, keys)| {
        let mut keys = keys.into_iter();
        Some(SkuConflict { sku: sku.to_owned(), variants: [variant(keys.next()?), variant(keys.next()?)] })
    });
    conflicts.take(MAX_CONFLICTS).collect()
}

fn result(conflicts: Vec<SkuConflict>) -> Result<(), CatalogError> {
    if conflicts.is_empty() { Ok(()) } else { Err(CatalogError::SkuConflict(conflicts)) }
}
