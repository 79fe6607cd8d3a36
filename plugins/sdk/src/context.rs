//! Access to settings by name, and to facts about the shopper.

use crate::types::{Context, Currency, Money, SettingValue};

/// Reads a context. A setting without a value, or with one of another kind, reads as `None`: the host
/// has checked every value against the plugin's own form, so another kind means a field that the form does not have.
pub trait ContextExt {
    /// Returns the value of a setting.
    fn setting(&self, name: &str) -> Option<&SettingValue>;

    /// Returns the currency of the cart, order or page, or the shop's main one in a call about none of these.
    fn currency(&self) -> Option<&Currency>;

    /// Returns the country of delivery, once it is known.
    fn country(&self) -> Option<&str>;

    /// Returns a text, or `None` if it is empty.
    fn text(&self, name: &str) -> Option<&str> {
        match self.setting(name)? {
            SettingValue::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Returns a whole number.
    fn integer(&self, name: &str) -> Option<i64> {
        match self.setting(name)? {
            SettingValue::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns a switch, or `None` if it is not set and has no default.
    fn boolean(&self, name: &str) -> Option<bool> {
        match self.setting(name)? {
            SettingValue::Boolean(on) => Some(*on),
            _ => None,
        }
    }

    /// Returns an amount of money.
    fn money(&self, name: &str) -> Option<&Money> {
        match self.setting(name)? {
            SettingValue::Money(money) => Some(money),
            _ => None,
        }
    }

    /// Returns the texts of a list, which is empty if not set.
    fn texts(&self, name: &str) -> &[String] {
        match self.setting(name) {
            Some(SettingValue::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// Returns names with values, which are empty if not set.
    fn pairs(&self, name: &str) -> &[(String, String)] {
        match self.setting(name) {
            Some(SettingValue::Pairs(pairs)) => pairs,
            _ => &[],
        }
    }

    /// Returns whether a secret has a value.
    fn secret_is_set(&self, name: &str) -> bool {
        matches!(self.setting(name), Some(SettingValue::SecretIsSet))
    }
}

impl ContextExt for Context {
    fn setting(&self, name: &str) -> Option<&SettingValue> {
        self.settings.iter().find(|setting| setting.name == name).map(|setting| &setting.value)
    }

    fn currency(&self) -> Option<&Currency> {
        self.visitor.as_ref().map(|visitor| &visitor.currency).or_else(|| self.shop.currencies.first())
    }

    fn country(&self) -> Option<&str> {
        self.visitor.as_ref()?.country.as_deref()
    }
}
