//! An integrator's work in the admin pages, while shoppers shop.

use std::sync::Arc;

use cartwright_fake_vendors::{TwikitConfig, samples};
use cartwright_test_browser::Browser;
use serde_json::{Value, json};
use thirtyfour::By;

use crate::demo::Demo;

/// An admin who has signed in.
struct Admin {
    browser: Browser,
    demo: Arc<Demo>,
}

impl Admin {
    async fn of(demo: impl FnOnce() -> Arc<Demo>) -> Option<Self> {
        let browser = Browser::open().await?;
        let demo = demo();
        let admin = Self { browser, demo };
        admin.browser.visit(&admin.demo.admin).await;
        admin.sees("Access key").await;
        admin.fill("#key", &admin.demo.key).await;
        admin.press("main button").await;
        admin.sees("Shops").await;
        Some(admin)
    }

    async fn open(&self, path: &str) {
        self.browser.visit(&format!("{}{path}", self.demo.admin)).await;
        assert_eq!(self.refused().await, json!(null), "{path}");
    }

    /// Enters a text in the place of what stands there.
    async fn fill(&self, selector: &str, text: &str) {
        let input = self.browser.page().find(By::Css(selector)).await.expect(selector);
        input.scroll_into_view().await.expect(selector);
        input.clear().await.expect(selector);
        input.send_keys(text).await.expect(selector);
    }

    /// Presses a button or link, and waits for the page that comes of it.
    async fn press(&self, selector: &str) {
        self.browser.value("document.body.dataset.left = 'no'").await;
        self.browser.click(selector).await;
        self.browser.until("document.readyState === 'complete' && !document.body.dataset.left").await;
    }

    async fn sees(&self, text: &str) {
        self.browser.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// What the page refuses, if it does.
    async fn refused(&self) -> Value {
        self.browser.value("document.querySelector('.refused')?.innerText ?? null").await
    }

    /// What a field of the settings of a shop's account holds.
    async fn setting(&self, shop: &str, account: &str, field: &str) -> String {
        self.open(&format!("/shops/{shop}/accounts/{account}")).await;
        let value = self.browser.value(&format!("document.getElementById('setting-{field}').value")).await;
        value.as_str().expect("a text").to_owned()
    }

    /// Adds an empty shop.
    async fn add_shop(&self, shop: &str) {
        self.open("/shops").await;
        self.fill("#id", shop).await;
        self.fill("#currency", "EUR").await;
        self.press("form.card button").await;
        self.sees(&format!("Shop {shop}")).await;
    }

    /// Chooses a vendor for a shop, up to its empty form; grants what a server on this machine takes.
    async fn choose_vendor(&self, shop: &str, vendor: &str, at: &str) {
        self.open(&format!("/shops/{shop}")).await;
        self.press("p a.button[href$='/accounts/new']").await;
        self.sees("You see what it asks for").await;
        let card = format!("//a[contains(., 'Choose {vendor}')]");
        let card = self.browser.page().find(By::XPath(&card)).await.expect(vendor);
        card.click().await.expect(vendor);
        self.sees(&format!("Connect {vendor}")).await;
        self.browser.click("summary").await;
        self.fill("#plain_http", at).await;
        self.fill("#networks", "127.0.0.1/32").await;
    }

    /// Makes the vendor's product of a shop's product by the picker.
    async fn link(&self, shop: &str, product: &str, vendor_product: &str, skus: &str) {
        self.open(&format!("/shops/{shop}/links/edit?product={product}")).await;
        let found = format!("//ul[@class='picker']//a[contains(., '{vendor_product}')]");
        self.browser.page().find(By::XPath(&found)).await.expect(vendor_product).click().await.expect(vendor_product);
        self.browser.until(&format!("document.getElementById('vendor_product').value === '{vendor_product}'")).await;
        self.fill("#allowed_skus", skus).await;
        self.press("form.card[method=post] > button").await;
        self.sees("Linked.").await;
    }

    async fn leaves(self) {
        self.browser.close().await;
    }
}

/// The host and port of an address.
fn host(url: &str) -> &str {
    url.trim_start_matches("http://").split('/').next().expect("a host")
}

#[tokio::test]
async fn a_shop_is_set_up_with_expivi_from_nothing_and_a_wrong_token_is_corrected() {
    let Some(admin) = Admin::of(Demo::shared).await else { return };
    let mut settings = Vec::new();
    for field in ["api-url", "viewer-script", "options-script", "options-style"] {
        settings.push((field, admin.setting("lumen", "expivi", field).await));
    }
    let at = host(&settings[0].1).to_owned();

    admin.add_shop("forge").await;
    admin.choose_vendor("forge", "Expivi", &at).await;
    // What the plugin needs and has not is said beside its field; what was entered stays.
    for (field, value) in &settings {
        admin.fill(&format!("#setting-{field}"), value).await;
    }
    admin.press("form.card > button").await;
    admin.sees("API token of the viewer is required").await;
    assert_eq!(admin.browser.value("document.activeElement.id || ''").await, json!(""));
    admin.browser.picture("admin-connect").await;
    admin.fill("#setting-viewer-token", "wrong").await;
    admin.fill("#setting-server-token", "wrong").await;
    admin.press("form.card > button").await;
    admin.sees("Connected.").await;

    admin.press("form[action$='/test'] button").await;
    admin.sees("Does not work").await;
    admin.browser.picture("admin-wrong-token").await;
    admin.fill("#setting-viewer-token", "viewer-token").await;
    admin.fill("#setting-server-token", "server-token").await;
    admin.press("form.card:not([action$='/test']) > button").await;
    admin.sees("Saved.").await;
    admin.press("form[action$='/test'] button").await;
    admin.sees("Works").await;
    assert!(!admin.browser.text("main").await.contains("Does not work"));
    admin.browser.picture("admin-account").await;

    admin.link("forge", "band", "1001", "").await;
    assert!(admin.browser.text("tbody").await.contains("1001"));
    admin.open("/shops/forge/links/edit?product=band").await;
    admin.browser.picture("admin-link").await;
    admin.leaves().await;
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
    admin.choose_vendor("mint", "Twikit", &at).await;
    for (field, value) in &settings {
        admin.fill(&format!("#setting-{field}"), value).await;
    }
    admin.fill("#setting-payload-secret", &TwikitConfig::default().payload_secret).await;
    admin.press("form.card > button").await;
    admin.sees("Connected.").await;
    // A secret is never shown again, and an empty field keeps it.
    assert_eq!(admin.browser.value("document.getElementById('setting-payload-secret').value").await, json!(""));
    admin.press("form.card:not([action$='/test']) > button").await;
    admin.sees("Saved.").await;
    admin.press("form[action$='/test'] button").await;
    admin.sees("Works").await;
    assert!(!admin.browser.text("main").await.contains("Does not work"));
    // What only this vendor needs is said beside its field.
    admin.open("/shops/mint/links/edit?product=letter&account=twikit&vendor_product=diamond-letter-jewel").await;
    admin.press("form.card[method=post] > button").await;
    admin.sees("Name the SKUs that this product may be sold as").await;
    admin.link("mint", "letter", "diamond-letter-jewel", "JEWEL-A").await;
    admin.leaves().await;
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
    admin.sees("every piece holds").await;
    assert!(admin.browser.text("#came").await.contains("HINGE"));
    admin.browser.picture("admin-preview").await;
    // Another strategy is tried without saving it.
    let simple = "[...document.querySelectorAll('#strategy option')].find((option) => option.value === '/simple')";
    admin.browser.value(&format!("{simple}.selected = true")).await;
    admin.press("form.card > button").await;
    admin.sees("line by expivi/simple").await;
    // What cannot be read is told, and what held before it.
    admin.browser.value("document.getElementById('configuration').value = '{'").await;
    admin.press("form.card > button").await;
    assert!(admin.refused().await.is_string());
    admin.leaves().await;
}

#[tokio::test]
async fn a_version_is_swapped_while_a_shopper_configures() {
    let Some(admin) = Admin::of(|| Arc::new(Demo::start())).await else { return };
    let shopper = Browser::open().await.expect("a second browser");
    shopper.visit(&format!("{}products/ring", admin.demo.lumen)).await;
    shopper.until("document.querySelector('#add:not(:disabled)')").await;
    shopper.choose("Gold").await;

    // The same component under another digest: with a section that nothing reads.
    let mut component = cartwright_bundled::EXPIVI.to_vec();
    component.extend([0, 2, 1, b'2']);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("expivi-2.wasm");
    std::fs::write(&path, component).expect("a file");
    admin.open("/plugins").await;
    let file = admin.browser.page().find(By::Css("#component")).await.expect("the field of a file");
    file.send_keys(path.to_string_lossy()).await.expect("a path");
    admin.press("form.card button").await;
    admin.sees("Installed on every node").await;
    let other = "[...document.querySelectorAll('#to option')].find((option) => !document.querySelector('.card tbody code').innerText.includes(option.innerText.split(' – ')[1]))";
    admin.browser.value(&format!("{other}.selected = true")).await;
    admin.browser.picture("admin-plugin").await;
    admin.press("form[action$='/swap'] button").await;
    admin.sees("Moved.").await;

    shopper.click("#add").await;
    shopper.until("location.pathname.endsWith('/cart')").await;
    assert!(shopper.text("main").await.contains("399"), "{}", shopper.text("main").await);
    shopper.close().await;
    admin.leaves().await;
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
    admin.choose_vendor("lumen", "Twikit", host(&settings[1].1)).await;
    for (field, value) in &settings {
        admin.fill(&format!("#setting-{field}"), value).await;
    }
    admin.fill("#setting-payload-secret", &TwikitConfig::default().payload_secret).await;
    admin.press("form.card > button").await;
    admin.sees("Connected.").await;

    admin.open("/shops/lumen/vendor-swap?from=expivi&to=twikit").await;
    // A product that the vendor does not have is not switched to.
    admin.fill("[name='product.ring']", "no-such-product").await;
    admin.press("button[value=check]").await;
    admin.sees("not ready").await;
    admin.browser.picture("admin-vendor-swap-not-ready").await;
    admin.fill("[name='product.ring']", "diamond-letter-jewel").await;
    admin.fill("[name='skus.ring']", "RING").await;
    admin.press("button[value=check]").await;
    admin.sees("All of them are ready").await;
    admin.browser.picture("admin-vendor-swap").await;
    admin.press("button[value=swap]").await;
    admin.sees("Switched.").await;

    // The page has the new vendor's configurator, and the line in the cart is still Expivi's to reopen.
    shopper.visit(&ring).await;
    shopper.until("document.body.innerText.includes('Letter')").await;
    shopper.visit(&format!("{}cart", admin.demo.lumen)).await;
    shopper.click(".line .edit").await;
    shopper.until("document.querySelector('#options .expivi-text')").await;
    shopper.close().await;
    admin.leaves().await;
}
