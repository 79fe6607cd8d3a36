//! An integrator's work in the admin pages, while shoppers shop.

use std::sync::Arc;

use cartwright_fake_vendors::{TwikitConfig, samples};
use cartwright_test_browser::Browser;
use serde_json::json;
use thirtyfour::By;

use crate::admin::{Admin, host};
use crate::demo::Demo;

#[tokio::test]
async fn a_shop_is_set_up_with_expivi_from_nothing_and_a_wrong_token_is_corrected() {
    let Some(admin) = Admin::of(Demo::shared).await else { return };
    let mut settings = Vec::new();
    for field in ["api-url", "viewer-script", "options-script", "options-style"] {
        settings.push((field, admin.setting("lumen", "expivi", field).await));
    }
    let at = host(&settings[0].1).to_owned();

    admin.add_shop("forge").await;
    let integrator = admin.integrator_of("forge").await;
    integrator.choose_vendor("forge", "Expivi").await;
    // A missing required setting is reported beside its field; the input stays.
    for (field, value) in &settings {
        integrator.fill(&format!("#setting-{field}"), value).await;
    }
    integrator.press("form.card > button").await;
    integrator.sees("Viewer API token is required").await;
    // The summary has the focus, and links to the field.
    integrator.browser.until("document.activeElement.id === 'errors'").await;
    integrator.browser.click("#errors a").await;
    integrator.browser.until("document.activeElement.id === 'setting-viewer-token'").await;
    integrator.browser.screenshot("admin-connect").await;
    integrator.fill("#setting-viewer-token", "wrong").await;
    integrator.fill("#setting-server-token", "wrong").await;
    integrator.press("form.card > button").await;
    integrator.sees("Vendor connected.").await;

    // Only an admin can grant a vendor on this machine without TLS; the page names the missing grant.
    assert_eq!(integrator.browser.value("document.getElementById('plain_http')").await, json!(null));
    integrator.press("form[action$='/test'] button").await;
    integrator.sees("Failed: ").await;
    integrator.sees(&format!("Ask an admin to allow plain HTTP to {at}")).await;
    admin.grant_local_to("forge", "expivi", &at).await;

    integrator.press("form[action$='/test'] button").await;
    integrator.sees("Failed: ").await;
    integrator.sees("401").await;
    integrator.browser.screenshot("admin-wrong-token").await;
    integrator.is_accessible("a connection test that fails").await;
    integrator.fill("#setting-viewer-token", "viewer-token").await;
    integrator.fill("#setting-server-token", "server-token").await;
    integrator.press("form.card:not([action$='/test']) > button, form.card > .save > button").await;
    integrator.sees("Changes saved").await;
    integrator.press("form[action$='/test'] button").await;
    integrator.sees("Passed: ").await;
    assert!(!integrator.browser.text("main").await.contains("Failed: "));
    integrator.browser.screenshot("admin-account").await;

    integrator.link("forge", "band", "1001", "").await;
    assert!(integrator.browser.text("tbody").await.contains("1001"));
    integrator.open("/shops/forge/links/edit?product=band").await;
    integrator.browser.screenshot("admin-link").await;
    integrator.close_browser().await;
    admin.close_browser().await;
}

#[tokio::test]
async fn a_shop_is_set_up_with_twikit_from_nothing() {
    let Some(admin) = Admin::of(Demo::shared).await else { return };
    let mut settings = Vec::new();
    for field in ["integration-id", "api-url", "script-url", "preview-url", "product-keys"] {
        settings.push((field, admin.setting("gems", "twikit", field).await));
    }
    let at = host(&settings[1].1).to_owned();

    admin.add_shop("mint").await;
    let integrator = admin.integrator_of("mint").await;
    integrator.choose_vendor("mint", "Twikit").await;
    for (field, value) in &settings {
        integrator.fill(&format!("#setting-{field}"), value).await;
    }
    integrator.fill("#setting-payload-secret", &TwikitConfig::default().payload_secret).await;
    integrator.press("form.card > button").await;
    integrator.sees("Vendor connected.").await;
    // A secret is never shown again, and an empty field keeps it.
    assert_eq!(integrator.browser.value("document.getElementById('setting-payload-secret').value").await, json!(""));
    integrator.press("form.card:not([action$='/test']) > button, form.card > .save > button").await;
    integrator.sees("Changes saved").await;
    // Only an admin can grant a vendor on this machine without TLS. Twikit gets no request before the first order.
    assert_eq!(integrator.browser.value("document.getElementById('plain_http')").await, json!(null));
    admin.grant_local_to("mint", "twikit", &at).await;
    integrator.press("form[action$='/test'] button").await;
    integrator.sees("Passed: ").await;
    assert!(!integrator.browser.text("main").await.contains("Failed: "));

    integrator.sees(&format!("Also allowed by an admin: 127.0.0.1/32 http://{at}")).await;
    // An issue that only this vendor reports appears beside its field.
    integrator.open("/shops/mint/links/edit?product=letter&account=twikit&vendor_product=diamond-letter-jewel").await;
    integrator.press("form.card[method=post] > button").await;
    integrator.sees("Enter the allowed SKUs of this product").await;
    integrator.link("mint", "letter", "diamond-letter-jewel", "JEWEL-A").await;
    integrator.close_browser().await;
    admin.close_browser().await;
}

#[tokio::test]
async fn a_configuration_shows_its_lines_stage_by_stage_as_it_is_pasted() {
    let Some(admin) = Admin::of(Demo::shared).await else { return };
    admin.open("/shops/lumen/preview?product=wardrobe").await;
    let paste = format!(
        "(() => {{ const field = document.getElementById('configuration'); field.value = {};
            field.dispatchEvent(new Event('input', {{ bubbles: true }})); return true; }})()",
        json!(String::from_utf8_lossy(samples::EXPIVI_BUNDLE.as_ref()))
    );
    admin.browser.value(&paste).await;
    admin.sees("every plan entry holds").await;
    assert!(admin.browser.text("#result").await.contains("HINGE"));
    admin.browser.value("document.getElementById('result').scrollIntoView()").await;
    admin.browser.screenshot("admin-preview").await;
    // Another strategy is tested without saving it.
    let simple = "[...document.querySelectorAll('#strategy option')].find((option) => option.value === '/simple')";
    admin.browser.value(&format!("{simple}.selected = true")).await;
    admin.press("form.card > button").await;
    admin.sees("line by expivi/simple").await;
    // An invalid configuration is reported, and the previous version stays active.
    admin.browser.value("document.getElementById('configuration').value = '{'").await;
    admin.press("form.card > button").await;
    assert!(admin.refused().await.is_string());
    admin.close_browser().await;
}

#[tokio::test]
async fn a_version_is_swapped_while_a_shopper_configures() {
    let Some(admin) = Admin::of(|| Arc::new(Demo::start())).await else { return };
    let shopper = Browser::open().await.expect("a second browser");
    shopper.visit(&format!("{}products/ring", admin.demo.lumen)).await;
    shopper.until("document.querySelector('#add:not(:disabled)')").await;
    shopper.choose("Gold").await;

    // The same component with another digest, through a section that no program reads.
    let mut component = cartwright_bundled::EXPIVI.to_vec();
    component.extend([0, 2, 1, b'2']);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("expivi-2.wasm");
    std::fs::write(&path, component).expect("a file");
    admin.open("/plugins").await;
    let file = admin.browser.page().find(By::Css("#component")).await.expect("the field of a file");
    file.send_keys(path.to_string_lossy()).await.expect("a path");
    admin.press("form.card button").await;
    admin.sees("Version installed").await;
    let other = "[...document.querySelectorAll('#to option')].find((option) => !document.querySelector('.card tbody code').innerText.includes(option.innerText.split(' – ')[1]))";
    admin.browser.value(&format!("{other}.selected = true")).await;
    admin.browser.screenshot("admin-plugin").await;
    admin.is_accessible("a plugin with two versions").await;
    // The shops are selected explicitly.
    admin.press_and_confirm("form[action$='/swap'] button").await;
    admin.sees("Select the shops to switch.").await;
    admin
        .browser
        .value("document.querySelectorAll('input[name=shop]').forEach((one) => { one.checked = true; })")
        .await;
    admin.browser.value(&format!("{other}.selected = true")).await;
    admin.press_and_confirm("form[action$='/swap'] button").await;
    admin.sees("Version switched").await;

    shopper.click("#add").await;
    shopper.until("location.pathname.endsWith('/cart')").await;
    assert!(shopper.text("main").await.contains("399"), "{}", shopper.text("main").await);
    shopper.close().await;
    admin.close_browser().await;
}

#[tokio::test]
async fn a_shop_changes_its_vendor_and_old_lines_stay() {
    let Some(admin) = Admin::of(|| Arc::new(Demo::start())).await else { return };
    let shopper = Browser::open().await.expect("a second browser");
    let ring = format!("{}products/ring", admin.demo.lumen);
    shopper.visit(&ring).await;
    shopper.until("document.querySelector('#add:not(:disabled)')").await;
    shopper.click("#add").await;
    shopper.until("location.pathname.endsWith('/cart')").await;

    let mut settings = Vec::new();
    for field in ["integration-id", "api-url", "script-url", "preview-url", "product-keys"] {
        settings.push((field, admin.setting("gems", "twikit", field).await));
    }
    admin.choose_vendor("lumen", "Twikit").await;
    admin.grant_local(host(&settings[1].1)).await;
    for (field, value) in &settings {
        admin.fill(&format!("#setting-{field}"), value).await;
    }
    admin.fill("#setting-payload-secret", &TwikitConfig::default().payload_secret).await;
    admin.press("form.card > button").await;
    admin.sees("Vendor connected.").await;

    admin.open("/shops/lumen/vendor-swap?from=expivi&to=twikit").await;
    // Switching to a product that the vendor does not have is rejected.
    admin.fill("[name='product.ring']", "no-such-product").await;
    admin.press("button[value=check]").await;
    admin.sees("Not ready").await;
    admin.browser.screenshot("admin-vendor-swap-not-ready").await;
    admin.is_accessible("a vendor switch that is not ready").await;
    admin.fill("[name='product.ring']", "diamond-letter-jewel").await;
    admin.fill("[name='skus.ring']", "RING").await;
    admin.press("button[value=check]").await;
    admin.sees("All products are ready to switch").await;
    admin.browser.screenshot("admin-vendor-swap").await;
    admin.press("button[value=swap]").await;
    admin.sees("Vendor switched.").await;

    // The page has the new vendor's configurator, and the line in the cart is still reopened by Expivi.
    shopper.visit(&ring).await;
    shopper.until("document.body.innerText.includes('Letter')").await;
    shopper.visit(&format!("{}cart", admin.demo.lumen)).await;
    shopper.click(".line .edit").await;
    shopper.until("document.querySelector('#options .expivi-text')").await;
    shopper.close().await;
    admin.close_browser().await;
}
