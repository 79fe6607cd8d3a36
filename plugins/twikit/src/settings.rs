//! The settings as the rest of the plugin reads them, what is wrong with them together, and the way from another version.

use std::collections::BTreeSet;

use cartwright_plugin::types::{Context, FieldIssue, Setting, SettingValue};
use cartwright_plugin::{ContextExt, Error, message, not_configured};

use crate::fields::{self, *};
use crate::urls::{https_origin, origin, page_origin};

/// Whose address Twikit is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// The shopper's.
    Shopper,
    /// The shop's.
    Shop,
}

/// How an order becomes things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fulfillment {
    /// Twikit produces and delivers (Rest API, Create Order).
    Order,
    /// The shop fetches the files and produces (Rest API, Order Production File).
    Export,
}

/// What becomes of a SKU that only the browser names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnverifiedSku {
    /// It is sold, and marked.
    Sell,
    /// It is sold, and held before production.
    Hold,
    /// It is not sold.
    Refuse,
}

/// The settings of one account, by meaning.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a>(pub &'a Context);

impl<'a> Settings<'a> {
    /// The integration's id, fit to stand in a path.
    pub fn integration_id(&self) -> Result<&'a str, Error> {
        let id = self.required(INTEGRATION_ID)?;
        if is_path_segment(id) { Ok(id) } else { Err(wrong(INTEGRATION_ID, "Copy the id as the publisher shows it.")) }
    }

    /// The API's address without a "/" at its end. Plain http is the host's to refuse: an operator may allow it, for a test.
    pub fn api_url(&self) -> Result<&'a str, Error> {
        let url = self.0.text(API_URL).unwrap_or(DEFAULT_API_URL);
        origin(url).ok_or_else(|| wrong(API_URL, HTTPS_ONLY))?;
        Ok(url.trim_end_matches('/'))
    }

    /// The script's address and origin.
    pub fn script(&self) -> Result<(&'a str, String), Error> {
        let url = self.required(SCRIPT_URL)?;
        Ok((url, page_origin(url).ok_or_else(|| wrong(SCRIPT_URL, HTTPS_ONLY))?))
    }

    /// The origin of preview pictures, where the merchant named it.
    pub fn preview_origin(&self) -> Option<String> {
        origin(self.0.text(PREVIEW_URL)?)
    }

    /// The published product keys, as the vendor pushed them or a merchant typed them.
    pub fn product_keys(&self) -> Vec<&'a str> {
        let context: &'a Context = self.0;
        let mut seen = BTreeSet::new();
        let keys = context.texts(PRODUCT_KEYS).iter().map(|key| key.trim());
        keys.filter(|key| !key.is_empty() && seen.insert(*key)).collect()
    }

    /// Is a link to a product that is not listed an error?
    pub fn strict_check(&self) -> bool {
        self.0.yes_no(STRICT_CHECK).unwrap_or(false)
    }

    /// The localization for Twikit.
    pub fn locale(&self) -> &'a str {
        let context: &'a Context = self.0;
        if context.yes_no(SHOP_LOCALE).unwrap_or(false) && !context.locale.is_empty() {
            return &context.locale;
        }
        // "default" is the one value that Twikit's document uses.
        context.text(LOCALE).unwrap_or("default")
    }

    /// Whom Twikit delivers to. The shopper by default: the document asks for the shop's address only "if the order should be
    /// delivered to you for post-processing".
    pub fn delivery(&self) -> Recipient {
        self.recipient(DELIVERY, Recipient::Shopper)
    }

    /// Whom Twikit bills. The shop by default: "in most cases the item will be billed to you".
    pub fn billing(&self) -> Recipient {
        self.recipient(BILLING, Recipient::Shop)
    }

    /// How an order becomes things.
    pub fn fulfillment(&self) -> Fulfillment {
        if self.0.text(FULFILLMENT) == Some("export") { Fulfillment::Export } else { Fulfillment::Order }
    }

    /// What becomes of a SKU that only the browser names. A value that this version does not know holds.
    pub fn unverified_sku(&self) -> UnverifiedSku {
        match self.0.text(UNVERIFIED_SKU) {
            Some("sell") => UnverifiedSku::Sell,
            Some("refuse") => UnverifiedSku::Refuse,
            _ => UnverifiedSku::Hold,
        }
    }

    fn recipient(&self, name: &str, default: Recipient) -> Recipient {
        match self.0.text(name) {
            Some("shop") => Recipient::Shop,
            Some("shopper") => Recipient::Shopper,
            _ => default,
        }
    }

    fn required(&self, name: &str) -> Result<&'a str, Error> {
        let context: &'a Context = self.0;
        context.text(name).ok_or_else(|| wrong(name, "This setting has no value."))
    }
}

const HTTPS_ONLY: &str = "Enter a whole address that begins with https://.";

fn wrong(field: &str, text: &str) -> Error {
    not_configured(field, message("setting-wrong", text, &[("field", field)]))
}

fn is_path_segment(text: &str) -> bool {
    // "." and ".." would climb out of the path.
    !matches!(text, "" | "." | "..") && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

/// What is wrong with the settings beyond what the form says.
pub fn validate(context: &Context) -> Vec<FieldIssue> {
    let settings = Settings(context);
    let mut issues = Vec::new();
    // A missing required value is the form's matter; here only values that are there are looked at.
    let is_set = |name: &str| context.text(name).is_some();
    let checks = [
        (INTEGRATION_ID, settings.integration_id().err()),
        (API_URL, settings.api_url().err()),
        (SCRIPT_URL, settings.script().err()),
    ];
    for (name, error) in checks {
        if let (true, Some(Error::NotConfigured(issue))) = (is_set(name), error) {
            issues.push(issue);
        }
    }
    let mut add = |field: &str, key: &str, text: &str, blocking: bool| {
        issues.push(FieldIssue { field: field.to_owned(), message: message(key, text, &[]), blocking });
    };
    if is_set(PREVIEW_URL) && settings.preview_origin().is_none() {
        add(PREVIEW_URL, "setting-wrong", HTTPS_ONLY, true);
    }
    for name in [API_URL, PREVIEW_URL] {
        if context.text(name).is_some_and(|url| origin(url).is_some() && https_origin(url).is_none()) {
            add(name, "plain-http", "Anybody on the way can read and change what goes to a plain http address.", false);
        }
    }
    if let (Some(viewer), Some(options)) = (context.text(VIEWER_SELECTOR), context.text(OPTIONS_SELECTOR))
        && viewer.trim() == options.trim()
    {
        add(OPTIONS_SELECTOR, "same-element", "The viewer and the options need two elements.", true);
    }
    if let Some(page) = context.text(SUCCESS_PAGE)
        && !is_page(page)
    {
        add(
            SUCCESS_PAGE,
            "setting-wrong",
            "Enter a path such as /cart, or an address that begins with https://.",
            true,
        );
    }
    if settings.strict_check() && settings.product_keys().is_empty() {
        let text = "Only listed products may be linked, and none is listed: every link will be refused.";
        add(PRODUCT_KEYS, "no-products", text, false);
    }
    if settings.product_keys().iter().any(|key| key.contains(',')) {
        add(PRODUCT_KEYS, "comma-in-key", "Enter one product key on each line, without commas.", false);
    }
    issues
}

/// A path of this shop, or an https address. "//host" and "/\host" look like paths and are none.
fn is_page(page: &str) -> bool {
    let own = page.starts_with('/') && !page[1..].starts_with(['/', '\\']) && !page.chars().any(char::is_control);
    own || https_origin(page).is_some()
}

/// Brings another version's settings into this version's form: what the form does not know is left out. 0.1 is the first, so
/// nothing was renamed yet.
pub fn migrate(values: Vec<Setting>) -> Vec<Setting> {
    let known = fields::fields();
    values
        .into_iter()
        .filter(|setting| {
            known.iter().any(|field| {
                field.name == setting.name
                    && (field.kind == "secret") == matches!(setting.value, SettingValue::SecretIsSet)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{context, context_with, setting};

    #[test]
    fn a_complete_form_has_no_issues() {
        assert_eq!(validate(&context()), []);
    }

    #[test]
    fn addresses_must_be_https() {
        for (name, url, blocking) in [
            (SCRIPT_URL, "http://twikit.example/x", true),
            // The host refuses plain http unless the operator allows it.
            (API_URL, "http://twikit.example/x", false),
            (PREVIEW_URL, "http://twikit.example/x", false),
            (API_URL, "ftp://twikit.example/x", true),
            (PREVIEW_URL, "twikit.example", true),
        ] {
            let issues = validate(&context_with(&[(name, url)]));
            assert_eq!(
                issues.iter().map(|issue| (issue.field.as_str(), issue.blocking)).collect::<Vec<_>>(),
                [(name, blocking)]
            );
        }
    }

    #[test]
    fn an_integration_id_cannot_leave_its_place_in_the_path() {
        for id in ["..", "a/b", "a?b", "a b", "a%2fb"] {
            assert!(Settings(&context_with(&[(INTEGRATION_ID, id)])).integration_id().is_err(), "{id}");
        }
        assert_eq!(Settings(&context()).integration_id().unwrap(), "shop-7");
    }

    #[test]
    fn viewer_and_options_need_two_elements() {
        let issues = validate(&context_with(&[(VIEWER_SELECTOR, "#a"), (OPTIONS_SELECTOR, "#a")]));
        assert_eq!(issues[0].field, OPTIONS_SELECTOR);
    }

    #[test]
    fn a_success_page_is_the_shops_own_or_https() {
        for (page, good) in
            [("/cart", true), ("https://shop.example/cart", true), ("//evil.example", false), ("javascript:x", false)]
        {
            assert_eq!(validate(&context_with(&[(SUCCESS_PAGE, page)])).is_empty(), good, "{page}");
        }
    }

    #[test]
    fn product_keys_are_read_as_lines_and_as_a_list() {
        let typed = context_with(&[(PRODUCT_KEYS, " ring \n\nring\r\njewel")]);
        assert_eq!(Settings(&typed).product_keys(), ["ring", "jewel"]);
        let mut pushed = context();
        pushed.settings.retain(|setting| setting.name != PRODUCT_KEYS);
        let keys = SettingValue::Texts(vec!["ring".into(), "jewel".into()]);
        pushed.settings.push(Setting { name: PRODUCT_KEYS.into(), value: keys });
        assert_eq!(Settings(&pushed).product_keys(), ["ring", "jewel"]);
    }

    #[test]
    fn the_language_is_default_unless_the_merchant_says_otherwise() {
        assert_eq!(Settings(&context()).locale(), "default");
        let mut own = context();
        own.settings.push(Setting { name: SHOP_LOCALE.into(), value: SettingValue::YesNo(true) });
        assert_eq!(Settings(&own).locale(), "en-GB");
    }

    #[test]
    fn settings_that_the_form_does_not_know_are_left_behind() {
        let secret = Setting { name: PAYLOAD_SECRET.into(), value: SettingValue::SecretIsSet };
        let kept =
            migrate(vec![setting(LOCALE, "nl"), setting("gone", "x"), secret.clone(), setting(PAYLOAD_SECRET, "x")]);
        assert_eq!(kept, [setting(LOCALE, "nl"), secret]);
    }
}
