use std::collections::BTreeSet;

use cartwright_plugin::exports::settings::ChoiceSource;
use cartwright_plugin::types::{Setting, SettingValue};

use super::*;
use crate::testing::{context, error_field, product_link, text, texts};

fn blocking(settings: &[(&str, SettingValue)]) -> Vec<(String, String)> {
    let issues = check(&context(settings));
    issues.into_iter().filter(|issue| issue.blocking).map(|issue| (issue.field, issue.message.key)).collect()
}

fn on() -> SettingValue {
    SettingValue::Boolean(true)
}

#[test]
fn the_form_holds_together() {
    let fields = fields();
    let names: BTreeSet<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names.len(), fields.len(), "no name is repeated");
    for field in &fields {
        if let Some(condition) = &field.enabled_when {
            assert!(names.contains(condition.field.as_str()), "{}", field.name);
        }
        if let (ChoiceSource::Fixed(choices), Some(SettingValue::Text(default))) =
            (&field.choices, &field.default_value)
        {
            assert!(choices.iter().any(|choice| choice.value == *default), "{}", field.name);
        }
        assert!(field.kind != "secret" || !field.shown_on_page, "a secret is never public");
    }
    let token = fields.iter().find(|field| field.name == SERVER_TOKEN).unwrap();
    assert_eq!((token.kind.as_str(), &token.outbound_hosts[..]), ("secret", &["setting:api-url".to_owned()][..]));
    let viewer = fields.iter().find(|field| field.name == VIEWER_TOKEN).unwrap();
    assert!(viewer.shown_on_page && viewer.required);
}

#[test]
fn the_defaults_have_no_blocking_issue() {
    assert_eq!(blocking(&[]), []);
    let odd: Vec<String> = check(&context(&[])).into_iter().map(|issue| issue.message.key).collect();
    assert_eq!(odd, ["upload-off"], "that nothing is uploaded is visible");
}

#[test]
fn expivis_prices_need_what_its_answer_does_not_say() {
    let missing: Vec<String> =
        blocking(&[("price-authority", text("vendor"))]).into_iter().map(|(field, _)| field).collect();
    assert_eq!(missing, ["price-currency", "price-scale", "price-tax"]);
}

#[test]
fn print_files_need_token_upload_and_media() {
    let missing: Vec<String> = blocking(&[("print-files", on()), ("upload-bundles", SettingValue::Boolean(false))])
        .into_iter()
        .map(|(_, key)| key)
        .collect();
    assert_eq!(missing, ["print-needs-token", "print-needs-upload", "print-needs-media"]);
    let complete = [
        ("print-files", on()),
        ("server-token", SettingValue::SecretIsSet),
        ("media-ids", SettingValue::Pairs(vec![("1001".into(), "501".into())])),
        ("print-dpi", SettingValue::Integer(300)),
    ];
    assert_eq!(blocking(&complete), []);
    let both: Vec<_> = complete.into_iter().chain([("print-resolution", SettingValue::Integer(4000))]).collect();
    assert_eq!(blocking(&both)[0].1, "dpi-or-resolution");
}

#[test]
fn settings_that_contradict_each_other_are_named() {
    for (setting, value, key) in [
        ("viewer-token", text("Bearer abc"), "token-with-scheme"),
        ("key-fields", texts(&["attribute_id"]), "key-field-taken"),
        ("attribute-order", texts(&["Size", "Size"]), "named-twice"),
        ("viewer-options", SettingValue::Pairs(vec![("token".into(), "x".into())]), "option-own"),
        ("preference-names", SettingValue::Pairs(vec![("spin".into(), "x".into())]), "preference-unknown"),
        ("media-ids", SettingValue::Pairs(vec![("ring".into(), "1".into())]), "media-id-wrong"),
        ("preset-option", text("token"), "option-own"),
    ] {
        assert_eq!(blocking(&[(setting, value)]), [(setting.to_owned(), key.to_owned())]);
    }
}

#[test]
fn a_link_names_products_by_number() {
    let keys = |product_link: &cartwright_plugin::types::ProductLink| -> Vec<(String, bool)> {
        check_product_link(&context(&[]), product_link)
            .into_iter()
            .map(|issue| (issue.message.key, issue.blocking))
            .collect()
    };
    assert_eq!(keys(&product_link("1001", &["1002"])), []);
    for wrong in ["", "0", "01", "ring", "-1", "1.0", "99999999999999999999"] {
        assert_eq!(keys(&product_link(wrong, &[])), [("product-id-wrong".to_owned(), true)], "{wrong}");
    }
    assert_eq!(keys(&product_link("1", &["x"])), [("product-id-wrong".to_owned(), true)]);
    assert_eq!(keys(&product_link("1", &["2", "2"])), [("named-twice".to_owned(), false)]);
    let preset = cartwright_plugin::types::ProductLink { preset: Some("blue".into()), ..product_link("1", &[]) };
    assert_eq!(keys(&preset), [("preset-no-number".to_owned(), false)]);
}

fn setting(name: &str, value: SettingValue) -> Setting {
    Setting { name: name.to_owned(), value }
}

#[test]
fn settings_of_this_form_pass_unchanged_and_secrets_stay() {
    let values = vec![setting("order-type", text("bundle")), setting(SERVER_TOKEN, SettingValue::SecretIsSet)];
    assert_eq!(migrate("0.1.0", values.clone()).unwrap(), values);
}

#[test]
fn what_this_version_does_not_know_is_not_passed_over_in_silence() {
    let removed = vec![setting("old-name", text("x"))];
    assert_eq!(error_field(migrate("0.0.9", removed.clone())), ("old-name".to_owned(), "setting-unknown".to_owned()));
    assert_eq!(migrate("0.2.0", removed).unwrap(), [], "a newer version's field is dropped at roll back");
    let choice = vec![setting("price-authority", text("auction"))];
    assert_eq!(error_field(migrate("0.2.0", choice)), ("price-authority".to_owned(), "choice-unknown".to_owned()));
}
