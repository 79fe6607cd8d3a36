//! Pages with a module loader and with libraries that change built-ins of the language, as old platforms have them.

use cartwright_test_browser::Browser;
use serde_json::{Value, json};

use crate::contract::{script, vendor};
use crate::shop::Shop;

/// The globals that must be restored.
const RESTORED: &str = "[typeof define, define.amd.jQuery, module.exports === exports && typeof exports, \
    Object.getOwnPropertyDescriptor(define, 'amd').writable]";

fn beside_a_loader(scripts: &[&str]) -> Value {
    let mut embed = vendor();
    embed["loader"] = json!(true);
    embed["scripts"] = scripts.iter().map(|url| script(url)).collect();
    embed
}

/// Loads a script in the page, and returns what is registered afterwards.
fn load(url: &str) -> String {
    format!(
        "new Promise((done) => {{
            const script = document.createElement('script');
            script.onload = () => done(registered);
            script.src = '{url}';
            document.head.append(script);
        }})"
    )
}

async fn is_restored(browser: &Browser) {
    assert_eq!(browser.value(RESTORED).await, json!(["function", true, "object", true]));
}

#[tokio::test]
async fn a_vendors_script_is_found_at_the_window_beside_a_module_loader() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    let mut embed = beside_a_loader(&["/umd.js", "/umd.js?again"]);
    embed["payload"] = json!(json!({ "all": { "$result": "" }, "word": { "$result": "deep.word" } }).to_string());
    shop.show(&browser, "loader", embed).await;
    browser.until("window.configurator || document.body.dataset.fault").await;
    assert_eq!(browser.text("#message").await, "");
    assert_eq!(browser.value("registered").await, json!([]));
    is_restored(&browser).await;
    // Functions on the prototypes of all objects do not change the saved configuration either.
    let payload = shop.buy(&browser).await;
    let expected = json!({ "all": { "list": ["a", [1, 2]], "deep": { "word": ["b"] } }, "word": ["b"] });
    assert_eq!(serde_json::from_slice::<Value>(&payload).expect("JSON"), expected);
    assert_eq!(browser.value("typeof Array.prototype.toJSON").await, "function");
    browser.close().await;
}

#[tokio::test]
async fn a_module_of_the_page_registers_itself_while_a_vendors_script_loads() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    shop.show(&browser, "held", beside_a_loader(&["/held-umd.js"])).await;
    browser.until("document.querySelector('script[src$=\"/held-umd.js\"]')").await;
    assert_eq!(browser.value(&load("/module-of-page.js")).await, json!(["/module-of-page.js"]));
    browser.value("fetch('/release', { method: 'POST' }).then(() => true)").await;
    browser.until("window.configurator || document.body.dataset.fault").await;
    assert_eq!(browser.text("#message").await, "");
    assert_eq!(browser.value("registered").await, json!(["/module-of-page.js"]));
    is_restored(&browser).await;
    browser.close().await;
}

#[tokio::test]
async fn a_module_loader_that_comes_while_a_vendors_script_loads_is_not_seen_either() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    let mut embed = vendor();
    embed["scripts"] = json!([script("/held-umd.js")]);
    shop.show(&browser, "late-loader", embed).await;
    browser.until("document.querySelector('script[src$=\"/held-umd.js\"]')").await;
    browser.value(&load("/loader.js")).await;
    assert_eq!(browser.value(&load("/module-of-page.js")).await, json!(["/module-of-page.js"]));
    browser.value("fetch('/release', { method: 'POST' }).then(() => true)").await;
    browser.until("window.configurator || document.body.dataset.fault").await;
    assert_eq!(browser.text("#message").await, "");
    is_restored(&browser).await;
    browser.close().await;
}

#[tokio::test]
async fn a_script_that_does_not_load_leaves_the_pages_module_loader_as_it_was() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    shop.show(&browser, "broken", beside_a_loader(&["/umd.js", "/gone.js"])).await;
    browser.until("document.body.dataset.fault === 'asset'").await;
    is_restored(&browser).await;
    // A script that times out does not change the globals either.
    shop.show_within(&browser, "late", beside_a_loader(&["/held-umd.js"]), 300).await;
    browser.until("document.body.dataset.fault === 'timeout'").await;
    is_restored(&browser).await;
    browser.close().await;
}
