//! Audit entries of catalog changes: the number of variants, and the changed prices, up to a limit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use cartwright::ShopId;
use cartwright::types::Money;
use serde_json::{Map, Value, json};

use super::variant::CatalogVariant;
use crate::audit_log::NewAuditEntry;
use crate::database::WriteTransaction;
use crate::error::StoreError;

/// Maximum number of changed prices that an entry names; the others are counted.
const MAX_LOGGED_PRICES: usize = 100;

/// Previous variants by product and id. `None` = the stored variant could not be read.
pub(super) type PreviousVariants = BTreeMap<(String, String), Option<CatalogVariant>>;

/// Converts rows from the database: product, id, variant.
pub(super) fn parse_rows(rows: Vec<(String, String, String)>) -> PreviousVariants {
    rows.into_iter().map(|(product, id, text)| ((product, id), serde_json::from_str(&text).ok())).collect()
}

/// Commits a change with its audit entry. A change without any effect has no entry.
pub(super) async fn commit(
    work: WriteTransaction,
    shop: &ShopId,
    (actor, what): (&str, &str),
    (before, after): (&PreviousVariants, &[CatalogVariant]),
    now: SystemTime,
) -> Result<(), StoreError> {
    let Some((before, after)) = audit_value(before, after) else { return work.commit().await };
    let entry = NewAuditEntry {
        actor,
        action: what,
        shop: Some(shop),
        subject: shop.as_str(),
        before: Some(&before),
        after: Some(&after),
        secrets: &[],
    };
    work.commit_audited(&entry, now).await
}

fn audit_value(before: &PreviousVariants, after: &[CatalogVariant]) -> Option<(Value, Value)> {
    let after: BTreeMap<(&str, &str), &CatalogVariant> =
        after.iter().map(|variant| ((variant.product.as_str(), variant.id.as_str()), variant)).collect();
    let before: BTreeMap<(&str, &str), Option<&CatalogVariant>> =
        before.iter().map(|((product, id), variant)| ((product.as_str(), id.as_str()), variant.as_ref())).collect();
    let (mut added, mut changed, mut removed, mut not_named) = (0_u32, 0_u32, 0_u32, 0_u32);
    let (mut old_prices, mut new_prices) = (Map::new(), Map::new());
    let mut logged_prices = 0;
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
    for key in keys {
        let (old, new) = (before.get(&key), after.get(&key));
        match (old, new) {
            (None, _) => added += 1,
            (_, None) => removed += 1,
            (Some(Some(old)), Some(new)) if old == new => continue,
            _ => changed += 1,
        }
        let (old, new) = (prices(old.copied().flatten()), prices(new.copied()));
        for currency in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let pair = [(old.get(currency), &mut old_prices), (new.get(currency), &mut new_prices)];
            if pair[0].0 == pair[1].0 {
                continue;
            }
            if logged_prices == MAX_LOGGED_PRICES {
                not_named += 1;
                continue;
            }
            logged_prices += 1;
            for (price, all) in pair {
                all.extend(price.map(|price| (price_name(key, currency), json!(price))));
            }
        }
    }
    if added + changed + removed == 0 {
        return None;
    }
    let counts = json!({
        "added": added, "changed": changed, "removed": removed, "prices": new_prices, "prices_not_named": not_named,
    });
    Some((json!({ "prices": old_prices }), counts))
}

/// Returns the name of a price. It is quoted, because products and ids may contain blanks.
fn price_name((product, id): (&str, &str), currency: &str) -> String {
    format!("{} {} {currency}", json!(product), json!(id))
}

fn prices(variant: Option<&CatalogVariant>) -> BTreeMap<&str, &Money> {
    let all = variant.into_iter().flat_map(|variant| &variant.prices);
    all.map(|price| (price.currency.as_str(), price)).collect()
}
