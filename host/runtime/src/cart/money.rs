//! Sums of money: exact, in minor units, with an explicit rounding.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::contract::{Money, Rounding};

/// A sum that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Two amounts of different currencies or scales were to be added.
    #[error("amounts of {0} and {1} were to be added; prices are never converted silently")]
    Mixed(String, String),
    /// The amount is larger than any price.
    #[error("the amount is too large to be a price")]
    TooLarge,
    /// The text is no decimal number.
    #[error("{0:?} is no decimal number")]
    NotDecimal(String),
}

/// Adds amounts of one currency and scale.
pub fn sum<'a>(amounts: impl IntoIterator<Item = &'a Money>, currency: &str, scale: u8) -> Result<Money, MoneyError> {
    let mut minor = 0i64;
    for amount in amounts {
        if amount.currency != currency || amount.scale != scale {
            let name = |currency: &str, scale: u8| format!("{currency} with {scale} decimals");
            return Err(MoneyError::Mixed(name(currency, scale), name(&amount.currency, amount.scale)));
        }
        minor = minor.checked_add(amount.minor).ok_or(MoneyError::TooLarge)?;
    }
    Ok(Money { minor, scale, currency: currency.to_owned() })
}

/// An amount so many times.
pub fn times(amount: &Money, count: u32) -> Result<Money, MoneyError> {
    let minor = amount.minor.checked_mul(count.into()).ok_or(MoneyError::TooLarge)?;
    Ok(Money { minor, ..amount.clone() })
}

/// Exact decimal text as a number.
pub fn decimal(text: &str) -> Result<Decimal, MoneyError> {
    if !crate::settings::is_decimal(text) {
        return Err(MoneyError::NotDecimal(text.chars().take(40).collect()));
    }
    Decimal::from_str_exact(text).map_err(|_| MoneyError::NotDecimal(text.chars().take(40).collect()))
}

/// An amount as a decimal number of whole units.
pub fn exact(amount: &Money) -> Result<Decimal, MoneyError> {
    Decimal::try_from_i128_with_scale(amount.minor.into(), amount.scale.into()).map_err(|_| MoneyError::TooLarge)
}

/// A decimal number of whole units as an amount, rounded as told.
pub fn round(value: Decimal, currency: &str, scale: u8, rounding: Rounding) -> Result<Money, MoneyError> {
    let strategy = match rounding {
        Rounding::HalfUp => RoundingStrategy::MidpointAwayFromZero,
        Rounding::HalfEven => RoundingStrategy::MidpointNearestEven,
    };
    let mut rounded = value.round_dp_with_strategy(scale.into(), strategy);
    rounded.rescale(scale.into());
    if rounded.scale() != u32::from(scale) {
        return Err(MoneyError::TooLarge);
    }
    Ok(Money { minor: rounded.mantissa().to_i64().ok_or(MoneyError::TooLarge)?, scale, currency: currency.to_owned() })
}

/// Deals an amount out by weights, so that the shares sum to it exactly: each gets its part rounded down, and the remainder goes
/// one by one to the largest fractions, the first of equals first. Without any weight the shares are equal.
pub fn allot(minor: i64, weights: &[u64]) -> Vec<i64> {
    if weights.is_empty() {
        return Vec::new();
    }
    let equal = vec![1; weights.len()];
    let weights = if weights.iter().all(|weight| *weight == 0) { &equal[..] } else { weights };
    let whole: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let amount = u128::from(minor.unsigned_abs());
    let mut shares: Vec<u128> = Vec::with_capacity(weights.len());
    let mut fractions: Vec<(u128, usize)> = Vec::with_capacity(weights.len());
    for (index, weight) in weights.iter().enumerate() {
        let product = amount * u128::from(*weight);
        shares.push(product / whole);
        fractions.push((product % whole, index));
    }
    let left = amount - shares.iter().sum::<u128>();
    fractions.sort_by(|(a, i), (b, j)| b.cmp(a).then(i.cmp(j)));
    for (_, index) in fractions.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        shares[*index] += 1;
    }
    // Every share is at most `amount`, which came from an i64.
    shares.into_iter().map(|share| i64::try_from(share).unwrap_or(i64::MAX) * minor.signum()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shares_sum_exactly_and_none_is_a_unit_off(
            minor in -1_000_000_000_000i64..1_000_000_000_000,
            weights in prop::collection::vec(0u64..1_000_000, 1..40),
        ) {
            let shares = allot(minor, &weights);
            prop_assert_eq!(shares.iter().sum::<i64>(), minor);
            let whole: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            if whole > 0 {
                for (share, weight) in shares.iter().zip(&weights) {
                    let fair = minor as i128 * i128::from(*weight);
                    let off = (i128::from(*share) * whole as i128 - fair).unsigned_abs();
                    prop_assert!(off < whole, "{share} of {minor} for {weight} of {whole}");
                }
            }
        }
    }

    #[test]
    fn the_largest_remainder_comes_first() {
        assert_eq!(allot(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(allot(10, &[3, 3, 1]), [4, 4, 2]);
        assert_eq!(allot(-100, &[1, 1, 1]), [-34, -33, -33]);
        assert_eq!(allot(5, &[0, 0]), [3, 2]);
    }

    #[test]
    fn rounding_is_as_told() {
        let value = decimal("0.125").unwrap();
        assert_eq!(round(value, "EUR", 2, Rounding::HalfUp).unwrap().minor, 13);
        assert_eq!(round(value, "EUR", 2, Rounding::HalfEven).unwrap().minor, 12);
        assert_eq!(round(decimal("-0.125").unwrap(), "EUR", 2, Rounding::HalfUp).unwrap().minor, -13);
        assert_eq!(round(decimal("7").unwrap(), "EUR", 2, Rounding::HalfUp).unwrap().minor, 700);
    }

    #[test]
    fn other_currencies_and_scales_are_never_added() {
        let euros = Money { minor: 1, scale: 2, currency: "EUR".into() };
        let dollars = Money { currency: "USD".into(), ..euros.clone() };
        let mills = Money { scale: 3, ..euros.clone() };
        assert!(sum([&euros, &dollars], "EUR", 2).is_err());
        assert!(sum([&euros, &mills], "EUR", 2).is_err());
        assert_eq!(sum([&euros, &euros], "EUR", 2).unwrap().minor, 2);
    }

    #[test]
    fn what_is_larger_than_any_price_is_an_error() {
        let huge = Money { minor: i64::MAX, scale: 2, currency: "EUR".into() };
        assert_eq!(times(&huge, 2), Err(MoneyError::TooLarge));
        assert!(decimal("1e5").is_err());
        assert!(decimal(&"9".repeat(40)).is_err());
    }
}
