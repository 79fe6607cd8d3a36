//! Settings and secrets: the plugin's form, what a merchant entered, and the check of one against the other.

use std::collections::BTreeMap;
use std::fmt;

use regex::Regex;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::contract::{ChoiceSource, Field, FieldIssue, Message, Money, Setting, SettingValue};

/// A secret's value. Never printed and wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// A secret of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into().into_bytes()))
    }

    /// The value, for whoever stores it or sends it where it belongs. Never to be shown or logged.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// An account's settings by field name. Secrets are kept apart.
pub type Settings = BTreeMap<String, SettingValue>;
/// An account's secrets by field name.
pub type Secrets = BTreeMap<String, Secret>;

/// A settings form, as `settings.fields` gave it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Form(pub Vec<Field>);

/// What one form may hold.
const MOST_FIELDS: usize = 200;
/// The longest text that a field may have.
const MOST_CHARACTERS: usize = 64 << 10;

fn message(key: &str, text: String) -> Message {
    Message { key: key.to_owned(), parameters: Vec::new(), text }
}

fn issue(field: &str, key: &str, text: impl Into<String>) -> FieldIssue {
    FieldIssue { field: field.to_owned(), message: message(key, text.into()), blocking: true }
}

impl Form {
    /// Checks a form as the plugin gave it.
    pub(crate) fn check(fields: Vec<Field>) -> Result<Self, String> {
        if fields.len() > MOST_FIELDS {
            return Err(format!("the settings form has {} fields, {MOST_FIELDS} are allowed", fields.len()));
        }
        let mut names = std::collections::BTreeSet::new();
        for field in &fields {
            let name = &field.name;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
                return Err(format!("{name:?} is no field name; use a-z, 0-9 and \"-\""));
            }
            if !names.insert(name) {
                return Err(format!("the field {name:?} stands twice in the form"));
            }
            if !KINDS.contains(&field.kind.as_str()) {
                return Err(format!("the field {name:?} has the unknown kind {:?}; known are {KINDS:?}", field.kind));
            }
            for bound in field.minimum.iter().chain(&field.maximum) {
                if !is_decimal(bound) {
                    return Err(format!("{bound:?} bounds the field {name:?} and is no decimal number"));
                }
            }
            if let Some(pattern) = &field.pattern {
                Regex::new(pattern).map_err(|error| format!("the pattern of the field {name:?}: {error}"))?;
            }
        }
        for field in &fields {
            let name = &field.name;
            if let Some(issue) = field.default.as_ref().and_then(|default| value_issue(field, default)) {
                return Err(format!("the default of the field {name:?}: {}", issue.message.text));
            }
            let is_choice = matches!(field.kind.as_str(), "select" | "multi-select");
            if is_choice == matches!(field.choices, ChoiceSource::None) {
                return Err(format!(
                    "the field {name:?} is of the kind {:?}, and {}",
                    field.kind,
                    match is_choice {
                        true => "has no choices",
                        false => "has choices",
                    }
                ));
            }
            if field.kind == "secret" && (field.public || field.per_product || field.default.is_some()) {
                return Err(format!("the secret {name:?} cannot be public, a product's own, or have a default"));
            }
            if let Some(condition) = &field.enabled_when
                && !names.contains(&condition.field)
            {
                return Err(format!(
                    "the field {:?} depends on {:?}, which is not in the form",
                    field.name, condition.field
                ));
            }
        }
        Ok(Self(fields))
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.0.iter().find(|field| field.name == name)
    }

    /// Reads values as a merchant enters them, as JSON by field name, into settings and secrets. Every issue is listed; unknown
    /// names are errors. `null` takes a value away. `kept` are secrets that have a value already.
    pub fn read(
        &self,
        values: &serde_json::Map<String, Value>,
        kept: &Secrets,
    ) -> Result<(Settings, Secrets), Vec<FieldIssue>> {
        let (mut settings, mut secrets, mut issues) = (Settings::new(), kept.clone(), Vec::new());
        for (name, value) in values {
            let Some(field) = self.field(name) else {
                let known: Vec<&str> = self.0.iter().map(|field| field.name.as_str()).collect();
                issues.push(issue(
                    name,
                    "setting-unknown",
                    format!("No such setting; known are: {}.", known.join(", ")),
                ));
                continue;
            };
            if value.is_null() {
                secrets.remove(name);
                continue;
            }
            if field.kind == "secret" {
                match value.as_str() {
                    Some("") => drop(secrets.remove(name)),
                    Some(text) => drop(secrets.insert(name.clone(), Secret::new(text))),
                    None => issues.push(issue(name, "setting-kind", "Enter text.")),
                }
                continue;
            }
            match read_value(&field.kind, value) {
                Ok(value) => drop(settings.insert(name.clone(), value)),
                Err(text) => issues.push(issue(name, "setting-kind", text)),
            }
        }
        issues.extend(self.issues(&settings, &secrets));
        if issues.iter().any(|issue| issue.blocking) { Err(issues) } else { Ok((settings, secrets)) }
    }

    /// What is wrong with these settings, as far as the form says.
    pub fn issues(&self, settings: &Settings, secrets: &Secrets) -> Vec<FieldIssue> {
        let mut issues = Vec::new();
        for field in &self.0 {
            if field.kind == "heading" || !self.is_enabled(field, &Settings::new(), settings) {
                continue;
            }
            let name = field.name.as_str();
            if field.kind == "secret" {
                if field.required && !secrets.contains_key(name) {
                    issues.push(issue(name, "setting-missing", format!("{} is required.", field.label.text)));
                }
                continue;
            }
            match settings.get(name).or(field.default.as_ref()) {
                None if field.required => {
                    issues.push(issue(name, "setting-missing", format!("{} is required.", field.label.text)));
                }
                Some(value) if field.required && is_empty(value) => {
                    issues.push(issue(name, "setting-missing", format!("{} is required.", field.label.text)));
                }
                Some(value) => issues.extend(value_issue(field, value)),
                None => {}
            }
        }
        for name in settings.keys().filter(|name| self.field(name).is_none()) {
            issues.push(issue(name, "setting-unknown", "No such setting."));
        }
        issues
    }

    /// What a plugin sees: values and defaults of the enabled fields, product values first, secrets as "is set".
    pub(crate) fn effective(&self, settings: &Settings, product: &Settings, secrets: &Secrets) -> Vec<Setting> {
        self.0
            .iter()
            .filter(|field| field.kind != "heading" && self.is_enabled(field, product, settings))
            .filter_map(|field| {
                let value = if field.kind == "secret" {
                    secrets.contains_key(&field.name).then_some(SettingValue::SecretIsSet)
                } else {
                    value_of(field, product, settings).cloned()
                };
                Some(Setting { name: field.name.clone(), value: value? })
            })
            .collect()
    }

    fn is_enabled(&self, field: &Field, product: &Settings, settings: &Settings) -> bool {
        let Some(condition) = &field.enabled_when else { return true };
        match self.field(&condition.field).and_then(|other| value_of(other, product, settings)) {
            Some(SettingValue::Text(text)) => condition.one_of.contains(text),
            Some(SettingValue::YesNo(on)) => condition.one_of.contains(&on.to_string()),
            Some(SettingValue::Integer(number)) => condition.one_of.contains(&number.to_string()),
            Some(SettingValue::Texts(texts)) => texts.iter().any(|text| condition.one_of.contains(text)),
            _ => false,
        }
    }
}

/// A field's value: the product's own, else the account's, else the default.
fn value_of<'v>(field: &'v Field, product: &'v Settings, settings: &'v Settings) -> Option<&'v SettingValue> {
    let own = if field.per_product { product.get(&field.name) } else { None };
    own.or_else(|| settings.get(&field.name)).or(field.default.as_ref())
}

const KINDS: [&str; 16] = [
    "text",
    "text-area",
    "list",
    "url",
    "email",
    "secret",
    "integer",
    "decimal",
    "money",
    "yes-no",
    "select",
    "multi-select",
    "color",
    "css-selector",
    "pairs",
    "heading",
];

fn is_empty(value: &SettingValue) -> bool {
    match value {
        SettingValue::Text(text) => text.trim().is_empty(),
        SettingValue::Texts(texts) => texts.is_empty(),
        SettingValue::Pairs(pairs) => pairs.is_empty(),
        _ => false,
    }
}

fn read_value(kind: &str, value: &Value) -> Result<SettingValue, &'static str> {
    Ok(match kind {
        "integer" => SettingValue::Integer(value.as_i64().ok_or("Enter a whole number.")?),
        "decimal" => SettingValue::Decimal(match value {
            Value::String(text) if is_decimal(text) => text.clone(),
            _ => return Err("Enter a decimal number as text, such as \"1.25\"."),
        }),
        "money" => {
            let money: Money = serde_json::from_value(value.clone())
                .map_err(|_| "Enter an amount as {\"minor\": 1250, \"scale\": 2, \"currency\": \"EUR\"}.")?;
            SettingValue::Money(money)
        }
        "yes-no" => SettingValue::YesNo(value.as_bool().ok_or("Enter true or false.")?),
        "list" => SettingValue::Texts(match value {
            // As a form sends it.
            Value::String(text) => {
                text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
            }
            _ => texts(value).ok_or("Enter a list of texts, or one text a line.")?,
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
        "heading" => return Err("A heading holds no value."),
        _ => SettingValue::Text(value.as_str().ok_or("Enter text.")?.to_owned()),
    })
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| Some(text.as_str()?.to_owned())).collect()
}

/// Digits with at most one point and a sign, at most 28 digits.
pub(crate) fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && all_digits(fraction) && digits.len() <= 29
}

fn value_issue(field: &Field, value: &SettingValue) -> Option<FieldIssue> {
    let name = field.name.as_str();
    let wrong = |key: &str, text: String| Some(issue(name, key, text));
    let fits = match field.kind.as_str() {
        "integer" => matches!(value, SettingValue::Integer(_)),
        "decimal" => matches!(value, SettingValue::Decimal(_)),
        "money" => matches!(value, SettingValue::Money(_)),
        "yes-no" => matches!(value, SettingValue::YesNo(_)),
        "list" | "multi-select" => matches!(value, SettingValue::Texts(_)),
        "pairs" => matches!(value, SettingValue::Pairs(_)),
        _ => matches!(value, SettingValue::Text(_)),
    };
    if !fits {
        return wrong("setting-kind", format!("The value is not of the kind {:?}.", field.kind));
    }
    if let SettingValue::Text(text) = value
        && !text.is_empty()
    {
        if text.len() > MOST_CHARACTERS {
            return wrong("setting-long", format!("At most {MOST_CHARACTERS} bytes."));
        }
        match field.kind.as_str() {
            "url" => match Url::parse(text) {
                Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => {}
                _ => return wrong("setting-url", "Enter a whole address that begins with https://.".to_owned()),
            },
            "email" if !text.contains('@') => return wrong("setting-email", "Enter an e-mail address.".to_owned()),
            "color" if !is_color(text) => return wrong("setting-color", "Enter a colour such as #eeeeee.".to_owned()),
            _ => {}
        }
    }
    if let Some(pattern) = &field.pattern {
        let whole = Regex::new(&format!("^(?:{pattern})$")).ok();
        let matches = |text: &String| text.is_empty() || whole.as_ref().is_some_and(|whole| whole.is_match(text));
        let bad = match value {
            SettingValue::Text(text) => (!matches(text)).then_some(text),
            SettingValue::Texts(texts) => texts.iter().find(|text| !matches(text)),
            _ => None,
        };
        if let Some(text) = bad {
            let text = text.chars().take(80).collect::<String>();
            return wrong("setting-pattern", format!("{text:?} has not the form {pattern} (a regular expression)."));
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
            return wrong("setting-choice", format!("{text:?} is none of: {}.", values.join(", ")));
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
    let bound = |bound: &Option<String>| bound.as_ref().and_then(|bound| bound.parse::<Decimal>().ok());
    let (minimum, maximum) = (bound(&field.minimum), bound(&field.maximum));
    if minimum.is_some_and(|minimum| size < minimum) || maximum.is_some_and(|maximum| size > maximum) {
        let from = minimum.map_or(String::new(), |minimum| format!(" from {minimum}"));
        let to = maximum.map_or(String::new(), |maximum| format!(" up to {maximum}"));
        return wrong("setting-range", format!("Must be{from}{to}, is {size}."));
    }
    None
}

fn is_color(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|hex| matches!(hex.len(), 3 | 4 | 6 | 8) && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Choice, Condition};

    fn field(kind: &str) -> Field {
        Field {
            name: "name".to_owned(),
            kind: kind.to_owned(),
            label: message("label", "Label".to_owned()),
            help: None,
            group: None,
            required: false,
            public: false,
            pattern: None,
            minimum: None,
            maximum: None,
            default: None,
            choices: ChoiceSource::None,
            enabled_when: None,
            per_product: false,
            vendor_may_push: false,
            hosts: Vec::new(),
        }
    }

    fn bounded(kind: &str) -> Form {
        let (minimum, maximum) = (Some("0.5".to_owned()), Some("2.25".to_owned()));
        Form::check(vec![Field { minimum, maximum, ..field(kind) }]).unwrap()
    }

    fn issues(form: &Form, value: SettingValue) -> Vec<String> {
        let settings = Settings::from([("name".to_owned(), value)]);
        form.issues(&settings, &Secrets::new()).into_iter().map(|issue| issue.message.key).collect()
    }

    #[test]
    fn a_form_that_no_merchant_could_fill_in_is_refused_and_named() {
        let red = || vec![Choice { value: "red".to_owned(), label: message("red", "Red".to_owned()) }];
        let text = |text: &str| Some(text.to_owned());
        let forms = [
            ("Näme", vec![Field { name: "Näme".to_owned(), ..field("text") }]),
            ("twice", vec![field("text"), field("text")]),
            ("hologram", vec![field("hologram")]),
            ("pattern", vec![Field { pattern: text("("), ..field("text") }]),
            ("pattern", vec![Field { pattern: text("(a{1000}){1000}"), ..field("text") }]),
            ("bounds", vec![Field { minimum: text("1e3"), ..field("integer") }]),
            ("default", vec![Field { default: Some(SettingValue::Integer(1)), ..field("text") }]),
            ("secret", vec![Field { public: true, ..field("secret") }]),
            ("no choices", vec![field("select")]),
            ("has choices", vec![Field { choices: ChoiceSource::Fixed(red()), ..field("text") }]),
            (
                "\"blue\" is none of",
                vec![Field {
                    choices: ChoiceSource::Fixed(red()),
                    default: Some(SettingValue::Text("blue".to_owned())),
                    ..field("select")
                }],
            ),
            (
                "depends on",
                vec![Field {
                    enabled_when: Some(Condition { field: "other".to_owned(), one_of: vec!["on".to_owned()] }),
                    ..field("text")
                }],
            ),
        ];
        for (word, fields) in forms {
            let error = Form::check(fields).unwrap_err();
            assert!(error.contains(word), "{word}: {error}");
        }
        let many = (0..=MOST_FIELDS).map(|number| Field { name: format!("f{number}"), ..field("text") });
        assert!(Form::check(many.collect()).is_err());
    }

    #[test]
    fn bounds_hold_for_every_kind_that_has_a_size() {
        let money = |minor| SettingValue::Money(Money { minor, scale: 2, currency: "EUR".to_owned() });
        let decimal = |text: &str| SettingValue::Decimal(text.to_owned());
        for (kind, good, bad) in [
            ("integer", SettingValue::Integer(2), SettingValue::Integer(3)),
            ("decimal", decimal("2.25"), decimal("2.26")),
            ("decimal", decimal("0.5"), decimal("-1")),
            ("money", money(50), money(49)),
            ("text", SettingValue::Text("ab".to_owned()), SettingValue::Text("abc".to_owned())),
            ("list", SettingValue::Texts(vec!["a".to_owned()]), SettingValue::Texts(Vec::new())),
        ] {
            let form = bounded(kind);
            assert_eq!(issues(&form, good), Vec::<String>::new(), "{kind}");
            assert_eq!(issues(&form, bad), ["setting-range"], "{kind}");
        }
    }

    #[test]
    fn a_list_is_typed_one_text_a_line_and_each_must_fit_the_pattern() {
        let form = Form::check(vec![Field { pattern: Some("[a-z]+".to_owned()), ..field("list") }]).unwrap();
        let typed =
            |value: Value| form.read(&serde_json::Map::from_iter([("name".to_owned(), value)]), &Secrets::new());
        let both = SettingValue::Texts(vec!["ab".to_owned(), "c".to_owned()]);
        for value in [Value::from("ab\n\n c \n"), Value::from(vec!["ab", "c"])] {
            assert_eq!(typed(value).unwrap().0["name"], both);
        }
        assert_eq!(typed(Value::from("ab\nC")).unwrap_err()[0].message.key, "setting-pattern");
    }
}
