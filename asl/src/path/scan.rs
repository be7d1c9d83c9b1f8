//! Owns the splitting of a path into its steps, and the dialect of AWS, which is that of Jayway's JsonPath
//! (<https://github.com/json-path/JsonPath>): a dot before a bracket, backslashes that stand for themselves
//! between single quotes, bare words in filters, `[(@.length-1)]`; and no functions.

use super::Segment;

/// The largest index that RFC 9535 allows.
const INDEX_MAX: u64 = (1 << 53) - 1;
/// What a name after a dot cannot hold: such a name must stand in brackets.
const NOT_IN_NAMES: &str = "()@'\",?=<>!&|";

pub(super) enum Token {
    Segment(Segment),
    /// Anything only a full JSONPath engine understands, in RFC 9535's form.
    Raw(String),
}

pub(super) struct Scanner<'a> {
    pub(super) rest: &'a str,
}

impl Scanner<'_> {
    pub(super) fn next(&mut self) -> Result<Token, String> {
        if let Some(rest) = self.rest.strip_prefix("..") {
            self.rest = rest;
            if self.rest.starts_with('[') {
                return Ok(Token::Raw(format!("..{}", standard(self.brackets()?))));
            }
            let name = self.name()?;
            return Ok(Token::Raw(if name == "*" {
                "..*".to_owned()
            } else {
                format!("..{}", Segment::Key(name).standard())
            }));
        }
        if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            if self.rest.starts_with('[') {
                return self.selector();
            }
            let name = self.name()?;
            return Ok(if name == "*" {
                Token::Raw("[*]".to_owned())
            } else {
                Token::Segment(Segment::Key(name))
            });
        }
        if self.rest.starts_with('[') {
            return self.selector();
        }
        Err(format!("unexpected '{}'", self.rest))
    }

    fn name(&mut self) -> Result<String, String> {
        let end = self.rest.find(['.', '[']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        // AWS has no functions in paths: `length()` is the name of a field, which is not found.
        let plain = name.strip_suffix("()").unwrap_or(name);
        if plain.is_empty()
            || plain.contains(|c: char| c.is_whitespace() || NOT_IN_NAMES.contains(c))
        {
            return Err(format!("'{name}' is not a field name"));
        }
        self.rest = rest;
        Ok(name.to_owned())
    }

    /// Reads `[…]` with what is inside, quotes and further brackets heeded.
    fn brackets(&mut self) -> Result<&str, String> {
        let mut depth = 0_usize;
        let mut end = None;
        for (at, c) in unquoted(self.rest) {
            match c {
                '[' => depth += 1,
                ']' => {
                    depth -= 1;
                    if depth == 0 {
                        end = Some(at);
                        break;
                    }
                }
                _ => {}
            }
        }
        let end = end.ok_or("[ without ]")?;
        let (bracket, rest) = self.rest.split_at(end + 1);
        self.rest = rest;
        Ok(bracket)
    }

    fn selector(&mut self) -> Result<Token, String> {
        let bracket = self.brackets()?;
        let inner = bracket[1..bracket.len() - 1].trim();
        if let Ok(index) = inner.parse::<i64>()
            && !inner.starts_with('+')
        {
            if index.unsigned_abs() > INDEX_MAX {
                return Err(format!("{index} is out of range"));
            }
            return Ok(Token::Segment(Segment::Index(index)));
        }
        if let Some(index) = from_length(inner) {
            return Ok(Token::Segment(Segment::Index(index)));
        }
        match quoted(inner) {
            Some(Ok(key)) => Ok(Token::Segment(Segment::Key(key))),
            Some(Err(error)) => Err(error),
            None => Ok(Token::Raw(standard(bracket))),
        }
    }
}

/// The characters outside of quotes, each with its place.
fn unquoted(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut quote, mut escaped) = (None, false);
    text.char_indices().filter(move |&(_, c)| {
        let outside = quote.is_none();
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            _ => {}
        }
        outside
    })
}

/// The name that a bracket with one name in quotes holds.
fn quoted(inner: &str) -> Option<Result<String, String>> {
    let open = inner.chars().next().filter(|open| "'\"".contains(*open))?;
    let name = inner.strip_prefix(open)?.strip_suffix(open)?;
    let alone = !name
        .replace("\\\\", "")
        .replace(&format!("\\{open}"), "")
        .contains(open);
    if !alone {
        return None;
    }
    if open == '"' {
        // RFC 9535's names in double quotes are JSON's strings.
        let parsed = serde_json::from_str(inner);
        return Some(parsed.map_err(|_| format!("{inner} is not a string in double quotes")));
    }
    // AWS keeps every other backslash as it is.
    Some(Ok(name.replace("\\'", "'")))
}

/// The index that `(@.length-1)` means: the last element.
fn from_length(inner: &str) -> Option<i64> {
    let inner = inner.strip_prefix('(')?.strip_suffix(')')?;
    let back = inner.trim().strip_prefix("@.length")?.trim_start();
    let back: u32 = back.strip_prefix('-')?.trim().parse().ok()?;
    (back > 0).then_some(-i64::from(back))
}

/// A bracket in RFC 9535's form. In parentheses, Jayway lets a filter compare with a bare word:
/// `[?(@.a == b)]`.
fn standard(bracket: &str) -> String {
    let filter = bracket[1..].trim_start().strip_prefix('?');
    if !filter.is_some_and(|filter| filter.trim_start().starts_with('(')) {
        return bracket.to_owned();
    }
    let mut standard = String::with_capacity(bracket.len());
    let (mut compared, mut until) = (false, 0);
    for (at, c) in unquoted(bracket) {
        if at < until {
            continue;
        }
        if compared && (c.is_alphabetic() || c == '_') {
            let rest = &bracket[at..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && !"_-".contains(c));
            let word = &rest[..end.unwrap_or(rest.len())];
            let is_value = ["true", "false", "null"].contains(&word);
            if !is_value && !rest[word.len()..].starts_with('(') {
                standard.push_str(&bracket[until..at]);
                standard.push_str(&format!("'{word}'"));
                until = at + word.len();
            }
        }
        compared = "=<>".contains(c) || (compared && c.is_whitespace());
    }
    standard.push_str(&bracket[until..]);
    standard
}

/// What AWS's page on paths says is not supported, if a path or the paths in an intrinsic function use it
/// all the same: it may be refused there, or find nothing.
pub(crate) fn unsupported(path: &str) -> Option<&'static str> {
    let mut before = ' ';
    let mut filter = None;
    let mut depth = 0_usize;
    for (at, c) in unquoted(path) {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '?' if before == '[' || before == ',' => filter = filter.or(Some(depth)),
            '(' if filter.is_some() && before.is_alphanumeric() => {
                return Some("functions in filters");
            }
            '$' if filter.is_some() => return Some("other values of the input in filters"),
            '(' if before.is_alphanumeric() && path[at..].starts_with("()") => {
                // Else it is an intrinsic function without arguments.
                let word = path[..at].rsplit(['(', ',', ' ']).next();
                if word.is_some_and(|word| word.starts_with('$')) {
                    return Some("functions in paths");
                }
            }
            _ => {}
        }
        if filter.is_some_and(|filter| depth < filter) {
            filter = None;
        }
        if !c.is_whitespace() {
            before = c;
        }
    }
    None
}
