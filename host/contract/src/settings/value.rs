//! The value of one setting: reading what was entered, and checking it against its field.

use regex::{Regex, RegexBuilder};
use rust_decimal::Decimal;
use serde_json::Value;
use url::Url;

use super::{issue, text_issue};
use crate::records::{ChoiceSource, Field, FieldIssue, Money, SettingValue};
use crate::text::{MAX_DATA_BYTES, TextFault, check_text, is_decimal};

/// Maximum size of a compiled pattern in memory, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// The kinds of fields.
pub(super) const KINDS: [&str; 16] = [
    "text",
    "text-area",
    "list",
    "url",
    "email",
    "secret",
    "integer",
    "decimal",
    "money",
    "boolean",
    "select",
    "multi-select",
    "color",
    "css-selector",
    "pairs",
    "heading",
];

/// Returns the kind that the host treats a field as: the first that it knows of those that the plugin names, "date/text".
pub(super) fn known_kind(kind: &str) -> Option<&str> {
    kind.split('/').find(|kind| KINDS.contains(kind))
}

/// Returns whether a value counts as missing for a required field.
pub(super) fn is_empty(value: &SettingValue) -> bool {
    match value {
        SettingValue::Text(text) => text.trim().is_empty(),
        SettingValue::Texts(texts) => texts.is_empty(),
        SettingValue::Pairs(pairs) => pairs.is_empty(),
        _ => false,
    }
}

/// Reads a value that a merchant entered, in JSON. The error says what to enter.
pub(super) fn read_value(kind: &str, value: &Value) -> Result<SettingValue, &'static str> {
    Ok(match kind {
        "integer" => SettingValue::Integer(value.as_i64().ok_or("Enter a whole number.")?),
        "decimal" => SettingValue::Decimal(match value {
            Value::String(text) if is_decimal(text) => text.clone(),
            _ => {
                return Err(
                    "Enter a decimal number as text, such as \"1.25\": at most 28 digits, without a plus, an exponent or leading zeros.",
                );
            }
        }),
        "money" => {
            let money: Money = serde_json::from_value(value.clone())
                .map_err(|_| "Enter an amount such as 1234.50, without thousands separators and not with exactly three decimals; over HTTP {\"minor\": 123450, \"scale\": 2, \"currency\": \"EUR\"}.")?;
            SettingValue::Money(money)
        }
        "boolean" => SettingValue::Boolean(value.as_bool().ok_or("Enter true or false.")?),
        "list" => SettingValue::Texts(match value {
            // A form sends a list as one text with a line per entry.
            Value::String(text) => {
                text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
            }
            _ => texts(value).ok_or("Enter a list of texts, or one text per line.")?,
        }),
        "multi-select" => SettingValue::Texts(texts(value).ok_or("Enter a list of texts.")?),
        "pairs" => SettingValue::Pairs(match value {
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect::<Option<_>>()
                .ok_or("Enter an object whose values are texts.")?,
            _ => serde_json::from_value(value.clone()).map_err(|_| "Enter an object, or a list of [name, value].")?,
        }),
        "heading" => return Err("A heading has no value."),
        _ => SettingValue::Text(value.as_str().ok_or("Enter text.")?.to_owned()),
    })
}

/// Checks the texts of a setting's value; together they may have at most [`MAX_DATA_BYTES`].
pub fn check_value_texts(value: &SettingValue) -> Result<(), TextFault> {
    let texts: Vec<&str> = match value {
        SettingValue::Text(text) | SettingValue::Decimal(text) => vec![text],
        SettingValue::Texts(texts) => texts.iter().map(String::as_str).collect(),
        SettingValue::Pairs(pairs) => pairs.iter().flat_map(|(name, value)| [name.as_str(), value]).collect(),
        SettingValue::Money(money) => vec![&money.currency],
        SettingValue::Other(value) => vec![&value.name, &value.json],
        SettingValue::Integer(_) | SettingValue::Boolean(_) | SettingValue::SecretIsSet => Vec::new(),
    };
    let mut remaining = MAX_DATA_BYTES;
    for text in texts {
        check_text(text, remaining).map_err(|fault| match fault {
            TextFault::TooLong { bytes, .. } => {
                TextFault::TooLong { bytes: MAX_DATA_BYTES - remaining + bytes, allowed: MAX_DATA_BYTES }
            }
            fault => fault,
        })?;
        remaining -= text.len();
    }
    Ok(())
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| Some(text.as_str()?.to_owned())).collect()
}

/// Compiles the pattern of a field, which must match the whole text.
///
/// # Errors
/// Returns an error if the pattern is not a regular expression, with or without anchors, or takes too much memory.
pub(super) fn compile_pattern(pattern: &str) -> Result<Regex, regex::Error> {
    let compile = |pattern: &str| RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).build();
    // The bare pattern is compiled first: with anchors around it, `a)|(b` would be accepted.
    compile(pattern)?;
    compile(&format!("^(?:{pattern})$"))
}

/// Returns the issue of a value with its field, if there is one.
pub(super) fn value_issue(field: &Field, value: &SettingValue) -> Option<FieldIssue> {
    let name = field.name.as_str();
    let wrong = |key: &str, text: String| Some(issue(name, key, text));
    let is_of_kind = match field.kind.as_str() {
        "integer" => matches!(value, SettingValue::Integer(_)),
        "decimal" => matches!(value, SettingValue::Decimal(_)),
        "money" => matches!(value, SettingValue::Money(_)),
        "boolean" => matches!(value, SettingValue::Boolean(_)),
        "list" | "multi-select" => matches!(value, SettingValue::Texts(_)),
        "pairs" => matches!(value, SettingValue::Pairs(_)),
        _ => matches!(value, SettingValue::Text(_)),
    };
    if let Err(fault) = check_value_texts(value) {
        return Some(text_issue(name, fault));
    }
    if !is_of_kind {
        return wrong("setting-kind", format!("The value is not of the kind {:?}.", field.kind));
    }
    if let SettingValue::Text(text) = value
        && !text.is_empty()
    {
        match field.kind.as_str() {
            "url" => match Url::parse(text) {
                Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => {}
                _ => return wrong("setting-url", "Enter a full URL that begins with https://.".to_owned()),
            },
            "email" if !text.contains('@') => return wrong("setting-email", "Enter an e-mail address.".to_owned()),
            "color" if !is_color(text) => return wrong("setting-color", "Enter a color such as #eeeeee.".to_owned()),
            _ => {}
        }
    }
    if let Some(pattern) = &field.pattern {
        // `Form::check` refuses an invalid pattern. If one got past it, no text matches.
        let compiled = compile_pattern(pattern).ok();
        let matches =
            |text: &String| text.is_empty() || compiled.as_ref().is_some_and(|compiled| compiled.is_match(text));
        let bad = match value {
            SettingValue::Text(text) => (!matches(text)).then_some(text),
            SettingValue::Texts(texts) => texts.iter().find(|text| !matches(text)),
            _ => None,
        };
        if let Some(text) = bad {
            let text = text.chars().take(80).collect::<String>();
            return wrong("setting-pattern", format!("{text:?} does not match {pattern} (a regular expression)."));
        }
    }
    if let ChoiceSource::Fixed(choices) = &field.choices {
        let known = |text: &String| choices.iter().any(|choice| choice.value == *text);
        let bad = match value {
            SettingValue::Text(text) if !known(text) => Some(text),
            SettingValue::Texts(texts) => texts.iter().find(|text| !known(text)),
            _ => None,
        };
        if let Some(text) = bad {
            let values: Vec<&str> = choices.iter().map(|choice| choice.value.as_str()).collect();
            return wrong("setting-choice", format!("{text:?} is not one of: {}.", values.join(", ")));
        }
    }
    let size = match value {
        SettingValue::Integer(number) => Decimal::from(*number),
        SettingValue::Decimal(number) => number.parse().ok()?,
        SettingValue::Money(money) => Decimal::try_from_i128_with_scale(money.minor.into(), money.scale.into()).ok()?,
        SettingValue::Text(text) if !text.is_empty() => Decimal::from(text.chars().count()),
        SettingValue::Texts(texts) => Decimal::from(texts.len()),
        SettingValue::Pairs(pairs) => Decimal::from(pairs.len()),
        _ => return None,
    };
    let (minimum, maximum) = (bound(field.minimum.as_ref()), bound(field.maximum.as_ref()));
    if minimum.is_some_and(|minimum| size < minimum) || maximum.is_some_and(|maximum| size > maximum) {
        let from = minimum.map_or(String::new(), |minimum| format!(" from {minimum}"));
        let to = maximum.map_or(String::new(), |maximum| format!(" up to {maximum}"));
        return wrong("setting-range", format!("Must be{from}{to}, but is {size}."));
    }
    None
}

/// Returns a bound of a field as a number.
pub(super) fn bound(text: Option<&String>) -> Option<Decimal> {
    text?.parse().ok()
}

fn is_color(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|hex| matches!(hex.len(), 3 | 4 | 6 | 8) && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
