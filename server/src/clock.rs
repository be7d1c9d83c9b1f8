//! The server's clock, read in one place.

use model::TimestampMs;

/// Now.
pub fn now() -> TimestampMs {
    TimestampMs(jiff::Timestamp::now().as_millisecond())
}

/// A moment in RFC 3339, as logs write it; none when it is not one.
pub fn moment_of(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(|moment| moment.as_millisecond())
}
