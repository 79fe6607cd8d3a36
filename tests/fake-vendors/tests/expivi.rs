//! Expivi's calls are as strict as its known behavior.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]
#![allow(clippy::unwrap_used)]

use cartwright_fake_vendors::client::{self, Reply};
use cartwright_fake_vendors::expivi::{ConversionOutcome, FilesShape};
use cartwright_fake_vendors::{ExpiviConfig, FakeExpivi, samples};
use serde_json::{Value, json};

const VIEWER: (&str, &str) = ("authorization", "Bearer viewer-token");
const SERVER: (&str, &str) = ("authorization", "Bearer server-token");

async fn expivi() -> FakeExpivi {
    FakeExpivi::start(ExpiviConfig::default()).await.unwrap()
}

async fn get(expivi: &FakeExpivi, path: &str, token: (&str, &str)) -> Reply {
    client::get(&format!("{}{path}", expivi.api_url()), &[token]).await.unwrap()
}

async fn post(expivi: &FakeExpivi, path: &str, token: (&str, &str), body: &Value) -> Reply {
    client::post_json(&format!("{}{path}", expivi.api_url()), &[token], body).await.unwrap()
}

fn sample(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Returns the ring of the simple sample, as the price call expects it.
fn ring() -> Value {
    json!({ "configured_product": sample(samples::EXPIVI_SIMPLE)[0] })
}

/// Uploads the wardrobe, and returns its numeric id.
async fn uploaded(expivi: &FakeExpivi) -> u64 {
    let products = sample(samples::EXPIVI_BUNDLE);
    let bundle = json!({ "bundle_uuid": null, "configured_products": products });
    let reply = post(expivi, "configured_product/bundle", SERVER, &bundle).await;
    reply.json()[products[0]["uuid"].as_str().unwrap()].as_u64().unwrap()
}

fn conversion(configured_product_id: u64) -> Value {
    json!({
        "configured_product_id": configured_product_id, "media_id": 501, "hide_print_marks": true,
        "hide_placeholders": false, "attribute_payload": "visible", "dpi": 300,
    })
}

#[tokio::test]
async fn every_call_needs_a_token_and_says_so_in_json() {
    let expivi = expivi().await;
    let calls = [
        ("GET", "catalogue"),
        ("GET", "catalogue/1001"),
        ("POST", "price_manager/price/1001"),
        ("POST", "configured_product/bundle"),
        ("POST", "svg/conversion/request/pdf"),
        ("GET", "svg/conversion/check/abc"),
    ];
    for (method, path) in calls {
        for token in ["", "Bearer ", "Bearer wrong", "viewer-token", "Basic viewer-token"] {
            let token = ("authorization", token);
            let reply = match method {
                "GET" => get(&expivi, path, token).await,
                _ => post(&expivi, path, token, &json!({})).await,
            };
            assert_eq!(reply.status, 401, "{path} {token:?}");
            assert!(reply.json()["message"].is_string());
        }
    }
}

#[tokio::test]
async fn the_viewers_token_reads_and_never_writes() {
    let expivi = expivi().await;

    assert_eq!(get(&expivi, "catalogue", VIEWER).await.status, 200);
    assert_eq!(get(&expivi, "catalogue", SERVER).await.status, 200);
    assert_eq!(post(&expivi, "price_manager/price/1001", VIEWER, &ring()).await.status, 200);
    let bundle = json!({ "bundle_uuid": null, "configured_products": sample(samples::EXPIVI_BUNDLE) });
    assert_eq!(post(&expivi, "configured_product/bundle", VIEWER, &bundle).await.status, 403);
    assert_eq!(post(&expivi, "svg/conversion/request/pdf", VIEWER, &conversion(1)).await.status, 403);
    assert!(expivi.uploaded().is_empty());
}

#[tokio::test]
async fn the_catalogue_is_json_api_without_paging() {
    let expivi = expivi().await;

    let data = get(&expivi, "catalogue", VIEWER).await.json();
    assert_eq!(data["data"][0], json!({ "type": "catalogue", "id": "1001", "attributes": { "name": "Ring" } }));
    assert_eq!(get(&expivi, "catalogue?page[number]=2", VIEWER).await.status, 400);

    let ring = get(&expivi, "catalogue/1001?include=attributes", VIEWER).await.json();
    assert_eq!(ring["included"][2], json!({ "type": "attribute", "id": "13", "attributes": { "type": "text" } }));
    assert!(get(&expivi, "catalogue/1001", VIEWER).await.json().get("included").is_none());
    assert_eq!(get(&expivi, "catalogue/1001?include=presets", VIEWER).await.status, 400);
    assert_eq!(get(&expivi, "catalogue/9", VIEWER).await.status, 404);
    assert_eq!(get(&expivi, "presets", VIEWER).await.status, 404);
    assert_eq!(get(&expivi, "configured_product/bundle", SERVER).await.status, 405);
}

#[tokio::test]
async fn the_price_is_base_and_choices_times_the_percentage_of_the_country() {
    let expivi = expivi().await;
    let url = format!("{}price_manager/price/1001", expivi.api_url());

    // 199.00 for the ring, 200.00 for gold, 12.50 for the engraving.
    let body = ring();
    assert_eq!(client::post_json(&url, &[VIEWER], &body).await.unwrap().json(), json!({ "price": 411.5 }));
    assert_eq!(expivi.expected_price(&body["configured_product"], None), Some(41_150));
    let belgium = client::post_json(&url, &[VIEWER, ("locale-country", "be")], &body).await.unwrap();
    assert_eq!(belgium.json(), json!({ "price": 452.65 }));
    let odd = client::post_json(&url, &[VIEWER, ("locale-country", "Belgium")], &body).await.unwrap();
    assert_eq!(odd.status, 422);

    assert!(expivi.set_base_price(1001, 20_000));
    assert_eq!(client::post_json(&url, &[VIEWER], &body).await.unwrap().json(), json!({ "price": 412.5 }));
}

#[tokio::test]
async fn the_price_does_not_believe_the_browser() {
    let expivi = expivi().await;
    let mut cheap = json!({ "configured_product": sample(samples::EXPIVI_BUNDLE)[0] });
    let honest = post(&expivi, "price_manager/price/1003", VIEWER, &cheap).await.json();
    cheap["configured_product"]["price"] = json!(0.01);
    cheap["configured_product"]["articles"] = json!([]);

    assert_eq!(post(&expivi, "price_manager/price/1003", VIEWER, &cheap).await.json(), honest);
}

#[tokio::test]
async fn a_price_needs_a_configured_product_of_the_addressed_catalogue_id() {
    let expivi = expivi().await;
    let price =
        async |id: &str, body: &Value| post(&expivi, &format!("price_manager/price/{id}"), VIEWER, body).await.status;

    assert_eq!(price("1001", &json!({})).await, 422);
    assert_eq!(price("1001", &json!([])).await, 422);
    assert_eq!(price("1001", &json!({ "configured_product": [] })).await, 422);
    assert_eq!(price("1002", &ring()).await, 422);
    assert_eq!(price("9", &json!({ "configured_product": { "catalogue_id": 9 } })).await, 422);
    let changes = [
        ("/configured_product/version", json!(2)),
        ("/configured_product/catalogue_id", Value::Null),
        ("/configured_product/thumbnail", Value::Null),
        ("/configured_product/attributes", json!({})),
        ("/configured_product/attributes/0/attribute_id", json!("11")),
        ("/configured_product/configuration", json!([])),
        ("/configured_product/articles", json!({})),
        ("/configured_product/articles/0/models_sku", json!(7)),
        ("/configured_product/articles/0/price_sku", Value::Null),
        ("/configured_product/articles/0/price_fields/unit", json!("399")),
    ];
    for (pointer, value) in changes {
        let mut body = ring();
        *body.pointer_mut(pointer).unwrap() = value;
        assert_eq!(price("1001", &body).await, 422, "{pointer}");
    }

    let url = format!("{}price_manager/price/1001", expivi.api_url());
    let text = || axum::body::Bytes::from(ring().to_string());
    let send = async |headers: &[(&str, &str)], body| {
        client::send(axum::http::Method::POST, &url, headers, body, client::PATIENCE).await.unwrap().status
    };
    assert_eq!(send(&[VIEWER], text()).await, 415);
    let json = ("content-type", "application/json; charset=utf-8");
    assert_eq!(send(&[VIEWER, json], text()).await, 200);
    assert_eq!(send(&[VIEWER, json], text().slice(1..)).await, 400);
}

#[tokio::test]
async fn a_bundle_maps_each_uuid_to_a_number() {
    let expivi = expivi().await;
    let multi = sample(samples::EXPIVI_MULTI);

    let reply = post(&expivi, "configured_product/bundle", SERVER, &multi).await;

    assert_eq!(reply.status, 200);
    let ids = reply.json();
    assert_eq!(ids.as_object().unwrap().len(), 3);
    for product in multi["configured_products"].as_array().unwrap() {
        assert!(ids[product["uuid"].as_str().unwrap()].is_u64());
    }
    assert_eq!(post(&expivi, "configured_product/bundle", SERVER, &multi).await.json(), ids);
}

#[tokio::test]
async fn a_bundle_uuid_is_null_or_a_uuid_and_never_empty() {
    let expivi = expivi().await;
    let upload = async |bundle: &Value| post(&expivi, "configured_product/bundle", SERVER, bundle).await.status;
    let products = sample(samples::EXPIVI_BUNDLE);

    assert_eq!(upload(&json!({ "bundle_uuid": null, "configured_products": products })).await, 200);
    assert_eq!(upload(&json!({ "bundle_uuid": "", "configured_products": products })).await, 422);
    assert_eq!(upload(&json!({ "configured_products": products })).await, 422);
    assert_eq!(upload(&products).await, 422);
}

#[tokio::test]
async fn a_bundle_is_a_family_of_known_products() {
    let expivi = expivi().await;
    let changes = [
        ("/configured_products", json!([])),
        ("/configured_products/0/uuid", json!("")),
        ("/configured_products/1/uuid", sample(samples::EXPIVI_MULTI)["configured_products"][0]["uuid"].clone()),
        ("/configured_products/1/parent_uuid", json!("another product")),
        ("/configured_products/2/original_uuid", Value::Null),
        ("/configured_products/0/catalogue_id", json!("9")),
    ];
    for (pointer, value) in changes {
        let mut multi = sample(samples::EXPIVI_MULTI);
        *multi.pointer_mut(pointer).unwrap() = value;
        let reply = post(&expivi, "configured_product/bundle", SERVER, &multi).await;
        assert_eq!(reply.status, 422, "{pointer}");
    }
    assert!(expivi.uploaded().is_empty());
}

#[tokio::test]
async fn a_print_file_is_in_progress_for_a_while_and_then_there() {
    let expivi = expivi().await;
    let id = uploaded(&expivi).await;
    for (format, start) in [
        ("png", &b"\x89PNG"[..]),
        ("jpg", b"\xff\xd8\xff"),
        ("webp", b"RIFF"),
        ("tiff", b"II*\0"),
        ("pdf", b"%PDF-"),
        ("svg", b"<svg"),
    ] {
        let path = format!("svg/conversion/request/{format}");
        let conversion_reply = post(&expivi, &path, SERVER, &conversion(id)).await.json();
        assert_eq!((&conversion_reply["status"], &conversion_reply["files"]), (&json!("in_progress"), &json!([])));
        let path = format!("svg/conversion/check/{}", conversion_reply["hash"].as_str().unwrap());
        for _ in 0..2 {
            assert_eq!(get(&expivi, &path, SERVER).await.json()["status"], "in_progress");
        }
        let done = get(&expivi, &path, SERVER).await.json();
        assert_eq!(done["status"], "complete");
        let file = client::get(done["files"][0]["url"].as_str().unwrap(), &[]).await.unwrap();
        assert!(file.body.starts_with(start), "{format}");
    }
}

#[tokio::test]
async fn a_conversion_can_fail_or_never_be_taken_up() {
    let expivi = expivi().await;
    expivi.set_polls(0);
    let id = uploaded(&expivi).await;
    let conversion_reply = post(&expivi, "svg/conversion/request/pdf", SERVER, &conversion(id)).await.json();
    let hash = conversion_reply["hash"].as_str().unwrap();
    let path = format!("svg/conversion/check/{hash}");

    expivi.set_conversion_outcome(ConversionOutcome::Failed);
    assert_eq!(get(&expivi, &path, SERVER).await.json()["status"], "failed");
    let file = format!("{}/files/{hash}/print.pdf", expivi.base_url());
    assert_eq!(client::get(&file, &[]).await.unwrap().status, 404);
    expivi.set_conversion_outcome(ConversionOutcome::NotProcessing);
    assert_eq!(get(&expivi, &path, SERVER).await.json()["status"], "not_processing");
    expivi.set_conversion_outcome(ConversionOutcome::Complete);
    expivi.set_files_shape(FilesShape::Urls);
    assert_eq!(get(&expivi, &path, SERVER).await.json()["files"], json!([file]));
    assert_eq!(get(&expivi, "svg/conversion/check/unknown", SERVER).await.status, 404);
}

#[tokio::test]
async fn a_conversion_is_of_an_uploaded_product_a_known_medium_and_a_known_format() {
    let expivi = expivi().await;
    let id = uploaded(&expivi).await;
    let request = async |format: &str, body: &Value| {
        post(&expivi, &format!("svg/conversion/request/{format}"), SERVER, body).await.status
    };

    for format in ["PDF", "jpeg", "gif", "tif"] {
        assert_eq!(request(format, &conversion(id)).await, 422, "{format}");
    }
    let changes = [
        ("configured_product_id", json!(1)),
        ("configured_product_id", json!(id.to_string())),
        ("media_id", json!(7)),
        ("media_id", Value::Null),
        ("hide_print_marks", json!("true")),
        ("hide_placeholders", Value::Null),
        ("attribute_payload", json!("hidden")),
        ("dpi", json!(0)),
        ("resolution", json!(2000)),
    ];
    for (name, value) in changes {
        let mut body = conversion(id);
        body[name] = value;
        assert_eq!(request("pdf", &body).await, 422, "{name}");
    }
    assert_eq!(request("pdf", &conversion(id)).await, 200);
    expivi.expire_uploads();
    assert_eq!(request("pdf", &conversion(id)).await, 422);
    assert_ne!(uploaded(&expivi).await, id);
}

#[tokio::test]
async fn the_page_finds_its_scripts() {
    let expivi = expivi().await;
    for path in ["viewer/latest/viewer.js", "options/latest/js/app.js", "options/latest/css/app.css"] {
        let reply = client::get(&format!("{}/{path}", expivi.base_url()), &[]).await.unwrap();
        assert_eq!(reply.status, 200, "{path}");
        assert!(String::from_utf8_lossy(&reply.body).contains("fake"));
    }
}
