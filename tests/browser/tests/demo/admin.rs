//! A person at the admin pages: an admin, or an integrator with an admin's key.

use std::sync::Arc;

use cartwright_test_browser::Browser;
use serde_json::{Value, json};
use thirtyfour::By;

use crate::demo::{Demo, axe};

/// Returns the host and port of a URL.
pub fn host(url: &str) -> &str {
    url.trim_start_matches("http://").split('/').next().expect("a host")
}

/// A person who has signed in.
pub struct Admin {
    pub browser: Browser,
    pub demo: Arc<Demo>,
}

impl Admin {
    /// Signs an admin of a demo in. Returns `None` without a browser.
    pub async fn of(demo: impl FnOnce() -> Arc<Demo>) -> Option<Self> {
        let browser = Browser::open().await?;
        let demo = demo();
        let key = demo.key.clone();
        let admin = Self { browser, demo };
        admin.sign_in(&key).await;
        admin.sees("Shops").await;
        Some(admin)
    }

    async fn sign_in(&self, key: &str) {
        self.browser.visit(&self.demo.admin).await;
        self.sees("Access key").await;
        self.fill("#key", key).await;
        self.press("main button").await;
    }

    /// Creates an access key and returns it.
    pub async fn make_key(&self, label: &str, role: &str, shop: &str) -> String {
        self.open("/keys").await;
        self.fill("#label", label).await;
        self.browser.click(&format!("[name=role][value={role}]")).await;
        self.browser.value(&format!("document.getElementById('shop').value = {}", json!(shop))).await;
        self.press("form.card > button").await;
        self.sees("Copy this now").await;
        let key = self.browser.value("document.getElementById('key').value").await;
        key.as_str().expect("a key").to_owned()
    }

    /// Signs an integrator of a shop in, in another browser, with a key that this admin creates.
    pub async fn integrator_of(&self, shop: &str) -> Self {
        let key = self.make_key(&format!("Who sets {shop} up"), "integrator", shop).await;
        let browser = Browser::open().await.expect("a second browser");
        let integrator = Self { browser, demo: self.demo.clone() };
        integrator.sign_in(&key).await;
        integrator.sees("Get started").await;
        integrator
    }

    /// Opens a page that must exist.
    pub async fn open(&self, path: &str) {
        self.browser.visit(&format!("{}{path}", self.demo.admin)).await;
        assert_eq!(self.refused().await, json!(null), "{path}");
    }

    /// Replaces the text of a field.
    pub async fn fill(&self, selector: &str, text: &str) {
        let input = self.browser.page().find(By::Css(selector)).await.expect(selector);
        // A group of settings may be collapsed.
        let unfold =
            format!("document.querySelector({}).closest('details')?.setAttribute('open', '')", json!(selector));
        self.browser.value(&unfold).await;
        input.scroll_into_view().await.expect(selector);
        input.clear().await.expect(selector);
        input.send_keys(text).await.expect(selector);
    }

    /// Presses a button or link, and waits for the next page.
    pub async fn press(&self, selector: &str) {
        self.browser.value("document.body.dataset.left = 'no'").await;
        self.browser.click(selector).await;
        self.browser.until("document.readyState === 'complete' && !document.body.dataset.left").await;
    }

    /// Presses a button that asks for confirmation, and confirms.
    pub async fn press_and_confirm(&self, selector: &str) {
        self.browser.value("document.body.dataset.left = 'no'").await;
        self.browser.click(selector).await;
        self.browser.click("dialog[open] .confirm").await;
        self.browser.until("document.readyState === 'complete' && !document.body.dataset.left").await;
    }

    /// Waits until the page contains this text.
    pub async fn sees(&self, text: &str) {
        self.browser.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Asserts that axe-core finds no violation in the open page.
    pub async fn is_accessible(&self, page: &str) {
        let Some(axe) = axe() else { return };
        assert_eq!(self.browser.violations(axe, page).await, Vec::<String>::new());
    }

    /// Returns the problem on the page, if there is one.
    pub async fn refused(&self) -> Value {
        self.browser.value("document.querySelector('.refused')?.innerText ?? null").await
    }

    /// Returns the value of a setting of a shop's account.
    pub async fn setting(&self, shop: &str, account: &str, field: &str) -> String {
        self.open(&format!("/shops/{shop}/accounts/{account}")).await;
        let value = self.browser.value(&format!("document.getElementById('setting-{field}').value")).await;
        value.as_str().expect("a text").to_owned()
    }

    /// Creates an empty shop.
    pub async fn add_shop(&self, shop: &str) {
        self.open("/shops").await;
        self.fill("#id", shop).await;
        self.fill("#currency", "EUR").await;
        self.press("form.card button").await;
        self.sees("Shop created.").await;
    }

    /// Chooses a vendor for a shop, up to its empty form.
    pub async fn choose_vendor(&self, shop: &str, vendor: &str) {
        self.open(&format!("/shops/{shop}")).await;
        self.press("p a.button[href$='/accounts/new']").await;
        self.sees("review its permissions").await;
        let card = format!("//a[contains(., 'Connect {vendor}')]");
        let card = self.browser.page().find(By::XPath(&card)).await.expect(vendor);
        card.scroll_into_view().await.expect(vendor);
        card.click().await.expect(vendor);
        self.sees("Connection ID").await;
    }

    /// Enters the grants for a server on this machine in an account's form, which requires an admin.
    pub async fn grant_local(&self, at: &str) {
        self.browser.click("details:has(#plain_http) summary").await;
        self.fill("#plain_http", at).await;
        self.fill("#networks", "127.0.0.1/32").await;
    }

    /// Gives these grants to an account that an integrator has connected.
    pub async fn grant_local_to(&self, shop: &str, account: &str, at: &str) {
        self.open(&format!("/shops/{shop}/accounts/{account}")).await;
        self.grant_local(at).await;
        self.press("form.card:not([action$='/test']) > button, form.card > .save > button").await;
        self.sees("Changes saved").await;
    }

    /// Links a shop's product to a vendor product from the picker.
    pub async fn link(&self, shop: &str, product: &str, vendor_product: &str, skus: &str) {
        self.open(&format!("/shops/{shop}/links/edit?product={product}")).await;
        let found = format!("//ul[@class='picker']//a[contains(., '{vendor_product}')]");
        self.browser.page().find(By::XPath(&found)).await.expect(vendor_product).click().await.expect(vendor_product);
        self.browser.until(&format!("document.getElementById('vendor_product').value === '{vendor_product}'")).await;
        self.fill("#allowed_skus", skus).await;
        self.press("form.card[method=post] > button").await;
        self.sees("Product linked").await;
    }

    /// Closes the browser.
    pub async fn close_browser(self) {
        self.browser.close().await;
    }
}
