//! Owns paths: JSONPath for reading as AWS reads, reference paths for writing.
//!
//! A path with only names and indices is definite and gives the value itself; any other gives an
//! array of what it found, empty if nothing. Names may hold characters that RFC 9535 wants quoted
//! (`$.a-b`), as AWS allows. Indefinite paths are left to `serde_json_path`.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/amazon-states-language-paths.html>

use std::fmt;

use serde_json::Value;
use serde_json_path::JsonPath;

use crate::measure::{MADE_MAX, weight};

mod cost;
mod reference;

pub use reference::ReferencePath;

/// Where a path begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// `$`: the input (or result) at hand.
    Input,
    /// `$$`: the context object.
    Context,
    /// `$name`: a variable.
    Variable(String),
}

/// A parsed path.
#[derive(Debug, Clone)]
pub struct Path {
    text: String,
    root: Root,
    query: Query,
}

#[derive(Debug, Clone)]
enum Query {
    Definite(Vec<Segment>),
    Indefinite(Box<Indefinite>),
}

/// A path that may find many things.
#[derive(Debug, Clone)]
struct Indefinite {
    path: JsonPath,
    /// As RFC 9535 writes it.
    text: String,
}

/// One step of a definite path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// A field of an object.
    Key(String),
    /// An element of an array; negative from the end.
    Index(i64),
}

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{path}' is not a valid path: {reason}")]
pub struct InvalidPath {
    path: String,
    reason: String,
}

/// A value could not be put where a reference path says: something else is in the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} names no place in the value")]
pub struct CannotPut {
    path: String,
}

impl InvalidPath {
    /// Why it is none, as a sentence.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Path {
    /// The path `$`.
    pub fn whole() -> Path {
        Path {
            text: "$".to_owned(),
            root: Root::Input,
            query: Query::Definite(Vec::new()),
        }
    }

    /// Parses a path.
    pub fn parse(text: &str) -> Result<Path, InvalidPath> {
        let invalid = |reason: &str| InvalidPath {
            path: text.to_owned(),
            reason: reason.to_owned(),
        };
        let rest = text
            .strip_prefix('$')
            .ok_or_else(|| invalid("it must begin with $"))?;
        let (root, rest) = if let Some(rest) = rest.strip_prefix('$') {
            (Root::Context, rest)
        } else if rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            if !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(invalid("variable names consist of letters, digits and _"));
            }
            (Root::Variable(name.to_owned()), rest)
        } else {
            (Root::Input, rest)
        };
        let mut scanner = Scanner { rest };
        let mut definite = Some(Vec::new());
        let mut canonical = String::from("$");
        while !scanner.rest.is_empty() {
            match scanner.next().map_err(|reason| invalid(&reason))? {
                Token::Segment(segment) => {
                    canonical.push_str(&segment.to_string());
                    if let Some(segments) = &mut definite {
                        segments.push(segment);
                    }
                }
                Token::Raw(raw) => {
                    canonical.push_str(&raw);
                    definite = None;
                }
            }
        }
        let query = match definite {
            Some(segments) => Query::Definite(segments),
            None => {
                cost::check(&canonical).map_err(|reason| invalid(&reason))?;
                let parsed = JsonPath::parse(&canonical);
                Query::Indefinite(Box::new(Indefinite {
                    path: parsed.map_err(|error| invalid(&error.to_string()))?,
                    text: canonical,
                }))
            }
        };
        Ok(Path {
            text: text.to_owned(),
            root,
            query,
        })
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where it begins.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Whether it is `$`.
    pub fn is_whole(&self) -> bool {
        self.root == Root::Input
            && matches!(&self.query, Query::Definite(segments) if segments.is_empty())
    }

    /// Its segments, if it is definite.
    pub fn segments(&self) -> Option<&[Segment]> {
        match &self.query {
            Query::Definite(segments) => Some(segments),
            Query::Indefinite(_) => None,
        }
    }

    /// What it finds in what it begins at; `None` if it is definite and finds nothing, or if looking would take
    /// too long.
    pub fn find(&self, root: &Value) -> Option<Value> {
        match &self.query {
            Query::Definite(segments) => find(segments, root).cloned(),
            Query::Indefinite(query) => {
                if cost::of(&query.text, root) > cost::MOST {
                    return None;
                }
                let found = query.path.query(root).all();
                let weights = found.iter().map(|found| weight(found, MADE_MAX));
                if weights.sum::<usize>() > MADE_MAX {
                    return None;
                }
                Some(Value::Array(found.into_iter().cloned().collect()))
            }
        }
    }

    /// The canonical form that AWS's errors show: `$['a']['b'][0]`, up to the first segment missing
    /// from `root`.
    pub fn missing_part(&self, root: &Value) -> String {
        let Query::Definite(segments) = &self.query else {
            return self.text.clone();
        };
        let found = (0..segments.len())
            .take_while(|&n| find(&segments[..=n], root).is_some())
            .count();
        let shown = segments
            .iter()
            .take(found + 1)
            .map(Segment::to_string)
            .collect::<String>();
        format!("${shown}")
    }
}

pub(crate) fn find<'a>(segments: &[Segment], root: &'a Value) -> Option<&'a Value> {
    segments
        .iter()
        .try_fold(root, |value, segment| match segment {
            Segment::Key(key) => value.as_object()?.get(key),
            Segment::Index(index) => {
                let array = value.as_array()?;
                let at = if *index < 0 {
                    array.len() as i64 + index
                } else {
                    *index
                };
                array.get(usize::try_from(at).ok()?)
            }
        })
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Segment::Key(key) => {
                write!(f, "['{}']", key.replace('\\', "\\\\").replace('\'', "\\'"))
            }
            Segment::Index(index) => write!(f, "[{index}]"),
        }
    }
}

enum Token {
    Segment(Segment),
    /// Anything only a full JSONPath engine understands, in RFC 9535's form.
    Raw(String),
}

struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    fn next(&mut self) -> Result<Token, String> {
        if let Some(rest) = self.rest.strip_prefix("..") {
            self.rest = rest;
            if self.rest.starts_with('[') {
                let (Token::Raw(raw) | Token::Segment(Segment::Key(raw))) = self.bracket(true)?
                else {
                    return Err("misplaced index".to_owned());
                };
                return Ok(Token::Raw(format!("..{raw}")));
            }
            let name = self.name()?;
            return Ok(Token::Raw(if name == "*" {
                "..*".to_owned()
            } else {
                format!("..{}", Segment::Key(name))
            }));
        }
        if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            if self.rest.starts_with('[') {
                return self.bracket(false);
            }
            let name = self.name()?;
            return Ok(if name == "*" {
                Token::Raw("[*]".to_owned())
            } else {
                Token::Segment(Segment::Key(name))
            });
        }
        if self.rest.starts_with('[') {
            return self.bracket(false);
        }
        Err(format!("unexpected '{}'", self.rest))
    }

    fn name(&mut self) -> Result<String, String> {
        let end = self.rest.find(['.', '[']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty()
            || name.contains(|c: char| c.is_whitespace() || "()@'\",?=<>!&|".contains(c))
        {
            return Err(format!("'{name}' is not a field name"));
        }
        self.rest = rest;
        Ok(name.to_owned())
    }

    /// Reads `[…]`; `raw` keeps even names and indices as text.
    fn bracket(&mut self, raw: bool) -> Result<Token, String> {
        let mut depth = 0_usize;
        let mut quote = None;
        let mut escaped = false;
        let mut end = None;
        for (at, c) in self.rest.char_indices() {
            match (quote, c) {
                _ if escaped => escaped = false,
                (Some(_), '\\') => escaped = true,
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '[') => depth += 1,
                (None, ']') => {
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
        let inner = bracket[1..end].trim();
        if raw {
            return Ok(Token::Raw(bracket.to_owned()));
        }
        if let Ok(index) = inner.parse()
            && !inner.starts_with('+')
        {
            return Ok(Token::Segment(Segment::Index(index)));
        }
        for open in ['\'', '"'] {
            let quoted = inner
                .strip_prefix(open)
                .and_then(|inner| inner.strip_suffix(open));
            if let Some(name) = quoted
                && !name
                    .replace("\\\\", "")
                    .replace(&format!("\\{open}"), "")
                    .contains(open)
            {
                // AWS keeps every other backslash as it is.
                let key = name.replace(&format!("\\{open}"), &open.to_string());
                return Ok(Token::Segment(Segment::Key(key)));
            }
        }
        Ok(Token::Raw(bracket.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use serde_json::json;

    fn check(path: &str, expected: Expect) {
        let input = json!({
            "a": {"b-c": [1, {"d": 2}, 3], "x y": true}, "items": [{"p": 1}, {"p": 2}, {"q": 3}], "nothing": null
        });
        let found = match Path::parse(path) {
            Ok(path) => path
                .find(&input)
                .map_or("nothing".to_owned(), |value| value.to_string()),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn definite() {
        check("$.a.b-c[1].d", expect!["2"]);
        check("$['a']['b-c'][-1]", expect!["3"]);
        check("$.a['x y']", expect!["true"]);
        check("$.nothing", expect!["null"]);
        check("$.a.missing", expect!["nothing"]);
        check("$.items[7]", expect!["nothing"]);
    }

    #[test]
    fn indefinite() {
        check("$.items[*].p", expect!["[1,2]"]);
        check("$.items[1:]", expect![[r#"[{"p":2},{"q":3}]"#]]);
        check("$.items[0,2]", expect![[r#"[{"p":1},{"q":3}]"#]]);
        check("$..d", expect!["[2]"]);
        check("$.items[?(@.p > 1)]", expect![[r#"[{"p":2}]"#]]);
        check("$.missing[*].p", expect!["[]"]);
        check("$.a.b-c[?(@.d==2)].d", expect!["[2]"]);
    }

    #[test]
    fn invalid() {
        check(
            "a.b",
            expect!["'a.b' is not a valid path: it must begin with $"],
        );
        check(
            "$.",
            expect!["'$.' is not a valid path: '' is not a field name"],
        );
        check("$.a[", expect!["'$.a[' is not a valid path: [ without ]"]);
        check(
            "$.a b",
            expect!["'$.a b' is not a valid path: 'a b' is not a field name"],
        );
    }

    fn check_put(target: Value, path: &str, expected: Expect) {
        let path = ReferencePath::parse(path).expect("a reference path");
        let put = path.put(target, json!("new"));
        expected.assert_eq(&put.map_or("cannot put".to_owned(), |value| value.to_string()));
    }

    #[test]
    fn put() {
        check_put(json!({"a": 1}), "$", expect![[r#""new""#]]);
        check_put(
            json!({"a": 1}),
            "$.b.c",
            expect![[r#"{"a":1,"b":{"c":"new"}}"#]],
        );
        check_put(
            json!({"a": [1, 2]}),
            "$.a[1]",
            expect![[r#"{"a":[1,"new"]}"#]],
        );
        check_put(json!({"a": 1}), "$.a.b", expect!["cannot put"]);
        check_put(json!([1]), "$.a", expect!["cannot put"]);
        assert!(ReferencePath::parse("$.a[*]").is_err());
        assert!(ReferencePath::parse("$$.a").is_err());
    }
}
