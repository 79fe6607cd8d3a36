//! Browser input is hostile until it is checked: each of these causes a typed error with the path, or a harmless line.

use cartwright::types::CallError;
use cartwright::{CartError, Failure};
use cartwright_e2e::{World, added_lines};
use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

/// Returns the path in the error.
async fn refused(world: &World, what: &str, configuration: Vec<u8>) -> String {
    let mut request = world.request("ring", "", 1, &[]);
    request.configuration = Some(configuration);
    match world.host.add_to_cart(&world.shop, request).await {
        Err(CartError::Hook(error)) => match error.failure {
            Failure::PluginError(CallError::InvalidInput(issue)) => issue.field,
            failure @ Failure::Limit(_) => failure.to_string(),
            other => panic!("{what}: {other}"),
        },
        Err(CartError::Configuration(issue)) => issue.field,
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test]
async fn every_truncation_is_invalid_input() {
    let world = World::new().await;
    let whole = samples::EXPIVI_SIMPLE.trim().as_bytes();
    for cut in (0..whole.len()).step_by(whole.len() / 40 + 1) {
        if cut > 0 {
            refused(&world, &format!("cut at {cut}"), whole[..cut].to_vec()).await;
        }
    }
}

#[tokio::test]
async fn what_is_too_large_or_too_deep_is_refused_at_once() {
    let world = World::new().await;
    let large = refused(&world, "50 MB", vec![b' '; 50 << 20]).await;
    assert!(large.contains("bytes_in"), "{large}");
    refused(&world, "depth 100,000", "[".repeat(100_000).into_bytes()).await;
    let deep = format!(
        "[{{\"version\":\"1\",\"catalogue_id\":1001,\"attributes\":[],\"configuration\":{}{}}}]",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    refused(&world, "a deep state", deep.into_bytes()).await;
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let world = World::new().await;
    refused(&world, "no UTF-8", b"[{\"version\":\"\xff\xfe\"}]".to_vec()).await;
    refused(&world, "NUL", vec![0; 100]).await;
}

#[tokio::test]
async fn a_duplicate_member_is_refused() {
    let world = World::new().await;
    for (what, twice) in [
        ("catalogue_id", samples::EXPIVI_SIMPLE.replacen("\"version\"", "\"catalogue_id\": 1003, \"version\"", 1)),
        (
            "attribute_id",
            samples::EXPIVI_SIMPLE.replacen("\"attribute_id\"", "\"attribute_id\": 1, \"attribute_id\"", 1),
        ),
    ] {
        refused(&world, what, twice.into_bytes()).await;
    }
}

/// Collects the path of every value of a JSON value.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| places(value, &format!("{path}/{index}"), found));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| places(value, &format!("{path}/{name}"), found))
        }
        _ => {}
    }
}

#[tokio::test]
async fn wrong_types_anywhere_never_trap_and_never_change_the_price() {
    let world = World::new().await;
    let sample: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("a sample");
    let mut all = Vec::new();
    places(&sample, "", &mut all);
    for path in all {
        for wrong in [json!(null), json!(true), json!(-1), json!(1e300), json!("x"), json!([]), json!({ "a": [] })] {
            let mut value = sample.clone();
            *value.pointer_mut(&path).expect("a place") = wrong.clone();
            let change = world.add("ring", &value.to_string(), 1, &mut Vec::new()).await;
            match change {
                Ok(change) => assert_eq!(added_lines(&change)[0].price.total.minor, 19_900, "{path} = {wrong}"),
                Err(CartError::Hook(error)) => {
                    let typed = matches!(error.failure, Failure::PluginError(CallError::InvalidInput(_)));
                    assert!(typed, "{path} = {wrong}: {error}");
                }
                Err(CartError::NotLinked { .. } | CartError::Configuration(_)) => {}
                Err(other) => panic!("{path} = {wrong}: {other}"),
            }
        }
    }
}

#[tokio::test]
async fn markup_in_every_text_stays_text() {
    let world = World::new().await;
    let markup = "<img src=x onerror=alert(1)>";
    let mut sample: Value = serde_json::from_str(samples::EXPIVI_SIMPLE).expect("a sample");
    for list in ["/0/attributes", "/0/configuration/attributes"] {
        for attribute in sample.pointer_mut(list).and_then(Value::as_array_mut).expect("attributes") {
            attribute["attribute_name"] = json!(markup);
            attribute["attribute_value_name"] = json!(markup);
        }
    }
    let change = world.add("ring", &sample.to_string(), 1, &mut Vec::new()).await.expect("texts are texts");
    assert!(added_lines(&change)[0].shown.iter().any(|part| part.value == markup));
}

#[tokio::test]
async fn parents_that_form_a_cycle_are_refused() {
    let world = World::new().await;
    let mut sample: Value = serde_json::from_str(samples::EXPIVI_MULTI).expect("a sample");
    let products = sample["configured_products"].as_array_mut().expect("products");
    let second = products[1]["uuid"].clone();
    products[0]["parent_uuid"] = second;
    refused(&world, "a cycle", sample.to_string().into_bytes()).await;
}
