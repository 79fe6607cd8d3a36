//! The same decode and plan in native Rust: the plugin's own functions without a component.

use cartwright_plugin::strategy::{Planned, Request};
use cartwright_plugin::types::{ProductLink, Context, Item, Rounding, Setting, SettingValue, Wanted};

pub fn context() -> Context {
    let text = |name: &str, value: &str| Setting { name: name.to_owned(), value: SettingValue::Text(value.to_owned()) };
    Context {
        shop: "shop".to_owned(),
        account: "expivi".to_owned(),
        locale: "en".to_owned(),
        currency: "EUR".to_owned(),
        scale: 2,
        country: None,
        customer_group: None,
        prices_include_tax: true,
        rounding: Rounding::HalfUp,
        at: "2026-01-01T00:00:00Z".to_owned(),
        settings: vec![text("viewer-token", "viewer-token"), text("order-type", "simple")],
        settings_revision: 1,
        grants: Vec::new(),
        extra: Vec::new(),
    }
}

pub fn product_link() -> ProductLink {
    ProductLink {
        shop_product: "any".to_owned(),
        vendor_product: "1010".to_owned(),
        additional_vendor_products: Vec::new(),
        preset: None,
        allowed_skus: Vec::new(),
    }
}

pub fn decode_and_plan(context: &Context, product_link: &ProductLink, raw: &[u8]) -> Planned {
    let decoded = cartwright_expivi::decode(context, product_link, raw).expect("a configuration");
    let request = Request {
        strategy: "simple".to_owned(),
        link: product_link.clone(),
        wanted: wanted(&decoded.items),
        items: decoded.items,
        prices: Vec::new(),
        price_from: decoded.price_from,
        chosen_variant: None,
        lines: Vec::new(),
        extra: Vec::new(),
    };
    cartwright_expivi::plan(context, request).expect("a plan")
}

fn wanted(items: &[Item]) -> Vec<Wanted> {
    (0..items.len() as u32).map(|item| Wanted { item: Some(item), quantity: 1 }).collect()
}
