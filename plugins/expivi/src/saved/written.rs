//! Values of attributes that come in several kinds: the KEY, and what a shopper wrote.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::json::{LONGEST_TEXT, Skipped, Text};

/// A KEY: a text; a merchant who numbers the values may get numbers.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a KEY: a text or a whole number")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(number.to_string())))
            }

            fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                self.check(text).map(|()| Key(Cow::Borrowed(text)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Key<'de>, E> {
                self.check(text).map(|()| Key(Cow::Owned(text.to_owned())))
            }
        }
        impl KeyVisitor {
            fn check<E: serde::de::Error>(&self, text: &str) -> Result<(), E> {
                if text.len() <= LONGEST_TEXT {
                    Ok(())
                } else {
                    Err(E::custom(format!("a KEY of {} bytes", text.len())))
                }
            }
        }
        deserializer.deserialize_any(KeyVisitor)
    }
}

/// `attribute_value`: `{ "value": "Bob @font:Arial" }` for a text. Other kinds of attributes, such as uploaded pictures, put
/// there what no document describes; that is skipped.
pub(super) struct Written<'a>(pub(super) Option<Cow<'a, str>>);

impl<'de> serde::Deserialize<'de> for Written<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Written<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute's value")
    }

    fn visit_unit<E>(self) -> Result<Written<'de>, E> {
        Ok(Written(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Written<'de>, E> {
        Ok(Written(None))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Written<'de>, E> {
        Ok(Written(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Written<'de>, E> {
        Ok(Written(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Written<'de>, E> {
        Ok(Written(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Written<'de>, E> {
        Ok(Written(readable(text).map(Cow::Borrowed)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Written<'de>, E> {
        Ok(Written(readable(text).map(|text| Cow::Owned(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Written<'de>, A::Error> {
        while list.next_element::<Skipped>()?.is_some() {}
        Ok(Written(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Written<'de>, A::Error> {
        let (mut written, mut seen) = (Written(None), false);
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            if name != "value" {
                map.next_value::<Skipped>()?;
                continue;
            }
            if std::mem::replace(&mut seen, true) {
                return Err(A::Error::custom("the member `value` stands twice"));
            }
            written = map.next_value()?;
        }
        Ok(written)
    }
}

/// A text that a person wrote; an embedded picture is none.
fn readable(text: &str) -> Option<&str> {
    (!text.is_empty() && text.len() <= LONGEST_TEXT).then_some(text)
}
