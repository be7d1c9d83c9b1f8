//! What is known of the data at some place of a machine: the paths that it has and of what kind their values are.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Number,
    /// 0, for states that wait.
    Zero,
    Text,
    Time,
    /// A text of JSON.
    Json,
    Flag,
    Null,
    Numbers,
    Texts,
    /// A list of `{ "id": number, "name": text }`.
    Items,
    /// A list of which no more is known.
    List,
    Object,
    /// An error's output: its cause is worded differently everywhere, so only whole values may contain it.
    Caught,
    Unknown,
}

impl Kind {
    /// Whether a value of this kind is one of the other.
    pub fn is(self, wanted: Kind) -> bool {
        self == wanted
            || match wanted {
                Kind::Number => self == Kind::Zero,
                Kind::Text => matches!(self, Kind::Time | Kind::Json),
                Kind::List => matches!(self, Kind::Numbers | Kind::Texts | Kind::Items),
                Kind::Unknown => true,
                _ => false,
            }
    }

    /// The kind of its elements.
    pub fn element(self) -> Kind {
        match self {
            Kind::Numbers => Kind::Number,
            Kind::Texts => Kind::Text,
            Kind::Items => Kind::Object,
            _ => Kind::Unknown,
        }
    }
}

/// Paths from a root that is written as nothing, such as `.o.deep`, with the kinds of their values.
#[derive(Debug, Clone)]
pub struct Shape(BTreeMap<String, Kind>);

impl Shape {
    pub fn empty() -> Shape {
        Shape(BTreeMap::new())
    }

    /// A value of which no more than its kind is known.
    pub fn value(kind: Kind) -> Shape {
        let mut shape = Shape::empty();
        shape.put("", kind);
        shape
    }

    /// What is known of a value that is known.
    pub fn of(value: &Value) -> Shape {
        fn walk(path: &str, value: &Value, shape: &mut Shape) {
            shape.put(path, kind(path, value));
            if let Value::Object(fields) = value {
                for (name, value) in fields {
                    walk(&format!("{path}.{name}"), value, shape);
                }
            }
        }
        let mut shape = Shape::empty();
        walk("", value, &mut shape);
        shape
    }

    pub fn put(&mut self, path: &str, kind: Kind) {
        self.0.insert(path.to_owned(), kind);
    }

    /// Puts a value at a path, over what was there.
    pub fn graft(&mut self, path: &str, value: &Shape) {
        let below = format!("{path}.");
        self.0
            .retain(|known, _| known != path && !known.starts_with(&below));
        for (known, kind) in &value.0 {
            self.put(&format!("{path}{known}"), *kind);
        }
    }

    /// What is known of the value at a path.
    pub fn at(&self, path: &str) -> Shape {
        let below = self.0.iter().filter_map(|(known, kind)| {
            let rest = known.strip_prefix(path)?;
            (rest.is_empty() || rest.starts_with('.')).then(|| (rest.to_owned(), *kind))
        });
        let mut found = Shape(below.collect());
        if found.0.is_empty() {
            found.put("", Kind::Unknown);
        }
        found
    }

    pub fn root(&self) -> Kind {
        self.0.get("").copied().unwrap_or(Kind::Unknown)
    }

    /// Every path whose value is of a kind.
    pub fn paths(&self, wanted: Kind) -> Vec<(&str, Kind)> {
        self.0
            .iter()
            .filter(|(_, kind)| kind.is(wanted))
            .map(|(path, kind)| (path.as_str(), *kind))
            .collect()
    }

    /// What both have.
    pub fn common(&self, other: &Shape) -> Shape {
        let both = self.0.iter().filter_map(|(path, kind)| {
            let theirs = *other.0.get(path)?;
            let kind = match theirs == *kind {
                true => theirs,
                false => Kind::Unknown,
            };
            Some((path.clone(), kind))
        });
        Shape(both.collect())
    }
}

fn kind(path: &str, value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Null,
        Value::Bool(_) => Kind::Flag,
        Value::Number(number) if number.as_i64() == Some(0) && path.ends_with(".zero") => {
            Kind::Zero
        }
        Value::Number(_) => Kind::Number,
        Value::String(_) if path.ends_with(".early") || path.ends_with(".late") => Kind::Time,
        Value::String(_) if path.ends_with(".json") => Kind::Json,
        Value::String(_) => Kind::Text,
        Value::Object(_) => Kind::Object,
        Value::Array(_) if path.ends_with(".items") => Kind::Items,
        Value::Array(list) if list.iter().all(Value::is_number) => Kind::Numbers,
        Value::Array(list) if list.iter().all(Value::is_string) => Kind::Texts,
        Value::Array(_) => Kind::List,
    }
}
