//! `attribute_value`: a shopper's text, and for other kinds of attributes undocumented values.

use std::borrow::Cow;

use cartwright_plugin::json::{self, Members, Name, Problem, RawValue};
use serde::Deserialize;

/// An `attribute_value` as people read it: `{ "value": … }` or the bare value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum DisplayValue<'a> {
    /// No value.
    #[default]
    Nothing,
    /// A shopper's text, complete.
    Text(Cow<'a, str>),
    /// A number, as the payload spells it.
    Number(&'a str),
    /// Yes or no.
    YesNo(bool),
    /// The media type of a file's content.
    File(String),
    /// A list, or an object such as an upload.
    Other {
        /// The part that can be shown: the texts of a list, the name of an object.
        text: String,
        /// Whether a part cannot be shown.
        is_cut: bool,
    },
}

/// The members that may contain an object's name, the likeliest first. They are undocumented.
const NAME_MEMBERS: [&str; 7] = ["name", "file_name", "filename", "original_name", "file", "title", "label"];
/// Maximum number of characters of a data URI before its content.
const MAX_URI_HEAD: usize = 256;

#[derive(Deserialize)]
struct WrappedValue<'a> {
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

impl<'a> DisplayValue<'a> {
    /// Parses an `attribute_value`.
    pub(super) fn read(value: &'a RawValue) -> Result<Self, Problem> {
        if !value.get().starts_with('{') {
            return Self::of(value);
        }
        match json::read_part::<WrappedValue<'a>>(value)?.value {
            Some(value) => Self::of(value).map_err(|problem| problem.within("value")),
            None => Self::object(value),
        }
    }

    fn of(value: &'a RawValue) -> Result<Self, Problem> {
        match value.get().as_bytes().first() {
            Some(b'{') => Self::object(value),
            Some(b'[') => Self::list(value),
            _ => Self::scalar(value),
        }
    }

    fn list(value: &'a RawValue) -> Result<Self, Problem> {
        let (mut texts, mut is_cut) = (Vec::new(), false);
        for (index, part) in json::read_part::<Vec<&'a RawValue>>(value)?.into_iter().enumerate() {
            let written = match part.get().as_bytes().first() {
                Some(b'{') => Self::object(part),
                // A nested list does not fit on one line of text.
                Some(b'[') => Ok(Self::Other { text: String::new(), is_cut: true }),
                _ => Self::scalar(part),
            };
            match written.map_err(|problem| problem.within(&format!("[{index}]")))? {
                Self::Nothing => {}
                Self::Text(text) => texts.push(text.into_owned()),
                Self::Number(number) => texts.push(number.to_owned()),
                Self::YesNo(yes) => texts.push(if yes { "yes" } else { "no" }.to_owned()),
                Self::File(kind) => texts.push(kind),
                Self::Other { text: name, is_cut: cut } => {
                    is_cut |= cut;
                    texts.extend(Some(name).filter(|name| !name.is_empty()));
                }
            }
        }
        Ok(Self::Other { text: texts.join(", "), is_cut })
    }

    fn object(value: &'a RawValue) -> Result<Self, Problem> {
        let Members(members) = json::read_part(value)?;
        for name in NAME_MEMBERS {
            let Some((_, part)) = members.iter().find(|(Name(member), _)| member == name) else { continue };
            if !part.get().starts_with('"') {
                continue;
            }
            match Self::scalar(part).map_err(|problem| problem.within(name))? {
                Self::Text(text) => return Ok(Self::Other { text: text.into_owned(), is_cut: false }),
                Self::File(kind) => return Ok(Self::Other { text: kind, is_cut: false }),
                _ => {}
            }
        }
        Ok(Self::Other { text: String::new(), is_cut: !members.is_empty() })
    }

    fn scalar(value: &'a RawValue) -> Result<Self, Problem> {
        let json = value.get();
        Ok(match json.as_bytes().first() {
            Some(b'n') => Self::Nothing,
            Some(b't') => Self::YesNo(true),
            Some(b'f') => Self::YesNo(false),
            Some(b'"') => {
                // Uploads may be data URIs of megabytes.
                if let Some(kind) = media_type(json) {
                    return Ok(Self::File(kind));
                }
                let Name(text) = json::read_part(value)?;
                json::check_storable(&text).map_err(|reason| Problem::new("", reason))?;
                if text.is_empty() { Self::Nothing } else { Self::Text(text) }
            }
            _ => Self::Number(json),
        })
    }
}

/// Returns the media type of a data URI in JSON text, such as `data:image/png;base64,…`. Reads only the head of the
/// URI.
fn media_type(json: &str) -> Option<String> {
    // JSON may escape a slash.
    let head = json.chars().skip(1).take(MAX_URI_HEAD).collect::<String>().replace("\\/", "/");
    let (scheme, rest) = head.split_once(':')?;
    let (described, _) = rest.split_once(',')?;
    let kind = described.split(';').next()?;
    let (top, sub) = kind.split_once('/')?;
    let is_token = |text: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !text.is_empty() && text.bytes().all(is_part)
    };
    (scheme.eq_ignore_ascii_case("data") && is_token(top) && is_token(sub)).then(|| kind.to_ascii_lowercase())
}
