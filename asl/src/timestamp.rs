//! Owns timestamps as texts: AWS's profile of RFC 3339 in, milliseconds out, and back.

use jiff::Timestamp;

/// Reads a timestamp such as `2016-03-14T01:59:00Z`: upper case `T`, and `Z` or an offset. Gives
/// nanoseconds since the Unix epoch.
pub fn parse(text: &str) -> Option<i128> {
    let (date, time) = text.split_once('T')?;
    let plain = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit() || b"-+:.Z".contains(&b))
    };
    if date.len() != 10 || time.len() < 6 || !plain(date) || !plain(time) {
        return None;
    }
    Some(text.parse::<Timestamp>().ok()?.as_nanosecond())
}

/// Milliseconds since the Unix epoch, rounded up so that nothing happens too early.
pub fn to_millis(nanoseconds: i128) -> i64 {
    let millis =
        nanoseconds.div_euclid(1_000_000) + i128::from(nanoseconds.rem_euclid(1_000_000) != 0);
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// Writes a time as AWS does: `2019-03-26T20:14:13.192Z`.
pub fn format(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let said = parse(text).map_or("none".to_owned(), |time| format(to_millis(time)));
        expected.assert_eq(&said);
    }

    #[test]
    fn read_and_write() {
        check("2016-03-14T01:59:00Z", expect!["2016-03-14T01:59:00.000Z"]);
        check(
            "2016-03-14T01:59:00.5-01:00",
            expect!["2016-03-14T02:59:00.500Z"],
        );
        check(
            "2016-12-05T21:29:29.123456789Z",
            expect!["2016-12-05T21:29:29.124Z"],
        );
        check("2016-12-05T21:29:29", expect!["none"]);
        check("2016-13-05T21:29:29Z", expect!["none"]);
        check("2016-12-05 21:29:29Z", expect!["none"]);
        check("2016-12-05T21:29:29Z[UTC]", expect!["none"]);
    }
}
