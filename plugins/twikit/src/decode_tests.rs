#![allow(clippy::unwrap_used)]

use cartwright_test_growth::assert_linear;

use super::*;
use crate::fields::UNVERIFIED_SKU;
use crate::testing::{context, context_with, product_link};

// Made from the documented types, ISaveData and IVariation; not a capture.
const SAVED: &str = r#"{"configurationId":4711,"previewUrl":"https://previews.twikit.example/4711.png","variation":{"id":"v1","sku":"RING-S","price":49.95}}"#;

fn path(raw: &[u8], allowed: &[&str]) -> String {
    match decode(&context(), &product_link(allowed), raw) {
        Err(CallError::InvalidInput(issue)) => issue.field,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(raw)),
    }
}

#[test]
fn the_only_allowed_sku_is_verified() {
    let decoded = decode(&context(), &product_link(&["RING-S"]), SAVED.as_bytes()).unwrap();
    assert_eq!(decoded.price_from, PriceSource::Platform);
    assert_eq!(decoded.warnings, []);
    let [item] = decoded.items.as_slice() else { panic!("{decoded:?}") };
    assert_eq!(item.vendor_product, "diamond-letter-jewel");
    assert_eq!(item.sku.as_deref(), Some("RING-S"));
    assert_eq!(item.saved_id.as_deref(), Some("4711"));
    assert_eq!(item.state, r#"{"configurationId":4711}"#);
    assert_eq!(item.thumbnail, Some(Thumbnail::Url("https://previews.twikit.example/4711.png".into())));
    assert_eq!(item.unverified, None);
}

#[test]
fn several_allowed_skus_are_unverified_and_held_sold_or_refused_as_the_merchant_chose() {
    let decide = |policy| {
        decode(&context_with(&[(UNVERIFIED_SKU, policy)]), &product_link(&["RING-S", "RING-L"]), SAVED.as_bytes())
    };
    for (policy, hold) in [("hold", true), ("sell", false), ("a later word", true)] {
        let unverified = decide(policy).unwrap().items.remove(0).unverified.unwrap();
        assert_eq!((unverified.hold, unverified.reason.key.as_str()), (hold, "sku-unverified"), "{policy}");
    }
    assert!(matches!(decide("refuse"), Err(CallError::Rejected(_))));
    let default = decode(&context(), &product_link(&["RING-S", "RING-L"]), SAVED.as_bytes()).unwrap();
    assert!(default.items[0].unverified.as_ref().unwrap().hold);
}

#[test]
fn the_same_sku_twice_on_a_link_is_one() {
    let decoded = decode(&context(), &product_link(&["RING-S", "RING-S"]), SAVED.as_bytes()).unwrap();
    assert_eq!(decoded.items[0].unverified, None);
}

#[test]
fn a_sku_that_is_not_allowed_is_refused_even_when_only_one_is_allowed() {
    assert_eq!(path(SAVED.as_bytes(), &["RING-L"]), "variation.sku");
    assert_eq!(path(SAVED.as_bytes(), &["ring-s", "RING-L"]), "variation.sku");
}

#[test]
fn without_a_reported_variation_only_a_single_sku_can_be_meant() {
    let raw = br#"{"configurationId":1,"previewUrl":"https://p.example/1.png","variation":null}"#;
    let decoded = decode(&context(), &product_link(&["RING-S"]), raw).unwrap();
    assert_eq!(decoded.items[0].sku.as_deref(), Some("RING-S"));
    assert_eq!(path(raw, &["RING-S", "RING-L"]), "variation");
}

#[test]
fn a_link_without_skus_is_the_merchants_to_mend() {
    assert!(matches!(decode(&context(), &product_link(&[]), SAVED.as_bytes()), Err(CallError::NotConfigured(_))));
}

#[test]
fn a_missing_preview_loses_no_sale() {
    let raw = br#"{"configurationId":1,"previewUrl":null,"variation":null}"#;
    let decoded = decode(&context(), &product_link(&["RING-S"]), raw).unwrap();
    assert_eq!(decoded.items[0].thumbnail, None);
    assert_eq!(decoded.warnings[0].key, "preview-missing");
}

#[test]
fn a_preview_that_cannot_be_used_loses_no_sale() {
    let previewed = |preview: &str| {
        let raw = format!(r#"{{"configurationId":1,"previewUrl":{preview},"variation":null}}"#);
        let mut decoded = decode(&context(), &product_link(&["RING-S"]), raw.as_bytes()).unwrap();
        (decoded.items.remove(0).thumbnail, decoded.warnings.pop().map(|warning| warning.key))
    };
    let url = |url: &str| (Some(Thumbnail::Url(url.to_owned())), None);
    for (preview, expected) in [
        (r#""//p.example/a.png""#, url("https://p.example/a.png")),
        (r#""https://p.example/my ring.png""#, url("https://p.example/my%20ring.png")),
        (r#""https://p.example/größe.png?size=512|512""#, url("https://p.example/gr%C3%B6%C3%9Fe.png?size=512%7C512")),
        (r#""https:\/\/p.example\/a.png""#, url("https://p.example/a.png")),
    ] {
        assert_eq!(previewed(preview), expected, "{preview}");
    }
    let data = r#""data:image/png;base64,AA\/A""#;
    let (Some(Thumbnail::InPayload(range)), None) = previewed(data) else { panic!("{:?}", previewed(data)) };
    assert_eq!((range.offset, range.length), (35, data.len() as u32 - 2));
    for preview in [
        r#""http://p.example/1.png""#,
        r#""https://größe.example/1.png""#,
        r#""https://a@p.example/1.png""#,
        r#""https://p.example/\u0000""#,
        r#""javascript:alert(1)""#,
        r#""/1.png""#,
        r#""\ud800""#,
        "7",
        "{}",
        "[[]]",
    ] {
        assert_eq!(previewed(preview), (None, Some("preview-unusable".to_owned())), "{preview}");
    }
}

#[test]
fn a_number_and_its_digits_are_the_same() {
    let raw = br#"{"configurationId":"4711","variation":{"sku":40012}}"#;
    let decoded = decode(&context(), &product_link(&["40012"]), raw).unwrap();
    assert_eq!(decoded.items[0].sku.as_deref(), Some("40012"));
    assert_eq!(decoded.items[0].saved_id.as_deref(), Some("4711"));
    assert_eq!(decoded.items[0].state, r#"{"configurationId":4711}"#);
}

#[test]
fn twice_as_large_a_configuration_takes_about_twice_as_long() {
    let members = |count: usize| (0..count).map(|at| format!("\"m{at}\":null,")).collect::<String>();
    let payloads: [&dyn Fn(usize) -> String; 2] =
        [&|count| format!(r#"{{"configurationId":1,"variation":{{{}"sku":"RING-S"}}}}"#, members(count)), &|count| {
            format!(r#"{{"configurationId":1,"previewUrl":"https://p.example/{}"}}"#, "ü".repeat(count))
        }];
    for payload in payloads {
        assert_linear("a configuration", 20_000, payload, |raw| {
            decode(&context(), &product_link(&["RING-S"]), raw.as_bytes()).unwrap();
        });
    }
}

#[test]
fn the_browsers_price_changes_nothing() {
    let of = |raw: &str| decode(&context(), &product_link(&["RING-S"]), raw.as_bytes()).unwrap();
    assert_eq!(of(SAVED), of(&SAVED.replace("49.95", "0.01")));
    assert_eq!(of(SAVED), of(&SAVED.replace("49.95", "\"free\"")));
}

#[test]
fn hostile_input_is_refused_with_the_path_of_what_is_wrong() {
    let id = |value: &str| {
        format!(r#"{{"configurationId":{value},"previewUrl":"https://p.example/1.png","variation":null}}"#)
    };
    for value in [
        "0",
        "-1",
        "1.5",
        "9007199254740992",
        "99999999999999999999",
        "\"4711a\"",
        "\"+1\"",
        "null",
        "true",
        "[1]",
        "{}",
    ] {
        assert_eq!(path(id(value).as_bytes(), &["RING-S"]), "configurationId", "{value}");
    }
    for (raw, expected) in [
        (r#"{"previewUrl":"https://p.example/1.png","variation":null}"#, "configurationId"),
        (r#"{"configurationId":1,"configurationId":2,"previewUrl":null}"#, "configurationId"),
        (r#"{"configurationId":1,"variation":{"sku":"RING-S","sku":"RING-L"}}"#, "variation.sku"),
        (r#"{"configurationId":1,"variation":{"sku":true}}"#, "variation.sku"),
        (r#"{"configurationId":1,"variation":{"sku":"RING\u0000S"}}"#, "variation.sku"),
        (r#"{"configurationId":1,"variation":["RING-S"]}"#, "variation"),
        (r#"{"configurationId":1,"variation":{"sku":""}}"#, "variation.sku"),
        (r#"{"configurationId":1,"variation":{"id":"v1"}}"#, "variation.sku"),
        (r#"{"configurationId":1,"variation":"RING-S"}"#, "variation"),
        (r#"{"configurationId":1,"configuration_id":2}"#, "configuration_id"),
        (r#"{"configurationId":1e999}"#, "configurationId"),
        ("[]", ""),
        ("null", ""),
        ("7", ""),
        ("", ""),
    ] {
        assert_eq!(path(raw.as_bytes(), &["RING-S"]), expected, "{raw}");
    }
}

#[test]
fn every_cut_of_a_configuration_is_refused() {
    for length in 0..SAVED.len() {
        path(&SAVED.as_bytes()[..length], &["RING-S"]);
    }
    assert_eq!(path(b"{\"configurationId\":1,\"previewUrl\":\"\xff\xfe\"}", &["RING-S"]), "");
    assert_eq!(path(format!("{SAVED}{SAVED}").as_bytes(), &["RING-S"]), "");
}
