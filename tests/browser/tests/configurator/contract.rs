//! All members of embed data, with a vendor that the tests control.

use cartwright_test_browser::{Axe, Browser};
use serde_json::{Value, json};

use crate::shop::Shop;

/// Returns a call for the page.
pub fn call(path: &str, completion: &str, arguments: Value) -> Value {
    json!({
        "receiver": "page", "paths": [path], "construct": false, "completion": completion,
        "args": arguments.to_string(),
    })
}

pub fn title() -> Value {
    json!({ "key": "title", "parameters": [], "text": "Lamp configurator" })
}

pub fn script(url: &str) -> Value {
    json!({ "url": url, "integrity": null, "module": false })
}

fn of_configurator(path: &str, completion: &str, arguments: Value) -> Value {
    let mut call = call(path, completion, arguments);
    call["receiver"] = json!("configurator");
    call
}

fn event(name: &str, meaning: &str) -> Value {
    json!({ "name": name, "name_in": [], "value_in": null, "meaning": meaning })
}

/// Returns the embed data of the tests' vendor.
pub fn vendor() -> Value {
    json!({
        "scripts": [script("/vendor.js")],
        "styles": [],
        "frame": null,
        "mounts": [
            { "role": "viewer", "selector": null, "required": true },
            { "role": "options", "selector": "#options", "required": false },
            { "role": "price", "selector": ".nowhere", "required": false },
        ],
        "supported": call("vendor.yes", "return-value", json!([])),
        "start": call("vendor.start", "return-value", json!([])),
        "events": [event("vendor:word", "word")],
        "save": of_configurator("save", "callback", json!([{ "$callback": "completed" }])),
        "payload": json!({ "$result": "" }).to_string(),
        "action": "request-quote",
        "success_page": "/thanks",
        "allowed_origins": [],
        "fallback": { "key": "unavailable", "parameters": [], "text": "<b>Not</b> now<img src=x onerror=alert(1)>" },
        "extra": [],
    })
}

/// Returns the embed data of a vendor with a page in a frame.
fn vendor_in_a_frame(origin: &str) -> Value {
    let post = |message: Value| of_configurator("contentWindow.postMessage", "return-value", json!([message, origin]));
    let mut embed = vendor();
    embed["scripts"] = json!([]);
    embed["supported"] = Value::Null;
    embed["allowed_origins"] = json!([{ "origin": origin, "uses": ["frames"] }]);
    embed["frame"] = json!({
        "url": format!("{origin}/frame.html"), "title": title(), "allow": ["fullscreen", "xr-spatial-tracking"],
        "sandbox": ["allow-scripts", "allow-same-origin"], "origin": origin,
    });
    embed["events"] = json!([event("ready", "loaded"), event("word", "word"), event("saved", "completed")]);
    embed["start"] = post(json!({ "type": "start", "product": "lamp" }));
    embed["save"] = of_configurator("contentWindow.postMessage", "callback", json!([{ "type": "save" }, origin]));
    embed["payload"] = json!(json!({ "id": { "$result": "id" }, "word": { "$event": "word" } }).to_string());
    embed
}

async fn started(browser: &Browser) {
    browser.until("window.configurator || document.body.dataset.fault").await;
    assert_eq!(browser.text("#message").await, "");
}

#[tokio::test]
async fn arguments_hold_elements_callbacks_and_literals_at_any_depth() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    let mut embed = vendor();
    embed["start"] = call(
        "vendor.start",
        "return-value",
        json!([
            { "deep": [{ "place": { "$element": "viewer" } }], "own": { "$element": "options" }, "none": { "$element": "price" } },
            { "$callback": "word" },
            { "$literal": { "typed": { "$callback": "word" }, "more": { "$element": "viewer" } } },
            { "$element": "viewer", "second": 1 },
            1.5, "text", null, true,
        ]),
    );
    shop.show(&browser, "arguments", embed).await;
    started(&browser).await;
    let (first, rest) = ("vendor.given[0]", "vendor.given.slice(2)");
    let places = format!("[{first}.deep[0].place.id, {first}.own.id, {first}.none]");
    assert_eq!(browser.value(&places).await, json!(["viewer", "options", null]));
    let expected = json!([
        { "typed": { "$callback": "word" }, "more": { "$element": "viewer" } },
        { "$element": "viewer", "second": 1 },
        1.5, "text", null, true,
    ]);
    assert_eq!(browser.value(rest).await, expected);
    browser.value("vendor.given[1]('said', 'ignored')").await;
    assert_eq!(browser.value("seen").await, json!([["word", "said"]]));
    assert_eq!(browser.value("[configurator.action, configurator.successPage]").await[0], "request-quote");
    assert_eq!(browser.value("configurator.successPage").await, format!("{}/thanks", shop.base()));
    browser.close().await;
}

#[tokio::test]
async fn what_was_saved_becomes_the_payload_by_its_template() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    let mut embed = vendor();
    embed["payload"] = json!(
        json!({
            "all": { "$result": "" }, "part": { "$result": "deep.word" }, "none": { "$result": "deep.gone.further" },
            "said": { "$event": "word" }, "never": { "$event": "loaded" }, "text": "as it is", "list": [{ "$result": "id" }],
        })
        .to_string()
    );
    shop.show(&browser, "payload", embed).await;
    started(&browser).await;
    // Events of other elements of the page do not belong to the vendor.
    browser.value("vendor.tell(document.querySelector('header'), 'foreign')").await;
    browser.value("vendor.tell(document.querySelector('#viewer'), { first: 1 })").await;
    browser.value("vendor.tell(window, { latest: true })").await;
    let payload: Value = serde_json::from_slice(&shop.buy(&browser).await).expect("JSON");
    let expected = json!({
        "all": { "id": 7, "deep": { "word": "none" } }, "part": "none", "none": null,
        "said": { "latest": true }, "never": null, "text": "as it is", "list": [7],
    });
    assert_eq!(payload, expected);
    assert_eq!(browser.value("seen.length").await, 2);
    browser.close().await;
}

#[tokio::test]
async fn the_first_path_that_exists_is_called_and_a_class_is_constructed() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    let mut embed = vendor();
    embed["scripts"] = json!([script("/vendor.js"), { "url": "/module.js", "integrity": null, "module": true }]);
    embed["start"] = json!({
        "receiver": "page", "paths": ["vendor.Gone", "gone.Widget", "vendor.Widget"], "construct": true,
        "completion": "return-value", "args": json!([{ "$element": "viewer" }]).to_string(),
    });
    embed["save"] = of_configurator("save", "promise", json!([]));
    shop.show(&browser, "class", embed).await;
    started(&browser).await;
    let payload: Value = serde_json::from_slice(&shop.buy(&browser).await).expect("JSON");
    assert_eq!(payload, json!({ "place": "viewer", "made": true }));
    assert_eq!(browser.value("vendor.module").await, format!("{}/module.js", shop.base()));
    browser.close().await;
}

#[tokio::test]
async fn a_frame_is_spoken_to_by_messages_and_heard_by_its_origin_alone() {
    let Some(browser) = Browser::open().await else { return };
    let (shop, vendor_site) = (Shop::open().await, Shop::open().await);
    let mut embed = vendor_in_a_frame(vendor_site.base());
    shop.show(&browser, "frame", embed.clone()).await;
    started(&browser).await;
    browser.until("seen.length === 2").await;
    // This page's own window and a foreign frame send the same message.
    browser.value("window.postMessage({ type: 'word', word: 'forged' }, '*')").await;
    let payload: Value = serde_json::from_slice(&shop.buy(&browser).await).expect("JSON");
    assert_eq!(payload, json!({ "id": 11, "word": { "type": "word", "word": "lamp" } }));
    assert_eq!(browser.value("seen").await, json!([["loaded", "ready"], ["word", { "type": "word", "word": "lamp" }]]));
    let frame = "(() => { const { title, allow, sandbox } = document.querySelector('iframe'); return [title, allow, sandbox.value]; })()";
    let expected = ["Lamp configurator", "fullscreen; xr-spatial-tracking", "allow-scripts allow-same-origin"];
    assert_eq!(browser.value(frame).await, json!(expected));

    // The frame's own window, with another origin than the declared one.
    embed["frame"]["origin"] = json!("https://vendor.example");
    shop.show(&browser, "other-origin", embed).await;
    started(&browser).await;
    browser.value("new Promise((done) => setTimeout(done, 300))").await;
    assert_eq!(browser.value("seen").await, json!([]));
    browser.close().await;
}

#[tokio::test]
async fn a_frame_with_a_button_of_its_own_sends_its_configuration_as_text() {
    let Some(browser) = Browser::open().await else { return };
    let (shop, vendor_site) = (Shop::open().await, Shop::open().await);
    let mut embed = vendor_in_a_frame(vendor_site.base());
    embed["start"] = Value::Null;
    embed["save"] = Value::Null;
    embed["events"] = json!([
        { "name": "createQuotation", "name_in": ["kind", "action"], "value_in": "argument", "meaning": "completed" },
    ]);
    embed["frame"]["sandbox"] = json!([]);
    embed["payload"] = json!(json!({ "configuration": { "$result": "" } }).to_string());
    shop.show(&browser, "own-button", embed).await;
    started(&browser).await;
    let page = "[document.querySelector('#add').hidden, document.querySelector('iframe').hasAttribute('sandbox')]";
    assert_eq!(browser.value(page).await, json!([true, false]));
    for id in ["configuration-1", "configuration-2"] {
        let press = json!({ "type": "press", "id": id });
        browser.value(&format!("document.querySelector('iframe').contentWindow.postMessage({press}, '*')")).await;
        browser.until("document.body.dataset.saved").await;
        let payload: Value = serde_json::from_slice(&shop.saved()).expect("JSON");
        assert_eq!(payload, json!({ "configuration": id }));
        browser.value("delete document.body.dataset.saved").await;
    }
    browser.close().await;
}

#[tokio::test]
async fn a_page_calls_only_what_the_vendors_scripts_made() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    let code = json!(["document.body.dataset.ran = 'yes'"]);
    let paths = [
        "eval",
        "fetch",
        "document.write",
        "Cartwright.start",
        "vendor.start.constructor",
        "vendor.__proto__.toString",
    ];
    for (number, path) in paths.iter().enumerate() {
        let mut embed = vendor();
        embed["start"] = call(path, "return-value", code.clone());
        shop.show(&browser, &format!("forbidden-{number}"), embed).await;
        browser.until("document.body.dataset.fault").await;
        assert_eq!(
            browser.value("[document.body.dataset.fault, document.body.dataset.ran]").await,
            json!(["path", null])
        );
        assert!(browser.text("#message").await.contains(path), "{path}");
    }
    // A frame's element leads back to the page.
    let vendor_site = Shop::open().await;
    let mut embed = vendor_in_a_frame(vendor_site.base());
    embed["start"] = of_configurator("ownerDocument.defaultView.eval", "return-value", code);
    shop.show(&browser, "forbidden-frame", embed).await;
    browser.until("document.body.dataset.fault").await;
    assert_eq!(browser.value("[document.body.dataset.fault, document.body.dataset.ran]").await, json!(["path", null]));
    browser.close().await;
}

#[tokio::test]
async fn a_second_configurator_calls_what_the_scripts_of_the_first_made() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    shop.show(&browser, "second", vendor()).await;
    started(&browser).await;
    let again = "fetch(`${location.pathname}/embed`)
        .then((reply) => reply.json())
        .then(({ embed }) => Cartwright.start({ embed, elements: { viewer: document.querySelector('#viewer') } }))
        .then((second) => second.save())";
    let saved = browser.value(again).await;
    let saved: Value = serde_json::from_str(saved.as_str().expect("a text")).expect("JSON");
    assert_eq!(saved["id"], 7);
    browser.close().await;
}

#[tokio::test]
async fn the_frame_and_the_fallback_are_accessible() {
    let Some(axe) = Axe::install(env!("CARGO_TARGET_TMPDIR")) else { return };
    let Some(browser) = Browser::open().await else { return };
    let (shop, vendor_site) = (Shop::open().await, Shop::open().await);
    shop.show(&browser, "frame", vendor_in_a_frame(vendor_site.base())).await;
    started(&browser).await;
    let mut wrong = browser.violations(axe, "a frame").await;
    let mut embed = vendor();
    embed["supported"] = call("vendor.no", "return-value", json!([]));
    shop.show(&browser, "unsupported", embed).await;
    browser.until("document.querySelector('.cartwright-fallback')").await;
    wrong.extend(browser.violations(axe, "a fallback").await);
    assert_eq!(wrong, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn a_destroyed_configurator_leaves_nothing_and_hears_nothing() {
    let Some(browser) = Browser::open().await else { return };
    let shop = Shop::open().await;
    shop.show(&browser, "destroyed", vendor()).await;
    started(&browser).await;
    browser.value("document.querySelector('#viewer').append('drawn')").await;
    browser.value("configurator.destroy()").await;
    browser.value("vendor.tell(window, 'late')").await;
    assert_eq!(
        browser.value("[seen.length, document.querySelector('#viewer').childNodes.length]").await,
        json!([0, 0])
    );
    browser.click("#add").await;
    browser.until("document.body.dataset.fault === 'destroyed'").await;
    browser.close().await;
}
