//! What the vendors' pages send when a shopper saves a configuration.
//!
//! We made the samples from the documented types; none is a real capture, since no complete one is public.
//! `samples/README.md` describes the files and their content.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// One ring (1001): a bare array, documented fields only, a text attribute with `@font:` and a hidden attribute. We
/// made it from the documented types; it is not a real capture.
pub const EXPIVI_SIMPLE: &str = include_str!("../samples/expivi-simple.json");

/// One shirt (1002), saved with `include_keys`: R and L. We made it from the documented types; it is not a real
/// capture.
pub const EXPIVI_VARIATION: &str = include_str!("../samples/expivi-variation.json");

/// One wardrobe (1003) with repeated articles, one of them without `price_sku`. We made it from the documented types;
/// it is not a real capture.
pub const EXPIVI_BUNDLE: &str = include_str!("../samples/expivi-bundle.json");

/// A table (1004), a chair (1005) and the chair's replica, in the envelope with `bundle_uuid`. We made it from the
/// documented types and fields seen in public code; it is not a real capture.
pub const EXPIVI_MULTI: &str = include_str!("../samples/expivi-multi.json");

/// The envelope that our page sends after Twikit's `save`. We made it from the documented types; the envelope is ours.
pub const TWIKIT_SAVED: &str = include_str!("../samples/twikit-saved.json");

/// A real JPEG of 8 by 8 pixels.
pub const JPEG: &[u8] = include_bytes!("../assets/thumbnail.jpg");

/// A real PNG of 8 by 8 pixels.
pub const PNG: &[u8] = include_bytes!("../assets/thumbnail.png");

/// Returns [`JPEG`] in bare base64.
pub fn jpeg_base64() -> String {
    STANDARD.encode(JPEG)
}

/// Returns [`PNG`] in bare base64.
pub fn png_base64() -> String {
    STANDARD.encode(PNG)
}

/// Returns [`JPEG`] as a data URI.
pub fn jpeg_data_uri() -> String {
    format!("data:image/jpeg;base64,{}", jpeg_base64())
}

/// Returns [`PNG`] as a data URI.
pub fn png_data_uri() -> String {
    format!("data:image/png;base64,{}", png_base64())
}

/// Returns a configuration of product 1010 with these numbers of attributes and articles, compact and without a
/// thumbnail: 12 and 8 make about 1.1 kB, the size that benches refer to. To keep that size `configuration.attributes`
/// is empty; articles are `P1`, `P2` and so on, and attribute `n` has the value `Vn`. We made it from the documented
/// types; it is not a real capture.
pub fn generated(attributes: usize, articles: usize) -> String {
    let attribute = |n: usize| json!({ "attribute_id": n, "attribute_value_name": format!("V{n}") });
    let article = |n: usize| json!({ "models_sku": format!("P{n}"), "price_sku": format!("P{n}"), "price_fields": {} });
    let product = json!({
        "version": "2.0",
        "catalogue_id": "1010",
        "configuration": { "attributes": [] },
        "attributes": (1..=attributes).map(attribute).collect::<Vec<_>>(),
        "articles": (1..=articles).map(article).collect::<Vec<_>>(),
    });
    Value::Array(vec![product]).to_string()
}
