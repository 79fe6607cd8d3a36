//! Exact decimal numbers, for quantities of articles and the price in Expivi's response. Neither ever passes through a
//! float.

use cartwright_plugin::types::Rounding;

/// Maximum number of decimals. A price or quantity has far fewer.
const MAX_DECIMALS: u32 = 28;

/// The number `mantissa` · 10^-`decimals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    mantissa: i128,
    decimals: u32,
}

impl Decimal {
    /// Zero.
    pub(crate) const ZERO: Self = Self { mantissa: 0, decimals: 0 };

    /// Parses "12.50", "-3", and JSON's "1.25e1". Returns `None` for any other text, and for more digits than can be
    /// stored exactly.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let mut mantissa = 0i128;
        for part in [whole, fraction] {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
        }
        // Without its trailing zeros, "1.000" is the whole number 1.
        let fraction = fraction.trim_end_matches('0');
        if whole.len() + fraction.len() > 36 {
            return None;
        }
        for byte in whole.bytes().chain(fraction.bytes()) {
            mantissa = mantissa * 10 + i128::from(byte - b'0');
        }
        let mut decimals = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        if mantissa == 0 {
            return Some(Self::ZERO);
        }
        while decimals < 0 {
            mantissa = mantissa.checked_mul(10)?;
            decimals += 1;
        }
        let decimals = u32::try_from(decimals).ok().filter(|decimals| *decimals <= MAX_DECIMALS)?;
        Some(Self { mantissa: if negative { -mantissa } else { mantissa }, decimals })
    }

    /// Returns the sum, or `None` if it is too large.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        let decimals = self.decimals.max(other.decimals);
        let scaled = |number: Self| number.mantissa.checked_mul(10i128.checked_pow(decimals - number.decimals)?);
        Some(Self { mantissa: scaled(self)?.checked_add(scaled(other)?)?, decimals })
    }

    /// Returns the product, or `None` if it is too large.
    pub(crate) fn times(self, count: u64) -> Option<Self> {
        Some(Self { mantissa: self.mantissa.checked_mul(count.into())?, ..self })
    }

    /// Returns the number if it is whole.
    pub(crate) fn whole(self) -> Option<i128> {
        let unit = 10i128.checked_pow(self.decimals)?;
        (self.mantissa % unit == 0).then_some(self.mantissa / unit)
    }

    /// Returns the number of decimals.
    pub(crate) fn decimals(self) -> u32 {
        self.decimals
    }

    /// Returns the number of digits without leading zeros.
    pub(crate) fn digits(self) -> u32 {
        self.mantissa.unsigned_abs().checked_ilog10().map_or(1, |power| power + 1)
    }

    /// Returns whether the number is below zero.
    pub(crate) fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// Returns the number in units of 10^-`scale`, rounded.
    pub(crate) fn minor(self, scale: u8, rounding: Rounding) -> Option<i64> {
        let scale = u32::from(scale);
        if self.decimals <= scale {
            let minor = self.mantissa.checked_mul(10i128.checked_pow(scale - self.decimals)?)?;
            return i64::try_from(minor).ok();
        }
        let unit = 10i128.checked_pow(self.decimals - scale)?;
        let (quotient, rest) = (self.mantissa / unit, (self.mantissa % unit).abs());
        let up = match (rest * 2).cmp(&unit) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => rounding == Rounding::HalfUp || quotient % 2 != 0,
        };
        let away = if self.mantissa < 0 { -1 } else { 1 };
        i64::try_from(if up { quotient + away } else { quotient }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(text: &str, scale: u8, rounding: Rounding) -> Option<i64> {
        Decimal::parse(text)?.minor(scale, rounding)
    }

    #[test]
    fn cents_are_never_cut_off() {
        for (text, cents) in
            [("349.95", 34995), ("0.1", 10), ("1e2", 10000), ("1.25E1", 1250), ("12", 1200), ("-0.05", -5)]
        {
            assert_eq!(minor(text, 2, Rounding::HalfUp), Some(cents), "{text}");
        }
    }

    #[test]
    fn halves_go_where_the_shop_rounds() {
        for (text, up, even) in
            [("0.125", 13, 12), ("0.135", 14, 14), ("-0.125", -13, -12), ("0.1251", 13, 13), ("0.1249", 12, 12)]
        {
            assert_eq!(minor(text, 2, Rounding::HalfUp), Some(up), "{text}");
            assert_eq!(minor(text, 2, Rounding::HalfEven), Some(even), "{text}");
        }
    }

    #[test]
    fn what_is_no_decimal_number_is_refused() {
        for text in [
            "",
            ".5",
            "5.",
            "1,5",
            "0x1",
            "1e",
            "1e400",
            "NaN",
            "--1",
            "1e-40",
            "1e-2147483648",
            "1e2147483647",
            "9999999999999999999999999999999999999",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sums_are_exact() {
        let half = Decimal::parse("0.5").unwrap();
        assert_eq!(half.plus(half).unwrap().whole(), Some(1));
        assert_eq!(half.whole(), None);
        let tenth = Decimal::parse("0.1").unwrap();
        let sum = (0..30).fold(Decimal::ZERO, |sum, _| sum.plus(tenth).unwrap());
        assert_eq!(sum.whole(), Some(3));
    }
}
