//! Owns dates and times by picture: written and read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::jsonata::error::Error;
use crate::jsonata::evaluate::Evaluator;

use super::calendar::{DAY_MS, Moment, days_to};
use super::integer_picture::{Case, IntegerPicture, Separators, leading_number};
use super::picture::{self, Marker, Part};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// The names of a component's values, from 1 on.
fn names(component: char) -> Result<&'static [&'static str], Error> {
    match component {
        'M' | 'x' => Ok(&MONTHS),
        'F' => Ok(&DAYS),
        other => {
            let message = format!(
                "The 'name' modifier can only be applied to months and days in the date/time picture string, not {other:?}"
            );
            Err(Error::new("D3133", message))
        }
    }
}

/// Writes a time; `zone` is an offset such as `+0100`.
pub(super) fn format(
    this: &mut Evaluator<'_>,
    ms: i64,
    picture: Option<&str>,
    zone: Option<&str>,
) -> Result<String, Error> {
    let offset = zone.map_or(0.0, leading_number);
    let offset = if offset.is_finite() {
        offset.clamp(-1e6, 1e6) as i64
    } else {
        0
    };
    // The sign of the minutes is that of the offset; the hours are rounded down.
    let (hours, minutes) = (offset.div_euclid(100), offset % 100);
    let moment = Moment::new(ms.saturating_add((60 * hours + minutes) * 60_000));
    let parts = picture::parse(picture.unwrap_or(picture::ISO))?;
    let mut text = String::new();
    for part in &parts {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Marker(marker) => {
                let component = component(this, &moment, marker, hours, minutes)?;
                this.spend_bytes(component.len())?;
                text.push_str(&component);
            }
        }
    }
    Ok(text)
}

fn component(
    this: &mut Evaluator<'_>,
    moment: &Moment,
    marker: &Marker,
    hours: i64,
    minutes: i64,
) -> Result<String, Error> {
    let letter = marker.component;
    if matches!(letter, 'Z' | 'z') {
        return zone(this, marker, hours, minutes);
    }
    if matches!(letter, 'C' | 'E') {
        return Ok("ISO".to_owned());
    }
    let Some(mut value) = moment.component(letter) else {
        let message = format!("Unknown component specifier {letter:?} in date/time picture string");
        return Err(Error::new("D3132", message));
    };
    if letter == 'P' {
        let text = if value == 1 { "pm" } else { "am" };
        return Ok(match marker.names {
            Some(Case::Upper) => text.to_uppercase(),
            _ => text.to_owned(),
        });
    }
    if let (Some(digits), 'Y') = (marker.year_digits, letter) {
        value %= 10_i64.saturating_pow(digits as u32).max(1);
    }
    if let Some(case) = marker.names {
        let name = names(letter)?
            .get(value as usize - 1)
            .copied()
            .unwrap_or("");
        let mut name = match case {
            Case::Upper => name.to_uppercase(),
            Case::Lower => name.to_lowercase(),
            Case::Title => name.to_owned(),
        };
        name.truncate(marker.width_max.unwrap_or(usize::MAX));
        return Ok(name);
    }
    match &marker.integer {
        Some(integer) => integer.format(this, value as f64),
        None => Ok(String::new()),
    }
}

fn zone(
    this: &mut Evaluator<'_>,
    marker: &Marker,
    hours: i64,
    minutes: i64,
) -> Result<String, Error> {
    let offset = hours * 100 + minutes;
    if offset == 0 && marker.traditional {
        return Ok("Z".to_owned());
    }
    let Some(integer) = &marker.integer else {
        return Ok(String::new());
    };
    let mut text = match integer.mandatory {
        _ if integer.is_regular() => integer.format(this, offset as f64)?,
        1 | 2 => {
            let mut text = integer.format(this, hours as f64)?;
            if minutes != 0 {
                text += &format!(":{minutes:02}");
            }
            text
        }
        3 | 4 => integer.format(this, offset as f64)?,
        _ => {
            let message = "The timezone integer format specifier cannot have more than four digits";
            return Err(Error::new("D3134", message));
        }
    };
    if offset >= 0 {
        text.insert(0, '+');
    }
    if marker.component == 'z' {
        text.insert_str(0, "GMT");
    }
    Ok(text)
}

/// The regular expression for what a marker reads.
fn pattern(marker: &Marker) -> Result<String, Error> {
    let letter = marker.component;
    Ok(match (&marker.integer, letter) {
        (Some(integer), 'Z' | 'z') => {
            let prefix = if letter == 'z' { "GMT" } else { "" };
            let minutes = match integer.separators {
                Separators::Regular(_, c) => escaped(&c.to_string()) + "[0-9]+",
                Separators::Irregular(_) => String::new(),
            };
            format!("{prefix}[-+][0-9]+{minutes}")
        }
        (_, 'f') => "[0-9]+".to_owned(),
        (Some(integer), _) => integer.pattern()?,
        (None, 'P') => "[a-zA-Z]+".to_owned(),
        (None, letter) => {
            names(letter)?;
            "[a-zA-Z]+".to_owned()
        }
    })
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if ".*+?^${}()|[]\\".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// What a marker reads; `None` if it means nothing.
fn read(marker: &Marker, text: &str) -> Result<Option<f64>, Error> {
    let letter = marker.component;
    let value = match (&marker.integer, letter) {
        (Some(integer), 'Z' | 'z') => zone_minutes(text.trim_start_matches("GMT"), integer),
        (_, 'f') => {
            let digits: String = text.chars().take(3).collect();
            format!("0.{digits}").parse().unwrap_or(0.0) * 1000.0
        }
        (Some(integer), _) => integer.parse_text(text)?,
        (None, 'P') => match text {
            "am" | "AM" => 0.0,
            "pm" | "PM" => 1.0,
            _ => return Ok(None),
        },
        (None, letter) => {
            let most = marker.width_max.unwrap_or(usize::MAX);
            let names = names(letter)?.iter();
            let mut names = names.map(|name| &name[..name.len().min(most)]);
            match names.position(|name| name == text) {
                Some(index) => index as f64 + 1.0,
                None => return Ok(None),
            }
        }
    };
    Ok(Some(value))
}

fn zone_minutes(text: &str, integer: &IntegerPicture) -> f64 {
    let (hours, minutes) = match integer.separators {
        Separators::Regular(_, c) => text.split_once(c).unwrap_or((text, "0")),
        Separators::Irregular(_) if text.len() <= 3 => (text, "0"),
        Separators::Irregular(_) => text.split_at_checked(3).unwrap_or((text, "0")),
    };
    leading_number(hours) * 60.0 + leading_number(minutes)
}

/// Reads a time by picture; `None` if the text does not fit. What the text leaves out in front is
/// taken from `now_ms`.
pub(super) fn parse(
    this: &mut Evaluator<'_>,
    text: &str,
    picture: &str,
) -> Result<Option<f64>, Error> {
    this.spend(picture.len() + text.len())?;
    let parts = picture::parse(picture)?;
    let mut regex = String::from("^");
    for part in &parts {
        let pattern = match part {
            Part::Literal(literal) => escaped(literal),
            Part::Marker(marker) => pattern(marker)?,
        };
        regex.push_str(&format!("({pattern})"));
    }
    regex.push('$');
    let built = regex_lite::RegexBuilder::new(&regex)
        .case_insensitive(true)
        .size_limit(1 << 20)
        .build();
    let Ok(regex) = built else {
        return Err(missing());
    };
    let Some(captures) = regex.captures(text) else {
        return Ok(None);
    };
    let mut components: HashMap<char, f64> = HashMap::new();
    for (index, part) in parts.iter().enumerate() {
        if let (Part::Marker(marker), Some(found)) = (part, captures.get(index + 1))
            && let Some(value) = read(marker, found.as_str())?
        {
            components.insert(marker.component, value);
        }
    }
    if components.is_empty() {
        return Ok(None);
    }
    assemble(components, &Moment::new(this.now_ms)).map(Some)
}

fn missing() -> Error {
    let message =
        "The date/time picture string is missing specifiers required to parse the timestamp";
    Error::new("D3136", message)
}

fn assemble(mut components: HashMap<char, f64>, now: &Moment) -> Result<f64, Error> {
    let given = |letters: &str, components: &HashMap<char, f64>| -> u32 {
        letters.chars().fold(0, |mask, letter| {
            // As in the reference implementation, a value of 0 counts as not given.
            let has = components.get(&letter).is_some_and(|value| *value != 0.0);
            mask << 1 | u32::from(has)
        })
    };
    let is = |mask: u32, allowed: u32| mask & !allowed == 0 && mask & allowed != 0;
    let date = given("YXMxWwdD", &components);
    let by_date = is(date, 0b1010_0001);
    let by_day_of_year = !by_date && is(date, 0b1000_0010);
    let by_weeks = is(date, 0b0101_0100) || is(date, 0b0100_1000);
    let time = given("PHhmsf", &components);
    let by_half_day = !is(time, 0b01_0111) && is(time, 0b10_1111);
    if by_weeks {
        return Err(missing());
    }
    let order = match (by_day_of_year, by_half_day) {
        (true, false) => "YDHmsf",
        (true, true) => "YDPhmsf",
        (false, false) => "YMDHmsf",
        (false, true) => "YMDPhmsf",
    };
    let (mut started, mut ended) = (false, false);
    for letter in order.chars() {
        let missing_value = match (started, "MDd".contains(letter)) {
            (false, _) => now.component(letter).unwrap_or(0) as f64,
            (true, true) => 1.0,
            (true, false) => 0.0,
        };
        match components.entry(letter) {
            Entry::Occupied(_) if ended => return Err(missing()),
            Entry::Occupied(_) => started = true,
            Entry::Vacant(entry) => {
                entry.insert(missing_value);
                ended = started;
            }
        }
    }
    let get = |letter: char| {
        let value = components.get(&letter).copied().unwrap_or(0.0);
        // Beyond all that is a time; NaN becomes 0.
        value.clamp(-1e9, 1e9) as i64
    };
    let (mut month, mut day) = (get('M').max(1), get('D'));
    if by_day_of_year {
        (month, day) = (1, get('d'));
    }
    let mut hour = get('H');
    if by_half_day {
        hour = get('h') % 12 + 12 * get('P');
    }
    let days = days_to(get('Y'), month, day);
    let time = ((hour * 60 + get('m')) * 60 + get('s')) * 1000 + get('f');
    let zone = if components.contains_key(&'Z') {
        get('Z')
    } else {
        get('z')
    };
    Ok((days as f64) * DAY_MS as f64 + time as f64 - zone as f64 * 60_000.0)
}
