//! Settings by name.

use crate::types::{Context, Money, SettingValue};

/// Reads the settings of a context. A setting that has no value, or one of another kind, reads as `None`: the host has checked
/// every value against the plugin's own form, so a wrong kind is a field that the form does not have.
pub trait ContextExt {
    /// The value of a setting.
    fn setting(&self, name: &str) -> Option<&SettingValue>;

    /// A text; empty reads as `None`.
    fn text(&self, name: &str) -> Option<&str> {
        match self.setting(name)? {
            SettingValue::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    fn integer(&self, name: &str) -> Option<i64> {
        match self.setting(name)? {
            SettingValue::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// A switch; `None` while it was never set and has no default.
    fn yes_no(&self, name: &str) -> Option<bool> {
        match self.setting(name)? {
            SettingValue::YesNo(on) => Some(*on),
            _ => None,
        }
    }

    /// An amount of money.
    fn money(&self, name: &str) -> Option<&Money> {
        match self.setting(name)? {
            SettingValue::Money(money) => Some(money),
            _ => None,
        }
    }

    /// Several texts; empty when not set.
    fn texts(&self, name: &str) -> &[String] {
        match self.setting(name) {
            Some(SettingValue::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// Names and values; empty when not set.
    fn pairs(&self, name: &str) -> &[(String, String)] {
        match self.setting(name) {
            Some(SettingValue::Pairs(pairs)) => pairs,
            _ => &[],
        }
    }

    /// Has this secret a value?
    fn secret_is_set(&self, name: &str) -> bool {
        matches!(self.setting(name), Some(SettingValue::SecretIsSet))
    }
}

impl ContextExt for Context {
    fn setting(&self, name: &str) -> Option<&SettingValue> {
        self.settings.iter().find(|setting| setting.name == name).map(|setting| &setting.value)
    }
}
