//! Unambiguous parsing of what people type into forms and files: amounts, whole numbers, and lists with one value per
//! line.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use cartwright::money;
use cartwright::types::{Money, Rounding};
use serde_json::Value;

/// Parses an amount in a currency with this number of decimals.
///
/// "1.500" is one and a half to some people and fifteen hundred to others, and so is "1,500". So the decimal separator
/// is a point, more decimals than the currency has are refused even if they are zeros, and thousands separators are not
/// accepted.
pub fn amount(text: &str, currency: &str, scale: u8) -> Result<Money, String> {
    let wrong = || {
        let form = match scale {
            0 => "1234, in digits only".to_owned(),
            1 => "1234.5, with a point before 1 decimal at most".to_owned(),
            scale => format!("1234.{:0<1$}, with a point before {scale} decimals at most", "5", usize::from(scale)),
        };
        format!("{text:?} is not an amount in {currency}: write it as {form}, without a thousands separator")
    };
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    if decimals > usize::from(scale) {
        return Err(wrong());
    }
    let exact = money::decimal(text).map_err(|_| wrong())?;
    // The amount has no more decimals, so that nothing is rounded.
    money::round(exact, currency, scale, Rounding::HalfUp).map_err(|error| format!("{text:?}: {error}"))
}

/// Returns whether an amount with an unknown number of decimals could be read as one with a thousands separator:
/// "1.500", not "0.500".
pub fn looks_grouped(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.split_once('.').is_some_and(|(whole, decimals)| {
        decimals.len() == 3 && whole.len() <= 3 && whole.bytes().any(|digit| digit != b'0')
    })
}

/// Parses a whole number.
pub fn whole<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    let form = "write it in digits only, such as 1200, without a thousands separator";
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{text:?} is not a whole number; {form}"));
    }
    text.parse().map_err(|error| format!("{text:?} cannot be used here ({error}); {form}"))
}

/// Writes a list with one value per line, as [`value`] parses it.
pub fn lines<T: AsRef<str>>(values: &[T]) -> String {
    values.iter().map(|value| line(value.as_ref())).collect::<Vec<_>>().join("\n")
}

/// Writes a value as a line. If [`value`] would return another text, the line is a JSON string: blanks at its ends are
/// removed when a form is read, and a line cannot contain a line break.
pub fn line(value: &str) -> Cow<'_, str> {
    let is_plain =
        value.trim() == value && !value.is_empty() && !value.contains(['\n', '\r']) && !value.starts_with('"');
    if is_plain { Cow::Borrowed(value) } else { Cow::Owned(Value::from(value).to_string()) }
}

/// Parses a line that [`line()`] wrote.
pub fn value(line: &str) -> String {
    json_string(line).unwrap_or_else(|| line.to_owned())
}

/// Parses a JSON string. A string with a NUL is not accepted, because no database stores it.
fn json_string(text: &str) -> Option<String> {
    serde_json::from_str(text).ok().filter(|value: &String| !value.contains('\0'))
}

/// Returns whether a text of this JSON contains a NUL, which is only possible by its escape. PostgreSQL rejects NUL.
pub fn contains_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(escape) = rest.iter().position(|byte| *byte == b'\\').and_then(|at| rest.get(at..)) {
        if escape.starts_with(b"\\u0000") {
            return true;
        }
        // What follows a backslash begins no escape.
        rest = escape.get(2..).unwrap_or_default();
    }
    false
}

/// Writes a name and its value as a line, as [`pair`] parses it.
pub fn pair_line(name: &str, value: &str) -> String {
    let name = if name.contains('=') { Cow::Owned(Value::from(name).to_string()) } else { line(name) };
    let value = if value.is_empty() { Cow::Borrowed("") } else { line(value) };
    format!("{name} = {value}")
}

/// Parses a line that [`pair_line`] wrote. Returns `None` without a "=".
pub fn pair(line: &str) -> Option<(String, String)> {
    let mut strings = serde_json::Deserializer::from_str(line).into_iter::<String>();
    let quoted = match strings.next() {
        Some(Ok(_)) => line.split_at_checked(strings.byte_offset()),
        _ => None,
    };
    let quoted = quoted.and_then(|(name, rest)| Some((name, rest.trim_start().strip_prefix('=')?)));
    let (name, text) = quoted.or_else(|| line.split_once('='))?;
    Some((value(name.trim()), value(text.trim())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_that_could_mean_another_is_refused() {
        for (text, currency, scale, minor) in [
            ("1234.50", "EUR", 2, 123_450),
            ("1234.5", "EUR", 2, 123_450),
            ("1234", "EUR", 2, 123_400),
            ("0.05", "EUR", 2, 5),
            ("1500", "JPY", 0, 1_500),
            ("1.500", "KWD", 3, 1_500),
            ("-3.20", "EUR", 2, -320),
        ] {
            assert_eq!(amount(text, currency, scale).map(|amount| amount.minor), Ok(minor), "{text} {currency}");
        }
        for (text, currency, scale, form) in [
            ("1.500", "EUR", 2, "1234.50"),
            ("2.450", "EUR", 2, "1234.50"),
            ("1.00000", "EUR", 2, "1234.50"),
            ("1,50", "EUR", 2, "1234.50"),
            ("1,500", "EUR", 2, "1234.50"),
            ("1.234,56", "EUR", 2, "1234.50"),
            ("1,234.56", "EUR", 2, "1234.50"),
            ("1'234.56", "CHF", 2, "1234.50"),
            ("1 234.56", "EUR", 2, "1234.50"),
            ("1\u{a0}234", "EUR", 2, "1234.50"),
            ("€ 12", "EUR", 2, "1234.50"),
            ("1e3", "EUR", 2, "1234.50"),
            ("12.", "EUR", 2, "1234.50"),
            (".50", "EUR", 2, "1234.50"),
            ("+5", "EUR", 2, "1234.50"),
            ("٥", "EUR", 2, "1234.50"),
            ("", "EUR", 2, "1234.50"),
            ("1.000", "JPY", 0, "1234,"),
            ("1.0", "JPY", 0, "1234,"),
            ("1,500", "KWD", 3, "1234.500"),
        ] {
            let reason = amount(text, currency, scale).expect_err(text);
            assert!(reason.contains(&format!("write it as {form}")), "{text} {currency}: {reason}");
        }
        assert!(amount(&"9".repeat(20), "EUR", 2).is_err());
        for (text, grouped) in
            [("1.500", true), ("-12.500", true), ("0.500", false), ("1.50", false), ("1500.000", false)]
        {
            assert_eq!(looks_grouped(text), grouped, "{text}");
        }
    }

    #[test]
    fn a_whole_number_is_digits() {
        assert_eq!(whole::<u32>("86400"), Ok(86_400));
        for text in ["86.400", "86,400", "86 400", "8e4", "-1", "+1", "", "1.0", "４"] {
            let reason = whole::<u32>(text).expect_err(text);
            assert!(reason.contains("such as 1200"), "{reason}");
        }
        assert!(whole::<u8>("300").is_err_and(|reason| reason.contains("too large")));
    }

    proptest! {
        #[test]
        fn a_list_comes_back_as_it_was(values in prop::collection::vec("[ -~\\n\\r\\t\"=é\u{a0}]{0,8}", 0..5)) {
            let written = lines(&values);
            // As a form sends it, and as it is parsed.
            let sent = written.replace('\n', "\r\n");
            let read: Vec<String> = sent.lines().map(str::trim).filter(|line| !line.is_empty()).map(value).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn a_pair_comes_back_as_it_was(name in "[ -~\\n\\r\"=é]{0,8}", text in "[ -~\\n\\r\"=é]{0,8}") {
            let written = pair_line(&name, &text);
            prop_assert!(!written.contains('\n'));
            prop_assert_eq!(pair(written.trim()), Some((name, text)));
        }
    }

    #[test]
    fn typed_values_are_parsed_unchanged() {
        for line in ["RING L", "5\" ring", "a, b", "\"half", "\"a\\u0000b\""] {
            assert_eq!(value(line), line);
        }
        assert_eq!(pair("colour = red = dark"), Some(("colour".to_owned(), "red = dark".to_owned())));
        assert_eq!(pair("colour"), None);
    }

    #[test]
    fn a_nul_is_found_where_it_is_one() {
        for (json, holds) in [
            (r#"{"id":"a\u0000"}"#, true),
            (r#"{"a\u0000":1}"#, true),
            (r#""\\\u0000""#, true),
            (r#""\\u0000""#, false),
            (r#""\u0001 \u00000""#, true),
            (r#""u0000 \n""#, false),
            ("", false),
            ("\\", false),
        ] {
            assert_eq!(contains_nul(json.as_bytes()), holds, "{json}");
        }
    }
}
