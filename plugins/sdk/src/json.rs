//! Strict JSON for untrusted input: configurations that a browser saved, and webhooks.
//!
//! Describe the input as structs that borrow from it, derive [`serde::Deserialize`], and call [`read`]. Then:
//!
//! - a member has one meaning: a second member of the same name is an error, because a check and a use could otherwise
//!   see different values;
//! - every error is a [`Problem`] with the path of the wrong value, for [`invalid_input`](crate::invalid_input);
//! - the work is linear in the input, nesting is at most [`MAX_DEPTH`] deep, and the type of a [`List`] limits its
//!   length;
//! - texts are valid for the platform: [`Text`] for what people read, [`Code`] for ids, SKUs and keys. A number in
//!   place of a text is read as its digits, since shops and browsers write numeric SKUs and ids both ways.
//!
//! A plugin can ignore what it does not read (an unknown member), or store it unparsed ([`RawValue`]), for a state that
//! only the vendor's viewer understands. [`read_part`] parses such a part later, and [`range`] returns its position.
//!
//! ```
//! use cartwright_plugin::json::{self, Code, List, Optional, RawValue, Text};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! #[serde(rename_all = "camelCase")]
//! struct Saved<'a> {
//!     #[serde(borrow)]
//!     product: Code<'a>,
//!     #[serde(borrow, default)]
//!     engraving: Optional<Text<'a>>,
//!     #[serde(borrow, default)]
//!     parts: List<Code<'a>, 100>,
//!     #[serde(borrow)]
//!     scene: Option<&'a RawValue>,
//! }
//!
//! let input = br#"{ "product": 40012, "engraving": "", "parts": ["A", 7], "scene": { "far": 3.4e38 } }"#;
//! let saved: Saved = json::read(input)?;
//! assert_eq!(saved.product.as_str(), "40012");
//! assert_eq!(saved.engraving.as_str(), None);
//! assert_eq!(saved.parts.len(), 2);
//! assert_eq!(saved.scene.map(RawValue::get), Some(r#"{ "far": 3.4e38 }"#));
//!
//! let problem = json::read::<Saved>(br#"{ "product": "RING", "parts": ["A", "B\u0000"] }"#).err();
//! assert_eq!(problem.map(|problem| problem.path).as_deref(), Some("parts[1]"));
//! # Ok::<(), json::Problem>(())
//! ```

mod objects;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
/// A JSON value as the input spells it, unparsed.
pub use serde_json::value::RawValue;

use crate::truncate;
use crate::types::ByteRange;
use objects::Objects;

/// Maximum depth of nested lists and objects. The host rejects states that are nested deeper.
pub const MAX_DEPTH: usize = 96;
/// Maximum length of a [`Text`] in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;
/// Maximum length of a [`Code`] in bytes.
pub const MAX_CODE_BYTES: usize = 1000;

/// Maximum number of characters of a problem's path and of its reason.
const MAX_PROBLEM_CHARACTERS: usize = 300;

/// A wrong value in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A path such as `lineItems[0].identifier`; empty for the whole input.
    pub path: String,
    /// Why the value is wrong.
    pub reason: String,
}

impl Problem {
    /// Returns a problem at a path.
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }

    /// Returns the same problem with a path from the input that contains this part at `path`.
    pub fn within(mut self, path: &str) -> Self {
        self.path = join_path(path, &self.path);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.reason) } else { write!(f, "{}: {}", self.path, self.reason) }
    }
}

impl std::error::Error for Problem {}

fn join_path(path: &str, rest: &str) -> String {
    let dot = if path.is_empty() || rest.is_empty() || rest.starts_with('[') { "" } else { "." };
    format!("{path}{dot}{rest}")
}

/// Parses one JSON value and nothing after it.
///
/// # Errors
/// A [`Problem`] with the path of the wrong value.
pub fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(json)
        .map_err(|error| Problem::new("", format!("byte {} is not UTF-8", error.valid_up_to())))?;
    check_depth(text)?;
    parse(text)
}

/// Parses a part of an input that [`read`] left unparsed. Paths begin at the part; see [`Problem::within`].
///
/// # Errors
/// As [`read`].
pub fn read_part<'a, T: Deserialize<'a>>(part: &'a RawValue) -> Result<T, Problem> {
    parse(part.get())
}

/// Returns the position of a part in the payload, or `None` for a text that is not a part of it.
pub fn range(payload: &[u8], part: &str) -> Option<ByteRange> {
    let offset = (part.as_ptr() as usize).checked_sub(payload.as_ptr() as usize)?;
    payload.get(offset..offset.checked_add(part.len())?)?;
    Some(ByteRange { offset: offset.try_into().ok()?, length: part.len().try_into().ok()? })
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(Objects(&mut deserializer)).and_then(|value| deserializer.end().map(|()| value));
    // Tracking the path costs an allocation for each member, so only a second pass that explains an error tracks it.
    value.map_err(|error| {
        let Problem { path, reason } = explain::<T>(text).unwrap_or_else(|| Problem::new("", plain(&error)));
        // Both may quote the input, which may have megabytes.
        Problem { path: truncate(&path, MAX_PROBLEM_CHARACTERS), reason: truncate(&reason, MAX_PROBLEM_CHARACTERS) }
    })
}

fn explain<'a, T: Deserialize<'a>>(text: &'a str) -> Option<Problem> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // If deserializing succeeds, the error is in the text behind the value.
    let error = serde_path_to_error::deserialize::<_, T>(Objects(&mut deserializer)).err()?;
    let reason = plain(error.inner());
    let path = error.path().to_string();
    let path = if path == "." { String::new() } else { path };
    // For these errors serde's path ends at the object; append the member.
    for (prefix, short) in [
        ("missing field `", "missing member"),
        ("duplicate field `", "duplicate member"),
        ("unknown field `", "unknown member"),
    ] {
        if let Some((member, _)) = reason.strip_prefix(prefix).and_then(|rest| rest.split_once('`')) {
            let path =
                if path.ends_with(member) && prefix.starts_with("unknown") { path } else { join_path(&path, member) };
            return Some(Problem { path, reason: short.to_owned() });
        }
    }
    Some(Problem { path, reason })
}

/// Returns `serde_json`'s sentence without line and column: the path says more, and inside a part they would be wrong.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Checks the depth before anything is parsed, because `serde_json` limits recursion for neither skipped nor raw parts.
fn check_depth(text: &str) -> Result<(), Problem> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0usize, 0);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' if depth == MAX_DEPTH => {
                return Err(Problem::new("", format!("it is nested deeper than {MAX_DEPTH}")));
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at = end_of_text(bytes, at),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the position behind the text that begins at `at`.
fn end_of_text(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// Parses a text, or a number as its digits, and converts it: for a plugin's own id types.
///
/// ```
/// use cartwright_plugin::json;
/// use serde::{Deserialize, Deserializer};
///
/// #[derive(Debug, PartialEq)]
/// struct ProductId(u64);
///
/// impl<'de> Deserialize<'de> for ProductId {
///     fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
///         json::text_or_number(deserializer, |text| match text.parse() {
///             Ok(id) => Ok(Self(id)),
///             Err(_) => Err(format!("{text:?} is not a product id")),
///         })
///     }
/// }
///
/// assert_eq!(json::read(b"[21]"), Ok([ProductId(21)]));
/// assert_eq!(json::read(b"[\"21\"]"), Ok([ProductId(21)]));
/// ```
///
/// # Errors
/// If the value is neither a text nor a number, or `make` rejects it.
pub fn text_or_number<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    make: impl FnOnce(Cow<'de, str>) -> Result<T, String>,
) -> Result<T, D::Error> {
    struct FromText<F>(F);

    impl<'de, T, F: FnOnce(Cow<'de, str>) -> Result<T, String>> Visitor<'de> for FromText<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a number")
        }

        fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<T, E> {
            (self.0)(Cow::Borrowed(text)).map_err(E::custom)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.0)(Cow::Owned(text.to_owned())).map_err(E::custom)
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
            (self.0)(Cow::Owned(number.to_string())).map_err(E::custom)
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
            (self.0)(Cow::Owned(number.to_string())).map_err(E::custom)
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
            (self.0)(Cow::Owned(number.to_string())).map_err(E::custom)
        }
    }

    deserializer.deserialize_any(FromText(make))
}

/// A text that people read: not empty, at most [`MAX_TEXT_BYTES`] long, without NUL. It may have several lines.
/// Borrowed unless it contains escapes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<'a>(Cow<'a, str>);

/// A text that programs compare, such as an id or a SKU: not empty, at most [`MAX_CODE_BYTES`] long, without control
/// characters. The number 21 and the text "21" are the same code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code<'a>(Cow<'a, str>);

macro_rules! borrowed_text {
    ($name:ident, $check:ident) => {
        impl $name<'_> {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'a> From<$name<'a>> for Cow<'a, str> {
            fn from(text: $name<'a>) -> Self {
                text.0
            }
        }

        impl AsRef<str> for $name<'_> {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text_or_number(deserializer, |text| $check(&text).map(|()| Self(text)))
            }
        }
    };
}

borrowed_text!(Text, check_text);
borrowed_text!(Code, check_code);

fn check_text(text: &str) -> Result<(), String> {
    check_length(text, MAX_TEXT_BYTES)?;
    check_storable(text)
}

fn check_code(text: &str) -> Result<(), String> {
    check_length(text, MAX_CODE_BYTES)?;
    match text.chars().find(|character| character.is_control()) {
        Some(control) => Err(format!("it holds the control character U+{:04X}", u32::from(control))),
        None => Ok(()),
    }
}

fn check_length(text: &str, limit: usize) -> Result<(), String> {
    match text.len() {
        0 => Err("it is empty".to_owned()),
        length if length > limit => Err(format!("it has {length} bytes, at most {limit} are read")),
        _ => Ok(()),
    }
}

/// Checks that a database can store a text of any length: it must not contain U+0000.
///
/// # Errors
/// A sentence that explains the problem.
pub fn check_storable(text: &str) -> Result<(), String> {
    if text.contains('\0') { Err("it holds the character NUL (U+0000)".to_owned()) } else { Ok(()) }
}

/// A text that may be missing: `null` and `""` read as `None`. With `#[serde(default)]` so does a missing member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Optional<T>(pub Option<T>);

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: AsRef<str>> Optional<T> {
    /// Returns the text, if there is one.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_ref().map(AsRef::as_ref)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Optional<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OptionalVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OptionalVisitor<T> {
            type Value = Optional<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or null")
            }

            fn visit_unit<E: Error>(self) -> Result<Optional<T>, E> {
                Ok(Optional(None))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Optional<T>, E> {
                if text.is_empty() {
                    return Ok(Optional(None));
                }
                T::deserialize(BorrowedStrDeserializer::new(text)).map(|value| Optional(Some(value)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Optional<T>, E> {
                if text.is_empty() {
                    return Ok(Optional(None));
                }
                T::deserialize(StrDeserializer::new(text)).map(|value| Optional(Some(value)))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Optional<T>, E> {
                T::deserialize(number.into_deserializer()).map(|value| Optional(Some(value)))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Optional<T>, E> {
                T::deserialize(number.into_deserializer()).map(|value| Optional(Some(value)))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Optional<T>, E> {
                T::deserialize(number.into_deserializer()).map(|value| Optional(Some(value)))
            }
        }

        deserializer.deserialize_any(OptionalVisitor(PhantomData))
    }
}

/// A list of at most `MAX` entries; `null` is an empty list. With `#[serde(default)]` so is a missing member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T, const MAX: usize>(pub Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
            type Value = List<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_unit<E: Error>(self) -> Result<List<T, MAX>, E> {
                Ok(List(Vec::new()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T, MAX>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = list.next_element()? {
                    if entries.len() == MAX {
                        return Err(A::Error::custom(format!("it has more than {MAX} entries, which is the limit")));
                    }
                    entries.push(entry);
                }
                Ok(List(entries))
            }
        }

        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// The name of a member, borrowed unless it contains escapes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(transparent)]
pub struct Name<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// The members of an object in their order, unparsed: for an object that is passed on with some of its members changed.
/// Names are unique.
#[derive(Debug, Clone)]
pub struct Members<'a>(pub Vec<(Name<'a>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Returns the member of this name.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known.0 == name).map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let (mut names, mut members) = (BTreeSet::new(), Vec::new());
                while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("duplicate field `{}`", name.0)));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part<'a> {
        #[serde(borrow)]
        sku: Code<'a>,
        #[serde(borrow, default)]
        label: Optional<Text<'a>>,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Product<'a> {
        #[serde(borrow, default)]
        parts: List<Part<'a>, 3>,
        #[serde(borrow, default)]
        state: Option<&'a RawValue>,
    }

    fn problem(input: impl AsRef<[u8]>) -> Problem {
        read::<Product<'_>>(input.as_ref()).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (input, path, reason) in [
            (r#"{"parts":[{"sku":"A"},{"sku":"B","sku":"C"}]}"#, "parts[1].sku", "duplicate member"),
            (r#"{"parts":[{"sku":"A","\u0073ku":"C"}]}"#, "parts[0].sku", "duplicate member"),
            (r#"{"parts":[{"label":"A"}]}"#, "parts[0].sku", "missing member"),
            (r#"{"parts":[{"sku":"A","price":1}]}"#, "parts[0].price", "unknown member"),
            (r#"{"parts":[{"sku":""}]}"#, "parts[0].sku", "it is empty"),
            (r#"{"parts":[{"sku":"a\u0000b"}]}"#, "parts[0].sku", "it holds the control character U+0000"),
            (r#"{"parts":[{"sku":"A","label":"a\u0000b"}]}"#, "parts[0].label", "it holds the character NUL (U+0000)"),
            (
                r#"{"parts":[{"sku":1},{"sku":2},{"sku":3},{"sku":4}]}"#,
                "parts",
                "it has more than 3 entries, which is the limit",
            ),
        ] {
            assert_eq!(problem(input), Problem::new(path, reason), "{input}");
        }
        assert_eq!(problem(r#"{"parts":{}}"#).path, "parts");
        assert_eq!(problem(r#"{"parts":[{"sku":[]}]}"#).path, "parts[0].sku");
        assert_eq!(problem(r#"{"parts":[{"sku":true}]}"#).path, "parts[0].sku");
        let long = format!(r#"{{"parts":[{{"sku":"{}"}}]}}"#, "x".repeat(MAX_CODE_BYTES + 1));
        assert_eq!(problem(long), Problem::new("parts[0].sku", "it has 1001 bytes, at most 1000 are read"));
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        for input in ["", "{", "{} {}", "nul", "[]", r#"{"parts":[{"sku":"\ud800"}]}"#, "{a:1}", "NaN", "1e999"] {
            let _ = problem(input);
        }
        assert_eq!(problem(b"\"\xff\""), Problem::new("", "byte 1 is not UTF-8"));
        assert_eq!(problem("{} {}").reason, "trailing characters");
        let long = "x".repeat(100_000);
        for input in [format!("\"{long}\""), format!(r#"{{"parts":[{{"sku":1,"{long}":1}}]}}"#)] {
            assert!(problem(&input).to_string().len() < 700);
        }
    }

    #[test]
    fn an_object_is_not_read_from_a_list_of_its_members() {
        assert_eq!(problem(r#"{"parts":[["A"]]}"#).path, "parts[0]");
        #[derive(Debug, serde::Deserialize)]
        struct Optional<'a> {
            #[serde(borrow)]
            _part: Option<Part<'a>>,
        }
        assert!(read::<Optional<'_>>(br#"{"_part":{"sku":"A"}}"#).is_ok());
        assert!(read::<Optional<'_>>(br#"{"_part":["A"]}"#).is_err());
    }

    #[test]
    fn nesting_is_bounded_wherever_it_stands() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for member in ["state", "unknown"] {
            let input = |depth| format!(r#"{{"{member}":{}}}"#, nested(depth));
            assert!(read::<Product<'_>>(input(MAX_DEPTH - 1).as_bytes()).is_ok());
            let refused = Problem::new("", "it is nested deeper than 96");
            assert_eq!(problem(input(MAX_DEPTH)), refused);
            assert_eq!(problem(input(200_000)), refused);
        }
        // A bracket inside a text is not nesting, whatever escapes precede it.
        let texts = format!(r#"{{"unknown":["\\","\"{0}","\\\"{0}"]}}"#, "[".repeat(200));
        assert!(read::<Product<'_>>(texts.as_bytes()).is_ok());
    }

    #[test]
    fn a_number_is_read_as_its_digits() {
        let codes: List<Code<'_>, 9> = read(br#"[21, "21", -3, 0.5, 40012.0, "007"]"#).unwrap();
        let codes: Vec<&str> = codes.iter().map(Code::as_str).collect();
        assert_eq!(codes, ["21", "21", "-3", "0.5", "40012", "007"]);
        let optional: List<Optional<Code<'_>>, 9> = read(br#"[null, "", 7, "\u0041", "b"]"#).unwrap();
        let optional: Vec<Option<&str>> = optional.iter().map(Optional::as_str).collect();
        assert_eq!(optional, [None, None, Some("7"), Some("A"), Some("b")]);
    }

    #[test]
    fn a_part_keeps_its_bytes_and_is_read_later() {
        let input = br#"{ "state": { "parts" : [ {"sku" : 1.50e0} ] } }"#;
        let product: Product<'_> = read(input).unwrap();
        let state = product.state.unwrap();
        assert_eq!(state.get(), r#"{ "parts" : [ {"sku" : 1.50e0} ] }"#);
        let place = range(input, state.get()).unwrap();
        assert_eq!(&input[place.offset as usize..][..place.length as usize], state.get().as_bytes());
        assert_eq!(range(input, "elsewhere"), None);
        let inner: Product<'_> = read_part(state).unwrap();
        assert_eq!(inner.parts[0].sku.as_str(), "1.5");
        let broken: Product<'_> = read(br#"{"state":{"parts":[{"sku":null}]}}"#).unwrap();
        let problem = read_part::<Product<'_>>(broken.state.unwrap()).unwrap_err();
        assert_eq!(problem.within("[0].state").path, "[0].state.parts[0].sku");
    }

    #[test]
    fn members_keep_their_order_and_stand_once() {
        let members: Members<'_> = read(br#"{"b": 1.0, "a": null}"#).unwrap();
        let written: Vec<(&str, &str)> = members.0.iter().map(|(name, value)| (name.0.as_ref(), value.get())).collect();
        assert_eq!(written, [("b", "1.0"), ("a", "null")]);
        assert_eq!(read::<Members<'_>>(br#"{"a":1,"\u0061":2}"#).unwrap_err().path, "a");
    }
}
