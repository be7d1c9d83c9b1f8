//! Owns pictures of dates and times such as `[Y0001]-[M01]-[D01]`, taken apart.
//!
//! They are those of XPath's `fn:format-dateTime`.
//! <https://www.w3.org/TR/xpath-functions-31/#rules-for-datetime-formatting>

use crate::jsonata::error::Error;

use super::integer_picture::{Case, IntegerPicture, leading_number};

/// A part of a picture.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Literal(String),
    Marker(Marker),
}

/// A component of a date or time.
#[derive(Debug, Clone)]
pub(super) struct Marker {
    pub(super) component: char,
    /// Written as a name, in this case.
    pub(super) names: Option<Case>,
    pub(super) integer: Option<IntegerPicture>,
    /// At most so many characters of a name.
    pub(super) width_max: Option<usize>,
    /// Only so many digits of a year.
    pub(super) year_digits: Option<usize>,
    /// `t`: a time zone of nothing is `Z`.
    pub(super) traditional: bool,
}

/// Limit for widths: no component is longer.
const WIDTH_MAX: usize = 100;

/// The ISO 8601 picture that is used when none is given.
pub(super) const ISO: &str = "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01].[f001][Z01:01t]";

/// Takes a picture apart.
pub(super) fn parse(picture: &str) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    let mut rest = picture;
    while let Some(at) = rest.find('[') {
        literal(&rest[..at], &mut parts);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('[') {
            parts.push(Part::Literal("[".to_owned()));
            rest = after;
            continue;
        }
        let Some(end) = rest.find(']') else {
            let message = "No matching closing bracket ']' in date/time picture string";
            return Err(Error::new("D3135", message));
        };
        let marker: String = rest[..end].chars().filter(|c| !c.is_whitespace()).collect();
        let marker = marker_of(&marker, parts.last_mut())?;
        parts.push(Part::Marker(marker));
        rest = &rest[end + 1..];
    }
    literal(rest, &mut parts);
    Ok(parts)
}

fn literal(text: &str, parts: &mut Vec<Part>) {
    if !text.is_empty() {
        parts.push(Part::Literal(text.replace("]]", "]")));
    }
}

fn default_presentation(component: char) -> Option<&'static str> {
    Some(match component {
        'Y' | 'M' | 'D' | 'd' | 'W' | 'w' | 'X' | 'x' | 'H' | 'h' | 'f' => "1",
        'F' | 'P' | 'C' | 'E' => "n",
        'm' | 's' => "01",
        'Z' | 'z' => "01:01",
        _ => return None,
    })
}

fn width(text: Option<&str>) -> Option<usize> {
    let number = leading_number(text.filter(|text| *text != "*")?);
    (number >= 0.0).then_some((number as usize).min(WIDTH_MAX))
}

fn marker_of(marker: &str, previous: Option<&mut Part>) -> Result<Marker, Error> {
    let mut chars = marker.chars();
    let component = chars.next().unwrap_or(' ');
    let rest = chars.as_str();
    let (presentation, widths) = match rest.rsplit_once(',') {
        Some((presentation, widths)) => (presentation, Some(widths)),
        None => (rest, None),
    };
    let (width_min, width_max) = match widths.map(|widths| widths.split_once('-').ok_or(widths)) {
        None => (None, None),
        Some(Ok((min, max))) => (width(Some(min)), width(Some(max))),
        Some(Err(min)) => (width(Some(min)), None),
    };
    let unknown = || {
        let message =
            format!("Unknown component specifier {component:?} in date/time picture string");
        Error::new("D3132", message)
    };
    let (first, second) = match presentation.char_indices().next_back() {
        None => (default_presentation(component).ok_or_else(unknown)?, None),
        Some((at, c @ ('a' | 't' | 'c' | 'o'))) if at > 0 => (&presentation[..at], Some(c)),
        Some(_) => (presentation, None),
    };
    let mut parsed = Marker {
        component,
        names: None,
        integer: None,
        width_max,
        year_digits: None,
        traditional: second == Some('t'),
    };
    if first.starts_with('n') {
        parsed.names = Some(Case::Lower);
    } else if let Some(rest) = first.strip_prefix('N') {
        let title = rest.starts_with('n');
        parsed.names = Some(if title { Case::Title } else { Case::Upper });
    } else if "YMDdFWwXxHhmsf".contains(component) {
        let picture = match second {
            Some(second) => format!("{first};{second}"),
            None => first.to_owned(),
        };
        let mut integer = IntegerPicture::parse(&picture)?;
        if integer.mandatory > 0 {
            integer.mandatory = integer.mandatory.max(width_min.unwrap_or(0));
        }
        if component == 'Y' {
            if let Some(width) = width_max {
                integer.mandatory = width;
                parsed.year_digits = Some(width);
            } else if integer.mandatory + integer.optional >= 2 {
                parsed.year_digits = Some(integer.mandatory + integer.optional);
            }
        }
        // Two numbers in a row: the first one must not take the digits of the second.
        if let Some(Part::Marker(Marker {
            integer: Some(previous),
            ..
        })) = previous
        {
            previous.parse_width = Some(previous.mandatory.min(WIDTH_MAX));
        }
        parsed.integer = Some(integer);
    }
    if matches!(component, 'Z' | 'z') {
        parsed.integer = Some(IntegerPicture::parse(first)?);
    }
    Ok(parsed)
}
