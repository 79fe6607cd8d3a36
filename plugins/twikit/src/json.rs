//! Strict JSON for what came through a browser or an unsigned webhook.
//!
//! `serde_json::Value` keeps the last of two members of one name, so that a check and a use can see different ones; here a
//! repeated name is an error. Every error names the path of what is wrong.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

/// The largest whole number that a JavaScript number holds exactly, 2^53 - 1: nothing larger can have come from a page.
pub const LARGEST_WHOLE: u64 = (1 << 53) - 1;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number from 0.
    Whole(u64),
    /// Any other number: nothing in Twikit's integration uses one.
    OtherNumber,
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// Members in their order; no name stands twice.
    Object(Vec<(String, Json)>),
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// A path such as `lineItems[0].identifier`; empty for the whole.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.reason) } else { write!(f, "{}: {}", self.path, self.reason) }
    }
}

/// Reads one JSON value and nothing after it.
pub fn parse(bytes: &[u8]) -> Result<Json, Problem> {
    let at = |path: String, reason: &str| Problem { path, reason: reason.to_owned() };
    let text = std::str::from_utf8(bytes).map_err(|_| at(String::new(), "is not UTF-8"))?;
    let repeated = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Seed { path: String::new(), repeated: &repeated }
        .deserialize(&mut deserializer)
        .and_then(|json| deserializer.end().map(|()| json))
        .map_err(|error| match repeated.take() {
            Some(path) => at(path, "stands twice"),
            None => at(String::new(), &format!("is not JSON: {error}")),
        })
}

struct Seed<'a> {
    path: String,
    /// The path of a name that stands twice: serde's errors carry text only.
    repeated: &'a RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(u64::try_from(value).map_or(Json::OtherNumber, Json::Whole))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, list.len());
            match items.next_element_seed(Seed { path, repeated: self.repeated })? {
                Some(item) => list.push(item),
                None => return Ok(Json::List(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut names = std::collections::BTreeSet::new();
        let mut object = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = joined(&self.path, &name);
            if !names.insert(name.clone()) {
                *self.repeated.borrow_mut() = Some(path);
                return Err(A::Error::custom("a name stands twice"));
            }
            let value = members.next_value_seed(Seed { path, repeated: self.repeated })?;
            object.push((name, value));
        }
        Ok(Json::Object(object))
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A value and where it stands. A member that is missing reads as `null`.
#[derive(Debug, Clone)]
pub struct At<'a> {
    path: String,
    json: &'a Json,
}

impl<'a> At<'a> {
    /// The whole.
    pub fn root(json: &'a Json) -> Self {
        Self { path: String::new(), json }
    }

    /// A problem with this value.
    pub fn problem(&self, reason: impl Into<String>) -> Problem {
        Problem { path: self.path.clone(), reason: reason.into() }
    }

    /// Is it missing or `null`?
    pub fn is_null(&self) -> bool {
        *self.json == Json::Null
    }

    /// The value itself.
    pub fn json(&self) -> &'a Json {
        self.json
    }

    /// A member of an object.
    pub fn member(&self, name: &str) -> Result<At<'a>, Problem> {
        let Json::Object(members) = self.json else { return Err(self.problem("must be an object")) };
        let json = members.iter().find(|(known, _)| known == name).map_or(&Json::Null, |(_, value)| value);
        Ok(At { path: joined(&self.path, name), json })
    }

    /// Refuses members of other names.
    pub fn only(&self, names: &[&str]) -> Result<(), Problem> {
        let Json::Object(members) = self.json else { return Err(self.problem("must be an object")) };
        match members.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            Some((name, _)) => Err(Problem { path: joined(&self.path, name), reason: "is not known".to_owned() }),
            None => Ok(()),
        }
    }

    /// A text that is not empty.
    pub fn text(&self) -> Result<&'a str, Problem> {
        match self.json {
            Json::Text(text) if !text.is_empty() => Ok(text),
            Json::Text(_) => Err(self.problem("is empty")),
            _ => Err(self.problem("must be text")),
        }
    }

    /// A text; none when it is missing, `null` or empty.
    pub fn optional_text(&self) -> Result<Option<&'a str>, Problem> {
        match self.json {
            Json::Null => Ok(None),
            Json::Text(text) if text.is_empty() => Ok(None),
            _ => self.text().map(Some),
        }
    }

    /// `true` or `false`.
    pub fn yes_no(&self) -> Result<bool, Problem> {
        match self.json {
            Json::Bool(value) => Ok(*value),
            _ => Err(self.problem("must be true or false")),
        }
    }

    /// A whole number from 1 to [`LARGEST_WHOLE`], as every id of Twikit is.
    pub fn id(&self) -> Result<u64, Problem> {
        match self.json {
            Json::Whole(number) if (1..=LARGEST_WHOLE).contains(number) => Ok(*number),
            Json::Whole(_) | Json::OtherNumber => {
                Err(self.problem(format!("must be a whole number from 1 to {LARGEST_WHOLE}")))
            }
            _ => Err(self.problem("must be a number")),
        }
    }

    /// The items of a list.
    pub fn list(&self) -> Result<Vec<At<'a>>, Problem> {
        let Json::List(items) = self.json else { return Err(self.problem("must be a list")) };
        Ok(items.iter().enumerate().map(|(index, json)| At { path: format!("{}[{index}]", self.path), json }).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_refused_with_its_path() {
        let problem = parse(br#"{"a":[{"b":1,"b":1}]}"#).unwrap_err();
        assert_eq!(problem.to_string(), "a[0].b: stands twice");
        // Two spellings of one name are one name.
        assert_eq!(parse(br#"{"a":1,"\u0061":2}"#).unwrap_err().path, "a");
    }

    #[test]
    fn only_whole_numbers_of_javascripts_range_are_ids() {
        let id = |text: &str| At::root(&parse(text.as_bytes()).unwrap()).id();
        assert_eq!(id("9007199254740991"), Ok(9_007_199_254_740_991));
        for text in
            ["0", "-1", "1.5", "1e3", "9007199254740992", "18446744073709551615", "\"7\"", "true", "null", "[7]"]
        {
            assert!(id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "{} {}", "nul", "1e999", "{\"a\":\"\\ud800\"}", "{a:1}", "NaN", &deep] {
            assert!(parse(text.as_bytes()).is_err());
        }
        assert_eq!(parse(b"\"\xff\"").unwrap_err().reason, "is not UTF-8");
    }
}
