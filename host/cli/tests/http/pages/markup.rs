//! No text of a plugin is markup in the admin pages. The guest `markup` puts markup into each of its texts, with a name
//! for each; this test opens every page that shows any of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cartwright_fake_vendors::client::Reply;
use cartwright_test_guests::MARKUP;
use serde_json::{Value, json};

use super::{Browser, page_path, text};
use crate::ReplyAssertions as _;
use crate::server::Server;
use crate::shop::{Shop, paid};

/// Returns the guest's text with this name.
fn mark(name: &str) -> String {
    format!("<script>{name}()</script>\"><img src=x onerror={name}()>")
}

/// Returns the part of the text that every page shows as text; a file's name is shortened to it.
fn shown(name: &str) -> String {
    format!("&quot;&gt;&lt;img src=x onerror={name}()&gt;")
}

/// Checks that the page shows these texts, and shows no text of the guest as markup.
#[track_caller]
fn shows(page: &str, names: &[&str]) {
    for name in names {
        assert!(page.contains(&shown(name)), "it does not show {name:?}: {page}");
    }
    // An element, one behind an attribute's end, the end of an attribute, an address that executes.
    for harmful in ["<script>", "<img src=x", "\"&gt;&lt;img", "\"javascript:"] {
        assert!(!page.contains(harmful), "there is {harmful:?}: {page}");
    }
}

#[track_caller]
fn refused(reply: &Reply) -> String {
    assert_eq!(reply.status, 422, "{}", text(reply));
    text(reply)
}

/// Returns a shop on its own server with an account of the guest, and an admin at its pages.
async fn connected() -> (Shop, Browser) {
    let shop = Shop::on(Arc::new(Server::new(&[]))).await;
    shop.sell().await;
    let component = shop.install("markup", MARKUP).await;
    let browser = Browser::sign_in(&shop.admin).await;
    let accounts = page_path(&shop, "/accounts");
    browser.done(&accounts, &[("component", &component), ("id", "markup")]).await;
    (shop, browser)
}

async fn link(shop: &Shop, browser: &Browser) {
    let vendor_product = mark("product-id");
    let link = [
        ("product", "ring"),
        ("account", "markup"),
        ("vendor_product", vendor_product.as_str()),
        ("strategy", "/other"),
    ];
    // The link is saved without a warning.
    shows(&browser.done(&page_path(shop, "/links/edit"), &link).await, &["product-id"]);
}

#[tokio::test]
async fn metadata_and_forms_of_a_plugin_are_not_markup() {
    let (shop, browser) = connected().await;
    let component = shop.component("markup").await;
    let component = component.as_str().expect("a digest");
    let of_itself = ["plugin-name", "plugin-publisher", "strategy-title", "strategy-title-2"];
    shows(&browser.page(&page_path(&shop, "/accounts/new")).await, &of_itself);
    let new = browser.page(&page_path(&shop, &format!("/accounts/new?component={component}"))).await;
    shows(&new, &of_itself);
    let fields = [
        "heading",
        "group",
        "mood-label",
        "mood-help",
        "mood-placeholder",
        "default",
        "key-label",
        "key-help",
        "fixed-label",
        "fixed-help",
        "fixed-choice",
        "fixed-value",
        "boxes-label",
        "boxes-help",
        "asked-label",
        "asked-help",
        "on-label",
        "on-help",
        "long-label",
        "long-help",
        "long-placeholder",
        "pushed-label",
        "pushed-help",
    ];
    shows(&new, &fields);
    let account = page_path(&shop, "/accounts/markup");
    let page = browser.page(&account).await;
    shows(&page, &fields);
    shows(&page, &["plugin-name", "plugin-publisher", "asked-choice", "asked-value"]);
    shows(&browser.page(&page_path(&shop, "/accounts")).await, &["plugin-name"]);
    shows(&browser.page("/admin/plugins").await, &["plugin-name", "plugin-publisher"]);
    shows(&browser.page("/admin/plugins/markup").await, &["plugin-name", "strategy-title", "strategy-title-2"]);
    shows(&browser.page(&page_path(&shop, "")).await, &["plugin-name"]);

    // Its issues, beside fields and elsewhere; the form keeps the input.
    let (typed, typed_long) = (mark("typed"), mark("typed-long"));
    let other = [("component", component), ("id", "other"), ("setting.mood", "impossible"), ("setting.pushed", &typed)];
    let page = refused(&browser.post(&page_path(&shop, "/accounts"), &other).await);
    shows(&page, &["issue", "issue-field", "issue-elsewhere", "typed"]);
    let version = async || {
        let page = browser.page(&account).await;
        let version = page.split("name=\"version\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        version.expect("a version").to_owned()
    };
    let now = version().await;
    let saved = [("version", now.as_str()), ("setting.mood", "impossible"), ("setting.long", &typed_long)];
    shows(&refused(&browser.post(&account, &saved).await), &["issue", "issue-field", "issue-elsewhere", "typed-long"]);

    // Its results, and its error if it has none.
    let test = format!("{account}/test");
    let tried = browser.post_text(&test, &[]).await;
    shows(
        &tried,
        &["check-passed", "detail-passed", "check-failed", "detail-failed", "check-not-tried", "detail-not-tried"],
    );
    let now = version().await;
    let typed = [("version", now.as_str()), ("setting.mood", "refuse"), ("setting.long", &typed_long)];
    shows(&browser.done(&account, &typed).await, &["typed-long"]);
    shows(&browser.post_text(&test, &[]).await, &["test-error"]);
    let health = browser.page(&page_path(&shop, "/health?level=debug")).await;
    shows(&health, &["log-line", "standard-error"]);
    shows(&browser.page(&page_path(&shop, "/log")).await, &["typed-long"]);
    shows(&browser.page("/admin/log").await, &["typed-long"]);
    shows(&browser.page(&page_path(&shop, "/webhooks")).await, &["endpoint-title"]);
}

#[tokio::test]
async fn products_of_a_vendor_and_issues_of_links_are_not_markup() {
    let (shop, browser) = connected().await;
    let edit = page_path(&shop, "/links/edit");
    let new = browser.page(&format!("{edit}?product=ring")).await;
    let found = ["product-title", "product-id", "product-picture"];
    let strategies = ["plugin-name", "strategy-title", "strategy-title-2"];
    shows(&new, &found);
    shows(&new, &strategies);
    shows(&new, &["fixed-label", "fixed-help", "fixed-choice", "asked-label", "asked-help", "asked-choice"]);
    shows(&browser.page(&format!("{edit}?product=ring&search=refuse")).await, &["search-error"]);
    let sent = |vendor_product| [("product", "ring"), ("account", "markup"), ("vendor_product", vendor_product)];
    let page = refused(&browser.post(&edit, &sent("refuse")).await);
    shows(&page, &["link-refused", "link-field", "link-elsewhere"]);
    shows(&browser.post_text(&edit, &sent("warn")).await, &["link-warning", "preset-warning"]);
    shows(&browser.page(&format!("{edit}?product=ring")).await, &found);

    // Another account to switch to.
    let component = shop.component("markup").await;
    let other = [("component", component.as_str().expect("a digest")), ("id", "other")];
    browser.done(&page_path(&shop, "/accounts"), &other).await;
    let swap = page_path(&shop, "/vendor-swap");
    let ask = browser.page(&format!("{swap}?from=markup&to=other")).await;
    shows(&ask, &["plugin-name", "product-title", "product-id"]);
    let typed = mark("typed");
    let way = |product| [("from", "markup"), ("to", "other"), ("product.ring", product), ("do", "check")];
    let page = refused(&browser.post(&swap, &way("refuse")).await);
    shows(&page, &["link-refused", "link-field", "link-elsewhere"]);
    shows(&browser.post_text(&swap, &way("warn")).await, &["link-warning", "preset-warning"]);
    shows(&browser.post_text(&swap, &way(&typed)).await, &["typed"]);
}

#[tokio::test]
async fn results_of_a_preview_are_not_markup() {
    let (shop, browser) = connected().await;
    link(&shop, &browser).await;
    let preview = page_path(&shop, "/preview");
    shows(&browser.page(&preview).await, &["strategy-title", "strategy-title-2"]);
    let try_out = async |configuration: &str| {
        let tried =
            [("product", "ring"), ("quantity", "1"), ("strategy", "as-linked"), ("configuration", configuration)];
        browser.post_text(&preview, &tried).await
    };
    shows(&try_out("refuse").await, &["decode-rejected", "decode-log"]);
    shows(&try_out("invalid").await, &["decode-invalid"]);
    shows(&try_out("fault").await, &["decode-fault"]);
    let lines = try_out(&mark("configuration")).await;
    let of_line = ["line-title", "part-name", "part-value", "unverified", "price-state"];
    shows(&lines, &of_line);
    shows(&lines, &["decode-warning", "plan-warning", "decode-log", "configuration"]);

    let body = json!({ "product": "ring", "configuration": "ring", "quantity": 2 });
    let quote = shop.backend.post(&shop.path("/cart/quote"), &body).await.ok();
    let lines = &quote["operations"][0]["lines"];
    shop.backend.post(&shop.path("/quotes"), &json!({ "id": "q1", "lines": lines })).await.with(201);
    shows(&browser.page(&page_path(&shop, "/quotations")).await, &[]);
    shows(&browser.page(&page_path(&shop, "/quotations/q1")).await, &["line-title"]);
}

/// Reloads a page until it contains this text.
async fn until(browser: &Browser, path: &str, text: &str) -> String {
    let began = Instant::now();
    loop {
        let page = browser.page(path).await;
        if page.contains(text) {
            return page;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{text:?} does not come: {page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn outcomes_of_orders_and_webhooks_are_not_markup() {
    let (shop, browser) = connected().await;
    link(&shop, &browser).await;
    let mut cart = Vec::new();
    shop.change(&mut cart, "add", json!({ "product": "ring", "configuration": "ring", "quantity": 2 })).await;
    let mut event = paid("1001", &cart);
    (event["kind"], event["id"], event["order"]["paid"]["minor"]) = (json!("placed"), json!("1001-placed"), json!(0));
    shop.backend.post(&shop.path("/events"), &event).await.ok();
    shop.handled("1001").await;
    let order = page_path(&shop, "/orders/1001");
    let expected = [
        "note",
        "order-reference",
        "line-reference",
        "line-status",
        "production-detail",
        "carrier",
        "tracking-id",
        "document-kind",
        "document-name",
        "needs-merchant",
    ];
    shows(&browser.page(&order).await, &expected);
    shows(&browser.page(&order).await, &["line-title"]);
    let job = async |state: &str| {
        let jobs = shop.backend.get(&shop.path(&format!("/jobs?state={state}"))).await.ok();
        let id = jobs["jobs"][0]["id"].as_str().unwrap_or_else(|| panic!("{jobs:#}")).replace(':', "%3A");
        page_path(&shop, &format!("/jobs/{id}"))
    };
    let done = browser.page(&job("done").await).await;
    shows(&done, &expected);
    shows(&done, &["plugin-name"]);

    let mut event = paid("1001", &cart);
    event["order"]["version"] = json!(2);
    shop.backend.post(&shop.path("/events"), &event).await.ok();
    let stopped = until(&browser, &order, &shown("job-error")).await;
    shows(&stopped, &expected);
    shows(&browser.page(&job("stopped").await).await, &["job-error", "plugin-name"]);
    for path in ["", "/jobs", "/orders", "/health?level=debug"] {
        let page = browser.page(&page_path(&shop, path)).await;
        shows(&page, if path.starts_with("/health") { &["job-log", "decode-log"] } else { &[] });
    }

    let body = json!({ "account": "markup", "endpoint": "tell" });
    let made: Value = shop.integrator.post(&shop.path("/webhook-urls"), &body).await.with(201);
    let address = made["url"].as_str().and_then(|url| url.strip_prefix(&shop.server.node.base)).expect("an address");
    assert_eq!(shop.server.node.anonymous().ask("POST", address, &[], "told").await.status, 200);
    let approvals = until(&browser, &page_path(&shop, "/approvals"), &shown("pushed-value")).await;
    shows(&approvals, &["pushed-label", "pushed-value", "account-note"]);
    let pushed = approvals.split("/approvals/approve").nth(1).expect("it can be approved");
    let id = pushed.split("name=\"id\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
    browser.done(&page_path(&shop, "/approvals/approve"), &[("id", id)]).await;
    shows(&browser.page(&page_path(&shop, "/accounts/markup")).await, &["pushed-value"]);
    shows(&browser.page(&page_path(&shop, "/log")).await, &["pushed-value"]);
    shows(&browser.page(&page_path(&shop, "/webhooks")).await, &["endpoint-title"]);
}
