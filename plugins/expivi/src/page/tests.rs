use cartwright_plugin::types::SettingValue;
use serde_json::{Value, json};

use super::*;
use crate::testing::{MULTI, SIMPLE, context, error_field, product_link, text};

fn options(settings: &[(&str, SettingValue)], reopen: Option<&str>) -> Value {
    let embedded = embed(&context(settings), &product_link("1001", &[]), reopen.map(str::as_bytes)).unwrap();
    let arguments: Value = serde_json::from_str(&embedded.start.unwrap().args).unwrap();
    arguments[0].clone()
}

#[test]
fn a_new_configuration_starts_with_documented_options_alone() {
    assert_eq!(
        options(&[], None),
        json!({
            "catalogueId": 1001, "token": "viewer-token", "viewerContainer": {"$element": "viewer"},
            "optionContainer": {"$element": "options"}, "priceSelectors": {"$element": "price"}, "currency": "EUR",
            "locale": "nl", "bundle_uuid": null
        })
    );
}

#[test]
fn the_merchants_choices_reach_the_viewer() {
    let settings = [
        ("viewer-selector", text("#viewer")),
        ("auto-rotate", SettingValue::Boolean(true)),
        ("progress-bar", SettingValue::Boolean(false)),
        ("pass-currency", SettingValue::Boolean(false)),
        ("viewer-options", SettingValue::Pairs(vec![("fov".into(), "45".into()), ("skin".into(), "dark".into())])),
        ("action", text("request-quote")),
        ("success-page", text("/cart")),
    ];
    let chosen = options(&settings, None);
    assert_eq!(chosen["viewerContainer"], "#viewer");
    assert_eq!((&chosen["autoRotateProduct"], &chosen["showProgress"]), (&json!(true), &json!(false)));
    assert_eq!(chosen.get("show3DHoverIcon"), None, "not set, not passed");
    assert_eq!(chosen.get("currency"), None);
    assert_eq!((&chosen["fov"], &chosen["skin"]), (&json!({"$literal": 45}), &json!({"$literal": "dark"})));
    let embedded = embed(&context(&settings), &product_link("1001", &[]), None).unwrap();
    assert_eq!((embedded.action, embedded.success_page.as_deref()), (PageAction::RequestQuote, Some("/cart")));
    assert_eq!(embedded.mounts[0].selector.as_deref(), Some("#viewer"));
}

#[test]
fn a_preset_goes_under_the_name_that_the_merchant_sets() {
    let product_link = |preset: &str| ProductLink { preset: Some(preset.into()), ..product_link("1001", &[]) };
    let with = |context: &Context, preset: &str| {
        let embedded = embed(context, &product_link(preset), None).unwrap();
        serde_json::from_str::<Value>(&embedded.start.unwrap().args).unwrap()
    };
    assert_eq!(with(&context(&[]), "77")[0]["preset"], 77);
    assert_eq!(with(&context(&[("preset-option", text("presetId"))]), "a-b")[0]["presetId"], "a-b");
}

#[test]
fn reopening_hands_back_the_configuration_without_pictures_as_a_literal() {
    let bare = options(&[], Some(SIMPLE));
    let saved: Value = serde_json::from_str(SIMPLE).unwrap();
    let mut expected = saved.clone();
    expected[0].as_object_mut().unwrap().remove("thumbnail");
    assert_eq!(bare["configuration"]["$literal"], expected);
    assert_eq!(bare["bundle_uuid"], Value::Null);

    let wrapped = options(&[], Some(MULTI));
    assert_eq!(wrapped["configuration"]["$literal"]["configured_products"].as_array().unwrap().len(), 3);
    assert!(!wrapped.to_string().contains("base64"));
    assert_eq!(wrapped["bundle_uuid"]["$literal"], "c1a7e9d0-0b7d-4f0a-9b1c-6a5e4d3c2b1a");
}

#[test]
fn an_empty_bundle_uuid_becomes_null() {
    let raw = r#"{"bundle_uuid":"","configured_products":[{"catalogue_id":1001,"bundle_uuid":""}]}"#;
    let reopened = options(&[], Some(raw));
    assert_eq!(reopened["bundle_uuid"], Value::Null);
    let literal = &reopened["configuration"]["$literal"];
    assert_eq!(
        (&literal["bundle_uuid"], &literal["configured_products"][0]["bundle_uuid"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn what_a_shopper_wrote_ends_no_script_and_calls_nothing() {
    let raw = r#"[{"catalogue_id":1001,"attributes":[{"attribute_id":1,"attribute_value":{"value":"</script><script>"}}],
        "x":{"$callback":"completed"}}]"#;
    let embedded = embed(&context(&[]), &product_link("1001", &[]), Some(raw.as_bytes())).unwrap();
    let args = embedded.start.unwrap().args;
    assert!(!args.contains('<'));
    let arguments: Value = serde_json::from_str(&args).unwrap();
    let literal = &arguments[0]["configuration"]["$literal"][0];
    assert_eq!(literal["attributes"][0]["attribute_value"]["value"], "</script><script>");
    assert_eq!(literal["x"], json!({"$callback": "completed"}), "inside the literal nothing is interpreted");
}

#[test]
fn saving_asks_for_the_keys() {
    let embedded = embed(&context(&[]), &product_link("1001", &[]), None).unwrap();
    let save = embedded.save.unwrap();
    assert_eq!((save.paths, save.completion), (vec!["expivi.saveConfiguration".to_owned()], Completion::Promise));
    let arguments: Value = serde_json::from_str(&save.args).unwrap();
    assert_eq!(arguments, json!([512, 512, "ACTIVE_CAMERA", "image/jpeg", {"include_keys": true}]));
    assert_eq!(embedded.payload, r#"{"$result":""}"#);
    assert!(embedded.start.unwrap().construct);
}

#[test]
fn the_page_may_load_code_from_the_assets_and_data_from_the_api() {
    let origins = |settings: &[(&str, SettingValue)]| -> Vec<(String, Vec<OriginUse>)> {
        let embedded = embed(&context(settings), &product_link("1001", &[]), None).unwrap();
        embedded.allowed_origins.into_iter().map(|allowed| (allowed.origin, allowed.uses)).collect()
    };
    let allowed = |origin: &str, uses: &[OriginUse]| (origin.to_owned(), uses.to_vec());
    let (assets, api) = (allowed("https://assets.expivi.net", ASSETS), allowed("https://expivi.net", DATA));
    assert_eq!(origins(&[]), [assets.clone(), api.clone()]);
    let own = text("https://CDN.example:8443/v1/viewer.js");
    assert_eq!(origins(&[("viewer-script", own)])[0], allowed("https://cdn.example:8443", ASSETS));
    let files = text("https://files.example/prints/");
    assert_eq!(origins(&[("files-url", files)]), [assets, api, allowed("https://files.example", DATA)]);
    // One server for everything.
    let api = text("https://assets.expivi.net/api/");
    assert_eq!(origins(&[("api-url", api)]), [allowed("https://assets.expivi.net", ASSETS)]);
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(
        error_field(embed(&context(&[("viewer-token", text(""))]), &product_link("1", &[]), None)).0,
        "viewer-token"
    );
    assert_eq!(error_field(embed(&context(&[]), &product_link("ring", &[]), None)).0, "vendor-product");
    assert_eq!(error_field(embed(&context(&[]), &product_link("1", &[]), Some(b"[{}]"))).0, "[0].catalogue_id");
}
