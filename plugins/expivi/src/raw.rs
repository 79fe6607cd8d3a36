//! Passes a saved configuration on: to the viewer, to the price API, to an upload. All bytes are preserved except for
//! the members that must not be sent; no value tree in between could change a number.

use cartwright_plugin::CallError;
use cartwright_plugin::json::{self, Code, List, Members, Name, Optional, RawValue};
use serde::Deserialize;

use crate::saved::{MAX_PRODUCTS, is_list, unreadable};

/// A configuration that the viewer can start from.
pub(crate) struct ReopenConfiguration {
    /// The configuration without its pictures.
    pub(crate) json: String,
    /// The id of the saved bundle, if it has one.
    pub(crate) bundle_uuid: Option<String>,
}

/// Returns a text as JSON.
pub(crate) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn object<'a>(members: impl Iterator<Item = (&'a str, String)>) -> String {
    let members: Vec<String> = members.map(|(name, json)| format!("{}:{json}", json_string(name))).collect();
    format!("{{{}}}", members.join(","))
}

/// Returns a configured product without some of its members. An empty `bundle_uuid` becomes null, the only empty value
/// that Expivi accepts.
pub(crate) fn without(product: &RawValue, dropped: &[&str]) -> Result<String, CallError> {
    let Members(members) = json::read_part(product).map_err(unreadable)?;
    let kept = members.iter().filter(|(Name(name), _)| !dropped.contains(&name.as_ref()));
    Ok(object(kept.map(|(Name(name), value)| (name.as_ref(), with_null(name, value.get()).to_owned()))))
}

fn with_null<'a>(name: &str, json: &'a str) -> &'a str {
    if name == "bundle_uuid" && json == "\"\"" { "null" } else { json }
}

/// The envelope of a bundle, with its products unparsed.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    configured_products: List<&'a RawValue, MAX_PRODUCTS>,
}

/// Returns the configured products of a payload that was decoded before, unparsed.
pub(crate) fn raw_products(raw: &[u8]) -> Result<Vec<&RawValue>, CallError> {
    let products = if is_list(raw) {
        json::read(raw)
    } else {
        json::read(raw).map(|envelope: Envelope<'_>| envelope.configured_products)
    };
    products.map(|List::<_, MAX_PRODUCTS>(products)| products).map_err(unreadable)
}

/// Returns the bundle's id: the envelope's, else the first one of a product.
pub(crate) fn bundle_uuid(raw: &[u8], products: &[&RawValue]) -> Result<Option<String>, CallError> {
    #[derive(Deserialize)]
    struct Bundled<'a> {
        #[serde(borrow, default)]
        bundle_uuid: Optional<Code<'a>>,
    }
    let envelope = if is_list(raw) { None } else { Some(json::read(raw)) };
    for bundled in envelope.into_iter().chain(products.iter().map(|product| json::read_part(product))) {
        let bundled: Bundled<'_> = bundled.map_err(unreadable)?;
        if let Some(uuid) = bundled.bundle_uuid.as_str() {
            return Ok(Some(uuid.to_owned()));
        }
    }
    Ok(None)
}

/// Returns what the viewer reopens, in the envelope that it was saved in.
pub(crate) fn reopened(raw: &[u8]) -> Result<ReopenConfiguration, CallError> {
    // Checked again, because another version of this plugin may have stored it.
    crate::saved::read(raw, &[])?;
    let products = raw_products(raw)?;
    let bundle_uuid = bundle_uuid(raw, &products)?;
    let products: Vec<String> =
        products.iter().map(|product| without(product, &["thumbnail"])).collect::<Result<_, CallError>>()?;
    let list = format!("[{}]", products.join(","));
    if is_list(raw) {
        return Ok(ReopenConfiguration { json: list, bundle_uuid });
    }
    let Members(members) = json::read(raw).map_err(unreadable)?;
    let json = object(members.iter().map(|(Name(name), value)| {
        let json = if name == "configured_products" { list.clone() } else { with_null(name, value.get()).to_owned() };
        (name.as_ref(), json)
    }));
    Ok(ReopenConfiguration { json, bundle_uuid })
}
