//! Data that the check of a plan needs: the prices of articles, and the expiry of the seal.

use std::collections::BTreeSet;

use cartwright_contract::records::{Item, PlanEntry, Price, PriceSource, SkuQuery};
use jiff::{SignedDuration, Timestamp, Unit};

use crate::error::CartError;
use crate::plan::ItemFacts;

/// Returns queries for the articles whose prices a plan needs: those of lines that are priced by their components. A
/// bundle's children are part of the plan already.
pub fn component_queries(items: &[Item], facts: &[ItemFacts], entries: &[PlanEntry]) -> Vec<SkuQuery> {
    let mut skus: BTreeSet<(&String, bool)> = BTreeSet::new();
    for entry in entries {
        let line = match entry {
            PlanEntry::Line(line) => Some(line),
            PlanEntry::Set(set) => set.lines.iter().find(|line| line.item.is_some()),
            PlanEntry::Bundle(_) | PlanEntry::Other(_) => None,
        };
        let Some(line) = line else { continue };
        let facts = line.item.and_then(|item| facts.get(item as usize));
        if let (PriceSource::Components, Some(facts)) = (line.price.source, facts) {
            let articles =
                facts.descendants.iter().filter_map(|below| items.get(below.index)).flat_map(|item| &item.articles);
            skus.extend(articles.filter_map(|article| Some((article.price_sku.as_ref()?, line.price.ignore_case))));
        }
    }
    let query = |(sku, ignore_case): (&String, bool)| SkuQuery { sku: sku.clone(), within_product: None, ignore_case };
    skus.into_iter().map(query).collect()
}

/// Returns the expiry of a seal: after the shop's validity, or when the first of the vendor's prices expires.
/// Remembering a price does not extend its validity, because the shop's validity counts from the request to the
/// vendor.
///
/// # Errors
/// Returns an error if the expiry is out of the calendar's range.
pub fn expiry<'a>(
    priced_at: Option<Timestamp>,
    seconds: u32,
    prices: impl IntoIterator<Item = &'a Price>,
) -> Result<String, CartError> {
    let shop_expiry = priced_at
        .unwrap_or_else(Timestamp::now)
        .checked_add(SignedDuration::from_secs(seconds.into()))
        .and_then(|expiry| expiry.round(Unit::Second))
        .map_err(|error| CartError::Unserializable(error.to_string()))?;
    let vendor_expiry =
        prices.into_iter().filter_map(|price| price.valid_until.as_ref()?.parse::<Timestamp>().ok()).min();
    Ok(vendor_expiry.map_or(shop_expiry, |vendor_expiry| vendor_expiry.min(shop_expiry)).to_string())
}

#[cfg(test)]
mod tests {
    use cartwright_contract::records::{Money, PriceBasis, PriceRole, PriceState, TaxBasis};

    use super::*;

    #[test]
    fn a_seal_over_a_cached_price_expires_from_the_request_to_the_vendor() {
        let requested_at: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        assert_eq!(expiry(Some(requested_at), 3600, []).unwrap(), "2026-01-01T13:00:00Z");
        let price = |until: &str| {
            let amount = Money { minor: 1, scale: 2, currency: "EUR".to_owned() };
            Price {
                amount,
                basis: PriceBasis::Unit,
                role: PriceRole::Whole,
                tax: TaxBasis::AsShop,
                state: PriceState::Verified,
                period: None,
                valid_until: Some(until.to_owned()),
                extra: vec![],
            }
        };
        let until = |until: &str| expiry(Some(requested_at), 3600, [&price(until)]).unwrap();
        assert_eq!(until("2026-01-01T12:30:00Z"), "2026-01-01T12:30:00Z");
        assert_eq!(until("2026-01-02T12:30:00Z"), "2026-01-01T13:00:00Z");
        let now = expiry(None, 3600, []).unwrap().parse::<Timestamp>().unwrap();
        assert!(now > Timestamp::now());
    }
}
