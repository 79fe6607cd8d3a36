//! The cache of vendor prices. An equal request for an equal configuration gets the cached price, without another
//! request to the vendor.
//!
//! The cache key covers everything that the plugin was given, except the time. An entry is valid until the vendor's
//! expiry, or for `MAX_AGE` if the vendor states none, and at most for half the validity of the shop's seals. A seal
//! over a cached price expires as if it had been made when the price was requested, so caching never extends a price.

use std::time::Duration;

use cartwright_contract::records::Price;
use jiff::Timestamp;

use crate::vendor_cache::{VendorCache, VendorResult};

/// Maximum age of a price for which the vendor states no expiry.
const MAX_AGE: Duration = Duration::from_secs(300);
/// Maximum number of cached prices of all shops together: about 20 MB.
const MAX_PRICES: usize = 50_000;

/// The cache of vendor prices.
pub type PriceCache = VendorCache<VendorPrices>;

/// Prices of a configuration's items, as a plugin returned them.
#[derive(Debug, Clone, PartialEq)]
pub struct VendorPrices {
    /// Price of each item. `None` for an item without a price.
    pub prices: Vec<Option<Price>>,
    /// When the prices were requested from the vendor.
    pub requested_at: Timestamp,
}

impl VendorResult for VendorPrices {
    const MAX_SIZE: usize = MAX_PRICES;

    /// Returns the number of prices.
    fn size(&self) -> usize {
        self.prices.len()
    }

    fn requested_at(&self) -> Timestamp {
        self.requested_at
    }

    fn expires_at(&self) -> Timestamp {
        let default_expiry = self.requested_at.checked_add(MAX_AGE).unwrap_or(self.requested_at);
        let dated = |price: &Price| price.valid_until.as_ref().map(|until| until.parse::<Timestamp>());
        // All prices must state an expiry. An unreadable expiry counts as expired.
        let each = self.prices.iter().flatten().map(|price| match dated(price) {
            Some(Ok(until)) => until,
            Some(Err(_)) => self.requested_at,
            None => default_expiry,
        });
        each.min().unwrap_or(self.requested_at)
    }
}

#[cfg(test)]
mod tests {
    use cartwright_contract::ids::Digest;
    use cartwright_contract::records::{Money, PriceBasis, PriceRole, PriceState, TaxBasis};

    use super::*;
    use crate::vendor_cache::{Lookup, PendingRequest};

    const HALF_A_SEAL: Duration = Duration::from_secs(12 * 3600);

    /// Returns the time of the tests' start, and some seconds.
    fn after_seconds(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_767_268_800 + seconds).expect("a time")
    }

    fn key(number: usize) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    fn price(valid_until: Option<Timestamp>) -> Price {
        Price {
            amount: Money { minor: 4900, scale: 2, currency: "EUR".to_owned() },
            basis: PriceBasis::Unit,
            role: PriceRole::Whole,
            tax: TaxBasis::AsShop,
            state: PriceState::Verified,
            period: None,
            valid_until: valid_until.map(|until| until.to_string()),
            extra: vec![],
        }
    }

    fn quote(valid_until: &[Option<Timestamp>]) -> VendorPrices {
        VendorPrices {
            prices: valid_until.iter().map(|until| Some(price(*until))).collect(),
            requested_at: after_seconds(0),
        }
    }

    async fn ask(memory: &PriceCache, number: usize, seconds: i64) -> PendingRequest<'_, VendorPrices> {
        match memory.get(key(number), HALF_A_SEAL, after_seconds(seconds)).await {
            Lookup::Miss(asking) => asking,
            Lookup::Hit(quote) => panic!("{quote:?}"),
        }
    }

    async fn is_known(memory: &PriceCache, number: usize, seconds: i64) -> bool {
        matches!(memory.get(key(number), HALF_A_SEAL, after_seconds(seconds)).await, Lookup::Hit(_))
    }

    #[tokio::test]
    async fn a_price_is_remembered_until_the_vendor_says_that_it_ends() {
        let memory = PriceCache::default();
        ask(&memory, 1, 0).await.remember(quote(&[Some(after_seconds(3600)), Some(after_seconds(1800))]));
        assert!(is_known(&memory, 1, 1799).await);
        assert!(!is_known(&memory, 1, 1800).await);
        assert!(!is_known(&memory, 2, 0).await);
    }

    #[tokio::test]
    async fn a_price_without_an_end_is_remembered_for_minutes() {
        let memory = PriceCache::default();
        ask(&memory, 1, 0).await.remember(quote(&[None, Some(after_seconds(3600))]));
        assert!(is_known(&memory, 1, 299).await);
        assert!(!is_known(&memory, 1, 300).await);
        ask(&memory, 2, 0).await.remember(quote(&[Some(after_seconds(-1))]));
        assert!(!is_known(&memory, 2, 0).await, "it had ended");
        ask(&memory, 3, 0).await.remember(VendorPrices { prices: vec![None], requested_at: after_seconds(0) });
        assert!(!is_known(&memory, 3, 0).await, "the vendor gave no price");
    }

    #[tokio::test]
    async fn a_price_is_not_remembered_for_longer_than_half_of_a_seal() {
        let memory = PriceCache::default();
        ask(&memory, 1, 0).await.remember(quote(&[Some(after_seconds(3600))]));
        let minute = Duration::from_secs(60);
        assert!(matches!(memory.get(key(1), minute, after_seconds(59)).await, Lookup::Hit(_)));
        assert!(matches!(memory.get(key(1), minute, after_seconds(60)).await, Lookup::Miss(_)));
    }

    #[tokio::test]
    async fn equal_price_requests_at_the_same_time_are_sent_once() {
        let memory = PriceCache::default();
        let first = ask(&memory, 1, 0).await;
        let others = async { tokio::join!(is_known(&memory, 1, 0), is_known(&memory, 1, 0)) };
        let (others, _) = tokio::join!(others, async { first.remember(quote(&[None])) });
        assert_eq!(others, (true, true));
    }

    #[tokio::test]
    async fn a_waiting_call_asks_the_vendor_if_the_first_one_got_no_price() {
        let memory = PriceCache::default();
        let first = ask(&memory, 1, 0).await;
        let (waiting, ()) = tokio::join!(memory.get(key(1), HALF_A_SEAL, after_seconds(0)), async { drop(first) });
        let Lookup::Miss(waiting) = waiting else { panic!("nothing is known") };
        waiting.remember(quote(&[None]));
        assert!(is_known(&memory, 1, 0).await);
    }

    #[tokio::test]
    async fn cached_prices_are_bounded_and_the_oldest_are_evicted() {
        let memory = PriceCache::default();
        let many = MAX_PRICES / 100;
        for number in 0..2 * many {
            let requested_at = after_seconds(i64::try_from(number).expect("a number") / 100);
            let quote = VendorPrices { requested_at, ..quote(&[None; 100]) };
            ask(&memory, number, 0).await.remember(quote);
            assert!(memory.size() <= MAX_PRICES);
        }
        assert!(is_known(&memory, 2 * many - 1, 10).await);
        assert!(!is_known(&memory, 0, 10).await);
    }
}
