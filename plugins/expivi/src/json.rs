//! Reads JSON that came through a browser, straight into borrowed structs, and says where something is wrong.
//!
//! serde's derived readers know no paths and cannot take field names from a setting, and a tree of values costs more than the
//! whole decoding. So each object type names its members here ([`Members`]) and one small reader does the rest: a member that
//! stands twice is an error, unknown members are skipped, and the path of an error is put together while it travels up, so
//! that the good case pays nothing for it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use cartwright_plugin::{Error, invalid_input, message};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::value::RawValue;

/// The longest text that is read, in bytes. Names, SKUs and what a shopper engraves are far shorter.
pub(crate) const LONGEST_TEXT: usize = 4096;
/// How deep JSON may be nested where its content is not read here but kept or handed on.
pub(crate) const DEEPEST: usize = 64;

/// What a reading is about: the settings it depends on and the path of an error.
pub(crate) struct Reader<'c> {
    /// Names under which an attribute's KEY may stand, the most trusted first.
    pub(crate) key_fields: &'c [&'c str],
    trail: RefCell<Vec<Step>>,
}

enum Step {
    Member(String),
    Index(usize),
}

impl<'c> Reader<'c> {
    /// A reader that has read nothing yet.
    pub(crate) fn new(key_fields: &'c [&'c str]) -> Self {
        Self { key_fields, trail: RefCell::new(Vec::new()) }
    }

    /// Adds a member's name to the path of an error that is on its way up.
    pub(crate) fn at_member<E>(&self, name: &str) -> impl FnOnce(E) -> E {
        move |error| {
            self.trail.borrow_mut().push(Step::Member(name.to_owned()));
            error
        }
    }

    fn at_index<E>(&self, index: usize) -> impl FnOnce(E) -> E {
        move |error| {
            self.trail.borrow_mut().push(Step::Index(index));
            error
        }
    }

    /// The error as the contract has it, with the path that was collected.
    pub(crate) fn refusal(&self, error: &serde_json::Error) -> Error {
        let mut path = String::new();
        for step in self.trail.borrow().iter().rev() {
            match step {
                Step::Member(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        refused(path, &plain(error))
    }
}

/// The saved configuration is wrong at this path.
pub(crate) fn refused(path: impl Into<String>, problem: &str) -> Error {
    let path = path.into();
    let text = match path.as_str() {
        "" => format!("The saved configuration cannot be read: {problem}."),
        path => format!("The saved configuration cannot be read at {path}: {problem}."),
    };
    let sentence = message("configuration-malformed", text, &[("path", &path), ("problem", problem)]);
    invalid_input(path, sentence)
}

/// serde_json's sentence without its line and column: the path says more, and inside a part they would be wrong.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// An object type: which members it knows and how each is read.
pub(crate) trait Members<'de>: Default {
    /// What it is, for "expected …".
    const WHAT: &'static str;

    /// The number of a known member, below 64; `None` skips it.
    fn number(reader: &Reader<'_>, name: &str) -> Option<u32>;

    /// Reads the member of this number.
    fn read<A: MapAccess<'de>>(&mut self, reader: &Reader<'_>, number: u32, map: &mut A) -> Result<(), A::Error>;

    /// Called when the object ends, for members that must be there.
    fn complete<E: serde::de::Error>(&self, _reader: &Reader<'_>) -> Result<(), E> {
        Ok(())
    }
}

/// Reads one object.
pub(crate) struct Object<'r, 'c, T>(pub(crate) &'r Reader<'c>, pub(crate) PhantomData<T>);

impl<'de, T: Members<'de>> DeserializeSeed<'de> for Object<'_, '_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Members<'de>> Visitor<'de> for Object<'_, '_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let (mut value, mut seen) = (T::default(), 0u64);
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            let Some(number) = T::number(self.0, &name) else {
                map.next_value::<Skipped>().map_err(self.0.at_member(&name))?;
                continue;
            };
            if seen & (1 << number) != 0 {
                return Err(self.0.at_member(&name)(A::Error::custom("the member stands twice")));
            }
            seen |= 1 << number;
            value.read(self.0, number, &mut map).map_err(self.0.at_member(&name))?;
        }
        value.complete(self.0)?;
        Ok(value)
    }
}

/// Reads a list of objects; null is an empty list.
pub(crate) struct List<'r, 'c, T> {
    reader: &'r Reader<'c>,
    most: usize,
    of: PhantomData<T>,
}

impl<'r, 'c, T> List<'r, 'c, T> {
    /// A list of at most so many.
    pub(crate) fn new(reader: &'r Reader<'c>, most: usize) -> Self {
        Self { reader, most, of: PhantomData }
    }
}

impl<'de, T: Members<'de>> DeserializeSeed<'de> for List<'_, '_, T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Members<'de>> Visitor<'de> for List<'_, '_, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut values = Vec::new();
        loop {
            let seed = Object(self.reader, PhantomData);
            match list.next_element_seed(seed).map_err(self.reader.at_index(values.len()))? {
                None => return Ok(values),
                Some(_) if values.len() == self.most => {
                    return Err(A::Error::custom(format!(
                        "more than {} entries, which is the most that is read",
                        self.most
                    )));
                }
                Some(value) => values.push(value),
            }
        }
    }
}

/// A text, borrowed where it holds no escapes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                short(text).map(|text| Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                short(text).map(|text| Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

fn short<E: serde::de::Error>(text: &str) -> Result<&str, E> {
    match text.len() {
        0..=LONGEST_TEXT => Ok(text),
        length => Err(E::custom(format!("a text of {length} bytes, {LONGEST_TEXT} are the most that is read"))),
    }
}

/// Reads a text that may be missing: null and "" are none.
pub(crate) fn optional_text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
    Ok(map.next_value::<Option<Text<'de>>>()?.map(|Text(text)| text).filter(|text| !text.is_empty()))
}

/// An id, which comes as number and as text: 21 and "21" are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Id<'a> {
    /// A whole number, not negative.
    Number(u64),
    /// Any other text.
    Text(Cow<'a, str>),
}

impl Default for Id<'_> {
    fn default() -> Self {
        Self::Text(Cow::Borrowed(""))
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The number that a text of digits spells, where the number spells that text again.
pub(crate) fn whole(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok()).flatten()
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;
        impl<'de> Visitor<'de> for IdVisitor {
            type Value = Id<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: a whole number or a text")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Id<'de>, E> {
                Ok(Id::Number(number))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Id<'de>, E> {
                Err(E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Id<'de>, E> {
                match whole(text) {
                    Some(number) => Ok(Id::Number(number)),
                    None if text.is_empty() => Err(E::invalid_value(Unexpected::Str(text), &self)),
                    None => short(text).map(|text| Id::Text(Cow::Borrowed(text))),
                }
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Id<'de>, E> {
                match whole(text) {
                    Some(number) => Ok(Id::Number(number)),
                    None if text.is_empty() => Err(E::invalid_value(Unexpected::Str(text), &self)),
                    None => short(text).map(|text| Id::Text(Cow::Owned(text.to_owned()))),
                }
            }
        }
        deserializer.deserialize_any(IdVisitor)
    }
}

/// A value that nobody reads. It is kept with the raw configuration and read again by others, so it must not be nested deep.
pub(crate) struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        shallow(raw.get())?;
        Ok(Self)
    }
}

/// Refuses JSON that is nested deeper than [`DEEPEST`].
pub(crate) fn shallow<E: serde::de::Error>(json: &str) -> Result<(), E> {
    if !json.starts_with(['[', '{']) {
        return Ok(());
    }
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth > DEEPEST {
            return Err(E::custom(format!("nested deeper than {DEEPEST}")));
        }
    }
    Ok(())
}
