//! One attribute. A setting decides which member contains its KEY, so `Deserialize` is written by hand.

use std::borrow::Cow;
use std::fmt;

use cartwright_plugin::json::{self, Code, Name, Optional, Problem, RawValue, Text};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::DisplayValue;

/// One attribute.
pub(crate) struct Attribute<'a> {
    /// Expivi's id of the attribute.
    pub(crate) id: Code<'a>,
    /// Its name.
    pub(crate) name: Optional<Text<'a>>,
    /// The chosen value's name.
    pub(crate) value_name: Optional<Text<'a>>,
    /// `attribute_value`, unparsed; `None` for null.
    pub(crate) value: Option<&'a RawValue>,
    /// The value as people read it.
    pub(crate) display_value: DisplayValue<'a>,
    /// The KEY.
    pub(crate) key: Option<Cow<'a, str>>,
    /// Whether two fields contain different KEYs.
    pub(crate) keys_differ: bool,
    /// All other members, which may contain the KEY.
    other_members: Vec<(Name<'a>, &'a RawValue)>,
}

impl Attribute<'_> {
    /// Parses the members that depend on settings: the shopper's text, and the KEY from the first of these fields that
    /// has one.
    #[allow(clippy::indexing_slicing, reason = "`found` and `seen` have an entry for each of `key_fields`")]
    pub(super) fn resolve(&mut self, key_fields: &[&str]) -> Result<(), Problem> {
        if let Some(value) = self.value {
            self.display_value = DisplayValue::read(value).map_err(|problem| problem.within("attribute_value"))?;
        }
        if self.other_members.is_empty() {
            return Ok(());
        }
        let mut found: Vec<Option<Cow<'_, str>>> = vec![None; key_fields.len()];
        let mut seen = vec![false; key_fields.len()];
        for (Name(name), value) in std::mem::take(&mut self.other_members) {
            let Some(place) = key_fields.iter().position(|known| *known == name) else { continue };
            if std::mem::replace(&mut seen[place], true) {
                return Err(Problem::new(name, "duplicate member"));
            }
            let key: Optional<Code<'_>> = json::read_part(value).map_err(|problem| problem.within(&name))?;
            found[place] = key.0.map(Cow::from);
        }
        let mut keys = found.into_iter().flatten();
        self.key = keys.next();
        self.keys_differ = keys.any(|other| Some(&other) != self.key.as_ref());
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Attribute<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AttributeVisitor)
    }
}

struct AttributeVisitor;

impl<'de> Visitor<'de> for AttributeVisitor {
    type Value = Attribute<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attribute<'de>, A::Error> {
        let (mut id, mut name, mut value_name, mut value) = (None, None, None, None);
        let mut other_members = Vec::new();
        while let Some(Name(member)) = map.next_key::<Name<'de>>()? {
            match member.as_ref() {
                "attribute_id" => set_once(&mut id, map.next_value()?, "attribute_id")?,
                "attribute_name" => set_once(&mut name, map.next_value()?, "attribute_name")?,
                "attribute_value_name" => set_once(&mut value_name, map.next_value()?, "attribute_value_name")?,
                "attribute_value" => {
                    set_once(&mut value, map.next_value::<Option<&'de RawValue>>()?, "attribute_value")?
                }
                _ => other_members.push((Name(member), map.next_value()?)),
            }
        }
        Ok(Attribute {
            id: id.ok_or_else(|| A::Error::missing_field("attribute_id"))?,
            name: name.unwrap_or_default(),
            value_name: value_name.unwrap_or_default(),
            value: value.flatten(),
            display_value: DisplayValue::default(),
            key: None,
            keys_differ: false,
            other_members,
        })
    }
}

fn set_once<T, E: Error>(place: &mut Option<T>, value: T, name: &'static str) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}
