//! Amounts of money: exact decimals from the first price to a line's total, which is rounded once.
//!
//! `Amount::round` alone rounds by the shop's rule; `round_together` and `allot` distribute what was rounded.
//! `rust_decimal` reads and writes decimal text, but silently rounds a product of more than 28 digits, so arithmetic
//! uses integers of any length.

use cartwright_contract::records::{Money, Rounding};
use num_bigint::{BigInt, BigUint, Sign};
use rust_decimal::Decimal;

/// Maximum number of decimals of an amount.
pub const MAX_SCALE: u8 = 9;

/// The error of an invalid amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The amount does not fit into 64 bits of minor units.
    #[error("the amount is too large to be a price")]
    TooLarge,
    /// The amount has too many decimals.
    #[error("an amount has 0 to {MAX_SCALE} decimals, not {0}")]
    Scale(u8),
    /// The text is not a decimal number.
    #[error("{0:?} is not a decimal number")]
    NotDecimal(String),
}

/// An exact decimal number of whole currency units, of any length.
#[derive(Debug, Clone)]
pub(crate) struct Amount {
    digits: BigInt,
    scale: u32,
}

impl Amount {
    pub(crate) fn zero() -> Self {
        Self { digits: BigInt::ZERO, scale: 0 }
    }

    /// Converts the contract's `money`.
    ///
    /// # Errors
    /// Returns [`MoneyError::Scale`].
    pub(crate) fn of(money: &Money) -> Result<Self, MoneyError> {
        if money.scale > MAX_SCALE {
            return Err(MoneyError::Scale(money.scale));
        }
        Ok(Self { digits: money.minor.into(), scale: money.scale.into() })
    }

    pub(crate) fn is_negative(&self) -> bool {
        self.digits.sign() == Sign::Minus
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        let scale = self.scale.max(other.scale);
        Self { digits: self.digits_at(scale) + other.digits_at(scale), scale }
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        Self { digits: &self.digits * &other.digits, scale: self.scale + other.scale }
    }

    /// Multiplies the amount by a number of pieces.
    pub(crate) fn for_pieces(&self, count: u32) -> Self {
        Self { digits: &self.digits * count, scale: self.scale }
    }

    /// Rounds the amount to whole minor units of the shop. This is the only rounding by the shop's rule.
    ///
    /// # Errors
    /// Returns [`MoneyError::TooLarge`].
    pub(crate) fn round(&self, currency: &str, scale: u8, rounding: Rounding) -> Result<Money, MoneyError> {
        let scaled = match self.scale.checked_sub(scale.into()).filter(|surplus| *surplus > 0) {
            None => self.digits_at(scale.into()),
            Some(surplus) => {
                let divisor = BigUint::from(10u8).pow(surplus);
                let (whole, rest) = (self.digits.magnitude() / &divisor, self.digits.magnitude() % &divisor);
                let up = match (rest * 2u8).cmp(&divisor) {
                    std::cmp::Ordering::Less => false,
                    std::cmp::Ordering::Greater => true,
                    std::cmp::Ordering::Equal => rounding == Rounding::HalfUp || whole.bit(0),
                };
                BigInt::from_biguint(self.digits.sign(), whole + u8::from(up))
            }
        };
        let minor = i64::try_from(scaled).map_err(|_| MoneyError::TooLarge)?;
        Ok(Money { minor, scale, currency: currency.to_owned() })
    }

    fn digits_at(&self, scale: u32) -> BigInt {
        &self.digits * BigInt::from(10u8).pow(scale - self.scale)
    }
}

impl From<Decimal> for Amount {
    fn from(value: Decimal) -> Self {
        Self { digits: value.mantissa().into(), scale: value.scale() }
    }
}

/// Multiplies an amount by a count.
///
/// # Errors
/// Returns [`MoneyError::TooLarge`].
pub fn times(amount: &Money, count: u32) -> Result<Money, MoneyError> {
    let minor = amount.minor.checked_mul(count.into()).ok_or(MoneyError::TooLarge)?;
    Ok(Money { minor, ..amount.clone() })
}

/// Parses exact decimal text.
///
/// # Errors
/// Returns [`MoneyError::NotDecimal`].
pub fn decimal(text: &str) -> Result<Decimal, MoneyError> {
    if !cartwright_contract::text::is_decimal(text) {
        return Err(MoneyError::NotDecimal(text.chars().take(40).collect()));
    }
    Decimal::from_str_exact(text).map_err(|_| MoneyError::NotDecimal(text.chars().take(40).collect()))
}

/// Converts an amount to a decimal number of whole currency units.
///
/// # Errors
/// Returns [`MoneyError::Scale`].
pub fn exact(amount: &Money) -> Result<Decimal, MoneyError> {
    Decimal::try_from_i128_with_scale(amount.minor.into(), amount.scale.into())
        .map_err(|_| MoneyError::Scale(amount.scale))
}

/// Converts a decimal number of whole currency units to an amount with this scale, rounded.
///
/// # Errors
/// Returns [`MoneyError::TooLarge`].
pub fn round(value: Decimal, currency: &str, scale: u8, rounding: Rounding) -> Result<Money, MoneyError> {
    Amount::from(value).round(currency, scale, rounding)
}

/// Converts a decimal number of whole currency units to an amount with at least `scale` decimals, and more if they are
/// needed. It never rounds.
///
/// # Errors
/// Returns [`MoneyError::Scale`] or [`MoneyError::TooLarge`].
pub fn unrounded(value: Decimal, currency: &str, scale: u8) -> Result<Money, MoneyError> {
    let value = value.normalize();
    // A `Decimal` has at most 28 decimals.
    let needed = u8::try_from(value.scale()).unwrap_or(u8::MAX);
    if needed > MAX_SCALE {
        return Err(MoneyError::Scale(needed));
    }
    // This scale needs no rounding.
    Amount::from(value).round(currency, needed.max(scale), Rounding::HalfUp)
}

/// Rounds amounts so that they sum to `total`, the rounded sum. Each is rounded down; the remainder goes one unit each
/// to the largest fractions, and among equal fractions to the first. Each result differs from its amount by less than
/// one minor unit.
///
/// # Errors
/// Returns [`MoneyError::TooLarge`].
#[allow(
    clippy::indexing_slicing,
    reason = "the indexes are positions of `amounts`, and each has an entry in `rounded`"
)]
pub(crate) fn round_together(total: &Money, amounts: &[Amount]) -> Result<Vec<i64>, MoneyError> {
    let scale = amounts.iter().map(|amount| amount.scale).max().unwrap_or(0).max(total.scale.into());
    let unit = BigInt::from(10u8).pow(scale - u32::from(total.scale));
    let mut rounded = Vec::with_capacity(amounts.len());
    let mut fractions = Vec::with_capacity(amounts.len());
    let mut remainder = i128::from(total.minor);
    for (index, amount) in amounts.iter().enumerate() {
        let digits = amount.digits_at(scale);
        let (mut whole, mut fraction) = (&digits / &unit, &digits % &unit);
        if fraction.sign() == Sign::Minus {
            (whole, fraction) = (whole - 1, fraction + &unit);
        }
        let whole = i64::try_from(whole).map_err(|_| MoneyError::TooLarge)?;
        remainder -= i128::from(whole);
        rounded.push(whole);
        fractions.push((fraction, index));
    }
    fractions.sort_by(|(a, i), (b, j)| b.cmp(a).then(i.cmp(j)));
    for (_, index) in fractions.iter().take(usize::try_from(remainder).unwrap_or(0)) {
        rounded[*index] = rounded[*index].checked_add(1).ok_or(MoneyError::TooLarge)?;
    }
    Ok(rounded)
}

/// Distributes an amount by weights, so that the shares sum to it exactly. Each share is rounded down; the remainder
/// goes one unit each to the largest fractions, and among equal fractions to the first. If all weights are zero, the
/// shares are equal. A negative weight counts as zero.
#[allow(clippy::indexing_slicing, reason = "the indexes are positions of `weights`, and each has an entry in `shares`")]
pub(crate) fn allot(minor: i64, weights: &[Amount]) -> Vec<i64> {
    let scale = weights.iter().map(|weight| weight.scale).max().unwrap_or(0);
    let weigh = |weight: &Amount| match weight.digits.sign() {
        Sign::Plus => weight.digits_at(scale).into_parts().1,
        Sign::Minus | Sign::NoSign => BigUint::ZERO,
    };
    let mut weights: Vec<BigUint> = weights.iter().map(weigh).collect();
    if weights.iter().all(|weight| *weight == BigUint::ZERO) {
        weights.fill(BigUint::from(1u8));
    }
    let total: BigUint = weights.iter().sum();
    let amount = minor.unsigned_abs();
    let mut shares: Vec<u64> = Vec::with_capacity(weights.len());
    let mut fractions: Vec<(BigUint, usize)> = Vec::with_capacity(weights.len());
    for (index, weight) in weights.into_iter().enumerate() {
        let product = weight * amount;
        // A share is at most the amount.
        shares.push(u64::try_from(&product / &total).unwrap_or(amount));
        fractions.push((product % &total, index));
    }
    let remainder = amount - shares.iter().sum::<u64>();
    fractions.sort_by(|(a, i), (b, j)| b.cmp(a).then(i.cmp(j)));
    for (_, index) in fractions.iter().take(usize::try_from(remainder).unwrap_or(usize::MAX)) {
        shares[*index] += 1;
    }
    let signed =
        |share: u64| if minor < 0 { 0i64.wrapping_sub_unsigned(share) } else { 0i64.wrapping_add_unsigned(share) };
    shares.into_iter().map(signed).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amount(text: &str) -> Amount {
        decimal(text).unwrap().into()
    }

    fn weights(weights: &[i64]) -> Vec<Amount> {
        weights.iter().map(|weight| Decimal::from(*weight).into()).collect()
    }

    fn roundings() -> impl Strategy<Value = Rounding> {
        prop::sample::select(vec![Rounding::HalfUp, Rounding::HalfEven])
    }

    proptest! {
        #[test]
        fn shares_sum_exactly_and_none_is_a_unit_off(
            minor in -1_000_000_000_000i64..1_000_000_000_000,
            given in prop::collection::vec(0i64..1_000_000, 1..40),
        ) {
            let shares = allot(minor, &weights(&given));
            prop_assert_eq!(shares.iter().sum::<i64>(), minor);
            let total: i128 = given.iter().map(|weight| i128::from(*weight)).sum();
            if total > 0 {
                for (share, weight) in shares.iter().zip(&given) {
                    let fair = i128::from(minor) * i128::from(*weight);
                    let deviation = (i128::from(*share) * total - fair).abs();
                    prop_assert!(deviation < total, "{share} of {minor} for {weight} of {total}");
                }
            }
        }

        #[test]
        fn no_total_is_more_than_half_a_minor_unit_off(
            unit in -1_000_000_000_000i64..1_000_000_000_000,
            unit_scale in 0u8..=9,
            rate in 1i64..i64::MAX,
            rate_scale in 0u32..=18,
            pieces in 1u32..=1_000_000,
            scale in 0u8..=4,
            rounding in roundings(),
        ) {
            let unit = Money { minor: unit, scale: unit_scale, currency: "EUR".into() };
            let rate = Amount { digits: rate.into(), scale: rate_scale };
            let exact = Amount::of(&unit).unwrap().times(&rate).for_pieces(pieces);
            if let Ok(total) = exact.round("EUR", scale, rounding) {
                let minus = Amount { digits: -BigInt::from(total.minor), scale: scale.into() };
                let difference = exact.plus(&minus);
                let half_unit = Amount { digits: 5.into(), scale: u32::from(scale) + 1 };
                let widest = difference.scale.max(half_unit.scale);
                prop_assert!(difference.digits_at(widest).magnitude() <= half_unit.digits_at(widest).magnitude(), "{exact:?} as {total:?}");
            }
        }
    }

    #[test]
    fn the_largest_remainder_comes_first() {
        assert_eq!(allot(100, &weights(&[1, 1, 1])), [34, 33, 33]);
        assert_eq!(allot(10, &weights(&[3, 3, 1])), [4, 4, 2]);
        assert_eq!(allot(-100, &weights(&[1, 1, 1])), [-34, -33, -33]);
        assert_eq!(allot(5, &weights(&[0, 0])), [3, 2]);
        assert_eq!(allot(i64::MIN, &weights(&[i64::MAX, -1])), [i64::MIN, 0]);
        assert!(allot(5, &[]).is_empty());
    }

    #[test]
    fn amounts_are_rounded_together_and_a_whole_one_stays_as_it_is() {
        let rounded = |minor, amounts: &[&str]| {
            let amounts: Vec<Amount> = amounts.iter().map(|text| amount(text)).collect();
            round_together(&Money { minor, scale: 2, currency: "EUR".into() }, &amounts).unwrap()
        };
        assert_eq!(rounded(4477, &["44.75", "0.004", "0.016"]), [4475, 0, 2]);
        assert_eq!(rounded(1, &["0.004", "0.004"]), [1, 0]);
        assert_eq!(rounded(1, &["-0.004", "0.014"]), [0, 1]);
        assert_eq!(rounded(0, &["-0.015", "0.015"]), [-1, 1]);
        assert!(rounded(0, &[]).is_empty());
    }

    #[test]
    fn weights_below_a_minor_unit_count() {
        assert_eq!(allot(100, &[amount("0.001"), amount("0.004")]), [20, 80]);
    }

    #[test]
    fn rounding_is_as_the_shop_says() {
        let value = decimal("0.125").unwrap();
        assert_eq!(round(value, "EUR", 2, Rounding::HalfUp).unwrap().minor, 13);
        assert_eq!(round(value, "EUR", 2, Rounding::HalfEven).unwrap().minor, 12);
        assert_eq!(round(decimal("0.135").unwrap(), "EUR", 2, Rounding::HalfEven).unwrap().minor, 14);
        assert_eq!(round(decimal("-0.125").unwrap(), "EUR", 2, Rounding::HalfUp).unwrap().minor, -13);
        assert_eq!(round(decimal("-0.125").unwrap(), "EUR", 2, Rounding::HalfEven).unwrap().minor, -12);
        assert_eq!(round(decimal("7").unwrap(), "EUR", 2, Rounding::HalfUp).unwrap().minor, 700);
    }

    #[test]
    fn a_product_is_exact_however_many_digits_it_has() {
        // The product is half a cent less 5e-33. Rounded at 28 digits it would be half a cent, and would round up.
        let product = amount("0.005000000000000005").times(&amount("0.999999999999999"));
        assert_eq!(product.round("EUR", 2, Rounding::HalfUp).unwrap().minor, 0);
    }

    #[test]
    fn an_amount_as_it_is_written_keeps_all_its_decimals() {
        let minor_and_scale =
            |text: &str| unrounded(decimal(text).unwrap(), "EUR", 2).map(|money| (money.minor, money.scale));
        assert_eq!(minor_and_scale("24.5"), Ok((2450, 2)));
        assert_eq!(minor_and_scale("0.00400"), Ok((4, 3)));
        assert_eq!(minor_and_scale("0.0000000001"), Err(MoneyError::Scale(10)));
    }

    #[test]
    fn an_amount_larger_than_any_price_is_an_error() {
        let huge = Money { minor: i64::MAX, scale: 2, currency: "EUR".into() };
        assert_eq!(times(&huge, 2), Err(MoneyError::TooLarge));
        let twice = Amount::of(&huge).unwrap().for_pieces(2);
        assert_eq!(twice.round("EUR", 2, Rounding::HalfUp), Err(MoneyError::TooLarge));
        assert_eq!(Amount::of(&Money { scale: 10, ..huge }).unwrap_err(), MoneyError::Scale(10));
        assert!(decimal("1e5").is_err());
        assert!(decimal(&"9".repeat(40)).is_err());
    }
}
