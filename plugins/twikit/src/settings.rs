//! Typed access to the settings, their checks, and migration of another version's.

use std::collections::BTreeSet;

use cartwright_plugin::types::{Context, FieldIssue, Setting, SettingValue};
use cartwright_plugin::{CallError, ContextExt, message, not_configured};

use crate::fields::{self, *};
use crate::urls::{https_origin, origin, page_origin};

/// The person whose address Twikit gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// The shopper.
    Shopper,
    /// The shop.
    Shop,
}

/// How an order is produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fulfillment {
    /// Twikit produces and delivers (Rest API, Create Order).
    Order,
    /// The shop fetches the files and produces (Rest API, Order Production File).
    Export,
}

/// How to handle a SKU that only the browser names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnverifiedSku {
    /// Sell it, marked as unverified.
    Sell,
    /// Sell it, on hold before production.
    Hold,
    /// Do not sell it.
    Refuse,
}

/// Typed access to the settings of one account.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a>(pub &'a Context);

impl<'a> Settings<'a> {
    /// Returns the integration's id, safe as a path segment.
    pub fn integration_id(&self) -> Result<&'a str, CallError> {
        let id = self.required(INTEGRATION_ID)?;
        if is_path_segment(id) { Ok(id) } else { Err(wrong(INTEGRATION_ID, "Copy the ID as the publisher shows it.")) }
    }

    /// Returns the API's URL without a "/" at its end. The host rejects plain http unless an operator allows it, for a
    /// test.
    pub fn api_url(&self) -> Result<&'a str, CallError> {
        let url = self.0.text(API_URL).unwrap_or(DEFAULT_API_URL);
        origin(url).ok_or_else(|| wrong(API_URL, HTTPS_ONLY))?;
        Ok(url.trim_end_matches('/'))
    }

    /// Returns the script's URL and origin.
    pub fn script(&self) -> Result<(&'a str, String), CallError> {
        let url = self.required(SCRIPT_URL)?;
        Ok((url, page_origin(url).ok_or_else(|| wrong(SCRIPT_URL, HTTPS_ONLY))?))
    }

    /// Returns the origin of preview pictures, if it is set.
    pub fn preview_origin(&self) -> Option<String> {
        origin(self.0.text(PREVIEW_URL)?)
    }

    /// Returns the published product keys, as the vendor pushed them or a merchant entered them.
    pub fn product_keys(&self) -> Vec<&'a str> {
        let context: &'a Context = self.0;
        let mut seen = BTreeSet::new();
        let keys = context.texts(PRODUCT_KEYS).iter().map(|key| key.trim());
        keys.filter(|key| !key.is_empty() && seen.insert(*key)).collect()
    }

    /// Returns whether a link to an unlisted product is an error.
    pub fn strict_check(&self) -> bool {
        self.0.boolean(STRICT_CHECK).unwrap_or(false)
    }

    /// Returns the localization for Twikit.
    pub fn locale(&self) -> &'a str {
        let context: &'a Context = self.0;
        if context.boolean(SHOP_LOCALE).unwrap_or(false) && !context.locale.is_empty() {
            return &context.locale;
        }
        // "default" is the only value that Twikit's document uses.
        context.text(LOCALE).unwrap_or("default")
    }

    /// Returns the recipient of the delivery. The shopper by default: the document requires the shop's address only "if
    /// the order should be delivered to you for post-processing".
    pub fn delivery(&self) -> Recipient {
        self.recipient(DELIVERY, Recipient::Shopper)
    }

    /// Returns the recipient of the bill. The shop by default: "in most cases the item will be billed to you".
    pub fn billing(&self) -> Recipient {
        self.recipient(BILLING, Recipient::Shop)
    }

    /// Returns how an order is produced.
    pub fn fulfillment(&self) -> Fulfillment {
        if self.0.text(FULFILLMENT) == Some("export") { Fulfillment::Export } else { Fulfillment::Order }
    }

    /// Returns how to handle a SKU that only the browser names. An unknown value puts the line on hold.
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

    fn required(&self, name: &str) -> Result<&'a str, CallError> {
        let context: &'a Context = self.0;
        context.text(name).ok_or_else(|| wrong(name, "This setting has no value."))
    }
}

const HTTPS_ONLY: &str = "Enter a complete URL that begins with https://.";

fn wrong(field: &str, text: &str) -> CallError {
    not_configured(field, message("setting-wrong", text, &[("field", field)]))
}

fn is_path_segment(text: &str) -> bool {
    // "." and ".." would leave the path.
    !matches!(text, "" | "." | "..") && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

/// Returns the issues of the settings that the form's fields cannot express.
pub fn validate(context: &Context) -> Vec<FieldIssue> {
    let settings = Settings(context);
    let mut issues = Vec::new();
    // The form reports missing required values; only values that are set are checked here.
    let is_set = |name: &str| context.text(name).is_some();
    let checks = [
        (INTEGRATION_ID, settings.integration_id().err()),
        (API_URL, settings.api_url().err()),
        (SCRIPT_URL, settings.script().err()),
    ];
    for (name, error) in checks {
        if let (true, Some(CallError::NotConfigured(issue))) = (is_set(name), error) {
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
            add(
                name,
                "plain-http",
                "Plain http is not encrypted: its traffic can be read and changed on the way.",
                false,
            );
        }
    }
    if let (Some(viewer), Some(options)) = (context.text(VIEWER_SELECTOR), context.text(OPTIONS_SELECTOR))
        && viewer.trim() == options.trim()
    {
        add(OPTIONS_SELECTOR, "same-element", "The viewer and the options need separate elements.", true);
    }
    if let Some(page) = context.text(SUCCESS_PAGE)
        && !is_page(page)
    {
        add(SUCCESS_PAGE, "setting-wrong", "Enter a path such as /cart, or a URL that begins with https://.", true);
    }
    if settings.strict_check() && settings.product_keys().is_empty() {
        let text = "Only listed products can be linked, and the list is empty: every link will be rejected.";
        add(PRODUCT_KEYS, "no-products", text, false);
    }
    if settings.product_keys().iter().any(|key| key.contains(',')) {
        add(PRODUCT_KEYS, "comma-in-key", "Enter one product key per line, without commas.", false);
    }
    issues
}

/// Returns whether a text is a path of this shop or an https URL. "//host" and "/\host" look like paths but are not.
fn is_page(page: &str) -> bool {
    let own = page.starts_with('/') && !page[1..].starts_with(['/', '\\']) && !page.chars().any(char::is_control);
    own || https_origin(page).is_some()
}

/// Converts another version's settings into this version's form. Drops unknown settings. 0.1 is the first version, so
/// nothing has been renamed yet.
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
            // The host rejects plain http unless the operator allows it.
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
        own.settings.push(Setting { name: SHOP_LOCALE.into(), value: SettingValue::Boolean(true) });
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
