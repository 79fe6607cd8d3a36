//! Somebody at the host's admin pages.

use std::sync::Arc;

use cartwright_test_browser::Browser;
use serde_json::{Value, json};
use thirtyfour::By;

use crate::demo::Demo;

/// An admin who has signed in.
pub struct Admin {
    pub browser: Browser,
    pub demo: Arc<Demo>,
}

impl Admin {
    /// Signs in at a demo. `None` without a browser.
    pub async fn of(demo: impl FnOnce() -> Arc<Demo>) -> Option<Self> {
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

    /// Opens a page that is there.
    pub async fn open(&self, path: &str) {
        self.browser.visit(&format!("{}{path}", self.demo.admin)).await;
        assert_eq!(self.refused().await, json!(null), "{path}");
    }

    /// Enters a text in the place of what stands there.
    pub async fn fill(&self, selector: &str, text: &str) {
        let input = self.browser.page().find(By::Css(selector)).await.expect(selector);
        input.scroll_into_view().await.expect(selector);
        input.clear().await.expect(selector);
        input.send_keys(text).await.expect(selector);
    }

    /// Presses a button or link, and waits for the page that comes of it.
    pub async fn press(&self, selector: &str) {
        self.browser.value("document.body.dataset.left = 'no'").await;
        self.browser.click(selector).await;
        self.browser.until("document.readyState === 'complete' && !document.body.dataset.left").await;
    }

    /// Presses one that asks whether it is meant, and says yes.
    pub async fn press_and_confirm(&self, selector: &str) {
        self.browser.value("document.body.dataset.left = 'no'").await;
        self.browser.click(selector).await;
        self.browser.page().accept_alert().await.expect(selector);
        self.browser.until("document.readyState === 'complete' && !document.body.dataset.left").await;
    }

    /// Waits until the page says this.
    pub async fn sees(&self, text: &str) {
        self.browser.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// What the page refuses, if it does.
    pub async fn refused(&self) -> Value {
        self.browser.value("document.querySelector('.refused')?.innerText ?? null").await
    }

    /// What a field of the settings of a shop's account holds.
    pub async fn setting(&self, shop: &str, account: &str, field: &str) -> String {
        self.open(&format!("/shops/{shop}/accounts/{account}")).await;
        let value = self.browser.value(&format!("document.getElementById('setting-{field}').value")).await;
        value.as_str().expect("a text").to_owned()
    }

    /// Adds an empty shop.
    pub async fn add_shop(&self, shop: &str) {
        self.open("/shops").await;
        self.fill("#id", shop).await;
        self.fill("#currency", "EUR").await;
        self.press("form.card button").await;
        self.sees(&format!("Shop {shop}")).await;
    }

    /// Chooses a vendor for a shop, up to its empty form; grants what a server on this machine takes.
    pub async fn choose_vendor(&self, shop: &str, vendor: &str, at: &str) {
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
    pub async fn link(&self, shop: &str, product: &str, vendor_product: &str, skus: &str) {
        self.open(&format!("/shops/{shop}/links/edit?product={product}")).await;
        let found = format!("//ul[@class='picker']//a[contains(., '{vendor_product}')]");
        self.browser.page().find(By::XPath(&found)).await.expect(vendor_product).click().await.expect(vendor_product);
        self.browser.until(&format!("document.getElementById('vendor_product').value === '{vendor_product}'")).await;
        self.fill("#allowed_skus", skus).await;
        self.press("form.card[method=post] > button").await;
        self.sees("Linked.").await;
    }

    /// Closes the browser.
    pub async fn leaves(self) {
        self.browser.close().await;
    }
}
