//! `cartwright plan`: the reports of mistakes, and the responsible party of each.

use std::fs;

use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

use crate::plan_folder::{PlanFolder, stages};

#[test]
fn an_unknown_setting_is_named_beside_the_known_ones() {
    let folder = PlanFolder::ring();
    folder.write("settings.json", &json!({ "viewer-token": "x", "viewer-tokn": "x" }).to_string());
    let error = folder.plan(&[]).typed_error();
    assert_eq!(error["error"], "setup", "{error:#}");
    let issues = error["detail"]["detail"].as_array().expect("issues");
    assert_eq!(issues.len(), 1, "{error:#}");
    assert_eq!(issues[0]["field"], "viewer-tokn");
    assert_eq!(issues[0]["blocking"], true);
    let text = error["message"].as_str().expect("a message");
    assert!(text.contains("viewer-tokn") && text.contains("price-authority"), "{text}");
}

#[test]
fn a_missing_required_setting_is_named() {
    let folder = PlanFolder::ring();
    folder.write("settings.json", "{}");
    let error = folder.plan(&[]).typed_error();
    assert_eq!(error["error"], "setup", "{error:#}");
    assert_eq!(error["detail"]["detail"][0]["field"], "viewer-token", "{error:#}");
}

#[test]
fn an_unknown_sku_is_named() {
    let error = PlanFolder::shirt("HAT-").plan(&["--strategy", "variation"]).typed_error();
    assert_eq!(error["error"], "sku", "{error:#}");
    assert_eq!(error["detail"], json!({ "sku": "HAT-R-L", "product": "shirt", "found": 0 }));
    assert!(error["message"].as_str().expect("a message").contains("HAT-R-L"), "{error:#}");
}

#[test]
fn a_sku_that_the_link_does_not_allow_is_named() {
    let error = PlanFolder::jewel(&["JEWEL-B"]).plan(&[]).typed_error();
    assert_eq!(error["error"], "hook", "{error:#}");
    assert_eq!(error["detail"]["hook"], "configuration.decode");
    assert!(error["message"].as_str().expect("a message").contains("JEWEL-A"), "{error:#}");
}

#[test]
fn a_configuration_of_another_product_is_refused() {
    let folder = PlanFolder::ring();
    folder.write("configuration.json", samples::EXPIVI_VARIATION);
    let error = folder.plan(&[]).typed_error();
    assert_eq!(error["error"], "not-linked", "{error:#}");
    assert_eq!(error["detail"], json!({ "found": "1002", "linked": "1001", "shop_product": "ring" }));
}

#[test]
fn a_truncated_configuration_is_refused_at_the_place_where_it_ends() {
    let folder = PlanFolder::ring();
    let end = samples::EXPIVI_SIMPLE.find("17 mm").expect("an attribute");
    folder.write("configuration.json", &samples::EXPIVI_SIMPLE[..end]);
    let error = folder.plan(&[]).typed_error();
    assert_eq!(error["error"], "hook", "{error:#}");
    assert_eq!(error["detail"]["hook"], "configuration.decode");
    let text = error["message"].as_str().expect("a message");
    assert!(text.contains("[0].configuration") && text.contains("EOF"), "{text}");
}

#[test]
fn a_quantity_of_nothing_is_refused() {
    let error = PlanFolder::ring().plan(&["--quantity", "0"]).typed_error();
    assert_eq!(error["error"], "quantity", "{error:#}");
    assert_eq!(error["detail"]["minimum"], 1);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    for name in ["settings", "link", "catalog", "configuration"] {
        let folder = PlanFolder::ring();
        fs::remove_file(folder.path(&format!("{name}.json"))).expect("removed");
        let err = folder.plan(&[]).failed();
        assert!(err.contains("cannot read ") && err.contains(&format!("{name}.json")), "{err}");
    }
    let err = PlanFolder::ring().plan(&["--cart", "no-such-cart.json"]).failed();
    assert!(err.contains("cannot read no-such-cart.json"), "{err}");
    let err = PlanFolder::ring().plan(&["--strategy", "no-such-strategy.wasm"]).failed();
    assert!(err.contains("no-such-strategy.wasm"), "{err}");
}

#[test]
fn a_misspelt_member_of_a_file_is_named() {
    let folder = PlanFolder::ring();
    let link = json!({ "shop_product": "ring", "vendor_product": "1001", "setings": {} });
    folder.write("link.json", &link.to_string());
    let err = folder.plan(&[]).failed();
    assert!(err.contains("link.json") && err.contains("unknown field `setings`"), "{err}");
    let folder = PlanFolder::ring();
    folder.write("catalog.json", &json!({ "currencies": [{ "code": "EUR", "scale": 2 }], "variant": [] }).to_string());
    let err = folder.plan(&[]).failed();
    assert!(err.contains("catalog.json") && err.contains("unknown field `variant`"), "{err}");
}

#[test]
fn the_vendors_own_component_is_no_strategy_beside_it() {
    let folder = PlanFolder::ring();
    let file = folder.path("own.wasm");
    fs::write(&file, cartwright_bundled::by_id("expivi").expect("a plugin")).expect("a file");
    let err = folder.plan(&["--strategy", file.to_str().expect("UTF-8")]).failed();
    assert!(err.contains("is the vendor's own plugin; choose one of its strategies"), "{err}");
}

#[test]
fn a_file_that_cannot_be_read_is_a_typed_error() {
    let folder = PlanFolder::ring();
    fs::remove_file(folder.path("configuration.json")).expect("removed");
    let error = folder.plan(&[]).typed_error();
    assert!(error["message"].as_str().expect("a message").contains("configuration.json"), "{error:#}");
}

#[test]
fn an_unknown_strategy_is_named_beside_the_known_ones() {
    let error = PlanFolder::ring().plan(&["--strategy", "no-such-strategy"]).typed_error();
    assert_eq!(error["error"], "unknown-strategy");
    let text = error["message"].as_str().expect("a message");
    assert!(text.contains("no-such-strategy") && text.contains("simple, variation, bundle"), "{text}");
}

#[test]
fn a_plan_that_fails_explains_itself_up_to_where_it_failed() {
    let folder = PlanFolder::shirt("HAT-");
    let (out, err) = folder.plan(&["--strategy", "variation", "--explain"]).failed_after();
    assert_eq!(stages(&out), ["decode", "products", "identify", "plan", "check"]);
    assert!(out.contains("check       failed: 0 variants have the SKU \"HAT-R-L\""), "{out}");
    let error: Value = serde_json::from_str(&err).expect("a typed error");
    assert_eq!(error["error"], "sku", "{error:#}");

    let error = folder.plan(&["--strategy", "variation", "--explain", "--json"]).typed_error();
    let last = error["stages"].as_array().and_then(|stages| stages.last()).expect("stages");
    assert_eq!(last["stage"], "check", "{error:#}");
}
