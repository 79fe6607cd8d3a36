//! A shop that sells the products of the fake vendors' samples, and its cart as a platform stores it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cartwright::{CartChange, CartLine};
use cartwright_fake_vendors::{ExpiviConfig, FakeExpivi, FakeTwikit, TwikitConfig, samples};
use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::server::{Client, Server};

/// SKU, product, cents.
const VARIANTS: [(&str, &str, i64); 9] = [
    ("RING", "ring", 19_900),
    ("SHIRT-R-L", "shirt", 2_495),
    ("SHIRT-R-XL", "shirt", 2_645),
    ("WARDROBE", "wardrobe", 18_995),
    ("PANEL-60", "panel", 2_450),
    ("HINGE", "hinge", 320),
    ("SCREW-4", "screw", 15),
    ("JEWEL-A", "jewel", 4_900),
    ("JEWEL-B", "jewel", 6_900),
];

/// Returns the grants of the tests: one server on this machine, without TLS.
pub fn local(url: &str) -> Value {
    let host = url.trim_start_matches("http://");
    json!({ "hosts": [host], "plain_http": [host], "networks": ["127.0.0.1/32"] })
}

/// A shop of a server, with a client for each role.
pub struct Shop {
    pub server: Arc<Server>,
    pub id: String,
    pub admin: Client,
    pub integrator: Client,
    pub backend: Client,
    pub storefront: Client,
}

impl Shop {
    /// Creates an empty shop on the shared server.
    pub async fn new() -> Self {
        Self::on(Server::shared()).await
    }

    pub async fn on(server: Arc<Server>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let id = format!("shop-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let shop = json!({ "currencies": [{ "code": "EUR", "scale": 2 }], "prices_include_tax": true });
        server.admin.put(&format!("/v1/shops/{id}"), &shop).await.ok();
        Self {
            admin: server.admin.clone(),
            integrator: server.somebody(json!({ "role": "integrator", "shop": id })).await,
            backend: server.somebody(json!({ "role": "backend", "shop": id })).await,
            storefront: server.somebody(json!({ "role": "storefront", "shop": id })).await,
            server,
            id,
        }
    }

    /// Returns a path of the shop.
    pub fn path(&self, path: &str) -> String {
        format!("/v1/shops/{}{path}", self.id)
    }

    /// Returns the installed version of a plugin.
    pub async fn component(&self, plugin: &str) -> Value {
        let plugins = self.integrator.get("/v1/plugins").await.ok();
        let found = plugins.as_array().expect("a list").iter().find(|found| found["about"]["id"] == plugin);
        found.unwrap_or_else(|| panic!("{plugin} is not installed: {plugins:#}"))["digest"].clone()
    }

    /// Installs a plugin that is not bundled, and returns its digest.
    pub async fn install(&self, plugin: &str, component: &[u8]) -> String {
        let headers = [("content-type", "application/wasm")];
        let reply = self.admin.ask("POST", "/v1/plugins", &headers, component).await;
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
        self.component(plugin).await.as_str().expect("a digest").to_owned()
    }

    pub async fn set_account(&self, plugin: &str, settings: Value, grants: Value) -> Value {
        let component = self.component(plugin).await;
        let body = json!({ "component": component, "settings": settings, "grants": grants });
        self.admin.put(&self.path(&format!("/accounts/{plugin}")), &body).await.ok()
    }

    /// Fills the catalog.
    pub async fn sell(&self) {
        let variants: Vec<Value> = VARIANTS
            .iter()
            .map(|(sku, product, cents)| {
                let price = json!({ "minor": cents, "scale": 2, "currency": "EUR" });
                let id = format!("variant-{}", sku.to_lowercase());
                json!({ "id": id, "product": product, "sku": sku, "title": sku, "prices": [price], "purchasable": true })
            })
            .collect();
        self.backend.put(&self.path("/catalog"), &json!({ "variants": variants, "replace_all": true })).await.ok();
    }

    /// Connects a fake Expivi.
    pub async fn expivi(&self) -> FakeExpivi {
        let fake = FakeExpivi::start(ExpiviConfig { polls: 0, ..ExpiviConfig::default() }).await.expect("a fake");
        let settings = json!({
            "viewer-token": "viewer-token", "server-token": "server-token", "api-url": fake.api_url(),
            "viewer-script": fake.viewer_script_url(), "options-script": fake.options_script_url(),
            "options-style": fake.options_style_url(), "order-type": "simple", "price-authority": "platform",
            "price-currency": "EUR", "price-scale": 2, "price-tax": "gross", "print-files": true, "media-id": 501,
        });
        self.set_account("expivi", settings, local(fake.base_url())).await;
        fake
    }

    /// Creates a shop with the catalog, the account and the links of a ring, a shirt and a wardrobe.
    pub async fn with_expivi() -> (Self, FakeExpivi) {
        let shop = Self::new().await;
        shop.sell().await;
        let fake = shop.expivi().await;
        shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
        (shop, fake)
    }

    /// Creates a shop with the catalog, the account and the link of a jewel, and its webhook URLs.
    pub async fn with_twikit() -> (Self, FakeTwikit) {
        let shop = Self::new().await;
        shop.sell().await;
        let fake = shop.twikit().await;
        (shop, fake)
    }

    /// Connects a fake Twikit, with the link of a jewel.
    pub async fn twikit(&self) -> FakeTwikit {
        let fake = FakeTwikit::start(TwikitConfig::default()).await.expect("a fake");
        let settings = json!({
            "integration-id": fake.integration_id(), "payload-secret": fake.payload_secret(),
            "api-url": fake.api_url(), "script-url": "https://scripts.twikit.example/1/plugin.js",
            "product-keys": ["diamond-letter-jewel"],
        });
        let mut grants = local(fake.base_url());
        grants["personal_data"] = json!(true);
        self.set_account("twikit", settings, grants).await;
        let link =
            json!({ "account": "twikit", "vendor_product": "diamond-letter-jewel", "allowed_skus": ["JEWEL-A"] });
        self.integrator.put(&self.path("/product-links/jewel"), &link).await.ok();
        fake
    }

    /// Returns a cart with a ring, a shirt and a wardrobe.
    pub async fn cart(&self) -> Vec<CartLine> {
        let mut cart = Vec::new();
        for (product, saved) in [
            ("ring", samples::EXPIVI_SIMPLE),
            ("shirt", samples::EXPIVI_VARIATION),
            ("wardrobe", samples::EXPIVI_BUNDLE),
        ] {
            let body = json!({ "product": product, "configuration": saved, "quantity": 1, "lines": cart });
            self.change(&mut cart, "add", body).await;
        }
        cart
    }

    /// Changes the cart as the platform's server does, and stores the result.
    pub async fn change(&self, cart: &mut Vec<CartLine>, what: &str, body: Value) -> CartChange {
        let change = self.backend.post(&self.path(&format!("/cart/{what}")), &body).await.ok();
        let change: CartChange = serde_json::from_value(change).expect("a change");
        change.apply(cart);
        change
    }

    /// Polls an order until its jobs have ended.
    pub async fn handled(&self, order: &str) -> Value {
        let began = Instant::now();
        loop {
            let found = self.backend.get(&self.path(&format!("/orders/{order}"))).await.ok();
            let jobs = found["jobs"].as_array().expect("a list");
            if !jobs.is_empty() && jobs.iter().all(|job| job["state"] == "done") {
                return found;
            }
            let stuck = jobs.iter().any(|job| job["state"] == "stopped" || job["state"] == "needs-merchant");
            assert!(!stuck && began.elapsed() < Duration::from_secs(60), "{found:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Returns the product links of a ring, a shirt and a wardrobe.
pub fn links() -> Value {
    let link = |product, vendor_product, strategy, settings| {
        json!({
            "shop_product": product, "account": "expivi", "vendor_product": vendor_product, "settings": settings,
            "strategy": { "name": strategy },
        })
    };
    json!([
        link("ring", "1001", "simple", json!({ "price-authority": "vendor" })),
        link("shirt", "1002", "variation", json!({ "sku-prefix": "SHIRT-" })),
        link("wardrobe", "1003", "bundle", json!({ "price-authority": "components" })),
    ])
}

/// Returns the event that an order of these lines is fully paid, with unverified lines approved by the merchant.
pub fn paid(order: &str, cart: &[CartLine]) -> Value {
    let total: i64 = cart.iter().filter(|line| line.parent.is_none()).map(|line| line.price.total.minor).sum();
    let line = |(at, line): (usize, &CartLine)| json!({ "id": format!("{}", at + 1), "line": line, "approved": true });
    let lines: Vec<Value> = cart.iter().enumerate().map(line).collect();
    let address = json!({
        "first_name": "Ada", "last_name": "Sample", "email": "ada@example.com", "line1": "Sample Street 1",
        "line2": null, "zip": "1000", "city": "Brussels", "region": null, "country": "BE", "company": null, "vat": null,
        "phone": null,
    });
    let euros = json!({ "minor": total, "scale": 2, "currency": "EUR" });
    json!({
        "id": format!("{order}-paid"), "at": "2026-01-01T12:00:00Z", "kind": "paid",
        "order": {
            "id": order, "version": 1, "placed_at": "2026-01-01T12:00:00Z", "paid": euros,
            "total": euros, "billing": address, "delivery": address,
            "shop_address": address, "lines": lines,
        },
    })
}
