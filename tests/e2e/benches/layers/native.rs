//! The same decode and plan in native Rust: the plugin's own functions without a component.

use cartwright_plugin::strategy::{PlanRequest, PlanResult};
use cartwright_plugin::types::{
    Context, Currency, Item, LineRequest, ProductLink, Rounding, Setting, SettingValue, Shop, Visitor,
};

pub fn context() -> Context {
    let text = |name: &str, value: &str| Setting { name: name.to_owned(), value: SettingValue::Text(value.to_owned()) };
    Context {
        shop: Shop {
            id: "shop".to_owned(),
            currencies: vec![Currency { code: "EUR".to_owned(), scale: 2 }],
            base_country: None,
            prices_include_tax: true,
            rounding: Rounding::HalfUp,
            time_zone: None,
        },
        account: "expivi".to_owned(),
        visitor: Some(Visitor {
            currency: Currency { code: "EUR".to_owned(), scale: 2 },
            country: None,
            region: None,
            customer_groups: Vec::new(),
        }),
        locale: "en".to_owned(),
        now: "2026-01-01T00:00:00Z".to_owned(),
        settings: vec![text("viewer-token", "viewer-token"), text("order-type", "simple")],
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
        extra: Vec::new(),
    }
}

pub fn decode_and_plan(context: &Context, product_link: &ProductLink, raw: &[u8]) -> PlanResult {
    let decoded = cartwright_expivi::decode(context, product_link, raw).expect("a configuration");
    let request = PlanRequest {
        strategy: "simple".to_owned(),
        link: product_link.clone(),
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
