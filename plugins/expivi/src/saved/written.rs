//! `attribute_value`: what a shopper wrote, and what other kinds of attributes put there, which no document describes.

use std::borrow::Cow;

use cartwright_plugin::json::{self, Name, Problem, RawValue};
use serde::Deserialize;

/// What an `attribute_value` is to people: `{ "value": … }` or the bare value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Written<'a> {
    /// Nothing.
    #[default]
    Nothing,
    /// A text that the shopper wrote, whole.
    Text(Cow<'a, str>),
    /// A number, as it stands in the payload.
    Number(&'a str),
    /// Yes or no.
    YesNo(bool),
    /// The content of a file.
    File,
    /// An upload, a list, or anything else that is no text to show.
    Other,
}

#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

impl<'a> Written<'a> {
    /// Reads an `attribute_value`.
    pub(super) fn read(value: &'a RawValue) -> Result<Self, Problem> {
        if !value.get().starts_with('{') {
            return Self::scalar(value);
        }
        match json::read_part::<Wrapped<'a>>(value)?.value {
            Some(value) => Self::scalar(value).map_err(|problem| problem.within("value")),
            None => Ok(Self::Other),
        }
    }

    fn scalar(value: &'a RawValue) -> Result<Self, Problem> {
        let json = value.get();
        Ok(match json.as_bytes().first() {
            Some(b'n') => Self::Nothing,
            Some(b't') => Self::YesNo(true),
            Some(b'f') => Self::YesNo(false),
            Some(b'{' | b'[') => Self::Other,
            // Uploads may stand there as data URIs of megabytes.
            Some(b'"') if json.get(1..6).is_some_and(|start| start.eq_ignore_ascii_case("data:")) => Self::File,
            Some(b'"') => {
                let Name(text) = json::read_part(value)?;
                json::check_storable(&text).map_err(|reason| Problem::new("", reason))?;
                if text.is_empty() { Self::Nothing } else { Self::Text(text) }
            }
            _ => Self::Number(json),
        })
    }
}
