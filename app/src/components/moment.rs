//! Moments for people: absolute times in UTC, ages, durations that run. Civil dates follow the proleptic
//! Gregorian calendar, as RFC 3339 has it.

use leptos::prelude::*;
use model::{TimestampMs, time::duration_text};

use crate::clock::Clock;

/// Year, month and day of a count of days since 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// `2026-11-22`.
fn date_text(at: TimestampMs) -> String {
    let (year, month, day) = civil(at.0.div_euclid(86_400_000));
    format!("{year:04}-{month:02}-{day:02}")
}

/// `18:34:10`, UTC.
pub fn time_text(at: TimestampMs) -> String {
    let seconds = at.0.rem_euclid(86_400_000) / 1000;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// `2026-11-22 18:34:10 UTC`.
pub fn utc_text(at: TimestampMs) -> String {
    format!("{} {} UTC", date_text(at), time_text(at))
}

/// `2026-11-22T18:34:10Z` (RFC 3339), for the `datetime` attribute.
pub fn rfc3339(at: TimestampMs) -> String {
    format!("{}T{}Z", date_text(at), time_text(at))
}

/// How long ago, in one unit: `just now`, `12 s ago`, `3 min ago`, `2 h ago`, `4 d ago`.
pub fn age_text(at: TimestampMs, now: TimestampMs) -> String {
    let seconds = now.since_ms(at) / 1000;
    match seconds {
        0..=4 => "just now".to_owned(),
        5..=59 => format!("{seconds} s ago"),
        60..=3_599 => format!("{} min ago", seconds / 60),
        3_600..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// A moment as its age, that grows; the moment itself is in the tooltip and the `datetime` attribute.
pub fn age(at: TimestampMs, clock: Clock) -> AnyView {
    view! {
        <time datetime=rfc3339(at) title=utc_text(at)>
            {move || age_text(at, clock.now())}
        </time>
    }
    .into_any()
}

/// A moment in full.
pub fn moment(at: TimestampMs) -> AnyView {
    view! { <time datetime=rfc3339(at)>{utc_text(at)}</time> }.into_any()
}

/// How long something took, or has taken so far.
pub fn duration(started: TimestampMs, ended: Option<TimestampMs>, clock: Clock) -> AnyView {
    match ended {
        Some(ended) => duration_text(ended.since_ms(started)).into_any(),
        None => (move || {
            // Whole seconds: a running time with tenths would flicker.
            duration_text(clock.now().since_ms(started) / 1000 * 1000)
        })
        .into_any(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_utc() {
        assert_eq!(utc_text(TimestampMs(0)), "1970-01-01 00:00:00 UTC");
        assert_eq!(
            utc_text(TimestampMs(951_827_696_000)),
            "2000-02-29 12:34:56 UTC"
        );
        assert_eq!(
            rfc3339(TimestampMs(951_827_696_999)),
            "2000-02-29T12:34:56Z"
        );
        assert_eq!(utc_text(TimestampMs(-1)), "1969-12-31 23:59:59 UTC");
    }

    #[test]
    fn ages_use_one_unit() {
        let now = TimestampMs(1_000_000_000);
        let texts = [
            0,
            4_999,
            5_000,
            59_999,
            60_000,
            7_199_000,
            172_799_000,
            172_800_000,
            -9_000,
        ]
        .map(|ago| age_text(TimestampMs(now.0 - ago), now));
        assert_eq!(
            texts,
            [
                "just now",
                "just now",
                "5 s ago",
                "59 s ago",
                "1 min ago",
                "1 h ago",
                "47 h ago",
                "2 d ago",
                "just now"
            ]
        );
    }
}
