//! What `saveConfiguration` gives, as its documentation types it and as code that uses it shows.
//!
//! A bare list of configured products, or `{ bundle_uuid, configured_products }`. Beyond the documented fields a product may
//! have `uuid`, `bundle_uuid`, `parent_uuid`, `replication_type`, `original_uuid`, `price` and `thumbnail_url`. A browser's
//! `price` and `price_fields` are not read at all.

mod values;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use cartwright_plugin::Error;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::{Id, List, Members, Object, Reader, Skipped, optional_text, refused, shallow, whole};
use values::{Key, Written};

/// The most configured products of one configuration.
pub(crate) const MOST_PRODUCTS: usize = 100;
/// The most attributes of one configured product.
pub(crate) const MOST_ATTRIBUTES: usize = 1000;
/// The most articles of one configured product.
pub(crate) const MOST_ARTICLES: usize = 2000;

/// A saved configuration.
#[derive(Default)]
pub(crate) struct Saved<'a> {
    /// The configured products, as they were saved.
    pub(crate) products: Vec<Product<'a>>,
    /// Is it `{ bundle_uuid, configured_products }`? Only paths depend on it.
    pub(crate) in_envelope: bool,
}

/// One configured product.
#[derive(Default)]
pub(crate) struct Product<'a> {
    /// Expivi's id of the product.
    pub(crate) catalogue_id: u64,
    /// Its own id within the configuration.
    pub(crate) uuid: Option<Cow<'a, str>>,
    /// The product that it belongs to; none for a root.
    pub(crate) parent_uuid: Option<Cow<'a, str>>,
    /// Is it a copy, which has its content from its original?
    pub(crate) is_replica: bool,
    /// What it is a copy of.
    pub(crate) original_uuid: Option<Cow<'a, str>>,
    /// The picture, with its quotes, as it stands in the payload.
    pub(crate) thumbnail: Option<&'a RawValue>,
    /// The picture's address.
    pub(crate) thumbnail_url: Option<Cow<'a, str>>,
    /// The whole state, from which the configurator starts again.
    pub(crate) state: Option<&'a RawValue>,
    /// The attributes of the state, hidden ones among them.
    pub(crate) state_attributes: Vec<Attribute<'a>>,
    /// The attributes for display.
    pub(crate) attributes: Vec<Attribute<'a>>,
    /// The bill of materials, one entry for each piece.
    pub(crate) articles: Vec<Article<'a>>,
}

/// One attribute.
#[derive(Default)]
pub(crate) struct Attribute<'a> {
    /// Expivi's id of the attribute.
    pub(crate) id: Id<'a>,
    /// Its name.
    pub(crate) name: Option<Cow<'a, str>>,
    /// The chosen value's name.
    pub(crate) value_name: Option<Cow<'a, str>>,
    /// What the shopper wrote.
    pub(crate) text: Option<Cow<'a, str>>,
    /// The KEY, and the place of the field that it came from in the reader's list.
    pub(crate) key: Option<(u32, Cow<'a, str>)>,
    /// Did two fields give different KEYs?
    pub(crate) keys_differ: bool,
    has_id: bool,
}

/// One entry of the bill of materials.
#[derive(Default)]
pub(crate) struct Article<'a> {
    /// The SKU of the model.
    pub(crate) models_sku: Option<Cow<'a, str>>,
    /// The SKU of its material.
    pub(crate) material_sku: Option<Cow<'a, str>>,
    /// The SKU that it is priced by.
    pub(crate) price_sku: Option<Cow<'a, str>>,
}

/// Reads a saved configuration. `key_fields` are the names under which an attribute's KEY may stand.
pub(crate) fn read<'a>(raw: &'a [u8], key_fields: &[&str]) -> Result<Saved<'a>, Error> {
    let text = utf8(raw)?;
    let reader = Reader::new(key_fields);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let saved = Envelope(&reader)
        .deserialize(&mut deserializer)
        .and_then(|saved| deserializer.end().map(|()| saved))
        .map_err(|error| reader.refusal(&error))?;
    if saved.products.is_empty() {
        return Err(refused(saved.path_of_list(), "it holds no configured product"));
    }
    Ok(saved)
}

/// The raw configuration as text.
pub(crate) fn utf8(raw: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(raw).map_err(|error| refused("", &format!("byte {} is not UTF-8", error.valid_up_to())))
}

impl Saved<'_> {
    fn path_of_list(&self) -> &'static str {
        if self.in_envelope { "configured_products" } else { "" }
    }

    /// The path of a product's member.
    pub(crate) fn path(&self, index: usize, member: &str) -> String {
        format!("{}[{index}].{member}", self.path_of_list())
    }
}

/// Reads both envelopes.
struct Envelope<'r, 'c>(&'r Reader<'c>);

impl<'de> DeserializeSeed<'de> for Envelope<'_, '_> {
    type Value = Saved<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Saved<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Envelope<'_, '_> {
    type Value = Saved<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of configured products, or an object with `configured_products`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Saved<'de>, A::Error> {
        let products = List::new(self.0, MOST_PRODUCTS).visit_seq(list)?;
        Ok(Saved { products, in_envelope: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Saved<'de>, A::Error> {
        Object::<Saved<'de>>(self.0, PhantomData).visit_map(map)
    }
}

impl<'de> Members<'de> for Saved<'de> {
    const WHAT: &'static str = "an object with `configured_products`";

    fn number(_: &Reader<'_>, name: &str) -> Option<u32> {
        ["bundle_uuid", "configured_products"].iter().position(|known| *known == name).map(|number| number as u32)
    }

    fn read<A: MapAccess<'de>>(&mut self, reader: &Reader<'_>, number: u32, map: &mut A) -> Result<(), A::Error> {
        match number {
            0 => drop(optional_text(map)?),
            _ => {
                self.products = map.next_value_seed(List::new(reader, MOST_PRODUCTS))?;
                self.in_envelope = true;
            }
        }
        Ok(())
    }

    fn complete<E: serde::de::Error>(&self, _: &Reader<'_>) -> Result<(), E> {
        if self.in_envelope { Ok(()) } else { Err(E::missing_field("configured_products")) }
    }
}

const PRODUCT: [&str; 13] = [
    "catalogue_id",
    "uuid",
    "parent_uuid",
    "replication_type",
    "original_uuid",
    "thumbnail",
    "thumbnail_url",
    "configuration",
    "attributes",
    "articles",
    "version",
    "bundle_uuid",
    "price",
];

impl<'de> Members<'de> for Product<'de> {
    const WHAT: &'static str = "a configured product";

    fn number(_: &Reader<'_>, name: &str) -> Option<u32> {
        PRODUCT.iter().position(|known| *known == name).map(|number| number as u32)
    }

    fn read<A: MapAccess<'de>>(&mut self, reader: &Reader<'_>, number: u32, map: &mut A) -> Result<(), A::Error> {
        match PRODUCT.get(number as usize).copied().unwrap_or_default() {
            "catalogue_id" => {
                let id = map.next_value::<Id<'de>>()?;
                self.catalogue_id = match id {
                    Id::Number(number) if number > 0 => number,
                    id => {
                        return Err(A::Error::custom(format!(
                            "{id:?} is no catalogue id; it is a whole number above zero"
                        )));
                    }
                };
            }
            "uuid" => self.uuid = optional_text(map)?,
            "parent_uuid" => self.parent_uuid = optional_text(map)?,
            "replication_type" => self.is_replica = optional_text(map)?.is_some_and(|kind| kind == "REPLICA"),
            "original_uuid" => self.original_uuid = optional_text(map)?,
            "thumbnail" => {
                let raw = map.next_value::<&'de RawValue>()?;
                match raw.get() {
                    "null" | "\"\"" => {}
                    text if text.starts_with('"') => self.thumbnail = Some(raw),
                    _ => return Err(A::Error::custom("a thumbnail is a text")),
                }
            }
            "thumbnail_url" => self.thumbnail_url = optional_text(map)?,
            "configuration" => {
                let raw = map.next_value::<&'de RawValue>()?;
                if raw.get() != "null" {
                    shallow(raw.get())?;
                    let mut part = serde_json::Deserializer::from_str(raw.get());
                    let state: State<'de> =
                        Object(reader, PhantomData).deserialize(&mut part).map_err(A::Error::custom)?;
                    self.state = Some(raw);
                    self.state_attributes = state.attributes;
                }
            }
            "attributes" => self.attributes = map.next_value_seed(List::new(reader, MOST_ATTRIBUTES))?,
            "articles" => self.articles = map.next_value_seed(List::new(reader, MOST_ARTICLES))?,
            "version" => drop(map.next_value::<Option<Id<'de>>>()?),
            "bundle_uuid" => drop(optional_text(map)?),
            // The browser's price is skipped, of whatever kind it is.
            _ => {
                map.next_value::<Skipped>()?;
            }
        }
        Ok(())
    }

    fn complete<E: serde::de::Error>(&self, reader: &Reader<'_>) -> Result<(), E> {
        match self.catalogue_id {
            0 => Err(reader.at_member("catalogue_id")(E::custom("it is missing"))),
            _ => Ok(()),
        }
    }
}

/// The member `configuration`, of which only the attributes are read.
#[derive(Default)]
struct State<'a> {
    attributes: Vec<Attribute<'a>>,
}

impl<'de> Members<'de> for State<'de> {
    const WHAT: &'static str = "an object with `attributes`";

    fn number(_: &Reader<'_>, name: &str) -> Option<u32> {
        (name == "attributes").then_some(0)
    }

    fn read<A: MapAccess<'de>>(&mut self, reader: &Reader<'_>, _: u32, map: &mut A) -> Result<(), A::Error> {
        self.attributes = map.next_value_seed(List::new(reader, MOST_ATTRIBUTES))?;
        Ok(())
    }
}

const ATTRIBUTE: [&str; 4] = ["attribute_id", "attribute_name", "attribute_value_name", "attribute_value"];

impl<'de> Members<'de> for Attribute<'de> {
    const WHAT: &'static str = "an attribute";

    fn number(reader: &Reader<'_>, name: &str) -> Option<u32> {
        let fixed = ATTRIBUTE.iter().position(|known| *known == name);
        let key = || reader.key_fields.iter().position(|known| *known == name).map(|place| place + ATTRIBUTE.len());
        fixed.or_else(key).map(|number| number as u32)
    }

    fn read<A: MapAccess<'de>>(&mut self, _: &Reader<'_>, number: u32, map: &mut A) -> Result<(), A::Error> {
        match number {
            0 => (self.id, self.has_id) = (map.next_value()?, true),
            1 => self.name = optional_text(map)?,
            2 => self.value_name = optional_text(map)?,
            3 => self.text = map.next_value::<Written<'de>>()?.0,
            place => {
                let Some(key) = map.next_value::<Option<Key<'de>>>()?.map(|Key(key)| key).filter(|key| !key.is_empty())
                else {
                    return Ok(());
                };
                self.keys_differ |= self.key.as_ref().is_some_and(|(_, other)| *other != key);
                if self.key.as_ref().is_none_or(|(other, _)| place < *other) {
                    self.key = Some((place, key));
                }
            }
        }
        Ok(())
    }

    fn complete<E: serde::de::Error>(&self, reader: &Reader<'_>) -> Result<(), E> {
        if self.has_id { Ok(()) } else { Err(reader.at_member("attribute_id")(E::custom("it is missing"))) }
    }
}

const ARTICLE: [&str; 6] =
    ["models_sku", "material_group_sku", "price_sku", "models_id", "material_group_id", "price_fields"];

impl<'de> Members<'de> for Article<'de> {
    const WHAT: &'static str = "an article";

    fn number(_: &Reader<'_>, name: &str) -> Option<u32> {
        ARTICLE.iter().position(|known| *known == name).map(|number| number as u32)
    }

    fn read<A: MapAccess<'de>>(&mut self, _: &Reader<'_>, number: u32, map: &mut A) -> Result<(), A::Error> {
        match number {
            0 => self.models_sku = optional_text(map)?,
            1 => self.material_sku = optional_text(map)?,
            2 => self.price_sku = optional_text(map)?,
            3 | 4 => drop(map.next_value::<Option<Id<'de>>>()?),
            // Prices from a browser, never used.
            _ => {
                map.next_value::<Skipped>()?;
            }
        }
        Ok(())
    }
}

/// Is this text a catalogue id as this plugin writes it?
pub(crate) fn is_catalogue_id(text: &str) -> bool {
    whole(text).is_some_and(|number| number > 0)
}
