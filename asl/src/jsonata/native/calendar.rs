//! Owns the calendar: days since 1970 to years, months and weeks, and back. Proleptic Gregorian, UTC.
//!
//! After Howard Hinnant, <https://howardhinnant.github.io/date_algorithms.html>. Not jiff's, which ends with the
//! year 9999: JSONata has ECMAScript's time, up to the year 275,760.

pub(super) const DAY_MS: i64 = 86_400_000;
/// The furthest time that ECMAScript knows, in milliseconds.
pub(super) const MILLIS_MAX: f64 = 8.64e15;

/// A time taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    ms: i64,
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: i64,
    pub(super) day: i64,
}

/// Days from 1970-01-01 to the first of a month; months may be any number.
fn days_to_month(year: i64, month: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    // Years begin in March, so that the leap day comes last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Days from 1970-01-01 to a date.
pub(super) fn days_to(year: i64, month: i64, day: i64) -> i64 {
    days_to_month(year, month) + day - 1
}

/// 1 for Monday to 7 for Sunday.
fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// The Monday of the first week of a year or month: the one with its first Thursday.
fn first_week(year: i64, month: i64) -> i64 {
    let first = days_to_month(year, month);
    let weekday = weekday(first);
    if weekday > 4 {
        first + 8 - weekday
    } else {
        first - weekday + 1
    }
}

impl Moment {
    /// The time of milliseconds since the Unix epoch.
    pub(super) fn new(ms: i64) -> Moment {
        let days = ms.div_euclid(DAY_MS);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Moment {
            ms,
            year,
            month,
            day,
        }
    }

    fn days(&self) -> i64 {
        self.ms.div_euclid(DAY_MS)
    }

    fn of_day(&self, unit_ms: i64, count: i64) -> i64 {
        self.ms.rem_euclid(DAY_MS) / unit_ms % count
    }

    /// The week of a period of months that begins at `(year, month)`, and whether the day belongs
    /// to the period before or after.
    fn week_of(&self, month: i64, months: i64) -> (i64, i64) {
        let today = self.days();
        let after = first_week(self.year, month + months);
        if today >= after {
            return (1, 1);
        }
        let start = first_week(self.year, month);
        if today >= start {
            return ((today - start) / 7 + 1, 0);
        }
        ((today - first_week(self.year, month - months)) / 7 + 1, -1)
    }

    /// A component by the letter that pictures have for it; `None` if it is no number.
    pub(super) fn component(&self, letter: char) -> Option<i64> {
        Some(match letter {
            'Y' => self.year,
            'M' => self.month,
            'D' => self.day,
            'd' => self.days() - days_to_month(self.year, 1) + 1,
            'F' => weekday(self.days()),
            'W' => self.week_of(1, 12).0,
            'w' => self.week_of(self.month, 1).0,
            'X' => self.year + self.week_of(1, 12).1,
            'x' => (self.month + self.week_of(self.month, 1).1 - 1).rem_euclid(12) + 1,
            'H' => self.of_day(3_600_000, 24),
            'h' => (self.of_day(3_600_000, 24) + 11) % 12 + 1,
            'P' => i64::from(self.of_day(3_600_000, 24) >= 12),
            'm' => self.of_day(60_000, 60),
            's' => self.of_day(1000, 60),
            'f' => self.of_day(1, 1000),
            _ => return None,
        })
    }
}
