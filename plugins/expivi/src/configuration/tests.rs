use cartwright_plugin::exports::configuration::DecodeResult;
use cartwright_plugin::types::{PriceSource, Thumbnail};
use cartwright_test_growth::assert_linear;

use super::*;
use crate::testing::{BUNDLE, MULTI, SIMPLE, VARIATION, context, error_field, product_link, text, texts};

fn decoded(product: &str, raw: &str) -> DecodeResult {
    decode(&context(&[]), &product_link(product, &[]), raw.as_bytes()).unwrap()
}

fn refused(raw: impl AsRef<[u8]>) -> String {
    let (path, key) = error_field(decode(&context(&[]), &product_link("1", &[]), raw.as_ref()));
    assert_eq!(key, "configuration-malformed");
    path
}

/// Returns a product with these additional members.
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
    let decoded = decode(&own, &product_link("1", &[]), raw.as_bytes()).unwrap();
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
        ("{}", "configured_products"),
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
        (r#"[{"catalogue_id":1,"attributes":[{"attribute_id":""}]}]"#, "[0].attributes[0].attribute_id"),
        (r#"[{"catalogue_id":1,"attributes":[{"attribute_id":3},{}]}]"#, "[0].attributes[1].attribute_id"),
        (r#"[{"catalogue_id":1,"attributes":[{"attribute_id":3,"key":"a","key":"b"}]}]"#, "[0].attributes[0].key"),
        (r#"[{"catalogue_id":1,"attributes":[{"attribute_id":3,"key":true}]}]"#, "[0].attributes[0].key"),
        (r#"[{"catalogue_id":1,"articles":[{"models_sku":true}]}]"#, "[0].articles[0].models_sku"),
        (
            r#"[{"catalogue_id":1,"articles":[{"models_sku":"A"},{"models_sku":"A","price_sku":[]}]}]"#,
            "[0].articles[1].price_sku",
        ),
        (r#"[{"catalogue_id":1,"configuration":{"attributes":[{}]}}]"#, "[0].configuration.attributes[0].attribute_id"),
        (r#"[{"catalogue_id":1,"attributes":[[3]]}]"#, "[0].attributes[0]"),
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
        &product_link("1", &[]),
        product(&format!(r#","articles":[{}]"#, many(2001, r#"{"models_sku":"A"}"#))).as_bytes(),
    ) {
        Err(CallError::InvalidInput(issue)) => (issue.field, issue.message.text),
        other => panic!("{other:?}"),
    };
    assert_eq!(path, "[0].articles");
    assert!(text.contains("2000"), "{text}");
    assert_eq!(refused(format!("[{}]", many(101, r#"{"catalogue_id":1}"#))), "");
    let attributes = format!(r#","attributes":[{}]"#, many(1001, r#"{"attribute_id":1}"#));
    assert_eq!(refused(product(&attributes)), "[0].attributes");
    assert_eq!(refused(product(&format!(r#","uuid":"{}""#, "x".repeat(1001)))), "[0].uuid");
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
    const WHOLE: &str = "";
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for member in ["unknown", "price", "configuration", "price_fields"] {
        assert_eq!(refused(product(&format!(r#","{member}":{deep}"#))), WHOLE, "{member}");
    }
    let state = format!(r#","configuration":{{"attributes":[],"nodes":{deep}}}"#);
    assert_eq!(refused(product(&state)), WHOLE);
}

#[test]
fn the_picture_is_named_by_its_bytes_and_never_copied() {
    for raw in [SIMPLE, VARIATION, BUNDLE] {
        let saved = decode(&context(&[]), &product_link("1", &[]), raw.as_bytes()).unwrap();
        let Some(Thumbnail::InPayload(range)) = &saved.items[0].thumbnail else { panic!("no picture") };
        let cut = &raw[range.offset as usize..(range.offset + range.length) as usize];
        assert!(cut.starts_with("data:image/") || cut.starts_with("/9j/"), "{cut:.20}");
        assert!(!cut.contains('"'));
        assert!(!saved.items[0].state.contains(cut), "the picture is not in the state");
    }
    let escaped = decoded("1", &product(r#","thumbnail":"\/9j\/AA==""#));
    assert!(matches!(escaped.items[0].thumbnail, Some(Thumbnail::InPayload(_))));
    // The spelling of the base64 does not matter: the host decodes it.
    let odd = decoded("1", &product(r#","thumbnail":"\u002f9j\r\n_-%2B","thumbnail_url":"https://a.example/1.png""#));
    assert!(matches!(odd.items[0].thumbnail, Some(Thumbnail::InPayload(_))));
    assert_eq!(odd.warnings, []);
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
fn a_picture_that_cannot_be_used_stops_no_sale() {
    let pictured = |members: &str| {
        let mut decoded = decoded("1", &product(members));
        let warned: Vec<String> = decoded.warnings.into_iter().map(|warning| warning.key).collect();
        (decoded.items.remove(0).thumbnail, warned)
    };
    let url = |url: &str| Some(Thumbnail::Url(url.to_owned()));
    for (members, thumbnail, warned) in [
        (r#","thumbnail":null,"thumbnail_url":"""#, None, 0),
        (r#","thumbnail":"""#, None, 0),
        (r#","thumbnail":5"#, None, 1),
        (r#","thumbnail":{},"thumbnail_url":"//a.example/my ring.png""#, url("https://a.example/my%20ring.png"), 1),
        (r#","thumbnail_url":"https://a.example/größe.png""#, url("https://a.example/gr%C3%B6%C3%9Fe.png"), 0),
        (r#","thumbnail_url":"/a.png""#, None, 1),
        (r#","thumbnail_url":"https://a.example/\u0000""#, None, 1),
        (r#","thumbnail_url":[]"#, None, 1),
    ] {
        assert_eq!(pictured(members), (thumbnail, vec!["thumbnail-unusable".to_owned(); warned]), "{members}");
    }
}

#[test]
fn the_state_holds_the_raw_configuration() {
    let raw = product(r#","configuration":{ "attributes" : [], "far":3.4028234663852886e38 }"#);
    let state = r#"{"configuration":{ "attributes" : [], "far":3.4028234663852886e38 }}"#;
    assert_eq!(decoded("1", &raw).items[0].state, state);
    assert_eq!(decoded("1", &product(r#","configuration":null"#)).items[0].state, "");
}

/// Returns the parts of an item that determine its fingerprint.
fn identity(raw: &str) -> (String, Vec<(String, String)>, Vec<types::Article>) {
    let item = decoded("1", raw).items.remove(0);
    (item.state, item.attributes.into_iter().map(|a| (a.id, a.value)).collect(), item.articles)
}

#[test]
fn configurations_that_differ_in_anything_are_told_apart() {
    let valued = |value: &str| product(&format!(r#","attributes":[{{"attribute_id":13,"attribute_value":{value}}}]"#));
    let values = [
        "null",
        "true",
        "false",
        "0",
        "0.5",
        "1714550000000000123",
        "1714550000000000124",
        r#""0""#,
        r#""Anna Tom""#,
        r#""Anna\nTom""#,
        r#""Anna  Tom""#,
        r#"{"value":"Anna Tom"}"#,
        r#"{"value":"Anna Tom @font:Arial"}"#,
        r#"{"value":"Anna Tom  @font:Arial"}"#,
        r#"{"value":"Anna Tom","size":7}"#,
        r#"{"value":"Anna Tom","size":8}"#,
        r#"{"value":true}"#,
        r#"{"value":["a"]}"#,
        r#"{"file":"kitten.png","id":901}"#,
        r#"{"file":"puppy.png","id":902}"#,
        "[]",
        r#"["a","b"]"#,
        r#"["b","a"]"#,
        r#""data:image/png;base64,AAAA""#,
        r#""data:image/png;base64,AAAB""#,
    ];
    let described: Vec<_> = values.iter().map(|value| identity(&valued(value))).collect();
    for (at, one) in described.iter().enumerate() {
        for (other, another) in described.iter().enumerate().skip(at + 1) {
            assert_ne!(one, another, "{} and {}", values[at], values[other]);
        }
    }
    for (one, another) in [
        (r#""key":"R""#, r#""key":"L""#),
        (
            r#""attribute_value":"x","attribute_value_name":"Gold""#,
            r#""attribute_value":"x","attribute_value_name":"Silver""#,
        ),
    ] {
        let with = |member: &str| product(&format!(r#","attributes":[{{"attribute_id":13,{member}}}]"#));
        assert_ne!(identity(&with(one)), identity(&with(another)), "{one} and {another}");
    }
    let bought = |articles: &str| product(&format!(r#","articles":[{articles}]"#));
    let (one, two) = (r#"{"models_id":1}"#, r#"{"models_id":2}"#);
    assert_ne!(identity(&bought(one)), identity(&bought(two)));
    assert_ne!(identity(&bought(one)), identity(&bought(&format!("{one},{one}"))));
    assert_eq!(identity(&bought(&format!("{one},{two}"))), identity(&bought(&format!("{two},{one}"))));
}

#[test]
fn what_a_shopper_wrote_is_handed_on_whole() {
    let written = |text: &str| {
        let value = serde_json::json!([{ "catalogue_id": 1, "attributes": [{ "attribute_id": 13, "attribute_value": { "value": text } }] }]);
        let decoded = decoded("1", &value.to_string());
        assert_eq!(decoded.warnings, []);
        decoded.items[0].attributes[0].value.clone()
    };
    for text in
        ["Anna\nTom\r\n12-06-2026\tforever", "👨\u{200d}👩\u{200d}👧", &"x".repeat(4097), &"Voor altijd ".repeat(90)]
    {
        assert_eq!(written(text), text);
    }
}

#[test]
fn values_are_shown_by_their_kind() {
    let shown = |members: &str| {
        let raw = product(&format!(r#","attributes":[{{"attribute_id":1,{members}}}]"#));
        let attribute = decoded("1", &raw).items.remove(0).attributes.remove(0);
        (attribute.value, attribute.kind)
    };
    for (members, value, kind) in [
        (r#""attribute_value":true"#, "yes", ChoiceKind::Chosen),
        (r#""attribute_value":{"value":false}"#, "no", ChoiceKind::Chosen),
        (r#""attribute_value":false,"attribute_value_name":"Without""#, "Without", ChoiceKind::Chosen),
        (r#""attribute_value":17.50"#, "17.50", ChoiceKind::Number),
        (r#""attribute_value":17,"attribute_value_name":"17 mm""#, "17 mm", ChoiceKind::Number),
        (r#""attribute_value_name":17"#, "17", ChoiceKind::Chosen),
        (r#""attribute_value":"DATA:image/png;base64,AA","attribute_value_name":"Photo""#, "Photo", ChoiceKind::File),
        (r#""attribute_value":"Bob","attribute_value_name":"Text""#, "Bob", ChoiceKind::Text),
        // A text may look like a data URI.
        (r#""attribute_value":"Data: 12.05.2024""#, "Data: 12.05.2024", ChoiceKind::Text),
        (r#""attribute_value":{"value":"data: a/b, c"}"#, "data: a/b, c", ChoiceKind::Text),
        (r#""attribute_value":"data:""#, "data:", ChoiceKind::Text),
        (r#""attribute_value":"Data:image\/PNG;base64,AA""#, "image/png", ChoiceKind::File),
        (r#""attribute_value":["Oak",2,true,null,{"name":"a.png"}]"#, "Oak, 2, yes, a.png", ChoiceKind::Chosen),
        (r#""attribute_value":{"file":"kitten.png","id":901}"#, "kitten.png", ChoiceKind::Chosen),
        (r#""attribute_value":{"value":{"url":"x","filename":"b.pdf"}}"#, "b.pdf", ChoiceKind::Chosen),
        (r#""attribute_value":["a"],"attribute_value_name":"Parts""#, "Parts", ChoiceKind::Chosen),
    ] {
        assert_eq!(shown(members), (value.to_owned(), kind), "{members}");
    }
}

#[test]
fn a_numeric_sku_is_read_as_its_digits() {
    let raw = product(
        r#","uuid":7,"articles":[{"models_id":1,"models_sku":40012,"price_sku":40013,"material_group_sku":5}]"#,
    );
    let item = decoded("1", &raw).items.remove(0);
    assert_eq!(item.id.as_deref(), Some("7"));
    let article = &item.articles[0];
    let skus = (article.sku.as_str(), article.price_sku.as_deref(), article.material_sku.as_deref());
    assert_eq!(skus, ("40012", Some("40013"), Some("5")));
}

#[test]
fn what_no_database_can_store_is_refused_where_it_comes_in() {
    for (members, path) in [
        (r#","uuid":"a\u0000b""#, "[0].uuid"),
        (r#","parent_uuid":"a\u0000b""#, "[0].parent_uuid"),
        (r#","bundle_uuid":"a\u0000b""#, "[0].bundle_uuid"),
        (r#","articles":[{"models_sku":"a\u0000b"}]"#, "[0].articles[0].models_sku"),
        (r#","articles":[{"models_sku":"a\nb"}]"#, "[0].articles[0].models_sku"),
        (r#","articles":[{"price_sku":"a\u0000b"}]"#, "[0].articles[0].price_sku"),
        (r#","articles":[{"material_group_sku":"a\u0000b"}]"#, "[0].articles[0].material_group_sku"),
        (r#","attributes":[{"attribute_id":"a\u0000b"}]"#, "[0].attributes[0].attribute_id"),
        (r#","attributes":[{"attribute_id":1,"attribute_name":"a\u0000b"}]"#, "[0].attributes[0].attribute_name"),
        (
            r#","attributes":[{"attribute_id":1,"attribute_value_name":"a\u0000b"}]"#,
            "[0].attributes[0].attribute_value_name",
        ),
        (r#","attributes":[{"attribute_id":1,"key":"a\u0000b"}]"#, "[0].attributes[0].key"),
        (r#","attributes":[{"attribute_id":1,"attribute_value":"a\u0000b"}]"#, "[0].attributes[0].attribute_value"),
        (
            r#","attributes":[{"attribute_id":1,"attribute_value":{"value":"a\u0000b"}}]"#,
            "[0].attributes[0].attribute_value.value",
        ),
        (
            r#","configuration":{"attributes":[{"attribute_id":1,"attribute_value":"a\u0000b"}]}"#,
            "[0].configuration.attributes[0].attribute_value",
        ),
    ] {
        assert_eq!(refused(product(members)), path, "{members}");
    }
}

#[test]
fn replicas_cannot_multiply_a_state_without_end() {
    let state = format!(r#"{{"attributes":[],"scene":"{}"}}"#, "x".repeat(200_000));
    let mut products = vec![format!(r#"{{"catalogue_id":1,"uuid":"a","configuration":{state}}}"#)];
    products.extend(vec![r#"{"catalogue_id":1,"replication_type":"REPLICA","original_uuid":"a"}"#.to_owned(); 99]);
    assert_eq!(refused(format!("[{}]", products.join(","))), "[83].configuration");
}

#[test]
fn twice_as_much_of_anything_takes_about_twice_as_long() {
    let list = |count: usize, entry: &dyn Fn(usize) -> String| (0..count).map(entry).collect::<Vec<_>>().join(",");
    type Payload<'a> = &'a dyn Fn(usize) -> String;
    let attributes: Payload<'_> = &|count| {
        let shown = list(count, &|at| format!(r#"{{"attribute_id":{at},"attribute_value":{at}}}"#));
        let in_state = list(count, &|at| format!(r#"{{"attribute_id":{},"key":"K"}}"#, at + count));
        product(&format!(r#","attributes":[{shown}],"configuration":{{"attributes":[{in_state}]}}"#))
    };
    let articles: Payload<'_> = &|count| {
        product(&format!(
            r#","articles":[{}]"#,
            list(count, &|at| format!(r#"{{"models_sku":"{at}","models_id":{at}}}"#))
        ))
    };
    let loose_articles: Payload<'_> =
        &|count| product(&format!(r#","articles":[{}]"#, list(count, &|at| format!(r#"{{"models_id":{at}}}"#))));
    let chain: Payload<'_> = &|count| {
        let link = |at: usize| {
            let parent = if at == 0 { "null".to_owned() } else { format!("\"u{}\"", at - 1) };
            format!(r#"{{"catalogue_id":1,"uuid":"u{at}","parent_uuid":{parent}}}"#)
        };
        format!("[{}]", list(count, &link))
    };
    let nulls: Payload<'_> =
        &|count| product(&format!(r#","configuration":{{{}}}"#, list(count, &|at| format!("\"m{at}\":null"))));
    let unknown: Payload<'_> = &|count| {
        let members = list(count, &|at| format!("\"m{at}\":null"));
        product(&format!(r#","attributes":[{{"attribute_id":1,{members}}}]"#))
    };
    let text: Payload<'_> = &|count| {
        product(&format!(r#","attributes":[{{"attribute_id":1,"attribute_value":"{}"}}]"#, "\\n".repeat(count)))
    };
    for (what, payload, count) in [
        ("attributes", attributes, 500),
        ("articles", articles, 1000),
        ("articles without a SKU", loose_articles, 1000),
        ("a chain of products", chain, 50),
        ("nulls in the state", nulls, 50_000),
        ("unknown members", unknown, 20_000),
        ("a text", text, 100_000),
    ] {
        assert_linear(what, count, payload, |raw| drop(decoded("1", raw)));
    }
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
    assert_eq!(values, ["image/png", "", "1", "12.5"]);
}

#[test]
fn a_value_that_is_not_shown_whole_is_warned_of() {
    let warned = |value: &str| {
        let raw = product(&format!(r#","attributes":[{{"attribute_id":13,"attribute_value":{value}}}]"#));
        decoded("1", &raw).warnings.into_iter().map(|warning| warning.key).collect::<Vec<_>>()
    };
    for value in [r#"{"url":"x"}"#, r#"{"value":{"id":3}}"#, r#"["a",["b"]]"#, r#"["a",{"id":3}]"#] {
        assert_eq!(warned(value), ["value-not-shown"], "{value}");
    }
    for value in ["[]", "{}", r#"["a","b"]"#, r#"{"file":"kitten.png","id":901}"#, r#""data:image/png,AA""#] {
        assert_eq!(warned(value), [""; 0], "{value}");
    }
}

#[test]
fn what_only_the_browser_says_is_marked() {
    let of = |settings: &[(&str, SettingValueText)]| {
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, text(value))).collect();
        let decoded = decode(&context(&settings), &product_link("1003", &[]), BUNDLE.as_bytes()).unwrap();
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
