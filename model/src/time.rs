//! Moments and durations as they cross the wire. Owns their text for people; reads no clock.

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01T00:00:00Z, leap seconds ignored (POSIX time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct TimestampMs(pub i64);

impl TimestampMs {
    /// Milliseconds from `earlier` to `self`; zero when `earlier` is later, as clocks of two machines may say.
    pub fn since_ms(self, earlier: TimestampMs) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

/// A duration for people: the two largest units, at most. `850 ms`, `4.2 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`.
pub fn duration_text(duration_ms: u64) -> String {
    let seconds = duration_ms / 1000;
    match seconds {
        0 => format!("{duration_ms} ms"),
        1..=9 => format!("{}.{} s", seconds, duration_ms % 1000 / 100),
        10..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A size for people in binary units: `0 B`, `812 B`, `1.4 MiB`.
pub fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_two_units_at_most() {
        let texts: Vec<_> = [0, 850, 4_210, 59_999, 185_000, 7_800_000, 273_600_000]
            .map(duration_text)
            .into();
        assert_eq!(
            texts,
            [
                "0 ms",
                "850 ms",
                "4.2 s",
                "59 s",
                "3 min 05 s",
                "2 h 10 min",
                "3 d 4 h"
            ]
        );
    }

    #[test]
    fn sizes_step_up_before_they_would_read_1024() {
        let texts: Vec<_> = [0, 1023, 1024, 1_468_006, 1024 * 1024 - 1, u64::MAX]
            .map(bytes_text)
            .into();
        assert_eq!(
            texts,
            [
                "0 B",
                "1023 B",
                "1.0 KiB",
                "1.4 MiB",
                "1.0 MiB",
                "16384.0 PiB"
            ]
        );
    }

    #[test]
    fn a_moment_before_its_start_is_no_negative_duration() {
        assert_eq!(TimestampMs(5).since_ms(TimestampMs(9)), 0);
        assert_eq!(TimestampMs(9).since_ms(TimestampMs(5)), 4);
    }
}
