//! The two shops of the demo: what they sell, and how their vendor accounts are set up.

use std::collections::BTreeSet;

use anyhow::Context as _;
use cartwright::types::{Money, Order, Rounding, VariantInfo};
use cartwright::{
    AccountSetup, CartLine, Cartwright, Currencies, Grants, OrderedLine, ProductLink, ReleasePolicy, Secret, Shop,
    ShopId,
};
use cartwright_fake_vendors::{FakeExpivi, FakeTwikit};
use cartwright_service::grants::host_of;
use cartwright_store::{SoldLine, SoldLines};
use serde_json::{Map, Value, json};
use url::Url;

/// All variants that the shops sell: SKU, product, title, cents.
pub(crate) const VARIANTS: [(&str, &str, &str, i64); 15] = [
    ("RING", "ring", "Engraved ring", 19_900),
    ("SHIRT-R-L", "shirt", "Shirt, red, large", 2_495),
    ("SHIRT-R-XL", "shirt", "Shirt, red, extra large", 2_645),
    ("SHIRT-B-L", "shirt", "Shirt, black, large", 2_695),
    ("SHIRT-B-XL", "shirt", "Shirt, black, extra large", 2_845),
    ("WARDROBE", "wardrobe", "Wardrobe", 18_995),
    ("PANEL-60", "panel", "Panel 60 cm", 2_450),
    ("HINGE", "hinge", "Hinge", 320),
    ("SCREW-4", "screw", "Screw 4 mm", 15),
    ("TABLE", "table", "Table", 31_900),
    ("JEWEL-A", "jewel", "Letter jewel, silver", 4_900),
    ("JEWEL-B", "jewel", "Letter jewel, gold", 6_900),
    ("PENDANT-A", "pendant", "Pendant", 5_900),
    ("TOTEM", "totem", "Totem", 100),
    ("BOX", "box", "Box", 1_000),
];

pub(crate) fn catalog() -> Vec<VariantInfo> {
    VARIANTS
        .iter()
        .map(|(sku, product, title, cents)| VariantInfo {
            id: format!("variant-{}", sku.to_lowercase()),
            product: (*product).to_owned(),
            sku: (*sku).to_owned(),
            title: (*title).to_owned(),
            price: Some(Money { minor: *cents, scale: 2, currency: "EUR".to_owned() }),
            tax_class: None,
            purchasable: true,
            in_stock: None,
            weight_grams: None,
            minimum: 1,
            maximum: None,
            extra: Vec::new(),
        })
        .collect()
}

/// Returns 32 random bytes as hexadecimal digits.
pub(crate) fn random_key() -> anyhow::Result<String> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).context("cannot get random numbers")?;
    Ok(hex::encode(key))
}

pub(crate) fn shop(id: &str) -> anyhow::Result<Shop> {
    Ok(Shop {
        id: id.parse()?,
        currencies: Currencies::one("EUR", 2),
        base_country: None,
        time_zone: None,
        locale: "en".to_owned(),
        prices_include_tax: true,
        rounding: Rounding::HalfUp,
        seal_key: Secret::new(random_key()?),
        seal_seconds: 3600,
        pin_seconds: 86_400,
        sell_unconfigured: false,
        release: ReleasePolicy::Paid,
        max_storefront_body_bytes: None,
    })
}

/// Returns the grants of the demo: one server on this machine, without TLS.
fn local(url: &str) -> anyhow::Result<Grants> {
    let host = host_of(&Url::parse(url)?).with_context(|| format!("{url} has no host"))?;
    Ok(Grants {
        hosts: BTreeSet::from([host.clone()]),
        plain_http: BTreeSet::from([host]),
        networks: vec!["127.0.0.1/32".parse()?],
        ..Grants::default()
    })
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

pub(crate) fn expivi_account(fake: &FakeExpivi) -> anyhow::Result<AccountSetup> {
    Ok(AccountSetup {
        id: "expivi".parse()?,
        settings: members(json!({
            "viewer-token": "viewer-token",
            "server-token": "server-token",
            "api-url": fake.api_url(),
            "order-type": "simple",
            "price-authority": "platform",
            "price-currency": "EUR",
            "price-scale": 2,
            "price-tax": "gross",
            "print-files": true,
            "media-id": 501,
            "viewer-script": fake.viewer_script_url(),
            "options-script": fake.options_script_url(),
            "options-style": fake.options_style_url(),
        })),
        grants: local(fake.base_url())?,
    })
}

pub(crate) fn twikit_account(fake: &FakeTwikit) -> anyhow::Result<AccountSetup> {
    Ok(AccountSetup {
        id: "twikit".parse()?,
        settings: members(json!({
            "integration-id": fake.integration_id(),
            "payload-secret": fake.payload_secret(),
            "api-url": fake.api_url(),
            "script-url": fake.script_url(1),
            "preview-url": fake.base_url(),
            "product-keys": ["diamond-letter-jewel", "pendant"],
        })),
        grants: Grants { personal_data: true, ..local(fake.base_url())? },
    })
}

/// Returns the product links of Expivi's shop. `wardrobe` is the price source of the wardrobe.
pub(crate) fn expivi_links(wardrobe: &str) -> [Value; 3] {
    [
        ("ring", "1001", "simple", json!({ "price-authority": "vendor" })),
        ("shirt", "1002", "variation", json!({ "sku-prefix": "SHIRT-" })),
        ("wardrobe", "1003", "bundle", json!({ "price-authority": wardrobe })),
    ]
    .map(|(product, vendor_product, strategy, settings)| {
        json!({
            "shop_product": product, "account": "expivi", "vendor_product": vendor_product,
            "settings": settings, "strategy": { "name": strategy },
        })
    })
}

pub(crate) fn link(value: Value) -> anyhow::Result<ProductLink> {
    serde_json::from_value(value).context("a link of the demo")
}

/// Returns a fully paid order of these lines. The shop's release policy releases it.
pub(crate) fn paid_order(
    host: &Cartwright,
    shop: &ShopId,
    id: &str,
    lines: &[CartLine],
) -> anyhow::Result<(Order, SoldLines)> {
    let cents = lines.iter().filter(|line| line.parent.is_none()).map(|line| line.price.total.minor).sum();
    let total = Money { minor: cents, scale: 2, currency: "EUR".to_owned() };
    let ids: Vec<String> = (1..=lines.len()).map(|number| number.to_string()).collect();
    let ordered: Vec<OrderedLine<'_>> = ids.iter().zip(lines).map(|(id, line)| OrderedLine::new(id, line)).collect();
    let order_lines = host.order_lines(shop, id, &total, &ordered)?;
    let sold = ids.iter().zip(lines).map(|(id, line)| (id.clone(), SoldLine::from(line))).collect();
    let address = cartwright::types::Address {
        name: None,
        first_name: Some("Ada".to_owned()),
        last_name: Some("Sample".to_owned()),
        email: Some("ada@example.com".to_owned()),
        line1: "Sample Street 1".to_owned(),
        line2: None,
        zip: "1000".to_owned(),
        city: "Brussels".to_owned(),
        region: None,
        country: "BE".to_owned(),
        company: None,
        vat: None,
        phone: None,
        extra: Vec::new(),
    };
    let order = Order {
        id: id.to_owned(),
        number: format!("#{id}"),
        locale: "en".to_owned(),
        currency: total.currency.clone(),
        customer: None,
        test: false,
        vendor_reference: None,
        reference: host.reference(shop, id, None),
        version: 1,
        placed_at: "2026-01-01T12:00:00Z".to_owned(),
        paid: total.clone(),
        refunded: Money { minor: 0, ..total.clone() },
        released: false,
        cancelled: false,
        total,
        tax_amount: None,
        shipping: None,
        billing: Some(address.clone()),
        delivery: Some(address.clone()),
        shop_address: Some(address),
        lines: order_lines,
        extra: Vec::new(),
    };
    Ok((order, sold))
}
