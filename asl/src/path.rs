//! Owns paths: JSONPath for reading as AWS reads, reference paths for writing.
//!
//! A path with only names and indices is definite and gives the value itself; any other gives an
//! array of what it found, empty if nothing. Names may hold characters that RFC 9535 wants quoted
//! (`$.a-b`), as AWS allows. Indefinite paths are left to `serde_json_path`.
//! Refuses to write, which [`ReferencePath`] does, and what else AWS's dialect has, which is in [`scan`].
//! <https://docs.aws.amazon.com/step-functions/latest/dg/amazon-states-language-paths.html>

use std::fmt;

use serde_json::Value;
use serde_json_path::JsonPath;

use crate::measure::{MADE_MAX, weight};

mod cost;
mod reference;
mod scan;

pub use reference::{CannotPut, ReferencePath};

pub(crate) use scan::unsupported;
use scan::{Scanner, Token};

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
                    canonical.push_str(&segment.standard());
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

impl Segment {
    /// In RFC 9535's form.
    fn standard(&self) -> String {
        match self {
            // Names in double quotes are JSON's strings.
            Segment::Key(key) => format!("[{}]", Value::from(key.as_str())),
            Segment::Index(index) => format!("[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests;
