//! Settings that a vendor pushed, and which of them need the merchant's approval.
//!
//! If nothing is signed, any person who learns a webhook URL can push settings. Settings that decide what runs on a page
//! therefore need a person's approval, unless their host is granted already; all others that the form allows a vendor
//! to push take effect at once.

use cartwright_contract::address::host_of;
use cartwright_contract::error::{SetupError, invalid};
use cartwright_contract::grants::Grants;
use cartwright_contract::ids::{AccountId, ShopId};
use cartwright_contract::records::{ChoiceSource, Field, Setting, SettingValue};
use serde_json::{Value, json};
use url::Url;

use crate::host::Cartwright;

/// Settings that a vendor pushed, grouped. Settings with unchanged values are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pushed {
    /// Settings that take effect at once, after the checks of any change of settings.
    pub immediate: Vec<Setting>,
    /// Settings that decide what runs on a page, and need approval.
    pub needs_approval: Vec<Setting>,
}

impl Cartwright {
    /// Groups the settings that a vendor pushed into an account, by the form of its current version.
    ///
    /// # Errors
    /// Returns an error if there is no such account, or if the form does not allow a vendor to push one of them.
    pub fn sort_pushed(
        &self,
        shop: &ShopId,
        account: &AccountId,
        settings: Vec<Setting>,
    ) -> Result<Pushed, SetupError> {
        let state = self.shop_state(shop)?;
        let account = state.account(account)?;
        let (version, mut sorted) = (account.version(), Pushed::default());
        for setting in settings {
            let field = version.plugin.metadata().form.field(&setting.name);
            let Some(field) = field.filter(|field| field.vendor_can_change && field.kind != "secret") else {
                return Err(invalid(&setting.name, "The form does not let a vendor push this setting."));
            };
            if version.settings.get(&setting.name) == Some(&setting.value) {
                continue;
            }
            let needs_approval = affects_page_scripts(field, &setting.value, &account.grants);
            if needs_approval { &mut sorted.needs_approval } else { &mut sorted.immediate }.push(setting);
        }
        Ok(sorted)
    }
}

/// Returns whether a value could decide what runs on a page. A page receives public settings only. A number, a switch,
/// a color, a choice of the form or a plain word runs nothing; any other text may be a URL or code.
fn affects_page_scripts(field: &Field, value: &SettingValue, grants: &Grants) -> bool {
    if !field.shown_on_page || matches!(field.choices, ChoiceSource::Fixed(_)) {
        return false;
    }
    let runs = |text: &String| !is_word(text) && !is_granted(text, grants);
    match value {
        SettingValue::Text(_) if field.kind == "color" => false,
        SettingValue::Text(text) => runs(text),
        SettingValue::Texts(texts) => texts.iter().any(runs),
        SettingValue::Pairs(pairs) => pairs.iter().any(|(name, value)| runs(name) || runs(value)),
        SettingValue::Integer(_) | SettingValue::Decimal(_) | SettingValue::Boolean(_) | SettingValue::Money(_) => {
            false
        }
        SettingValue::SecretIsSet | SettingValue::Other(_) => true,
    }
}

fn is_word(text: &str) -> bool {
    text.chars().all(|sign| sign.is_alphanumeric() || matches!(sign, '.' | '_' | '~' | '-' | ' '))
}

/// Returns whether a text is an HTTPS URL on a granted host.
fn is_granted(text: &str, grants: &Grants) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let plain = url.username().is_empty() && url.password().is_none();
    url.scheme() == "https" && plain && host_of(&url).is_some_and(|host| grants.hosts.contains(&host))
}

/// Returns a value in the form in which a merchant enters it, see [`Form::read`](crate::Form::read). `None` for a
/// secret, which is never returned, and for a value that no known field has.
pub fn form_value(value: &SettingValue) -> Option<Value> {
    Some(match value {
        SettingValue::Text(text) | SettingValue::Decimal(text) => json!(text),
        SettingValue::Integer(number) => json!(number),
        SettingValue::Boolean(on) => json!(on),
        SettingValue::Money(money) => json!(money),
        SettingValue::Texts(texts) => json!(texts),
        SettingValue::Pairs(pairs) => json!(pairs),
        SettingValue::SecretIsSet | SettingValue::Other(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cartwright_contract::records::{Choice, Message};

    use super::*;

    fn field(kind: &str, shown_on_page: bool, choices: ChoiceSource) -> Field {
        Field {
            name: "pushed".into(),
            kind: kind.into(),
            label: Message { key: String::new(), parameters: vec![], text: String::new() },
            help: None,
            group: None,
            placeholder: None,
            advanced: false,
            required: false,
            shown_on_page,
            pattern: None,
            minimum: None,
            maximum: None,
            default_value: None,
            choices,
            enabled_when: None,
            per_product: false,
            vendor_can_change: true,
            outbound_hosts: vec![],
            uses: vec![],
            extra: vec![],
        }
    }

    fn text(text: &str) -> SettingValue {
        SettingValue::Text(text.into())
    }

    fn needs_approval(kind: &str, value: &SettingValue) -> bool {
        let grants = Grants { hosts: BTreeSet::from(["scripts.example".into()]), ..Grants::default() };
        affects_page_scripts(&field(kind, true, ChoiceSource::None), value, &grants)
    }

    #[test]
    fn an_address_or_code_waits_unless_its_host_was_granted() {
        for address in [
            "https://evil.example/a.js",
            "http://scripts.example/a.js",
            "https://scripts.example:444/a.js",
            "https://scripts.example@evil.example/a.js",
            "https://user@scripts.example/a.js",
            "//evil.example/a.js",
            "javascript:alert(1)",
            "data:text/javascript,alert(1)",
            "<b>",
            "alert(1)",
        ] {
            assert!(needs_approval("url", &text(address)), "{address}");
            assert!(needs_approval("text-area", &text(address)), "{address}");
            assert!(needs_approval("list", &SettingValue::Texts(vec!["a".into(), address.into()])), "{address}");
            assert!(needs_approval("pairs", &SettingValue::Pairs(vec![("a".into(), address.into())])), "{address}");
        }
        assert!(!needs_approval("url", &text("https://scripts.example/2/plugin.js")));
    }

    #[test]
    fn values_that_run_nothing_take_effect_at_once() {
        let keys = SettingValue::Texts(vec!["diamond-letter-jewel".into(), "Änderung 2.0".into()]);
        assert!(!needs_approval("list", &keys));
        assert!(!needs_approval("integer", &SettingValue::Integer(5)) && !needs_approval("color", &text("#eeeeee")));
        let grants = Grants::default();
        let private = field("url", false, ChoiceSource::None);
        assert!(!affects_page_scripts(&private, &text("https://evil.example/"), &grants));
        let label = private.label;
        let choices = ChoiceSource::Fixed(vec![Choice { value: "a/b".into(), label, extra: vec![] }]);
        assert!(!affects_page_scripts(&field("select", true, choices), &text("a/b"), &grants));
    }

    #[test]
    fn a_value_is_entered_as_it_is_read() {
        let pairs = SettingValue::Pairs(vec![("b".into(), "1".into()), ("a".into(), "2".into())]);
        assert_eq!(form_value(&pairs), Some(json!([["b", "1"], ["a", "2"]])));
        assert_eq!(form_value(&SettingValue::Decimal("1.50".into())), Some(json!("1.50")));
        assert_eq!(form_value(&SettingValue::SecretIsSet), None);
    }
}
