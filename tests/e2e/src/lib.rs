//! Helpers of the tests: the guests' bytes, a shop on each vendor, and a catalog.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

pub mod load;
pub mod orders;
pub mod stored;

use std::collections::BTreeSet;
use std::sync::Arc;

use cartwright::types::{Money, Rounding, VariantInfo};
use cartwright::{
    AccountId, AccountSetup, AddToCart, Builder, CartChange, CartError, CartLine, CartOperation, Cartwright,
    Currencies, Digest, Grants, MemoryBlobs, MemoryCatalog, MemoryOrderBook, ProductLink, ReleasePolicy, Secret,
    SetupError, Shop, ShopId, ShopSnapshot,
};
use cartwright_fake_vendors::{ExpiviConfig, FakeExpivi};
use serde_json::{Map, Value, json};

pub use cartwright_test_guests::{HOSTILE, ONE_LINE, ORDER_HOOK, WEBHOOKS};

/// Returns a variant at a price in cents.
pub fn variant(sku: &str, product: &str, cents: i64) -> VariantInfo {
    VariantInfo {
        id: format!("id-{sku}"),
        product: product.to_owned(),
        sku: sku.to_owned(),
        title: format!("The {sku}"),
        price: Some(Money { minor: cents, scale: 2, currency: "EUR".to_owned() }),
        tax_class: None,
        purchasable: true,
        in_stock: None,
        weight_grams: None,
        minimum: 1,
        maximum: None,
        extra: Vec::new(),
    }
}

/// Returns the variants that the tests' shop sells.
pub fn catalog() -> Vec<VariantInfo> {
    vec![
        variant("RING", "ring", 19_900),
        variant("CHEAP", "cheap", 100),
        variant("SHIRT-R-L", "shirt", 2_495),
        variant("SHIRT-B-L", "shirt", 2_695),
        variant("WARDROBE", "wardrobe", 18_995),
        variant("PANEL-60", "panel", 2_450),
        variant("HINGE", "hinge", 320),
        variant("SCREW-4", "screw", 15),
        variant("TABLE", "table", 31_900),
    ]
}

/// A host with a shop "shop" on a fake Expivi.
pub struct World {
    /// The host.
    pub host: Arc<Cartwright>,
    /// The shop's catalog.
    pub catalog: Arc<MemoryCatalog>,
    /// The shop's orders.
    pub orders: Arc<MemoryOrderBook>,
    /// The shop's blobs.
    pub blobs: Arc<MemoryBlobs>,
    /// The shop.
    pub shop: ShopId,
    /// The shop's account with Expivi.
    pub account: AccountId,
    /// The vendor.
    pub expivi: FakeExpivi,
    /// The vendor's plugin.
    pub digest: Digest,
}

/// Returns the members of a JSON object.
///
/// # Panics
/// If it is not an object.
pub fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

/// Returns a shop.
pub fn shop(id: &str) -> Shop {
    Shop {
        id: id.parse().expect("a shop id"),
        currencies: Currencies::one("EUR", 2),
        base_country: None,
        time_zone: None,
        locale: "en".to_owned(),
        prices_include_tax: true,
        rounding: Rounding::HalfUp,
        seal_key: Secret::new("a key of the tests, 32 bytes long"),
        seal_seconds: 3600,
        pin_seconds: 86_400,
        sell_unconfigured: false,
        release: ReleasePolicy::Paid,
        max_storefront_body_bytes: None,
    }
}

/// Returns grants to reach one server on this machine without TLS.
pub fn local(url: &str) -> Grants {
    let url = url::Url::parse(url).expect("a URL");
    let host = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    Grants {
        hosts: BTreeSet::from([host.clone()]),
        plain_http: BTreeSet::from([host]),
        networks: vec!["127.0.0.1/32".parse().expect("a network")],
        ..Grants::default()
    }
}

/// Returns such grants with names and addresses, for a plugin that asks for them.
pub fn local_with_personal_data(url: &str) -> Grants {
    Grants { personal_data: true, ..local(url) }
}

/// Returns a component in which a text is replaced by another of the same length, wherever it is.
///
/// # Panics
/// If the lengths differ, or the text is not in the component.
pub fn replaced(component: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "{from} and {to}");
    let (mut bytes, mut at) = (component.to_vec(), 0);
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from.as_bytes()) {
        at += found;
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        at += to.len();
    }
    assert_ne!(bytes, component, "{from} is not in the component");
    bytes
}

/// Serves a shop in the state of a snapshot without calling a plugin, as a store does.
///
/// # Errors
/// If the host cannot serve it.
///
/// # Panics
/// If the shop is changed at the same time.
pub fn restore(host: &Cartwright, snapshot: ShopSnapshot) -> Result<(), SetupError> {
    let served = host.shop_state(&snapshot.shop.id).ok();
    let planned = host.plan_restore(snapshot)?;
    host.publish(served.as_ref(), planned).expect("no concurrent change of the shop");
    Ok(())
}

impl World {
    /// Returns a world with the default host.
    pub async fn new() -> Self {
        Self::with(|builder| builder, json!({})).await
    }

    /// Returns a world with another host, and with additional settings of the Expivi account.
    pub async fn with(build: impl FnOnce(Builder) -> Builder, settings: Value) -> Self {
        let expivi = FakeExpivi::start(ExpiviConfig::default()).await.expect("a fake Expivi");
        let catalog = Arc::new(MemoryCatalog::new(catalog()));
        let orders = Arc::new(MemoryOrderBook::default());
        let blobs = Arc::new(MemoryBlobs::default());
        let builder = Cartwright::builder()
            .catalog(catalog.clone())
            .order_book(orders.clone())
            .blobs(blobs.clone())
            .installation("test")
            .cache(std::env::temp_dir().join("cartwright-tests-cache"));
        let host = build(builder).start().expect("a host");
        let plugin = host.install(cartwright_bundled::EXPIVI, None).await.expect("Expivi's plugin");
        let id: ShopId = "shop".parse().expect("a shop id");
        host.add_shop(shop("shop")).expect("a shop");
        let account: AccountId = "expivi".parse().expect("an account id");
        let mut all = members(json!({
            "viewer-token": "viewer-token",
            "server-token": "server-token",
            "api-url": expivi.api_url(),
            "viewer-script": expivi.viewer_script_url(),
            "options-script": expivi.options_script_url(),
            "options-style": expivi.options_style_url(),
            "price-currency": "EUR",
            "price-scale": 2,
            "price-tax": "gross",
        }));
        all.extend(members(settings));
        let setup = AccountSetup { id: account.clone(), settings: all, grants: local(expivi.base_url()) };
        host.set_account(&id, plugin.digest(), setup).await.expect("an account");
        let digest = plugin.digest();
        let world = Self { host: Arc::new(host), catalog, orders, blobs, shop: id, account, expivi, digest };
        world.link("ring", "1001", "simple", json!({})).await;
        world.link("shirt", "1002", "variation", json!({ "sku-prefix": "SHIRT-" })).await;
        world.link("wardrobe", "1003", "bundle", json!({ "price-authority": "components" })).await;
        world
    }

    /// Adds a second shop with other values and the same content: a ring, and a wardrobe whose parts can be removed.
    pub async fn with_shop(mut self, other: Shop) -> Self {
        self.shop = other.id.clone();
        self.host.add_shop(other).expect("another shop");
        let settings = members(json!({
            "viewer-token": "viewer-token",
            "api-url": self.expivi.api_url(),
            "viewer-script": self.expivi.viewer_script_url(),
            "options-script": self.expivi.options_script_url(),
            "options-style": self.expivi.options_style_url(),
        }));
        let setup = AccountSetup { id: self.account.clone(), settings, grants: local(self.expivi.base_url()) };
        self.host.set_account(&self.shop, self.digest, setup).await.expect("an account");
        self.link("ring", "1001", "simple", json!({})).await;
        let settings = json!({ "price-authority": "components", "child-removal": "repriced" });
        self.link("wardrobe", "1003", "bundle", settings).await;
        self
    }

    /// Links a product to Expivi.
    pub async fn link(&self, product: &str, vendor_product: &str, strategy: &str, settings: Value) {
        let link: ProductLink = serde_json::from_value(json!({
            "shop_product": product, "account": "expivi", "vendor_product": vendor_product,
            "settings": settings, "strategy": { "name": strategy },
        }))
        .expect("a link");
        self.host.link(&self.shop, &[link]).await.expect("linked");
    }

    /// Returns a request to add a product.
    pub fn request(&self, product: &str, configuration: &str, quantity: u32, lines: &[CartLine]) -> AddToCart {
        AddToCart {
            product: product.to_owned(),
            configuration: Some(configuration.as_bytes().to_vec()),
            quantity,
            lines: lines.to_vec(),
            ..AddToCart::default()
        }
    }

    /// Adds to a cart and applies the change.
    ///
    /// # Errors
    /// The host's error; the cart is then unchanged.
    pub async fn add(
        &self,
        product: &str,
        configuration: &str,
        quantity: u32,
        cart: &mut Vec<CartLine>,
    ) -> Result<CartChange, CartError> {
        let change = self.host.add_to_cart(&self.shop, self.request(product, configuration, quantity, cart)).await?;
        change.apply(cart);
        Ok(change)
    }

    /// Sets a strategy plugin up beside the vendor's, and returns its account.
    pub async fn strategy(&self, component: &[u8]) -> AccountId {
        let plugin = self.host.install(component, None).await.expect("the strategy");
        let id: AccountId = plugin.id().as_str().parse().expect("an account id");
        let setup = AccountSetup { id: id.clone(), settings: Map::new(), grants: Grants::default() };
        self.host.set_account(&self.shop, plugin.digest(), setup).await.expect("the strategy's account");
        id
    }
}

/// Returns the lines that a change adds.
pub fn added_lines(change: &CartChange) -> Vec<CartLine> {
    change
        .operations
        .iter()
        .flat_map(|operation| match operation {
            CartOperation::Add { lines } => lines.clone(),
            _ => Vec::new(),
        })
        .collect()
}
