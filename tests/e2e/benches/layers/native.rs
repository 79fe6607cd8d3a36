//! The same decode and plan in native Rust: the plugin's own functions without a component.

use cartwright_plugin::strategy::{PlanRequest, PlanResult};
use cartwright_plugin::types::{Association, Context, Item, LineRequest, Rounding, Setting, SettingValue};

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

pub fn association() -> Association {
    Association {
        shop_product: "any".to_owned(),
        vendor_product: "1010".to_owned(),
        other_vendor_products: Vec::new(),
        preset: None,
        allowed_skus: Vec::new(),
    }
}

pub fn decode_and_plan(context: &Context, association: &Association, raw: &[u8]) -> PlanResult {
    let decoded = cartwright_expivi::decode(context, association, raw).expect("a configuration");
    let request = PlanRequest {
        strategy: "simple".to_owned(),
        association: association.clone(),
        line_requests: line_requests(&decoded.items),
        items: decoded.items,
        prices: Vec::new(),
        price_from: decoded.price_from,
        chosen_variant: None,
        cart_lines: Vec::new(),
        extra: Vec::new(),
    };
    cartwright_expivi::plan(context, request).expect("a plan")
}

fn line_requests(items: &[Item]) -> Vec<LineRequest> {
    (0..items.len() as u32).map(|item| LineRequest { item: Some(item), quantity: 1, extra: Vec::new() }).collect()
}
