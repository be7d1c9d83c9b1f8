//! Owns regular expressions: those of JSONata that can be matched in time linear in the text.
//!
//! Refuses look-around and references to groups, which need backtracking without bound.

use super::error::Error;

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(super) struct Regex {
    compiled: regex_lite::Regex,
    source: String,
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
                source: pattern.to_owned(),
            })
            .map_err(|error| Error::new("S0303", format!("Invalid regular expression: {error}")))
    }

    /// The pattern as written.
    pub(super) fn source(&self) -> &str {
        &self.source
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
