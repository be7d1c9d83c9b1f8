//! Owns whole numbers in words, roman numerals and letters.

const SMALL: [&str; 20] = [
    "Zero",
    "One",
    "Two",
    "Three",
    "Four",
    "Five",
    "Six",
    "Seven",
    "Eight",
    "Nine",
    "Ten",
    "Eleven",
    "Twelve",
    "Thirteen",
    "Fourteen",
    "Fifteen",
    "Sixteen",
    "Seventeen",
    "Eighteen",
    "Nineteen",
];
const ORDINALS: [&str; 20] = [
    "Zeroth",
    "First",
    "Second",
    "Third",
    "Fourth",
    "Fifth",
    "Sixth",
    "Seventh",
    "Eighth",
    "Ninth",
    "Tenth",
    "Eleventh",
    "Twelfth",
    "Thirteenth",
    "Fourteenth",
    "Fifteenth",
    "Sixteenth",
    "Seventeenth",
    "Eighteenth",
    "Nineteenth",
];
const TENS: [&str; 9] = [
    "Twenty", "Thirty", "Forty", "Fifty", "Sixty", "Seventy", "Eighty", "Ninety", "Hundred",
];
const MAGNITUDES: [&str; 4] = ["Thousand", "Million", "Billion", "Trillion"];

/// A whole number that is not negative, in words.
pub(super) fn to_words(number: f64, ordinal: bool) -> String {
    words(number, false, ordinal)
}

fn words(number: f64, after: bool, ordinal: bool) -> String {
    let lead = |lead: &str| {
        if after {
            lead.to_owned()
        } else {
            String::new()
        }
    };
    if number < 20.0 {
        let names = if ordinal { &ORDINALS } else { &SMALL };
        return lead(" and ") + names[number as usize];
    }
    if number < 100.0 {
        let (tens, rest) = ((number / 10.0) as usize, number % 10.0);
        let tens = TENS[tens - 2];
        let mut text = lead(" and ") + tens;
        if rest > 0.0 {
            text = text + "-" + &words(rest, false, ordinal);
        } else if ordinal {
            text.pop();
            text += "ieth";
        }
        return text;
    }
    let (count, name, rest) = if number < 1000.0 {
        let count = (number / 100.0).floor();
        (count, "Hundred", number % 100.0)
    } else {
        let magnitude = ((number.log10() / 3.0).floor() as usize).clamp(1, MAGNITUDES.len());
        let factor = 10_f64.powi(magnitude as i32 * 3);
        let count = (number / factor).floor();
        (count, MAGNITUDES[magnitude - 1], number - count * factor)
    };
    let mut text = lead(", ") + &words(count, false, false) + " " + name;
    if rest > 0.0 {
        text += &words(rest, true, ordinal);
    } else if ordinal {
        text += "th";
    }
    text
}

/// Every word that may be in a number, in lower case, with its value.
fn values() -> impl Iterator<Item = (String, f64)> {
    let small = SMALL.iter().enumerate().chain(ORDINALS.iter().enumerate());
    let small = small.map(|(value, word)| (word.to_lowercase(), value as f64));
    let tens = TENS.iter().enumerate().flat_map(|(index, word)| {
        let (word, value) = (word.to_lowercase(), (index as f64 + 2.0) * 10.0);
        let ordinal = format!("{}ieth", &word[..word.len() - 1]);
        [(ordinal, value), (word, value)]
    });
    let magnitudes = MAGNITUDES.iter().enumerate().flat_map(|(index, word)| {
        let (word, value) = (word.to_lowercase(), 1000_f64.powi(index as i32 + 1));
        [(format!("{word}th"), value), (word, value)]
    });
    small
        .chain(tens)
        .chain([("hundredth".to_owned(), 100.0)])
        .chain(magnitudes)
}

/// A regular expression for numbers in words.
pub(super) fn pattern() -> String {
    let words: Vec<String> = values().map(|(word, _)| word).collect();
    format!(r"(?:{}|and|[\-, ])+", words.join("|"))
}

/// The number of words; NaN if they are none.
pub(super) fn from_words(text: &str) -> f64 {
    let text = text.to_lowercase().replace(", ", " ").replace(" and ", " ");
    let parts = text.split(|c: char| c.is_whitespace() || c == '-' || c == '\\');
    let mut segments = vec![0.0];
    for part in parts {
        let value = values()
            .find(|(word, _)| word == part)
            .map_or(f64::NAN, |(_, value)| value);
        let mut top: f64 = segments.pop().unwrap_or(0.0);
        if value < 100.0 {
            if top >= 1000.0 {
                segments.push(top);
                top = 0.0;
            }
            segments.push(top + value);
        } else {
            segments.push(top * value);
        }
    }
    segments.iter().sum()
}

const ROMAN: [(f64, &str); 13] = [
    (1000.0, "m"),
    (900.0, "cm"),
    (500.0, "d"),
    (400.0, "cd"),
    (100.0, "c"),
    (90.0, "xc"),
    (50.0, "l"),
    (40.0, "xl"),
    (10.0, "x"),
    (9.0, "ix"),
    (5.0, "v"),
    (4.0, "iv"),
    (1.0, "i"),
];

/// A number as a roman numeral in lower case; as long as a thousandth of it.
pub(super) fn to_roman(mut number: f64) -> String {
    let mut text = String::new();
    for (value, letters) in ROMAN {
        while number >= value {
            text.push_str(letters);
            number -= value;
        }
    }
    text
}

/// The number of a roman numeral.
pub(super) fn from_roman(text: &str) -> f64 {
    let (mut sum, mut most) = (0.0, 1.0);
    for letter in text.chars().rev() {
        let letter = letter.to_ascii_lowercase().to_string();
        let value = ROMAN.iter().find(|(_, letters)| *letters == letter);
        let value = value.map_or(f64::NAN, |(value, _)| *value);
        if value < most {
            sum -= value;
        } else {
            most = value;
            sum += value;
        }
    }
    sum
}

/// A number in letters: a, b, … z, aa, ab, …
pub(super) fn to_letters(mut number: f64, first: char) -> String {
    let mut letters = Vec::new();
    while number > 0.0 {
        letters.push((first as u8 + ((number - 1.0) % 26.0) as u8) as char);
        number = ((number - 1.0) / 26.0).floor();
    }
    letters.iter().rev().collect()
}

/// The number of letters.
pub(super) fn from_letters(text: &str, first: char) -> f64 {
    text.chars().fold(0.0, |sum, letter| {
        sum * 26.0 + f64::from(u32::from(letter)) - f64::from(u32::from(first)) + 1.0
    })
}
