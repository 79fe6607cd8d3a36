//! Handing a saved configuration on: to the viewer, to the price, to an upload. What was saved is kept byte by byte but for the
//! members that must not travel; there is no tree of values in between that could change a number.

use cartwright_plugin::Error;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

use crate::json::{Text, refused};
use crate::saved::utf8;

/// A configuration to start the viewer from.
pub(crate) struct Reopened {
    /// The configuration without its pictures.
    pub(crate) json: String,
    /// The id of the saved bundle, where it has one.
    pub(crate) bundle_uuid: Option<String>,
}

/// The members of a JSON object, in their order.
struct Raw<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;
        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Raw(members))
            }
        }
        deserializer.deserialize_map(RawVisitor)
    }
}

fn members(json: &str) -> Result<Raw<'_>, Error> {
    serde_json::from_str(json).map_err(|error| refused("", &error.to_string()))
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            control if control < ' ' => json.push_str(&format!("\\u{:04x}", control as u32)),
            other => json.push(other),
        }
    }
    json.push('"');
    json
}

fn object<'a>(members: impl Iterator<Item = (&'a str, String)>) -> String {
    let members: Vec<String> = members.map(|(name, json)| format!("{}:{json}", quoted(name))).collect();
    format!("{{{}}}", members.join(","))
}

/// A configured product without some of its members. An empty `bundle_uuid` becomes null, which is the only empty value that
/// Expivi takes.
pub(crate) fn without(product: &RawValue, dropped: &[&str]) -> Result<String, Error> {
    let Raw(members) = members(product.get())?;
    let kept = members.iter().filter(|(Text(name), _)| !dropped.contains(&name.as_ref()));
    Ok(object(kept.map(|(Text(name), value)| (name.as_ref(), with_null(name, value.get()).to_owned()))))
}

fn with_null<'a>(name: &str, json: &'a str) -> &'a str {
    if name == "bundle_uuid" && json == "\"\"" { "null" } else { json }
}

/// The configured products of a payload that was decoded before, each as it stands there.
pub(crate) fn raw_products(raw: &[u8]) -> Result<Vec<&RawValue>, Error> {
    struct Raw<'a>(Vec<&'a RawValue>);
    impl<'de> serde::Deserialize<'de> for Raw<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct RawVisitor;
            impl<'de> Visitor<'de> for RawVisitor {
                type Value = Raw<'de>;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a saved configuration")
                }

                fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw<'de>, A::Error> {
                    let mut products = Vec::new();
                    while let Some(product) = list.next_element()? {
                        products.push(product);
                    }
                    Ok(Raw(products))
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw<'de>, A::Error> {
                    let mut products = Vec::new();
                    while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
                        if name == "configured_products" {
                            products = map.next_value()?;
                        } else {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                    Ok(Raw(products))
                }
            }
            deserializer.deserialize_any(RawVisitor)
        }
    }
    let Raw(products) = serde_json::from_str(utf8(raw)?).map_err(|error| refused("", &error.to_string()))?;
    Ok(products)
}

/// The bundle's id: the envelope's, else the first that a product has.
pub(crate) fn bundle_uuid(raw: &[u8], products: &[&RawValue]) -> Result<Option<String>, Error> {
    let text = utf8(raw)?.trim_start();
    let envelope = text.starts_with('{').then_some(text);
    for json in envelope.into_iter().chain(products.iter().map(|product| product.get())) {
        let Raw(members) = members(json)?;
        let uuid = members.iter().find(|(Text(name), _)| name == "bundle_uuid").map(|(_, value)| value.get());
        let uuid: Option<Option<String>> = uuid.and_then(|json| serde_json::from_str(json).ok());
        if let Some(uuid) = uuid.flatten().filter(|uuid| !uuid.is_empty()) {
            return Ok(Some(uuid));
        }
    }
    Ok(None)
}

/// What the viewer starts from again, in the envelope that it was saved in.
pub(crate) fn reopened(raw: &[u8]) -> Result<Reopened, Error> {
    // Read as strictly as before it was stored: another version of this plugin may have stored it.
    crate::saved::read(raw, &[])?;
    let products = raw_products(raw)?;
    let bundle_uuid = bundle_uuid(raw, &products)?;
    let products: Vec<String> =
        products.iter().map(|product| without(product, &["thumbnail"])).collect::<Result<_, Error>>()?;
    let list = format!("[{}]", products.join(","));
    let text = utf8(raw)?.trim();
    let json = if text.starts_with('[') {
        list
    } else {
        let Raw(members) = members(text)?;
        object(members.iter().map(|(Text(name), value)| {
            let json =
                if name == "configured_products" { list.clone() } else { with_null(name, value.get()).to_owned() };
            (name.as_ref(), json)
        }))
    };
    Ok(Reopened { json, bundle_uuid })
}
