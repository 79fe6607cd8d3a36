//! Times in requests.

use std::time::SystemTime;

use cartwright::timestamp;
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A time that a caller sent: RFC 3339 with any offset. It is converted to UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestTime(Timestamp);

impl<'de> Deserialize<'de> for RequestTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |reason: String| D::Error::custom(format!("{text:?} is not an RFC 3339 time: {reason}"));
        // RFC 9557, which jiff also parses, is refused: two callers could mean different times by the name of one zone.
        if text.contains('[') {
            return Err(wrong("remove the time zone in brackets".to_owned()));
        }
        text.parse().map(Self).map_err(|error: jiff::Error| wrong(error.to_string()))
    }
}

/// As the contract spells timestamps: in UTC, to the second.
impl std::fmt::Display for RequestTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&timestamp(self.0.into()))
    }
}

impl From<RequestTime> for SystemTime {
    fn from(RequestTime(at): RequestTime) -> Self {
        at.into()
    }
}
