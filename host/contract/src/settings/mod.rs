//! Settings and secrets: the plugin's form, the values of an account, and the check of the values against the form.

mod hosts;
#[cfg(test)]
pub(crate) mod testing;
mod uses;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use hosts::NamedHost;
pub use uses::SecretUse;
pub use value::check_value_texts;

use crate::records::{ChoiceSource, Currency, Field, FieldIssue, Message, Setting, SettingValue};
use crate::text::{TextFault, check_text, is_decimal};
use uses::check_uses;
use value::{KINDS, bound, compile_pattern, is_empty, known_kind, read_value, value_issue};

/// The value of a secret. It is never printed, and is wiped when dropped.
#[derive(Clone, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Creates a secret from text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into().into_bytes()))
    }

    /// Returns the value, for storing or sending it. It must never be shown or logged.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// Compares in constant time, so that the duration reveals nothing about the value.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
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

/// A secret of an account. Entering a secret authorizes it for the hosts that the settings name at that time,
/// because a person who may change a host later does not always know the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSecret {
    /// The value.
    pub value: Secret,
    /// The hosts that the secret is authorized for, as `host` or `host:port`: those that the plugin declares for it by
    /// name, and those that the settings named when it was entered. It is sent to no other host, however the settings
    /// and the plugin change.
    pub authorized_hosts: BTreeSet<String>,
}

/// An account's settings by field name, without secrets.
pub type Settings = BTreeMap<String, SettingValue>;
/// An account's secrets by field name.
pub type Secrets = BTreeMap<String, AccountSecret>;

/// A settings form, as `settings.fields` returned it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Form(pub Vec<Field>);

/// Maximum number of fields of a form.
const MAX_FIELDS: usize = 200;
/// Maximum length of the name of a field or a strategy.
const MAX_NAME_CHARS: usize = 64;
/// Maximum length of a secret in bytes; longer ones do not fit into a header.
pub const MAX_SECRET_BYTES: usize = 8192;

fn message(key: &str, text: String) -> Message {
    Message { key: key.to_owned(), parameters: Vec::new(), text }
}

fn issue(field: &str, key: &str, text: impl Into<String>) -> FieldIssue {
    FieldIssue { field: field.to_owned(), message: message(key, text.into()), blocking: true }
}

/// Returns the issue of a text that cannot be stored.
fn text_issue(field: &str, fault: TextFault) -> FieldIssue {
    let key = if matches!(fault, TextFault::TooLong { .. }) { "setting-long" } else { "setting-text" };
    issue(field, key, format!("This cannot be stored: {fault}."))
}

/// Refuses more values than a form can have fields, because each unknown name produces an issue.
fn check_count(values: &serde_json::Map<String, Value>) -> Result<(), Vec<FieldIssue>> {
    if values.len() <= MAX_FIELDS {
        return Ok(());
    }
    let text = format!("There are {} settings; a form has at most {MAX_FIELDS}.", values.len());
    Err(vec![issue("", "setting-unknown", text)])
}

/// Reads a value that was entered for a field. The lengths of its texts are checked even if the field is disabled,
/// because the value is stored.
fn read_field(name: &str, kind: &str, value: &Value) -> Result<SettingValue, FieldIssue> {
    let value = read_value(kind, value).map_err(|text| issue(name, "setting-kind", text))?;
    check_value_texts(&value).map_err(|fault| text_issue(name, fault))?;
    Ok(value)
}

/// Returns whether a text is a name as the contract gives them to fields and strategies.
pub(crate) fn is_contract_name(name: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Checks one field of a form by itself, and sets its kind to the one that the host treats it as.
fn check_field(field: &mut Field) -> Result<(), String> {
    let name = &field.name;
    if !is_contract_name(name) {
        return Err(format!("{name:?} is not a field name; use 1 to {MAX_NAME_CHARS} of a-z, 0-9 and \"-\""));
    }
    let Some(kind) = known_kind(&field.kind) else {
        return Err(format!(
            "the field {name:?} has the unknown kind {:?}; the known kinds are {KINDS:?}, and another names one of them as its \
             fallback, as in \"date/text\"",
            field.kind
        ));
    };
    field.kind = kind.to_owned();
    if field.label.text.trim().is_empty() {
        return Err(format!("the field {name:?} has an empty label"));
    }
    for bound in field.minimum.iter().chain(&field.maximum) {
        if !is_decimal(bound) {
            return Err(format!("the bound {bound:?} of the field {name:?} is not a decimal number"));
        }
    }
    if let (Some(minimum), Some(maximum)) = (bound(field.minimum.as_ref()), bound(field.maximum.as_ref()))
        && minimum > maximum
    {
        return Err(format!("the field {name:?} has the minimum {minimum} and the smaller maximum {maximum}"));
    }
    if let Some(pattern) = &field.pattern {
        compile_pattern(pattern).map_err(|error| format!("the pattern of the field {name:?}: {error}"))?;
    }
    let is_choice = matches!(field.kind.as_str(), "select" | "multi-select");
    let has_choices = match &field.choices {
        ChoiceSource::None => false,
        ChoiceSource::Fixed(choices) => !(is_choice && choices.is_empty()),
        ChoiceSource::Dynamic => true,
    };
    if is_choice != has_choices {
        return Err(format!(
            "the field {name:?} has the kind {:?}, and {}",
            field.kind,
            if is_choice { "has no choices" } else { "has choices" }
        ));
    }
    if let Some(issue) = field.default_value.as_ref().and_then(|default| value_issue(field, default)) {
        return Err(format!("the default of the field {name:?}: {}", issue.message.text));
    }
    if field.kind == "secret" && (field.shown_on_page || field.per_product || field.default_value.is_some()) {
        return Err(format!("the secret {name:?} cannot be shown on a page or per product, and cannot have a default"));
    }
    check_uses(field)
}

impl Form {
    /// Checks a form that a plugin returned. A field of a kind that the host does not know gets the kind that it names
    /// as its fallback.
    ///
    /// # Errors
    /// Says which field the author must change, and how.
    pub fn check(mut fields: Vec<Field>) -> Result<Self, String> {
        if fields.len() > MAX_FIELDS {
            return Err(format!("the settings form has {} fields; at most {MAX_FIELDS} are allowed", fields.len()));
        }
        let mut names = BTreeSet::new();
        for field in &mut fields {
            check_field(field)?;
            if !names.insert(field.name.clone()) {
                return Err(format!("duplicate field {:?} in the form", field.name));
            }
        }
        for field in &fields {
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

    /// Returns the field with this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.0.iter().find(|field| field.name == name)
    }

    /// Reads the values that a merchant entered, a JSON object by field name, into settings and secrets. All issues are
    /// collected; unknown names are errors. `null` removes a value. `old_secrets` contains the secrets that are stored
    /// already.
    pub fn read(
        &self,
        values: &serde_json::Map<String, Value>,
        old_secrets: &Secrets,
    ) -> Result<(Settings, Secrets), Vec<FieldIssue>> {
        check_count(values)?;
        let (mut settings, mut secrets, mut issues) = (Settings::new(), old_secrets.clone(), Vec::new());
        let mut entered = Vec::new();
        for (name, value) in values {
            let Some(field) = self.field(name) else {
                let known_names: Vec<&str> = self.0.iter().map(|field| field.name.as_str()).collect();
                issues.push(issue(
                    name,
                    "setting-unknown",
                    format!("No such setting; the known settings are: {}.", known_names.join(", ")),
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
                    Some(text) => match check_text(text, MAX_SECRET_BYTES) {
                        Err(fault) => issues.push(text_issue(name, fault)),
                        Ok(()) => entered.push((field, Secret::new(text))),
                    },
                    None => issues.push(issue(name, "setting-kind", "Enter text.")),
                }
                continue;
            }
            match read_field(name, &field.kind, value) {
                Ok(value) => drop(settings.insert(name.clone(), value)),
                Err(found) => issues.push(found),
            }
        }
        for (field, value) in entered {
            let mut authorized_hosts: BTreeSet<String> =
                self.secret_hosts(field, &settings).map(|named| named.host).collect();
            // A person who enters the same secret again knows it, so that its earlier hosts stay authorized: running
            // jobs may still use them.
            if let Some(unchanged_secret) = old_secrets.get(&field.name).filter(|old| old.value == value) {
                authorized_hosts.extend(unchanged_secret.authorized_hosts.iter().cloned());
            }
            secrets.insert(field.name.clone(), AccountSecret { value, authorized_hosts });
        }
        issues.extend(self.issues(&settings, &secrets));
        issues.extend(self.secrets_for_new_hosts(&settings, &secrets));
        if issues.iter().any(|issue| issue.blocking) { Err(issues) } else { Ok((settings, secrets)) }
    }

    /// Reads the settings that a product overrides, each by itself. [`issues`](Self::issues) checks them together with
    /// those of the account.
    pub fn read_product(&self, values: &serde_json::Map<String, Value>) -> Result<Settings, Vec<FieldIssue>> {
        check_count(values)?;
        let (mut settings, mut issues) = (Settings::new(), Vec::new());
        for (name, value) in values {
            match self.field(name) {
                None => issues.push(issue(name, "setting-unknown", "No such setting.")),
                Some(field) if !field.per_product => {
                    issues.push(issue(name, "setting-of-account", "A product cannot override this setting."));
                }
                Some(_) if value.is_null() => {}
                Some(field) => match read_field(name, &field.kind, value) {
                    Ok(value) => drop(settings.insert(name.clone(), value)),
                    Err(found) => issues.push(found),
                },
            }
        }
        if issues.is_empty() { Ok(settings) } else { Err(issues) }
    }

    /// Returns the issues of these settings that the form can detect.
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
            match settings.get(name).or(field.default_value.as_ref()) {
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

    /// Returns what a plugin sees: values and defaults of the enabled fields, with product values first. A secret is
    /// shown as "is set" only.
    pub fn effective(&self, settings: &Settings, product: &Settings, secrets: &Secrets) -> Vec<Setting> {
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

    /// Returns the issues of amounts of money that are in a currency, or with a number of decimals, in which the shop has
    /// no prices. A product's settings come before the account's; a default counts as a value.
    pub fn currency_issues(&self, settings: &Settings, product: &Settings, currencies: &[Currency]) -> Vec<FieldIssue> {
        let enabled = self.0.iter().filter(|field| self.is_enabled(field, product, settings));
        let foreign = enabled.filter(|field| match value_of(field, product, settings) {
            Some(SettingValue::Money(money)) => {
                !currencies.iter().any(|known| known.code == money.currency && known.scale == money.scale)
            }
            _ => false,
        });
        let known: Vec<String> =
            currencies.iter().map(|known| format!("{} with {} decimals", known.code, known.scale)).collect();
        let text = format!("Enter an amount in {}; the shop has no other prices.", known.join(" or "));
        foreign.map(|field| issue(&field.name, "setting-currency", text.clone())).collect()
    }

    fn is_enabled(&self, field: &Field, product: &Settings, settings: &Settings) -> bool {
        let Some(condition) = &field.enabled_when else { return true };
        match self.field(&condition.field).and_then(|other| value_of(other, product, settings)) {
            Some(SettingValue::Text(text)) => condition.one_of.contains(text),
            Some(SettingValue::Boolean(on)) => condition.one_of.contains(&on.to_string()),
            Some(SettingValue::Integer(number)) => condition.one_of.contains(&number.to_string()),
            Some(SettingValue::Texts(texts)) => texts.iter().any(|text| condition.one_of.contains(text)),
            _ => false,
        }
    }
}

/// Returns a field's value: the product's, otherwise the account's, otherwise the default.
fn value_of<'v>(field: &'v Field, product: &'v Settings, settings: &'v Settings) -> Option<&'v SettingValue> {
    let product_value = if field.per_product { product.get(&field.name) } else { None };
    product_value.or_else(|| settings.get(&field.name)).or(field.default_value.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Choice, Condition, Money, NamedJson};

    fn field(kind: &str) -> Field {
        testing::field("name", kind)
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
    fn entered_texts_are_bounded_and_contain_no_nul() {
        let long = "x".repeat(40_000);
        for (kind, value, key) in [
            ("text", serde_json::json!("x".repeat((64 << 10) + 1)), "setting-long"),
            ("text", serde_json::json!("a\0b"), "setting-text"),
            ("list", serde_json::json!([long, long]), "setting-long"),
            ("pairs", serde_json::json!({ "a": long, "b": long }), "setting-long"),
            ("pairs", serde_json::json!([["a\0", "b"]]), "setting-text"),
            ("secret", serde_json::json!("a\0b"), "setting-text"),
        ] {
            // The limit also holds for a disabled field.
            let enabled_when = Some(Condition { field: "other".into(), one_of: vec!["on".into()] });
            let other = Field { name: "other".into(), ..field("text") };
            let form = Form::check(vec![Field { enabled_when, ..field(kind) }, other]).unwrap();
            let values = serde_json::Map::from_iter([("name".to_owned(), value)]);
            let found_issues = form.read(&values, &Secrets::new()).unwrap_err();
            assert_eq!((found_issues[0].field.as_str(), found_issues[0].message.key.as_str()), ("name", key), "{kind}");
        }
        let many = (0..=MAX_FIELDS).map(|number| (number.to_string(), Value::Null)).collect();
        assert_eq!(Form::check(vec![field("text")]).unwrap().read(&many, &Secrets::new()).unwrap_err().len(), 1);
    }

    #[test]
    fn a_form_that_no_merchant_could_fill_in_is_refused_and_named() {
        let choice = |value: &str| Choice {
            value: value.to_owned(),
            label: message(value, value.to_owned()),
            extra: Vec::new(),
        };
        let red = || vec![choice("red")];
        let text = |text: &str| Some(text.to_owned());
        let forms = [
            ("Näme", vec![Field { name: "Näme".to_owned(), ..field("text") }]),
            ("duplicate", vec![field("text"), field("text")]),
            ("hologram", vec![field("hologram")]),
            ("pattern", vec![Field { pattern: text("("), ..field("text") }]),
            ("pattern", vec![Field { pattern: text("(a{1000}){1000}"), ..field("text") }]),
            // Each pattern is a regular expression only with the anchors around it, or only without them.
            ("pattern", vec![Field { pattern: text("a)|(b"), ..field("text") }]),
            ("pattern", vec![Field { pattern: text("(?x) a # comment"), ..field("text") }]),
            ("bound \"1e3\"", vec![Field { minimum: text("1e3"), ..field("integer") }]),
            ("default", vec![Field { default_value: Some(SettingValue::Integer(1)), ..field("text") }]),
            ("secret", vec![Field { shown_on_page: true, ..field("secret") }]),
            ("no choices", vec![field("select")]),
            ("no choices", vec![Field { choices: ChoiceSource::Fixed(Vec::new()), ..field("select") }]),
            ("has choices", vec![Field { choices: ChoiceSource::Fixed(red()), ..field("text") }]),
            ("hologram", vec![field("hologram/film")]),
            ("smaller maximum", vec![Field { minimum: text("10"), maximum: text("1"), ..field("integer") }]),
            ("empty label", vec![Field { label: message("label", " ".to_owned()), ..field("text") }]),
            ("1 to 64", vec![Field { name: "a".repeat(65), ..field("text") }]),
            (
                "\"blue\" is not one of",
                vec![Field {
                    choices: ChoiceSource::Fixed(red()),
                    default_value: Some(SettingValue::Text("blue".to_owned())),
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
        let many = (0..=MAX_FIELDS).map(|number| Field { name: format!("f{number}"), ..field("text") });
        assert!(Form::check(many.collect()).is_err());
    }

    #[test]
    fn a_field_of_a_later_kind_is_used_as_its_fallback() {
        let default_value = Some(SettingValue::Text("2026-03-01".to_owned()));
        let later = Field { default_value: default_value.clone(), ..field("date/text") };
        let form = Form::check(vec![later]).unwrap();
        assert_eq!(form.0[0].kind, "text");
        let values = serde_json::Map::from_iter([("name".to_owned(), Value::from("2026-04-01"))]);
        let (settings, _) = form.read(&values, &Secrets::new()).unwrap();
        assert_eq!(settings["name"], SettingValue::Text("2026-04-01".to_owned()));
        let error = Form::check(vec![Field { default_value, ..field("date/integer") }]).unwrap_err();
        assert!(error.contains("default"), "{error}");
        // A known kind has no need of its fallback.
        assert_eq!(Form::check(vec![field("integer/text")]).unwrap().0[0].kind, "integer");
    }

    #[test]
    fn a_value_of_a_later_kind_fits_no_field() {
        let value = SettingValue::Other(NamedJson { name: "table".to_owned(), json: "[]".to_owned() });
        for kind in ["text", "pairs", "list"] {
            assert_eq!(issues(&Form::check(vec![field(kind)]).unwrap(), value.clone()), ["setting-kind"], "{kind}");
        }
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
    fn an_amount_is_in_a_currency_and_scale_that_the_shop_sells_in() {
        let form = Form::check(vec![Field { per_product: true, ..field("money") }]).unwrap();
        let currencies = ["EUR", "USD"].map(|code| Currency { code: code.to_owned(), scale: 2 });
        let amount = |currency: &str, scale| {
            let money = Money { minor: 5, scale, currency: currency.to_owned() };
            Settings::from([("name".to_owned(), SettingValue::Money(money))])
        };
        let unset = Settings::new();
        assert_eq!(form.currency_issues(&amount("USD", 2), &unset, &currencies), []);
        assert_eq!(form.currency_issues(&unset, &unset, &currencies), []);
        for wrong in [amount("JPY", 0), amount("EUR", 3)] {
            let found = form.currency_issues(&wrong, &unset, &currencies);
            assert_eq!((found.len(), found[0].message.key.as_str()), (1, "setting-currency"));
            assert_eq!(form.currency_issues(&amount("EUR", 2), &wrong, &currencies).len(), 1, "of a product");
            assert_eq!(form.currency_issues(&wrong, &amount("EUR", 2), &currencies), [], "the product's comes first");
        }
    }

    #[test]
    fn a_pattern_must_match_the_whole_text() {
        let form = Form::check(vec![Field { pattern: Some("a|ab".to_owned()), ..field("text") }]).unwrap();
        for (text, fits) in [("a", true), ("ab", true), ("abc", false), ("ba", false), ("a\n", false)] {
            assert_eq!(issues(&form, SettingValue::Text(text.to_owned())).is_empty(), fits, "{text:?}");
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
