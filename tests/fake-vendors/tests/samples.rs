//! The samples have the content that their README describes.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Returns the ids in `configuration.attributes` that `attributes` does not contain.
fn hidden(product: &Value) -> Vec<u64> {
    let ids = |list: &Value| -> Vec<u64> {
        list.as_array().unwrap().iter().map(|attribute| attribute["attribute_id"].as_u64().unwrap()).collect()
    };
    let shown = ids(&product["attributes"]);
    ids(&product["configuration"]["attributes"]).into_iter().filter(|id| !shown.contains(id)).collect()
}

#[test]
fn the_simple_one_has_a_text_with_a_font_and_a_hidden_attribute() {
    let sample = read(samples::EXPIVI_SIMPLE);
    let ring = &sample[0];

    assert_eq!(ring["catalogue_id"], "1001");
    assert_eq!(ring["attributes"][2]["attribute_value"]["value"], "Bob @font:Arial");
    assert_eq!(hidden(ring), [14]);
    assert_eq!(ring["thumbnail"], samples::jpeg_data_uri());
    assert!(ring.get("uuid").is_none());
}

#[test]
fn the_variation_has_keys_in_order_and_one_attribute_without() {
    let sample = read(samples::EXPIVI_VARIATION);
    let shirt = &sample[0];

    let keys: Vec<_> = shirt["attributes"].as_array().unwrap().iter().map(|a| a.get("attribute_value_key")).collect();
    assert_eq!(keys, [Some(&json!("R")), Some(&json!("L")), None]);
    assert_eq!(hidden(shirt), [24]);
    assert_eq!((&shirt["catalogue_id"], &shirt["thumbnail"]), (&json!(1002), &json!(samples::png_data_uri())));
}

#[test]
fn the_bundle_repeats_articles_and_has_one_that_is_no_priced_part() {
    let sample = read(samples::EXPIVI_BUNDLE);
    let wardrobe = &sample[0];

    let mut counts = BTreeMap::new();
    for article in wardrobe["articles"].as_array().unwrap() {
        *counts.entry(article.get("price_sku").and_then(Value::as_str)).or_insert(0) += 1;
    }
    let expected = [(None, 1), (Some("HINGE"), 4), (Some("PANEL-60"), 3), (Some("SCREW-4"), 4)];
    assert_eq!(counts, BTreeMap::from(expected));
    assert_eq!(wardrobe["thumbnail"], samples::jpeg_base64());
}

#[test]
fn the_multi_one_has_a_root_a_child_and_a_replica() {
    let sample = read(samples::EXPIVI_MULTI);
    let products = sample["configured_products"].as_array().unwrap();
    let [table, chair, replica] = products.as_slice() else { panic!("three products") };

    assert!(sample["bundle_uuid"].is_string() && table["parent_uuid"].is_null());
    assert_eq!(hidden(table), [42]);
    assert_eq!((&chair["parent_uuid"], &chair["thumbnail"]), (&table["uuid"], &json!(samples::png_base64())));
    assert_eq!((&replica["original_uuid"], &replica["replication_type"]), (&chair["uuid"], &json!("REPLICA")));
    assert!(replica.get("articles").is_none());
}

#[test]
fn a_generated_one_of_the_benches_size_is_about_eleven_hundred_bytes() {
    let text = samples::generated(12, 8);

    assert!((1_000..1_200).contains(&text.len()), "{} bytes", text.len());
    let product = &read(&text)[0];
    assert_eq!(product["attributes"].as_array().unwrap().len(), 12);
    assert_eq!(product["articles"].as_array().unwrap().len(), 8);
}

#[test]
fn the_thumbnails_are_real_pictures() {
    assert!(samples::JPEG.starts_with(b"\xff\xd8\xff") && samples::JPEG.ends_with(b"\xff\xd9"));
    assert!(samples::PNG.starts_with(b"\x89PNG\r\n\x1a\n"));
}
