//! Moments as a journal keeps them: to the millisecond.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970; none for a clock that is before it.
pub(crate) fn milliseconds(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// The moment to the millisecond, which is what a journal keeps.
pub(crate) fn truncate_to_millis(at: SystemTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(milliseconds(at))
}

/// RFC 3339 in UTC, to the second; the last second of the calendar for a clock that is beyond it.
pub fn timestamp(at: SystemTime) -> String {
    let whole_seconds = UNIX_EPOCH + Duration::from_secs(milliseconds(at) / 1000);
    jiff::Timestamp::try_from(whole_seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// A moment in a journal's JSON: RFC 3339 with milliseconds.
pub(crate) mod moment {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    pub(crate) fn serialize<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        jiff::Timestamp::try_from(*at).map_err(ser::Error::custom)?.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let at = jiff::Timestamp::deserialize(deserializer)?;
        if at < jiff::Timestamp::UNIX_EPOCH {
            return Err(de::Error::custom("a moment before 1970"));
        }
        Ok(super::truncate_to_millis(at.into()))
    }
}
