//! A page whose configurator fails: the fault with its cause, and the fallback text.

use cartwright_test_browser::Browser;
use serde_json::{Value, json};

use crate::contract::{call, script, title, vendor};
use crate::shop::Shop;

/// A text that must not be interpreted as markup.
const FALLBACK: &str = "<b>Not</b> now<img src=x onerror=alert(1)>";

async fn fault(browser: &Browser) -> (String, String) {
    browser.until("document.body.dataset.fault").await;
    let code = browser.value("document.body.dataset.fault").await;
    (code.as_str().expect("a code").to_owned(), browser.text("#message").await)
}

#[tokio::test]
async fn a_configurator_that_cannot_start_says_why_and_shows_the_fallback_as_text() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    let wrong_digest = format!("sha384-{}", "A".repeat(64));
    let with = |member: &str, value: Value| {
        let mut embed = vendor();
        embed[member] = value;
        embed
    };
    let cases = [
        ("gone", with("scripts", json!([script("/gone.js")])), "asset", "/gone.js did not load"),
        (
            "forbidden",
            with("scripts", json!([script("http://127.0.0.1:9/vendor.js")])),
            "asset",
            "the Content-Security-Policy forbids it",
        ),
        (
            "other-bytes",
            with("scripts", json!([{ "url": "/vendor.js", "integrity": wrong_digest, "module": false }])),
            "asset",
            "integrity value differs",
        ),
        ("code-as-address", with("scripts", json!([script("javascript:alert(1)")])), "embed", "javascript:alert(1)"),
        (
            "no-function",
            with("start", call("vendor.gone.start", "return-value", json!([]))),
            "path",
            "no function \"vendor.gone.start\"",
        ),
        ("no-license", with("start", call("vendor.fail", "return-value", json!([]))), "vendor", "no license"),
        ("endless", with("start", call("vendor.never", "promise", json!([]))), "timeout", "took longer than 1 s"),
        ("unsupported", with("supported", call("vendor.no", "return-value", json!([]))), "unsupported", FALLBACK),
        (
            "no-place",
            with("mounts", json!([{ "role": "viewer", "selector": "#gone", "required": true }])),
            "mount",
            "\"viewer\": nothing matches \"#gone\"",
        ),
        (
            "no-selector",
            with("mounts", json!([{ "role": "options", "selector": "<p>", "required": true }])),
            "mount",
            "nothing matches \"<p>\"",
        ),
        (
            "frame-of-code",
            with(
                "frame",
                json!({
                    "url": "javascript:alert(1)", "title": title(), "allow": [], "sandbox": [], "origin": "null",
                }),
            ),
            "embed",
            "The frame has no http address",
        ),
    ];
    for (name, embed, code, says) in cases {
        shop.show_within(&browser, name, embed, 1_000).await;
        let (found, text) = fault(&browser).await;
        assert_eq!(found, code, "{name}: {text}");
        assert!(text.contains(says), "{name}: {text}");
        assert_eq!(browser.text("#viewer").await, FALLBACK, "{name}");
        assert_eq!(browser.value("document.querySelectorAll('#viewer *').length").await, 1, "{name}");
    }
    browser.screenshot("fallback").await;
    browser.close().await;
}

#[tokio::test]
async fn a_configuration_that_cannot_be_saved_says_why_and_can_be_tried_again() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    let saving = |path: &str, completion: &str| {
        let mut embed = vendor();
        embed["save"] = call(path, completion, json!([{ "$callback": "completed" }]));
        embed["save"]["receiver"] = json!("configurator");
        embed
    };
    for (name, embed, code, says) in [
        ("refused", saving("refuse", "callback"), "vendor", "the vendor is closed"),
        ("slow", saving("never", "promise"), "timeout", "Saving the configuration took longer than 1 s"),
        ("unsaid", saving("gone", "promise"), "path", "the configurator has no function \"gone\""),
        ("round", saving("circle", "return-value"), "payload", "cannot be written as JSON"),
    ] {
        shop.show_within(&browser, name, embed, 1_000).await;
        browser.until("window.configurator").await;
        browser.click("#add").await;
        let (found, text) = fault(&browser).await;
        assert_eq!(found, code, "{name}: {text}");
        assert!(text.contains(says), "{name}: {text}");
        assert_eq!(shop.unsaved(), 0);
    }
    // A double click saves once.
    shop.show(&browser, "twice", vendor()).await;
    browser.until("window.configurator").await;
    assert_eq!(browser.value("configurator.save() === configurator.save()").await, true);
    browser.close().await;
}

#[tokio::test]
async fn nothing_that_a_vendor_reports_is_read_as_markup() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    let mut embed = vendor();
    embed["start"] = call("vendor.html", "return-value", json!([{ "$callback": "options-ready" }]));
    shop.show(&browser, "markup", embed).await;
    browser.until("window.configurator").await;
    assert_eq!(browser.value("document.querySelector('#injected')").await, Value::Null);
    assert_eq!(browser.text("#options").await, "");
    browser.close().await;
}

#[tokio::test]
async fn a_missing_style_sheet_is_a_warning_and_a_later_failure_leaves_the_work() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    let mut embed = vendor();
    embed["styles"] = json!([script("/gone.css")]);
    embed["start"] = call("vendor.start", "return-value", json!([{ "$callback": "failed" }]));
    shop.show(&browser, "ugly", embed).await;
    browser.until("window.configurator").await;
    let warned = browser.value("seen[0]").await;
    assert!(warned[1].as_str().is_some_and(|text| text.contains("/gone.css did not load")), "{warned}");
    browser.value("document.querySelector('#viewer').append('drawn')").await;
    browser.value("vendor.given[0]('lost')").await;
    assert_eq!(browser.text("#viewer").await, format!("{FALLBACK}\ndrawn"));
    browser.close().await;
}
