use cartwright_plugin::exports::configuration::Decoded;
use cartwright_plugin::types::{PriceSource, Thumbnail};

use super::*;
use crate::testing::{BUNDLE, MULTI, SIMPLE, VARIATION, association, blamed, context, text, texts};

fn decoded(product: &str, raw: &str) -> Decoded {
    decode(&context(&[]), &association(product, &[]), raw.as_bytes()).unwrap()
}

fn refused(raw: impl AsRef<[u8]>) -> String {
    let (path, key) = blamed(decode(&context(&[]), &association("1", &[]), raw.as_ref()));
    assert_eq!(key, "configuration-malformed");
    path
}

/// A product with these further members.
fn product(members: &str) -> String {
    format!(r#"[{{"catalogue_id":1{members}}}]"#)
}

#[test]
fn both_envelopes_are_read() {
    let bare = decoded("1", r#"[{"catalogue_id":"1","uuid":"a"}]"#);
    let wrapped = decoded("1", r#" {"bundle_uuid":null,"configured_products":[{"catalogue_id":1,"uuid":"a"}]} "#);
    assert_eq!(bare, wrapped);
}

#[test]
fn a_hidden_attribute_is_kept_and_marked() {
    let item = &decoded("1001", SIMPLE).items[0];
    let shown: Vec<(&str, &str)> =
        item.attributes.iter().filter(|a| !a.hidden).map(|a| (a.name.as_str(), a.value.as_str())).collect();
    assert_eq!(shown, [("Metal", "Gold"), ("Size", "17 mm"), ("Engraving", "Bob"), ("Engraving (font)", "Arial")]);
    let hidden: Vec<(&str, &str)> =
        item.attributes.iter().filter(|a| a.hidden).map(|a| (a.id.as_str(), a.value.as_str())).collect();
    assert_eq!(hidden, [("14", "Workshop default")]);
}

#[test]
fn what_a_shopper_writes_may_hold_the_font_mark() {
    for (written, text, font) in [
        ("Bob @font:Arial", "Bob", Some("Arial")),
        ("a@font:b @font:Open Sans", "a@font:b", Some("Open Sans")),
        ("Bob", "Bob", None),
        ("Bob @font:", "Bob", None),
        (" @font:Arial", "", Some("Arial")),
    ] {
        assert_eq!(split_font(written), (text, font), "{written}");
    }
}

#[test]
fn keys_are_read_under_each_name_of_the_setting() {
    for name in ["key", "attribute_key", "attribute_value_key", "value_key"] {
        let raw = product(&format!(r#","attributes":[{{"attribute_id":1,"{name}":"R"}}]"#));
        assert_eq!(decoded("1", &raw).items[0].attributes[0].key.as_deref(), Some("R"), "{name}");
    }
    let own = context(&[("key-fields", texts(&["sku_part", "key"]))]);
    let raw = product(r#","attributes":[{"attribute_id":1,"key":"no","sku_part":7}]"#);
    let decoded = decode(&own, &association("1", &[]), raw.as_bytes()).unwrap();
    assert_eq!(decoded.items[0].attributes[0].key.as_deref(), Some("7"));
    assert_eq!(decoded.warnings[0].key, "keys-differ");
}

#[test]
fn a_key_that_stands_only_in_the_state_is_found() {
    let raw = product(
        r#","attributes":[{"attribute_id":"1"}],"configuration":{"attributes":[{"attribute_id":1,"value_key":"R"}]}"#,
    );
    let item = &decoded("1", &raw).items[0];
    assert_eq!(item.attributes.len(), 1, "1 and \"1\" are one attribute");
    assert_eq!(item.attributes[0].key.as_deref(), Some("R"));
}

#[test]
fn repeated_articles_are_counted() {
    let articles: Vec<(String, String, Option<String>)> = decoded("1003", BUNDLE).items[0]
        .articles
        .iter()
        .map(|article| (article.sku.clone(), article.quantity.clone(), article.price_sku.clone()))
        .collect();
    let part = |sku: &str, quantity: &str| (format!("MODEL-{sku}"), quantity.to_owned(), Some(sku.to_owned()));
    let shadow = ("MODEL-FLOOR-SHADOW".to_owned(), "1".to_owned(), None);
    assert_eq!(articles, [part("PANEL-60", "3"), part("HINGE", "4"), part("SCREW-4", "4"), shadow]);
}

#[test]
fn the_same_model_in_another_material_is_another_article() {
    let raw = product(
        r#","articles":[{"models_sku":"M","material_group_sku":"OAK"},{"models_sku":"M","material_group_sku":"ASH"},
            {"models_sku":"M","material_group_sku":"OAK"},{"models_id":3,"price_fields":[]}]"#,
    );
    let decoded = decoded("1", &raw);
    let quantities: Vec<&str> = decoded.items[0].articles.iter().map(|article| article.quantity.as_str()).collect();
    assert_eq!(quantities, ["2", "1"]);
    assert_eq!(decoded.warnings[0].key, "articles-without-sku");
}

#[test]
fn a_replica_has_its_content_from_its_original() {
    let items = decoded("1004", MULTI).items;
    assert_eq!(items.len(), 3);
    let (chair, copy) = (&items[1], &items[2]);
    assert_eq!((&copy.articles, &copy.attributes, &copy.state), (&chair.articles, &chair.attributes, &chair.state));
    assert_eq!(copy.parent, items[0].id);
    assert_ne!(copy.id, chair.id);
    assert_eq!(copy.thumbnail, Some(Thumbnail::Url("https://assets.expivi.example/thumbnails/1005.png".to_owned())));
}

#[test]
fn a_payload_without_parent_or_replication_type_is_a_root() {
    let items = decoded("1002", VARIATION).items;
    assert_eq!(items[0].parent, None);
    let empty = decoded("1", &product(r#","parent_uuid":"","replication_type":null,"original_uuid":null"#));
    assert_eq!(empty.items[0].parent, None);
}

#[test]
fn roots_come_before_children_and_the_linked_one_first() {
    let raw = r#"[{"catalogue_id":3,"uuid":"c","parent_uuid":"b"},{"catalogue_id":2,"uuid":"b","parent_uuid":"a"},
        {"catalogue_id":9,"uuid":"z"},{"catalogue_id":1,"uuid":"a"}]"#;
    let order: Vec<String> = decoded("1", raw).items.into_iter().map(|item| item.vendor_product).collect();
    assert_eq!(order, ["1", "9", "2", "3"]);
}

#[test]
fn links_that_lead_nowhere_or_in_circles_are_refused_by_path() {
    for (raw, path) in [
        (r#"[{"catalogue_id":1,"parent_uuid":"x"}]"#, "[0].parent_uuid"),
        (r#"[{"catalogue_id":1,"uuid":"a","parent_uuid":"a"}]"#, "[0].parent_uuid"),
        (
            r#"[{"catalogue_id":1,"uuid":"a","parent_uuid":"b"},{"catalogue_id":1,"uuid":"b","parent_uuid":"a"}]"#,
            "[0].parent_uuid",
        ),
        (r#"[{"catalogue_id":1,"uuid":"a"},{"catalogue_id":1,"uuid":"a"}]"#, "[1].uuid"),
        (r#"[{"catalogue_id":1,"replication_type":"REPLICA"}]"#, "[0].original_uuid"),
        (r#"[{"catalogue_id":1,"replication_type":"REPLICA","original_uuid":"x"}]"#, "[0].original_uuid"),
        (r#"[{"catalogue_id":1,"uuid":"a","replication_type":"REPLICA","original_uuid":"a"}]"#, "[0].original_uuid"),
        (
            r#"{"configured_products":[{"catalogue_id":1,"uuid":"a"},
                {"catalogue_id":2,"uuid":"b","replication_type":"REPLICA","original_uuid":"a"}]}"#,
            "configured_products[1].original_uuid",
        ),
    ] {
        assert_eq!(refused(raw), path, "{raw}");
    }
}

#[test]
fn what_is_wrong_is_named_by_its_path() {
    for (raw, path) in [
        ("", ""),
        ("null", ""),
        ("[]", ""),
        ("{}", ""),
        (r#"{"configured_products":[]}"#, "configured_products"),
        ("[1]", "[0]"),
        (r#"[{"version":"2"}]"#, "[0].catalogue_id"),
        (r#"[{"catalogue_id":-1}]"#, "[0].catalogue_id"),
        (r#"[{"catalogue_id":0}]"#, "[0].catalogue_id"),
        (r#"[{"catalogue_id":1.5}]"#, "[0].catalogue_id"),
        (r#"[{"catalogue_id":99999999999999999999}]"#, "[0].catalogue_id"),
        (r#"[{"catalogue_id":"12a"}]"#, "[0].catalogue_id"),
        (r#"[{"catalogue_id":1,"catalogue_id":2}]"#, "[0].catalogue_id"),
        (r#"[{"catalogue_id":1,"attributes":{}}]"#, "[0].attributes"),
        (r#"[{"catalogue_id":1,"attributes":[{"attribute_id":-3}]}]"#, "[0].attributes[0].attribute_id"),
        (r#"[{"catalogue_id":1,"attributes":[{"attribute_id":3},{}]}]"#, "[0].attributes[1].attribute_id"),
        (r#"[{"catalogue_id":1,"attributes":[{"attribute_id":3,"key":"a","key":"b"}]}]"#, "[0].attributes[0].key"),
        (r#"[{"catalogue_id":1,"attributes":[{"attribute_id":3,"key":true}]}]"#, "[0].attributes[0].key"),
        (r#"[{"catalogue_id":1,"articles":[{"models_sku":7}]}]"#, "[0].articles[0].models_sku"),
        (
            r#"[{"catalogue_id":1,"articles":[{"models_sku":"A"},{"models_sku":"A","price_sku":[]}]}]"#,
            "[0].articles[1].price_sku",
        ),
        (r#"[{"catalogue_id":1,"configuration":{"attributes":[{}]}}]"#, "[0].configuration.attributes[0].attribute_id"),
        (r#"[{"catalogue_id":1,"thumbnail":5}]"#, "[0].thumbnail"),
        (r#"[{"catalogue_id":1}] x"#, ""),
        (r#"[{"catalogue_id":1,"uuid":"a"#, "[0].uuid"),
    ] {
        assert_eq!(refused(raw), path, "{raw}");
    }
    assert_eq!(refused(b"[{\"catalogue_id\":1,\"uuid\":\"\xff\"}]"), "");
}

#[test]
fn every_truncation_of_a_sample_is_refused_and_none_panics() {
    for end in 0..MULTI.trim_end().len() {
        if MULTI.is_char_boundary(end) {
            refused(&MULTI[..end]);
        }
    }
}

#[test]
fn caps_are_named() {
    let many = |count: usize, entry: &str| vec![entry; count].join(",");
    let (path, text) = match decode(
        &context(&[]),
        &association("1", &[]),
        product(&format!(r#","articles":[{}]"#, many(2001, r#"{"models_sku":"A"}"#))).as_bytes(),
    ) {
        Err(Error::InvalidInput(issue)) => (issue.field, issue.message.text),
        other => panic!("{other:?}"),
    };
    assert_eq!(path, "[0].articles");
    assert!(text.contains("2000"), "{text}");
    assert_eq!(refused(format!("[{}]", many(101, r#"{"catalogue_id":1}"#))), "");
    let attributes = format!(r#","attributes":[{}]"#, many(1001, r#"{"attribute_id":1}"#));
    assert_eq!(refused(product(&attributes)), "[0].attributes");
    assert_eq!(refused(product(&format!(r#","uuid":"{}""#, "x".repeat(5000)))), "[0].uuid");
}

#[test]
fn replicas_cannot_multiply_a_payload_without_end() {
    let attributes = vec![r#"{"attribute_id":1}"#; 1000].join(",");
    let mut products = vec![format!(r#"{{"catalogue_id":1,"uuid":"a","attributes":[{attributes}]}}"#)];
    products.extend(vec![r#"{"catalogue_id":1,"replication_type":"REPLICA","original_uuid":"a"}"#.to_owned(); 99]);
    assert_eq!(refused(format!("[{}]", products.join(","))), "[10].attributes");
}

#[test]
fn deep_nesting_is_refused_wherever_it_stands() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for member in ["unknown", "price", "configuration", "price_fields"] {
        assert_eq!(refused(product(&format!(r#","{member}":{deep}"#))), format!("[0].{member}"), "{member}");
    }
    let state = format!(r#","configuration":{{"attributes":[],"nodes":{deep}}}"#);
    assert_eq!(refused(product(&state)), "[0].configuration");
}

#[test]
fn the_picture_is_named_by_its_bytes_and_never_copied() {
    for raw in [SIMPLE, VARIATION, BUNDLE] {
        let saved = decode(&context(&[]), &association("1", &[]), raw.as_bytes()).unwrap();
        let Some(Thumbnail::InPayload(range)) = &saved.items[0].thumbnail else { panic!("no picture") };
        let cut = &raw[range.offset as usize..(range.offset + range.length) as usize];
        assert!(cut.starts_with("data:image/") || cut.starts_with("/9j/"), "{cut:.20}");
        assert!(!cut.contains('"'));
        assert!(!saved.items[0].state.contains(cut), "the picture is not in the state");
    }
    let escaped = decoded("1", &product(r#","thumbnail":"\/9j\/AA==""#));
    assert!(matches!(escaped.items[0].thumbnail, Some(Thumbnail::InPayload(_))));
    let odd = decoded("1", &product(r#","thumbnail":"\u002f9j","thumbnail_url":"https://a.example/1.png""#));
    assert_eq!(odd.items[0].thumbnail, Some(Thumbnail::Url("https://a.example/1.png".to_owned())));
    assert_eq!(odd.warnings[0].key, "thumbnail-unusable");
}

#[test]
fn a_browsers_price_is_never_read() {
    let item = |price: &str| {
        let raw = product(&format!(
            r#","price":{price},"articles":[{{"models_sku":"A","price_sku":"A","price_fields":{{"p":{price}}}}}]"#
        ));
        decoded("1", &raw)
    };
    assert_eq!(item("1"), item("999999"));
    assert_eq!(item("1"), item(r#""free""#));
    assert_eq!(item("1").items[0].articles[0].price, None);
}

#[test]
fn the_state_is_the_raw_configuration() {
    let raw = product(r#","configuration":{ "attributes" : [], "camera":1.50 }"#);
    assert_eq!(decoded("1", &raw).items[0].state, r#"{ "attributes" : [], "camera":1.50 }"#);
    assert_eq!(decoded("1", &product(r#","configuration":null"#)).items[0].state, "");
}

#[test]
fn an_uploaded_picture_as_a_value_does_not_stop_the_sale() {
    let picture = format!("data:image/png;base64,{}", "A".repeat(9000));
    let raw = product(&format!(
        r#","attributes":[{{"attribute_id":1,"attribute_value":{{"value":"{picture}"}}}},
            {{"attribute_id":2,"attribute_value":{{"value":{{"url":"x"}}}}}},{{"attribute_id":3,"attribute_value":[1]}},
            {{"attribute_id":4,"attribute_value":{{"value":12.5}}}}]"#
    ));
    let values: Vec<String> = decoded("1", &raw).items.remove(0).attributes.into_iter().map(|a| a.value).collect();
    assert_eq!(values, ["", "", "", "12.5"]);
}

#[test]
fn what_only_the_browser_says_is_marked() {
    let of = |settings: &[(&str, SettingValueText)]| {
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, text(value))).collect();
        let decoded = decode(&context(&settings), &association("1003", &[]), BUNDLE.as_bytes()).unwrap();
        (decoded.price_from, decoded.items[0].unverified.as_ref().map(|unverified| unverified.hold))
    };
    assert_eq!(of(&[]), (PriceSource::Platform, None));
    assert_eq!(of(&[("price-authority", "vendor")]), (PriceSource::Vendor, None));
    assert_eq!(of(&[("price-authority", "components")]), (PriceSource::Components, Some(true)));
    assert_eq!(of(&[("order-type", "bundle")]), (PriceSource::Platform, Some(true)));
    assert_eq!(of(&[("order-type", "variation"), ("unconfirmed", "sell")]), (PriceSource::Platform, Some(false)));
}

type SettingValueText = &'static str;

#[test]
fn decoding_twice_gives_the_same() {
    assert_eq!(decoded("1004", MULTI), decoded("1004", MULTI));
}
