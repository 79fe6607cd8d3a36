//! The output of `saveConfiguration`, as its documentation types it and public code uses it.
//!
//! Either a list of configured products, or `{ bundle_uuid, configured_products }`. Beyond the documented fields a
//! product may have `uuid`, `bundle_uuid`, `parent_uuid`, `replication_type`, `original_uuid`, `price` and
//! `thumbnail_url`. A browser's `price` and `price_fields` are never read.

mod attribute;
mod display_value;

use cartwright_plugin::json::{self, Code, List, Optional, Problem, RawValue, Text};
use cartwright_plugin::{CallError, invalid_input, message};
use serde::{Deserialize, Deserializer};

pub(crate) use attribute::Attribute;
pub(crate) use display_value::DisplayValue;

/// Maximum number of configured products of one configuration.
pub(crate) const MAX_PRODUCTS: usize = 100;
/// Maximum number of attributes of one configured product.
pub(crate) const MAX_ATTRIBUTES: usize = 1000;
/// Maximum number of articles of one configured product.
pub(crate) const MAX_ARTICLES: usize = 2000;

/// A saved configuration.
pub(crate) struct Saved<'a> {
    /// The configured products in saved order.
    pub(crate) products: Vec<Product<'a>>,
    /// Whether it is `{ bundle_uuid, configured_products }`. Only paths depend on it.
    in_envelope: bool,
}

/// The envelope of a bundle.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, rename = "bundle_uuid")]
    _bundle_uuid: Optional<Code<'a>>,
    #[serde(borrow)]
    configured_products: List<Product<'a>, MAX_PRODUCTS>,
}

/// One configured product.
#[derive(Deserialize)]
pub(crate) struct Product<'a> {
    /// Expivi's id of the product.
    pub(crate) catalogue_id: CatalogueId,
    /// Its own id within the configuration.
    #[serde(borrow, default)]
    pub(crate) uuid: Optional<Code<'a>>,
    /// The parent; `None` for a root.
    #[serde(borrow, default)]
    pub(crate) parent_uuid: Optional<Code<'a>>,
    #[serde(borrow, default)]
    replication_type: Optional<Text<'a>>,
    /// The original of a replica.
    #[serde(borrow, default)]
    pub(crate) original_uuid: Optional<Code<'a>>,
    /// The bundle that it was saved in.
    #[serde(borrow, default, rename = "bundle_uuid")]
    _bundle_uuid: Optional<Code<'a>>,
    /// The picture, unparsed: an invalid one must not prevent a sale.
    #[serde(borrow, default)]
    pub(crate) thumbnail: Option<&'a RawValue>,
    /// The picture's URL, likewise.
    #[serde(borrow, default)]
    pub(crate) thumbnail_url: Option<&'a RawValue>,
    /// The complete state, which the configurator can reopen.
    #[serde(borrow, default, rename = "configuration")]
    pub(crate) state: Option<&'a RawValue>,
    /// The attributes of the state, hidden ones included.
    #[serde(skip)]
    pub(crate) state_attributes: Vec<Attribute<'a>>,
    /// The attributes for display.
    #[serde(borrow, default)]
    pub(crate) attributes: List<Attribute<'a>, MAX_ATTRIBUTES>,
    /// The bill of materials, with one entry for each piece.
    #[serde(borrow, default)]
    pub(crate) articles: List<Article<'a>, MAX_ARTICLES>,
}

impl Product<'_> {
    /// Returns whether it is a replica, whose content is that of its original.
    pub(crate) fn is_replica(&self) -> bool {
        self.replication_type.as_str() == Some("REPLICA")
    }
}

/// The member `configuration`, of which only the attributes are read.
#[derive(Deserialize)]
struct State<'a> {
    #[serde(borrow, default)]
    attributes: List<Attribute<'a>, MAX_ATTRIBUTES>,
}

/// One entry of the bill of materials. Its `price_fields` come from a browser and are not read.
#[derive(Deserialize)]
pub(crate) struct Article<'a> {
    /// The SKU of the model.
    #[serde(borrow, default)]
    pub(crate) models_sku: Optional<Code<'a>>,
    /// The SKU of its material.
    #[serde(borrow, default, rename = "material_group_sku")]
    pub(crate) material_sku: Optional<Code<'a>>,
    /// The SKU that determines its price.
    #[serde(borrow, default)]
    pub(crate) price_sku: Optional<Code<'a>>,
    /// Expivi's id of the model.
    #[serde(borrow, default)]
    pub(crate) models_id: Optional<Code<'a>>,
    /// Expivi's id of the material.
    #[serde(borrow, default)]
    pub(crate) material_group_id: Optional<Code<'a>>,
}

/// Expivi's id of a product: a positive whole number, written as number or as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CatalogueId(pub(crate) u64);

impl std::fmt::Display for CatalogueId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for CatalogueId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::text_or_number(deserializer, |text| match whole(&text) {
            Some(number @ 1..) => Ok(Self(number)),
            _ => Err(format!("{text:?} is not a catalogue id, which is a positive whole number")),
        })
    }
}

/// Parses a saved configuration. `key_fields` are the members that may contain an attribute's KEY.
pub(crate) fn read<'a>(raw: &'a [u8], key_fields: &[&str]) -> Result<Saved<'a>, CallError> {
    let in_envelope = !is_list(raw);
    let products = if in_envelope {
        json::read::<Envelope<'a>>(raw).map(|envelope| envelope.configured_products)
    } else {
        json::read(raw)
    };
    let List(products) = products.map_err(unreadable)?;
    let mut saved = Saved { products, in_envelope };
    if saved.products.is_empty() {
        return Err(invalid(saved.path_of_list(), "it has no configured product"));
    }
    let list = saved.path_of_list();
    for (place, product) in saved.products.iter_mut().enumerate() {
        if let Some(state) = product.state {
            let state = json::read_part::<State<'a>>(state)
                .map_err(|problem| unreadable(problem.within(&format!("{list}[{place}].configuration"))))?;
            product.state_attributes = state.attributes.0;
        }
        let groups =
            [("attributes", &mut product.attributes.0), ("configuration.attributes", &mut product.state_attributes)];
        for (member, attributes) in groups {
            for (index, attribute) in attributes.iter_mut().enumerate() {
                attribute
                    .resolve(key_fields)
                    .map_err(|problem| unreadable(problem.within(&format!("{list}[{place}].{member}[{index}]"))))?;
            }
        }
    }
    Ok(saved)
}

/// Returns whether the payload is a list of products without an envelope.
pub(crate) fn is_list(raw: &[u8]) -> bool {
    raw.trim_ascii_start().starts_with(b"[")
}

/// Returns the error of a wrong value at this path.
pub(crate) fn invalid(path: impl Into<String>, problem: &str) -> CallError {
    unreadable(Problem::new(path, problem))
}

/// Returns the error of a configuration that cannot be parsed.
pub(crate) fn unreadable(problem: Problem) -> CallError {
    let Problem { path, reason } = problem;
    let text = match path.as_str() {
        "" => format!("The saved configuration cannot be read: {reason}."),
        path => format!("The saved configuration cannot be read at {path}: {reason}."),
    };
    let sentence = message("configuration-malformed", text, &[("path", &path), ("problem", &reason)]);
    invalid_input(path, sentence)
}

impl Saved<'_> {
    fn path_of_list(&self) -> &'static str {
        if self.in_envelope { "configured_products" } else { "" }
    }

    /// Returns the path of a product's member.
    pub(crate) fn path(&self, index: usize, member: &str) -> String {
        format!("{}[{index}].{member}", self.path_of_list())
    }
}

/// Parses a whole number in its canonical spelling.
pub(crate) fn whole(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok()).flatten()
}

/// Returns whether a text is a catalog id in its canonical spelling.
pub(crate) fn is_catalogue_id(text: &str) -> bool {
    whole(text).is_some_and(|number| number > 0)
}
