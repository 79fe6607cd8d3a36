//! Typed input: it is accepted if it is unambiguous, and shown again unchanged.

use std::sync::Arc;

use cartwright_fake_vendors::samples;
use serde_json::json;

use super::{Browser, page_path, says, text};
use crate::ReplyAssertions as _;
use crate::server::Server;
use crate::shop::Shop;

#[tokio::test]
async fn an_offer_is_taken_when_its_amount_can_mean_one_thing_only() {
    let (shop, _fake) = Shop::with_expivi().await;
    let body = json!({ "product": "shirt", "configuration": samples::EXPIVI_VARIATION, "quantity": 50, "lines": [] });
    let quote = shop.backend.post(&shop.path("/cart/quote"), &body).await.ok();
    let lines = &quote["operations"][0]["lines"];
    shop.backend.post(&shop.path("/quotes"), &json!({ "id": "q1", "lines": lines })).await.with(201);
    let browser = Browser::sign_in(&shop.admin).await;
    let path = page_path(&shop, "/quotations/q1");
    let price = format!("price.{}", lines[0]["key"].as_str().expect("a key"));
    let until = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(7 * 24)).strftime("%Y-%m-%d").to_string();
    let offer = async |typed: &str| {
        let read = shop.backend.get(&shop.path("/quotes/q1")).await;
        let version = read.header("etag").expect("a version").trim_matches('"').to_owned();
        let fields = [("version", version.as_str()), ("until", until.as_str()), (price.as_str(), typed)];
        browser.post(&format!("{path}/offer"), &fields).await
    };
    for typed in ["1.500", "2.450", "1,500", "1,50", "1.234,56", "1'000", "1 000", "20.000"] {
        let refused = offer(typed).await;
        assert_eq!(refused.status, 422, "{typed}: {}", text(&refused));
        says(&text(&refused), &["write it as 1234.50", "without a thousands separator"]);
        assert_eq!(shop.backend.get(&shop.path("/quotes/q1")).await.ok()["prices"], json!([]), "{typed}");
    }
    assert_eq!(offer("20.5").await.status, 303);
    let offered = shop.backend.get(&shop.path("/quotes/q1")).await.ok();
    assert_eq!(offered["prices"][0]["unit"]["minor"], 2_050, "{offered:#}");
}

#[tokio::test]
async fn a_quote_shows_the_price_of_each_line_even_without_a_unit_price() {
    let (shop, _fake) = Shop::with_expivi().await;
    let price = json!({ "minor": 333, "scale": 3, "currency": "EUR" });
    let shirt = json!({
        "id": "variant-shirt-r-l", "product": "shirt", "sku": "SHIRT-R-L", "title": "SHIRT-R-L", "prices": [price],
        "purchasable": true,
    });
    shop.backend.put(&shop.path("/catalog"), &json!({ "variants": [shirt] })).await.ok();
    let body = json!({ "product": "shirt", "configuration": samples::EXPIVI_VARIATION, "quantity": 50, "lines": [] });
    let quote = shop.backend.post(&shop.path("/cart/quote"), &body).await.ok();
    let lines = &quote["operations"][0]["lines"];
    assert!(lines[0]["price"]["unit"].is_null(), "{lines:#}");
    shop.backend.post(&shop.path("/quotes"), &json!({ "id": "q1", "lines": lines })).await.with(201);
    let page = Browser::sign_in(&shop.admin).await.page(&page_path(&shop, "/quotations/q1")).await;
    says(&page, &["List total", "16.65 EUR"]);
}

#[tokio::test]
async fn a_whole_number_is_typed_in_digits() {
    let shop = Shop::on(Arc::new(Server::new(&[]))).await;
    let browser = Browser::sign_in(&shop.admin).await;
    let read = shop.admin.get(&shop.path("")).await;
    let version = read.header("etag").expect("a version").trim_matches('"').to_owned();
    let before = read.ok();
    let fields = |scale: &'static str, seconds: &'static str| {
        [
            ("version", version.clone()),
            ("currency", "EUR".to_owned()),
            ("scale", scale.to_owned()),
            ("locale", "en".to_owned()),
            ("release", "paid".to_owned()),
            ("seal_seconds", seconds.to_owned()),
            ("pin_seconds", "60".to_owned()),
        ]
    };
    let change = async |scale, seconds| {
        let fields = fields(scale, seconds);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.post(&page_path(&shop, "/settings"), &fields).await
    };
    for (scale, seconds) in [("2", "86.400"), ("2", "86,400"), ("2", "86 400"), ("2.0", "60"), ("2", "1e3")] {
        let refused = change(scale, seconds).await;
        assert_eq!(refused.status, 422, "{scale} {seconds}");
        says(&text(&refused), &["in digits only, such as 1200"]);
    }
    assert_eq!(shop.admin.get(&shop.path("")).await.ok(), before);
    assert_eq!(change("2", "86500").await.status, 303);
    assert_eq!(shop.admin.get(&shop.path("")).await.ok()["seal_seconds"], 86_500);
}

/// Returns the text of a field of several lines, as a browser sends it.
fn lines_of(page: &str, id: &str) -> String {
    let rest = page.split(&format!("<textarea id=\"{id}\"")).nth(1).unwrap_or_else(|| panic!("{page}"));
    let text = rest.split_once('>').and_then(|(_, rest)| rest.split_once("</textarea>")).expect("a text").0;
    let text = text.strip_prefix('\n').unwrap_or(text);
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace('\n', "\r\n")
}

#[tokio::test]
async fn a_list_that_is_saved_as_it_was_shown_stays_as_it_was() {
    let (shop, _fake) = Shop::with_expivi().await;
    let path = shop.path("/product-links/shirt");
    let mut link = shop.integrator.get(&path).await.ok();
    link.as_object_mut().expect("a link").remove("shop_product");
    link["allowed_skus"] = json!(["RING L", " edge ", "\\n", "\"quoted\"", "a,b", "=1", "é"]);
    link["additional_vendor_products"] = json!(["1003", "1001"]);
    shop.integrator.put(&path, &link).await.ok();
    let before = shop.integrator.get(&path).await;
    let version = before.header("etag").expect("a version").trim_matches('"').to_owned();
    let before = before.ok();
    let browser = Browser::sign_in(&shop.integrator).await;
    let page = browser.page(&page_path(&shop, "/links/edit?product=shirt")).await;
    let (skus, others) = (lines_of(&page, "allowed_skus"), lines_of(&page, "additional_vendor_products"));
    let fields = [
        ("version", version.as_str()),
        ("product", "shirt"),
        ("account", "expivi"),
        ("vendor_product", "1002"),
        ("strategy", "/variation"),
        ("setting.sku-prefix", "SHIRT-"),
        ("allowed_skus", &skus),
        ("additional_vendor_products", &others),
    ];
    let saved = browser.post(&page_path(&shop, "/links/edit"), &fields).await;
    assert!(matches!(saved.status, 200 | 303), "{}", text(&saved));
    let after = shop.integrator.get(&path).await.ok();
    assert_eq!(
        (&after["allowed_skus"], &after["additional_vendor_products"]),
        (&before["allowed_skus"], &before["additional_vendor_products"])
    );
}

#[tokio::test]
async fn a_rejected_form_keeps_its_input_and_links_to_its_errors() {
    let shop = Shop::on(Arc::new(Server::new(&[]))).await;
    let browser = Browser::sign_in(&shop.admin).await;
    let refused = async |path: &str, fields: &[(&str, &str)], parts: &[&str]| {
        let reply = browser.post(path, fields).await;
        assert_eq!(reply.status, 422, "{path}: {}", text(&reply));
        let page = text(&reply);
        says(&page, &["id=\"errors\" role=\"alert\"", "<form", "aria-invalid=\"true\""]);
        says(&page, parts);
    };
    let new = [("id", "acme bikes"), ("currency", "EUR"), ("scale", "two")];
    let parts =
        ["2 fields need your attention.", "href=\"#id\"", "href=\"#scale\"", "value=\"acme bikes\"", "value=\"two\""];
    refused("/admin/shops", &new, &parts).await;
    let domains = [("origins", "shop.example")];
    let parts =
        ["1 field needs your attention.", "href=\"#origins\"", "\nshop.example</textarea>", "Storefront domains"];
    refused(&page_path(&shop, "/origins"), &domains, &parts).await;
    let url = [("url", "http://127.0.0.1/inside")];
    refused(&page_path(&shop, "/notifications"), &url, &["href=\"#url\"", "value=\"http://127.0.0.1/inside\""]).await;
    let key =
        [("label", "mine"), ("role", "integrator"), ("shop", ""), ("networks", "everywhere"), ("expires", "soon")];
    let parts = [
        "3 fields need your attention.",
        "href=\"#shop\"",
        "href=\"#networks\"",
        "href=\"#expires\"",
        "value=\"mine\"",
    ];
    refused("/admin/keys", &key, &parts).await;
    // A missing page is reported within the shop's pages.
    let missing = browser.get(&page_path(&shop, "/orders/none")).await;
    assert_eq!(missing.status, 404);
    says(&text(&missing), &["Page not found", &format!("href=\"{}\"", page_path(&shop, "/accounts")), "Go to Home"]);
}
