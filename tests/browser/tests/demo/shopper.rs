//! A shopper's whole path, from the list of products to a produced order.

use std::sync::Arc;

use cartwright_test_browser::Browser;
use serde_json::json;

use crate::demo::{Demo, axe};

/// A shopper in a shop.
struct Shopper {
    browser: Browser,
    shop: String,
    _demo: Arc<Demo>,
}

impl Shopper {
    async fn open_shop(shop: impl Fn(&Demo) -> &String) -> Option<Self> {
        let browser = Browser::open().await?;
        let demo = Demo::shared();
        let shop = shop(&demo).clone();
        browser.visit(&shop).await;
        Some(Self { browser, shop, _demo: demo })
    }

    /// Opens a product from the shop's list, and waits until it can be configured.
    async fn open(&self, product: &str) {
        self.browser.visit(&self.shop).await;
        self.browser.click(&format!("a[href$='/products/{product}']")).await;
        self.ready().await;
    }

    async fn ready(&self) {
        self.browser.until("document.querySelector('#add:not(:disabled), [data-fault]')").await;
        let fault = self.browser.value("document.body.dataset.fault || null").await;
        assert_eq!(fault, json!(null), "{}", self.browser.text("#message").await);
    }

    async fn price(&self) -> String {
        self.browser.text("#price").await
    }

    /// Presses a button of the product's page, and waits for the page `to`.
    async fn press(&self, button: &str, to: &str) {
        self.browser.click(button).await;
        self.browser.until(&format!("location.pathname.endsWith('{to}') || document.body.dataset.fault")).await;
        assert!(self.path().await.ends_with(to), "{}", self.browser.text("#message").await);
    }

    async fn path(&self) -> String {
        self.browser.value("location.pathname").await.as_str().expect("a path").to_owned()
    }

    /// Returns each top-level line with its title, its price and its parts.
    async fn lines(&self) -> Vec<String> {
        let lines = self.browser.value(
            "[...document.querySelectorAll('.line')].map((line) => [line.querySelector('h2').innerText,
                line.querySelector('.amount strong').innerText,
                ...[...line.querySelectorAll('.children li')].map((part) => part.innerText.split('\\n')[0])].join(' | '))",
        );
        serde_json::from_value(lines.await).expect("texts")
    }

    /// Follows a link or presses a button of a form, and waits for the next page.
    async fn submit(&self, button: &str) {
        self.browser.value("document.body.dataset.left = 'no'").await;
        self.browser.click(button).await;
        self.browser.until("document.readyState === 'complete' && !document.body.dataset.left").await;
    }

    /// Waits until the page contains this text.
    async fn sees(&self, text: &str) {
        self.browser.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Asserts that axe-core finds no violation in the open page.
    async fn is_accessible(&self) {
        let Some(axe) = axe() else { return };
        let path = self.path().await;
        assert_eq!(self.browser.violations(axe, &path).await, Vec::<String>::new());
    }

    fn origin(&self) -> &str {
        self.shop.trim_end_matches("lumen/").trim_end_matches('/')
    }
}

const GOLD: &str = "Engraved ring | €411.50";
const SILVER: &str = "Engraved ring | €211.50";
const WARDROBE: &str = "Wardrobe | €244.89 | 3 × Panel 60 cm | 4 × Hinge | 4 × Screw 4 mm";

#[tokio::test]
async fn a_ring_a_shirt_and_a_wardrobe_are_configured_edited_ordered_and_made() {
    let Some(shopper) = Shopper::open_shop(|demo| &demo.lumen).await else { return };
    let browser = &shopper.browser;
    browser.screenshot("shop-products").await;

    shopper.open("ring").await;
    assert_eq!(shopper.price().await, "€199.00");
    browser.choose("Gold").await;
    browser.write("#options .expivi-text", "For Ada").await;
    assert_eq!(shopper.price().await, "€411.50");
    browser.screenshot("shop-ring").await;
    shopper.is_accessible().await;
    // A shopper's text is never markup.
    browser.write("#options .expivi-text", "<b>").await;
    assert_eq!(shopper.price().await, "€411.50");
    shopper.press("#add", "/lumen/cart").await;
    assert_eq!(shopper.lines().await, [GOLD], "the cart's price is the one that the viewer showed");
    shopper.sees("For Ada<b>").await;
    browser.until("document.querySelector('.line img').naturalWidth === 512").await;

    shopper.open("shirt").await;
    for choice in ["Black", "Extra large"] {
        browser.choose(choice).await;
    }
    assert_eq!(shopper.price().await, "€28.45");
    shopper.press("#add", "/lumen/cart").await;

    shopper.open("wardrobe").await;
    for choice in ["Oak", "240 cm", "Soft close"] {
        browser.choose(choice).await;
    }
    assert_eq!(shopper.price().await, "€244.89");
    browser.screenshot("shop-wardrobe").await;
    shopper.press("#add", "/lumen/cart").await;
    assert_eq!(shopper.lines().await, [GOLD, "Shirt, black, extra large | €28.45", WARDROBE]);
    browser.screenshot("shop-cart").await;
    shopper.is_accessible().await;

    browser.click(".line:nth-child(1) .edit").await;
    shopper.ready().await;
    assert_eq!(shopper.price().await, "€411.50", "it is opened as it was left");
    assert_eq!(browser.value("document.querySelector('#options .expivi-text').value").await, "For Ada<b>");
    browser.choose("Silver").await;
    browser.screenshot("shop-edit").await;
    shopper.is_accessible().await;
    shopper.press("#add", "/lumen/cart").await;
    browser.value("document.querySelector('.line:nth-child(2) [name=quantity]').value = 2").await;
    shopper.submit(".line:nth-child(2) form[action$=quantity] button").await;
    assert_eq!(shopper.lines().await, [SILVER, "Shirt, black, extra large | €56.90", WARDROBE]);

    shopper.submit("a[href$='/checkout']").await;
    browser.screenshot("shop-checkout").await;
    shopper.is_accessible().await;
    shopper.submit("#order").await;
    shopper.sees("Your order is placed. Production starts after payment.").await;
    shopper.sees("€513.29").await;
    let order = shopper.path().await;
    shopper.submit("#pay").await;
    // The page polls until Expivi has every line.
    browser.until("document.querySelectorAll('.state .about').length === 3").await;
    shopper.sees("the shop has all the data for production.").await;
    assert_eq!(browser.value("document.querySelectorAll('.timeline a').length").await, 0, "print files are the shop's");
    browser.screenshot("shop-order-made").await;
    shopper.is_accessible().await;

    shopper.submit("#send").await;
    browser.until("[...document.querySelectorAll('.badge')].every((badge) => badge.innerText === 'Shipped')").await;
    browser.until("!document.querySelector('#live').hasAttribute('data-open')").await;
    assert_eq!(browser.console().await, Vec::<String>::new());

    browser.page().delete_all_cookies().await.expect("another shopper");
    browser.visit(&format!("{}{order}", shopper.origin())).await;
    shopper.sees("There is no such order.").await;
    shopper.browser.close().await;
}

#[tokio::test]
async fn a_jewel_is_made_by_twikit_once_the_shop_approved_it() {
    let Some(shopper) = Shopper::open_shop(|demo| &demo.gems).await else { return };
    let browser = &shopper.browser;
    shopper.open("jewel").await;
    assert_eq!(shopper.price().await, "€49.00");
    browser.choose("Gold").await;
    browser.choose("Ruby").await;
    assert_eq!(shopper.price().await, "€69.00");
    browser.screenshot("shop-jewel").await;
    shopper.is_accessible().await;
    shopper.press("#add", "/gems/cart").await;
    assert_eq!(shopper.lines().await, ["Letter jewel, gold | €69.00"]);
    browser.until("document.querySelector('.line img').naturalWidth > 0").await;
    browser.screenshot("shop-jewel-cart").await;
    shopper.is_accessible().await;

    browser.click(".edit").await;
    shopper.ready().await;
    shopper.sees("This configurator cannot open your configuration again.").await;
    browser.choose("Sapphire").await;
    browser.screenshot("shop-jewel-edit").await;
    shopper.is_accessible().await;
    shopper.press("#add", "/gems/cart").await;
    assert_eq!(shopper.lines().await, ["Letter jewel, silver | €49.00"], "it takes the place of the other");

    shopper.submit("a[href$='/checkout']").await;
    shopper.submit("#order").await;
    shopper.submit("#pay").await;
    // Only the browser vouches for the SKU.
    shopper.sees("The shop checks it before production.").await;
    browser.screenshot("shop-jewel-held").await;
    shopper.is_accessible().await;
    shopper.submit("#approve").await;
    // Twikit asks whether the order is paid, produces it, and sends its webhooks to the host.
    shopper.sees("Twikit shipped it.").await;
    shopper.sees("Track T-").await;
    browser.until("document.querySelector('.badge').innerText === 'Shipped'").await;
    shopper.sees("Your order is on its way.").await;
    browser.screenshot("shop-jewel-sent").await;
    shopper.is_accessible().await;
    // A rejected reopening is not an error of the page, but the browser logs every rejected request.
    let written = browser.console().await;
    assert!(
        written.iter().all(|line| line.contains("/products/jewel/embed-data") && line.contains("422")),
        "{written:#?}"
    );
    shopper.browser.close().await;
}

#[tokio::test]
async fn an_offer_is_asked_for_and_a_line_is_taken_out() {
    let Some(shopper) = Shopper::open_shop(|demo| &demo.lumen).await else { return };
    let browser = &shopper.browser;
    shopper.open("shirt").await;
    browser.value("document.querySelector('#quantity').value = 50").await;
    shopper.press("#offer", "/lumen/offers").await;
    shopper.sees("Requested 50").await;
    assert_eq!(shopper.lines().await, ["Shirt, red, large | €1247.50"]);
    browser.screenshot("shop-offers").await;
    shopper.is_accessible().await;
    shopper.open("shirt").await;
    shopper.press("#add", "/lumen/cart").await;
    assert_eq!(shopper.lines().await, ["Shirt, red, large | €24.95"]);
    shopper.submit("form[action$=remove] button").await;
    shopper.sees("Your cart is empty.").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    shopper.browser.close().await;
}

#[tokio::test]
async fn every_page_is_accessible_before_anything_is_chosen() {
    let Some(shopper) = Shopper::open_shop(|demo| &demo.gems).await else { return };
    let lumen = shopper.shop.replace("/gems/", "/lumen/");
    for page in ["", "cart", "offers", "orders", "orders/none", "products/none"] {
        for shop in [&shopper.shop, &lumen] {
            shopper.browser.visit(&format!("{shop}{page}")).await;
            shopper.is_accessible().await;
        }
    }
    shopper.browser.visit(&shopper.shop.replace("/gems/", "/")).await;
    shopper.sees("Two shops").await;
    shopper.is_accessible().await;
    shopper.browser.close().await;
}

#[tokio::test]
async fn every_page_fits_a_narrow_screen_and_labels_its_fields() {
    let Some(shopper) = Shopper::open_shop(|demo| &demo.lumen).await else { return };
    let browser = &shopper.browser;
    browser.page().set_window_rect(0, 0, 400, 860).await.expect("a narrow window");
    shopper.open("wardrobe").await;
    shopper.press("#add", "/lumen/cart").await;
    for path in ["", "products/wardrobe", "cart", "checkout", "offers", "orders"] {
        browser.visit(&format!("{}{path}", shopper.shop)).await;
        if path.starts_with("products/") {
            shopper.ready().await;
        }
        browser
            .screenshot(&format!("shop-narrow-{}", if path.is_empty() { "products" } else { path }.replace('/', "-")))
            .await;
        let wide = browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
        assert_eq!(wide, 0, "{path} is wider than the screen");
        let unnamed = "[...document.querySelectorAll('input:not([type=hidden]), select, button')]
            .filter((one) => !one.labels?.length && !one.ariaLabel && !one.innerText).map((one) => one.outerHTML)";
        assert_eq!(browser.value(unnamed).await, json!([]), "{path}");
    }
    shopper.browser.close().await;
}
