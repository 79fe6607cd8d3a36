//! A merchant's decisions in the admin pages: the prices of a quote, and the retry of a job that stopped.

use std::sync::Arc;

use cartwright_fake_vendors::TwikitConfig;
use cartwright_test_browser::Browser;
use serde_json::json;

use crate::admin::Admin;
use crate::demo::Demo;

/// Presses a button of the shop, and waits for the next page.
pub async fn press(shopper: &Browser, selector: &str) {
    shopper.value("document.body.dataset.left = 'no'").await;
    shopper.click(selector).await;
    shopper.until("document.readyState === 'complete' && !document.body.dataset.left").await;
}

/// Opens a product's page, and waits until it can be configured.
pub async fn configure(shopper: &Browser, shop: &str, product: &str) {
    shopper.visit(&format!("{shop}products/{product}")).await;
    shopper.until("document.querySelector('#add:not(:disabled)')").await;
}

#[tokio::test]
async fn a_dead_letter_is_replayed_once_its_cause_is_mended() {
    let Some(admin) = Admin::of(|| Arc::new(Demo::start())).await else { return };
    let gems = admin.demo.gems.clone();
    // Twikit checks a hash that includes this secret.
    admin.open("/shops/gems/accounts/twikit").await;
    admin.fill("#setting-payload-secret", "wrong").await;
    admin.press("form.card:not([action$='/test']) > button, form.card > .save > button").await;
    admin.sees("Changes saved").await;

    let shopper = Browser::open().await.expect("a second browser");
    configure(&shopper, &gems, "jewel").await;
    press(&shopper, "#add").await;
    shopper.visit(&format!("{gems}checkout")).await;
    for step in ["#order", "#pay", "#approve"] {
        shopper.until(&format!("document.querySelector('{step}')")).await;
        press(&shopper, step).await;
    }

    admin.open("/shops/gems").await;
    let waiting = "document.querySelector('.attention') || (location.reload(), false)";
    admin.browser.until(waiting).await;
    admin.press(".attention a").await;
    admin.browser.screenshot("admin-dead-letters").await;
    admin.is_accessible("failed jobs").await;
    admin.press("tbody a[href*='/jobs/']").await;
    assert!(admin.browser.text("main").await.contains("hash"), "{}", admin.browser.text("main").await);
    admin.browser.screenshot("admin-dead-letter").await;
    admin.is_accessible("a failed job").await;
    let job = admin.browser.value("location.pathname").await.as_str().expect("a path").to_owned();

    admin.open("/shops/gems/accounts/twikit").await;
    admin.fill("#setting-payload-secret", &TwikitConfig::default().payload_secret).await;
    admin.press("form.card:not([action$='/test']) > button, form.card > .save > button").await;
    admin.sees("Changes saved").await;
    admin.open(job.trim_start_matches("/admin")).await;
    admin.press_and_confirm("button[value=beginning]").await;
    admin.sees("Retry queued").await;

    // The shopper's page follows.
    shopper.until("document.body.innerText.includes('Twikit shipped it.')").await;
    let order = shopper.value("location.pathname.split('/').pop()").await;
    admin.open(&format!("/shops/gems/orders/{}", order.as_str().expect("an order"))).await;
    admin.sees("Shipped").await;
    admin.browser.screenshot("admin-order").await;
    admin.open("/shops/gems/health").await;
    admin.browser.screenshot("admin-health").await;
    shopper.close().await;
    admin.close_browser().await;
}

#[tokio::test]
async fn an_offer_is_made_and_taken() {
    let Some(admin) = Admin::of(|| Arc::new(Demo::start())).await else { return };
    let lumen = admin.demo.lumen.clone();
    let shopper = Browser::open().await.expect("a second browser");
    configure(&shopper, &lumen, "ring").await;
    shopper.choose("Gold").await;
    shopper.value("document.querySelector('#quantity').value = 50").await;
    press(&shopper, "#offer").await;
    shopper.until("document.body.innerText.includes('Requested 50')").await;

    admin.open("/shops/lumen/quotations").await;
    admin.press("tbody a").await;
    admin.fill("td input", "349.999").await;
    admin.press("form.card > button").await;
    admin.sees("is not an amount in EUR").await;
    admin.is_accessible("an offer that is refused").await;
    // The input is still there, to be corrected.
    assert_eq!(admin.browser.value("document.querySelector('td input').value").await, json!("349.999"));
    admin.fill("td input", "350.00").await;
    admin.browser.screenshot("admin-quotation").await;
    admin.press("form.card > button").await;
    admin.sees("Offer sent").await;

    shopper.visit(&format!("{lumen}offers")).await;
    shopper.until("document.body.innerText.includes('€350.00')").await;
    shopper.screenshot("shop-offer").await;
    press(&shopper, ".accept").await;
    shopper.until("document.body.innerText.includes('€17500.00')").await;
    // The order has the prices of the offer.
    press(&shopper, "a[href$='/checkout']").await;
    press(&shopper, "#order").await;
    shopper.until("location.pathname.includes('/orders/')").await;
    assert!(shopper.text("main").await.contains("€17500.00"), "{}", shopper.text("main").await);
    shopper.close().await;
    admin.close_browser().await;
}
