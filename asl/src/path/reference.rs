//! Owns reference paths: where a result is put.

use serde_json::{Map, Value};

use super::{CannotPut, InvalidPath, Path, Query, Root, Segment};

/// A reference path: definite, so that it names a place to write to.
#[derive(Debug, Clone)]
pub struct ReferencePath {
    text: String,
    segments: Vec<Segment>,
}

impl ReferencePath {
    /// The path `$`.
    pub fn whole() -> ReferencePath {
        ReferencePath {
            text: "$".to_owned(),
            segments: Vec::new(),
        }
    }

    /// Parses a reference path.
    pub fn parse(text: &str) -> Result<ReferencePath, InvalidPath> {
        let invalid = |reason: &str| InvalidPath {
            path: text.to_owned(),
            reason: reason.to_owned(),
        };
        let path = Path::parse(text)?;
        if path.root != Root::Input {
            return Err(invalid(
                "it must begin with $ and name a place in the input",
            ));
        }
        match path.query {
            Query::Definite(segments) => Ok(ReferencePath {
                text: path.text,
                segments,
            }),
            Query::Indefinite(_) => Err(invalid("a reference path must name exactly one place")),
        }
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is `$`.
    pub fn is_whole(&self) -> bool {
        self.segments.is_empty()
    }

    /// Puts `value` into `target`, making objects on the way where nothing is.
    pub fn put(&self, target: Value, value: Value) -> Result<Value, CannotPut> {
        let mut target = target;
        let original = || CannotPut {
            path: self.text.clone(),
        };
        let mut place = &mut target;
        for segment in &self.segments {
            place = match (segment, place) {
                (Segment::Key(key), Value::Object(object)) => object
                    .entry(key.clone())
                    .or_insert_with(|| Value::Object(Map::new())),
                (Segment::Index(index), Value::Array(array)) => usize::try_from(*index)
                    .ok()
                    .and_then(|at| array.get_mut(at))
                    .ok_or_else(original)?,
                _ => return Err(original()),
            };
        }
        *place = value;
        Ok(target)
    }
}
