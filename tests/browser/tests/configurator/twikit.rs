//! Twikit's page: both spellings of the document start, and the saved configuration goes into the cart.

use cartwright::{AccountSetup, CartError, CartLine, ProductLink, Visitor};
use cartwright_e2e::{World, added_lines, local, members, variant};
use cartwright_fake_vendors::{FakeTwikit, TwikitConfig};
use cartwright_test_browser::Browser;
use serde_json::{Value, json};

use crate::shop::Shop;

/// Starts a shop with two Twikit products.
async fn jewels(script: impl FnOnce(String) -> String) -> (World, FakeTwikit) {
    let world = World::new().await;
    let twikit = FakeTwikit::start(TwikitConfig::default()).await.expect("a fake Twikit");
    world.catalog.change(|variants| {
        variants.extend([variant("JEWEL-A", "jewel", 4_900), variant("JEWEL-B", "jewel", 6_900)]);
        variants.push(variant("PENDANT-A", "pendant", 5_900));
    });
    let digest = world.host.install(cartwright_bundled::TWIKIT, None).await.expect("Twikit's plugin").digest();
    let setup = AccountSetup {
        id: "twikit".parse().expect("an id"),
        settings: members(json!({
            "integration-id": twikit.integration_id(),
            "payload-secret": twikit.payload_secret(),
            "api-url": twikit.api_url(),
            "script-url": script(twikit.script_url(1)),
            "preview-url": twikit.base_url(),
        })),
        grants: local(twikit.base_url()),
    };
    world.host.set_account(&world.shop, digest, setup).await.expect("an account");
    for (product, key, skus) in
        [("jewel", "diamond-letter-jewel", json!(["JEWEL-A", "JEWEL-B"])), ("pendant", "pendant", json!(["PENDANT-A"]))]
    {
        let link: ProductLink = serde_json::from_value(json!({
            "shop_product": product, "account": "twikit", "vendor_product": key, "allowed_skus": skus,
        }))
        .expect("a link");
        world.host.link(&world.shop, &[link]).await.expect("linked");
    }
    (world, twikit)
}

async fn embed(world: &World, product: &str) -> Value {
    let embed = world.host.embed(&world.shop, product, None, &Visitor::default()).await.expect("embed data");
    serde_json::to_value(&embed).expect("JSON")
}

async fn bought(world: &World, product: &str, payload: &[u8]) -> CartLine {
    let payload = std::str::from_utf8(payload).expect("text");
    let change = world.add(product, payload, 1, &mut Vec::new()).await.expect("in the cart");
    added_lines(&change).swap_remove(0)
}

#[tokio::test]
async fn a_jewel_is_configured_and_bought() {
    let Some(browser) = Browser::open().await else { return };
    let ((world, twikit), shop) = (jewels(|url| url).await, Shop::open().await);
    shop.show(&browser, "letter-jewel", embed(&world, "jewel").await).await;
    browser.until("window.seen?.some(([meaning]) => meaning === 'loaded')").await;
    assert_eq!(browser.text("#price").await, "JEWEL-A · €49");
    let silver = browser.value("document.querySelector('#viewer canvas').toDataURL()").await;
    browser.screenshot("twikit-jewel-silver").await;
    browser.choose("Gold").await;
    browser.choose("Ruby").await;
    assert_eq!(browser.text("#price").await, "JEWEL-B · €69");
    assert_ne!(browser.value("document.querySelector('#viewer canvas').toDataURL()").await, silver);
    browser.screenshot("twikit-jewel-gold").await;
    let progress =
        browser.value("seen.filter(([meaning]) => meaning === 'progress').map(([, percent]) => percent)").await;
    assert_eq!(progress, json!([0, 40, 80, 100]));

    let payload = shop.buy(&browser).await;
    let saved: Value = serde_json::from_slice(&payload).expect("JSON");
    assert_eq!(saved["variation"], json!({ "id": "variation-jewel-b", "sku": "JEWEL-B", "price": 69 }));
    let line = bought(&world, "jewel", &payload).await;
    assert_eq!((line.sku.as_deref(), line.price.total.minor), (Some("JEWEL-B"), 6_900));
    assert_eq!(line.reference.as_deref(), Some(&*saved["configurationId"].to_string()));
    // The preview from Twikit was fetched.
    let screenshot = line.thumbnail.expect("a picture");
    let screenshot = cartwright::Blobs::get(&*world.blobs, &world.shop, &screenshot).await.expect("blobs").expect("it");
    assert!(screenshot.starts_with(b"\x89PNG") && screenshot.len() > 1_000);
    let reopened = world.host.embed(&world.shop, "jewel", Some(&line), &Visitor::default()).await;
    assert!(matches!(reopened, Err(CartError::Hook(_))), "Twikit documents no way to open it again: {reopened:?}");
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    twikit.stop().await;
}

#[tokio::test]
async fn a_script_that_keeps_to_the_documents_example_starts_too() {
    let Some(browser) = Browser::open().await else { return };
    let ((world, _twikit), shop) = (jewels(|url| url + "?spelling=example").await, Shop::open().await);
    shop.show(&browser, "pendant", embed(&world, "pendant").await).await;
    browser.until("window.seen?.some(([meaning]) => meaning === 'loaded')").await;
    assert_eq!(browser.value("typeof twikit.createContext").await, "undefined");
    browser.choose("Star").await;
    browser.choose("Rose gold").await;
    browser.screenshot("twikit-pendant").await;
    let line = bought(&world, "pendant", &shop.buy(&browser).await).await;
    assert_eq!(line.sku.as_deref(), Some("PENDANT-A"));
    browser.close().await;
}

#[tokio::test]
async fn a_script_that_reports_no_first_variation_sells_a_product_of_one_sku() {
    let Some(browser) = Browser::open().await else { return };
    let ((world, _twikit), shop) = (jewels(|url| url + "?first=silent").await, Shop::open().await);
    shop.show(&browser, "pendant", embed(&world, "pendant").await).await;
    browser.until("window.seen?.some(([meaning]) => meaning === 'loaded')").await;
    let payload = shop.buy(&browser).await;
    assert_eq!(serde_json::from_slice::<Value>(&payload).expect("JSON")["variation"], Value::Null);
    assert_eq!(bought(&world, "pendant", &payload).await.sku.as_deref(), Some("PENDANT-A"));
    browser.close().await;
}
