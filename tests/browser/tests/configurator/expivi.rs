//! Expivi's page: the plugin's embed data runs the documented viewer, and its saved configuration goes into the cart.

use base64::Engine as _;
use cartwright::{CartLine, Visitor};
use cartwright_e2e::{World, added_lines, variant};
use cartwright_test_browser::Browser;
use serde_json::{Value, json};

use crate::shop::Shop;

const PICTURE: &str = "document.querySelector('#viewer canvas').toDataURL()";

async fn embed(world: &World, product: &str, line: Option<&CartLine>) -> Value {
    let embed = world.host.embed(&world.shop, product, line, &Visitor::default()).await.expect("embed data");
    serde_json::to_value(&embed).expect("JSON")
}

async fn ready(browser: &Browser) {
    browser.until("window.expivi && document.querySelector('#viewer canvas')").await;
}

async fn bought(world: &World, product: &str, payload: &[u8]) -> Vec<CartLine> {
    let payload = std::str::from_utf8(payload).expect("text");
    added_lines(&world.add(product, payload, 1, &mut Vec::new()).await.expect("in the cart"))
}

fn shown(line: &CartLine) -> Value {
    serde_json::to_value(&line.shown).expect("JSON")
}

#[tokio::test]
async fn a_ring_is_configured_bought_and_opened_again() {
    let Some(browser) = Browser::open().await else { return };
    let (world, shop) = (World::new().await, Shop::open().await);
    shop.show(&browser, "ring", embed(&world, "ring", None).await).await;
    ready(&browser).await;
    assert_eq!(browser.text("#price").await, "€199.00");
    let silver = browser.value(PICTURE).await;
    browser.screenshot("expivi-ring-silver").await;

    browser.choose("Gold").await;
    browser.write("#options .expivi-text", "For <b>Ada</b>").await;
    assert_eq!(browser.text("#price").await, "€411.50");
    let gold = browser.value(PICTURE).await;
    assert_ne!(gold, silver, "the picture did not change");
    browser.screenshot("expivi-ring-gold").await;

    let payload = shop.buy(&browser).await;
    let saved: Value = serde_json::from_slice(&payload).expect("JSON");
    assert_eq!(world.expivi.expected_price(&saved[0], None), Some(41_150), "the vendor's server says another price");
    let lines = bought(&world, "ring", &payload).await;
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let text = shown(line).to_string();
    assert!(text.contains("For <b>Ada</b>") && text.contains("Gold") && !text.contains("Workshop"), "{text}");
    let thumbnail = line.thumbnail.expect("a picture");
    let thumbnail = cartwright::Blobs::get(&*world.blobs, &world.shop, &thumbnail).await.expect("blobs").expect("it");
    assert!(thumbnail.starts_with(b"\xff\xd8\xff"), "no JPEG");

    shop.show(&browser, "ring-again", embed(&world, "ring", Some(line)).await).await;
    ready(&browser).await;
    assert_eq!(browser.text("#price").await, "€411.50");
    assert_eq!(browser.value("document.querySelector('#options .expivi-text').value").await, "For <b>Ada</b>");
    assert_eq!(browser.value(PICTURE).await, gold, "it looks otherwise");
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn a_shirt_becomes_the_variant_that_its_keys_spell() {
    let Some(browser) = Browser::open().await else { return };
    let (world, shop) = (World::new().await, Shop::open().await);
    shop.show(&browser, "shirt", embed(&world, "shirt", None).await).await;
    ready(&browser).await;
    browser.choose("Black").await;
    assert_eq!(browser.text("#price").await, "€26.95");
    browser.screenshot("expivi-shirt").await;
    let lines = bought(&world, "shirt", &shop.buy(&browser).await).await;
    assert_eq!(lines.iter().map(|line| line.sku.as_deref()).collect::<Vec<_>>(), [Some("SHIRT-B-L")]);
    browser.close().await;
}

#[tokio::test]
async fn a_wardrobe_becomes_a_bundle_of_its_articles() {
    let Some(browser) = Browser::open().await else { return };
    let (world, shop) = (World::new().await, Shop::open().await);
    shop.show(&browser, "wardrobe", embed(&world, "wardrobe", None).await).await;
    ready(&browser).await;
    let plain = bought(&world, "wardrobe", &shop.buy(&browser).await).await;
    for choice in ["Oak", "240 cm", "Soft close"] {
        browser.choose(choice).await;
    }
    assert_eq!(browser.text("#price").await, "€244.89");
    browser.screenshot("expivi-wardrobe").await;
    browser.value("delete document.body.dataset.saved").await;
    let lines = bought(&world, "wardrobe", &shop.buy(&browser).await).await;
    let parts = |lines: &[CartLine]| -> Vec<(String, u32)> {
        lines.iter().map(|line| (line.sku.clone().expect("a SKU"), line.quantity)).collect()
    };
    let expected = |panels, hinges| {
        [("WARDROBE", 1), ("PANEL-60", panels), ("HINGE", hinges), ("SCREW-4", 4)]
            .map(|(sku, quantity)| (sku.to_owned(), quantity))
    };
    assert_eq!(parts(&plain), expected(2, 2));
    assert_eq!(parts(&lines), expected(3, 4));
    browser.close().await;
}

#[tokio::test]
async fn a_table_is_saved_with_its_chairs_in_the_envelope_of_a_bundle() {
    let Some(browser) = Browser::open().await else { return };
    let (world, shop) = (World::new().await, Shop::open().await);
    world.catalog.change(|variants| variants.push(variant("CHAIR", "chair", 8_450)));
    for (product, vendor_product, others) in [("chair", "1005", json!([])), ("table", "1004", json!(["1005"]))] {
        let link = serde_json::from_value(json!({
            "shop_product": product, "account": "expivi", "vendor_product": vendor_product,
            "additional_vendor_products": others, "strategy": { "name": "simple" },
        }));
        world.host.link(&world.shop, &[link.expect("a link")]).await.expect("linked");
    }
    shop.show(&browser, "table", embed(&world, "table", None).await).await;
    ready(&browser).await;
    browser.choose("Walnut").await;
    browser.choose("Green").await;
    browser.screenshot("expivi-table").await;
    let payload = shop.buy(&browser).await;
    let saved: Value = serde_json::from_slice(&payload).expect("JSON");
    let products = saved["configured_products"].as_array().expect("products");
    assert_eq!(products.len(), 3);
    assert_eq!(products[2]["replication_type"], "REPLICA");
    let lines = bought(&world, "table", &payload).await;
    assert!(shown(&lines[0]).to_string().contains("Walnut"), "{lines:?}");

    shop.show(&browser, "table-again", embed(&world, "table", Some(&lines[0])).await).await;
    ready(&browser).await;
    browser.until("['Walnut', 'Green'].every((name) => document.querySelector(`input[value=${name}]`).checked)").await;
    let again: Value = serde_json::from_slice(&shop.buy(&browser).await).expect("JSON");
    assert_eq!(again["bundle_uuid"], saved["bundle_uuid"], "an edited bundle stays that bundle");
    browser.close().await;
}

#[tokio::test]
async fn a_viewer_that_its_vendor_refuses_says_so_and_saves_nothing() {
    let Some(browser) = Browser::open().await else { return };
    let (world, shop) = (World::with(|builder| builder, json!({ "viewer-token": "wrong" })).await, Shop::open().await);
    shop.show(&browser, "ring", embed(&world, "ring", None).await).await;
    browser.until("document.querySelector('.expivi-error')").await;
    assert!(browser.text("#viewer").await.contains("401"));
    browser.screenshot("expivi-refused").await;
    browser.click("#add").await;
    browser.until("document.body.dataset.fault").await;
    assert_eq!(browser.value("document.body.dataset.fault").await, "path");
    assert!(browser.text("#message").await.contains("\"expivi.saveConfiguration\""));
    assert_eq!(shop.unsaved(), 0);
    browser.close().await;
}

#[tokio::test]
async fn a_thumbnail_is_as_large_as_the_document_asks_for() {
    let Some(browser) = Browser::open().await else { return };
    let (world, shop) = (World::new().await, Shop::open().await);
    shop.show(&browser, "ring", embed(&world, "ring", None).await).await;
    ready(&browser).await;
    let saved: Value = serde_json::from_slice(&shop.buy(&browser).await).expect("JSON");
    let thumbnail = saved[0]["thumbnail"].as_str().expect("a picture");
    let (kind, base64) = thumbnail.split_once(',').expect("a data URI");
    assert_eq!(kind, "data:image/jpeg;base64");
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64).expect("base64");
    // The frame header: marker, length, precision, height, width.
    let frame = bytes.windows(2).position(|pair| pair == b"\xff\xc0").expect("a frame");
    assert_eq!(bytes[frame + 5..frame + 9], [2, 0, 2, 0]);
    browser.close().await;
}
