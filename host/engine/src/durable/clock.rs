//! Times in a journal, with millisecond precision.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the milliseconds since 1970, or 0 for an earlier time.
pub(crate) fn milliseconds(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Truncates a time to milliseconds, the precision of a journal.
pub(crate) fn truncate_to_millis(at: SystemTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(milliseconds(at))
}

/// Serializes times in a journal's JSON, as RFC 3339 with milliseconds.
pub(crate) mod rfc3339_milliseconds {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    pub(crate) fn serialize<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        jiff::Timestamp::try_from(*at).map_err(ser::Error::custom)?.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let at = jiff::Timestamp::deserialize(deserializer)?;
        if at < jiff::Timestamp::UNIX_EPOCH {
            return Err(de::Error::custom("a time before 1970"));
        }
        Ok(super::truncate_to_millis(at.into()))
    }
}
