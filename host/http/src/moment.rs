//! Times as they come in.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A time that a caller sent: RFC 3339, with whatever offset. Given on, it is in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |reason: String| D::Error::custom(format!("{text:?} is no RFC 3339 time: {reason}"));
        // RFC 9557, which jiff reads as well: two callers could mean two times by one zone's name.
        if text.contains('[') {
            return Err(wrong("leave the time zone in brackets out".to_owned()));
        }
        text.parse().map(Self).map_err(|error: jiff::Error| wrong(error.to_string()))
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Moment> for SystemTime {
    fn from(Moment(at): Moment) -> Self {
        at.into()
    }
}
