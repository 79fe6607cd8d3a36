//! The placeholders in the JSON texts of embed data: objects with one member, whose name begins with `$`.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Receives each placeholder: its name, and its value if that is a text.
type OnPlaceholder<'a> = dyn FnMut(&str, Option<&str>) -> Result<(), String> + 'a;

/// Checks a JSON array of arguments. Nothing inside a `$literal` is interpreted.
pub(super) fn check_arguments(json: &str, on_placeholder: &mut OnPlaceholder<'_>) -> Result<(), String> {
    match read(json, true, on_placeholder)? {
        Node::List => Ok(()),
        Node::Text(_) | Node::Other => Err("it is not a JSON array".to_owned()),
    }
}

/// Checks any JSON value.
pub(super) fn check_value(json: &str, on_placeholder: &mut OnPlaceholder<'_>) -> Result<(), String> {
    read(json, false, on_placeholder).map(drop)
}

fn read(json: &str, has_literals: bool, on_placeholder: &mut OnPlaceholder<'_>) -> Result<Node, String> {
    let mut reader = Reader { has_literals, on_placeholder };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let node = DeserializeSeed::deserialize(&mut reader, &mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(node)
}

/// Reads a JSON value once, and keeps nothing of it. The parser bounds its depth.
struct Reader<'a, 'b> {
    has_literals: bool,
    on_placeholder: &'a mut OnPlaceholder<'b>,
}

/// What a value is.
enum Node {
    List,
    Text(String),
    Other,
}

impl<'de> DeserializeSeed<'de> for &mut Reader<'_, '_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader<'_, '_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E>(self, _value: u64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        while list.next_element_seed(&mut *self)?.is_some() {}
        Ok(Node::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let Some(first) = members.next_key::<String>()? else { return Ok(Node::Other) };
        if self.has_literals && first == "$literal" {
            members.next_value::<IgnoredAny>()?;
            return match members.next_key::<IgnoredAny>()? {
                None => Ok(Node::Other),
                Some(_) => Err(A::Error::custom("\"$literal\" must be the only member of its object")),
            };
        }
        let value = members.next_value_seed(&mut *self)?;
        let mut is_single = true;
        while let Some(name) = members.next_key::<String>()? {
            if name == first {
                // A page would see one member, and take it for the placeholder that was not checked.
                return Err(A::Error::custom(format!("an object has the member {name:?} twice")));
            }
            members.next_value_seed(&mut *self)?;
            is_single = false;
        }
        if is_single && first.starts_with('$') {
            let text = match &value {
                Node::Text(text) => Some(text.as_str()),
                Node::List | Node::Other => None,
            };
            (self.on_placeholder)(&first, text).map_err(A::Error::custom)?;
        }
        Ok(Node::Other)
    }
}
