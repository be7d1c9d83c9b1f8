//! Owns regular expressions: those of JSONata that can be matched in time linear in the text.
//!
//! Refuses look-around and references to groups, which need backtracking without bound.

use super::error::Error;

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(super) struct Regex {
    compiled: regex_lite::Regex,
    states: usize,
}

/// What a match found, in bytes of the text.
#[derive(Debug, Clone)]
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The text of each group, if it took part.
    pub(super) groups: Vec<Option<String>>,
}

/// Limit for the size of a compiled expression, in bytes.
const SIZE_MAX: usize = 1 << 20;

impl Regex {
    pub(super) fn new(pattern: &str, ignore_case: bool, lines: bool) -> Result<Regex, Error> {
        let unsupported = ["(?=", "(?!", "(?<=", "(?<!"];
        if unsupported.iter().any(|part| pattern.contains(part)) || has_reference(pattern) {
            let message =
                "not supported yet: look-around and back-references in regular expressions";
            return Err(Error::new("S0303", message));
        }
        regex_lite::RegexBuilder::new(pattern)
            .case_insensitive(ignore_case)
            .multi_line(lines)
            .size_limit(SIZE_MAX)
            .build()
            .map(|compiled| Regex {
                compiled,
                states: states(pattern),
            })
            .map_err(|error| Error::new("S0303", format!("Invalid regular expression: {error}")))
    }

    /// About how many states it has; each is looked at for each character of a text.
    pub(super) fn states(&self) -> usize {
        self.states
    }

    /// The first match at or after a byte.
    pub(super) fn find(&self, text: &str, from: usize) -> Option<Match> {
        if !text.is_char_boundary(from) {
            return None;
        }
        let captures = self.compiled.captures_at(text, from)?;
        let whole = captures.get(0)?;
        let groups = captures
            .iter()
            .skip(1)
            .map(|group| group.map(|group| group.as_str().to_owned()));
        Some(Match {
            start: whole.start(),
            end: whole.end(),
            groups: groups.collect(),
        })
    }
}

/// About how many states a pattern makes: its parts, each as often as a counted repetition says.
fn states(pattern: &str) -> usize {
    // Of each open group the states so far, and those of the part that was last read.
    let mut open: Vec<(usize, usize)> = vec![(0, 0)];
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let part = match c {
            '(' => {
                open.push((0, 0));
                continue;
            }
            ')' if open.len() > 1 => open.pop().map_or(1, |(sum, last)| sum.saturating_add(last)),
            '{' => {
                let (count, after) = rest.split_once('}').unwrap_or((rest, ""));
                let counts = count
                    .split(',')
                    .filter_map(|count| count.trim().parse::<usize>().ok());
                let (times, last) = (counts.max(), open.last_mut());
                if let (Some(times), Some((_, last))) = (times, last) {
                    *last = last.saturating_mul(times.max(1));
                    rest = after;
                }
                continue;
            }
            '\\' => {
                let escaped = rest.chars().next().map_or(0, char::len_utf8);
                rest = &rest[escaped..];
                1
            }
            _ => 1,
        };
        if let Some((sum, last)) = open.last_mut() {
            *sum = sum.saturating_add(*last);
            *last = part;
        }
    }
    open.into_iter().fold(0_usize, |all, (sum, last)| {
        all.saturating_add(sum).saturating_add(last)
    })
}

/// Whether `\1` … `\9` or `\k` occur outside of an escaped backslash.
fn has_reference(pattern: &str) -> bool {
    let mut escaped = false;
    for c in pattern.chars() {
        if escaped && matches!(c, '1'..='9' | 'k') {
            return true;
        }
        escaped = c == '\\' && !escaped;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_counted() {
        for (pattern, expected) in [
            ("abc", 3),
            ("a{3}b{2,4}", 7),
            ("((x?x?){10}){10}y", 401),
            (r"\d{4}-\d{2}", 7),
            ("(((", 0),
            ("a{x}", 3),
        ] {
            assert_eq!(states(pattern), expected, "{pattern}");
        }
    }
}
