//! JSONPath: paths, and templates such as `Parameters`, whose fields that end in `.$` are evaluated.

use serde_json::{Map, Value, json};

use super::{Generator, Kind, Shape};

impl Generator {
    /// A path to a value of a kind, in the data or in a variable; none if nothing has that kind.
    pub fn known_path(&mut self, shape: &Shape, kind: Kind) -> Option<(String, Kind)> {
        let variables: Vec<(String, Kind)> = self
            .variables
            .paths(kind)
            .into_iter()
            .map(|(path, kind)| (format!("${}", &path[1..]), kind))
            .collect();
        if !variables.is_empty() && self.chance(40) {
            return Some(self.one_of(&variables).clone());
        }
        let data = shape.paths(kind);
        if data.is_empty() {
            return None;
        }
        let mut found = *self.one_of(&data);
        // Everything, again and again, grows beyond what a payload may be.
        if found.0.is_empty() {
            found = *self.one_of(&data);
        }
        let (path, kind) = found;
        let path = match (path.rsplit_once('.'), self.features.advanced_paths) {
            (Some((above, last)), true) if self.chance(20) => format!("${above}['{last}']"),
            _ => format!("${path}"),
        };
        Some((path, kind))
    }

    /// A path to a value of a kind; rarely one to nothing or to another kind where things may fail.
    pub fn path(&mut self, shape: &Shape, kind: Kind) -> Option<(String, Kind)> {
        if !self.safe && self.chance(4) {
            let nothing = ["$.nothing", "$.o.nothing", "$.n.below", "$.items[9].id"];
            return Some(((*self.one_of(&nothing)).to_owned(), Kind::Unknown));
        }
        if !self.safe && self.chance(3) {
            return self.known_path(shape, Kind::Unknown);
        }
        self.known_path(shape, kind)
    }

    /// A path with indexes, slices, wildcards, filters or descent.
    fn advanced_path(&mut self, shape: &Shape) -> Option<(String, Kind)> {
        let (list, kind) = self.known_path(shape, Kind::List)?;
        let (suffix, found) = match kind {
            Kind::Items => *self.one_of(&[
                ("[*].id", Kind::Numbers),
                ("[*].name", Kind::Texts),
                ("[?(@.id > 0)]", Kind::List),
                ("[?(@.id == 1)].name", Kind::Texts),
                ("[0:2]", Kind::Items),
                ("..id", Kind::Numbers),
                ("[*]", Kind::Items),
            ]),
            Kind::Numbers | Kind::Texts => *self.one_of(&[
                ("[0]", kind.element()),
                ("[2]", kind.element()),
                ("[-1]", kind.element()),
                ("[0:2]", kind),
                ("[-2:]", kind),
                ("[0,2]", kind),
                ("[*]", kind),
                ("[1:1]", kind),
            ]),
            _ => *self.one_of(&[("[*]", Kind::List), ("[0:2]", Kind::List)]),
        };
        // Lists made on the way may be empty, and an index into them finds nothing.
        if found == kind.element() && list != "$.numbers" && list != "$.texts" && self.safe {
            return None;
        }
        Some((format!("{list}{suffix}"), found))
    }

    /// A path into the context object.
    fn context_path(&mut self) -> (String, Kind) {
        let of_maps = [
            ("$$.Map.Item.Index", Kind::Number),
            ("$$.Map.Item.Value", Kind::Unknown),
        ];
        if self.in_map && self.chance(50) {
            let (path, kind) = *self.one_of(&of_maps);
            return (path.to_owned(), kind);
        }
        let everywhere = [
            ("$$.Execution.Input.n", Kind::Number),
            ("$$.Execution.Input.texts", Kind::Texts),
            ("$$.Execution.Name", Kind::Text),
            ("$$.State.Name", Kind::Text),
            ("$$.StateMachine.Name", Kind::Text),
        ];
        let (path, kind) = *self.one_of(&everywhere);
        (path.to_owned(), kind)
    }

    /// What may stand in a field that ends in `.$`, and what it gives.
    pub fn expression(&mut self, shape: &Shape) -> Option<(String, Shape)> {
        if self.features.intrinsics && self.chance(45) {
            let (call, kind) = self.intrinsic(shape, 0)?;
            return Some((call, Shape::value(kind)));
        }
        if self.features.context && self.chance(20) {
            let (path, kind) = self.context_path();
            return Some((path, Shape::value(kind)));
        }
        if self.features.advanced_paths && self.chance(40) {
            let (path, kind) = self.advanced_path(shape)?;
            return Some((path, Shape::value(kind)));
        }
        let (path, kind) = self.path(shape, Kind::Unknown)?;
        let found = match path.strip_prefix('$') {
            Some(rest) if rest.is_empty() || rest.starts_with('.') => shape.at(rest),
            _ => Shape::value(kind),
        };
        Some((path, found))
    }

    /// A value that stands for itself.
    pub fn literal(&mut self) -> Value {
        let values = [
            json!(1),
            json!(-2.5),
            json!("text"),
            json!(""),
            json!(true),
            json!(null),
            json!([1, 2, 3]),
            json!(["a", "b"]),
            json!({ "k": "v", "l": [] }),
            json!([]),
            json!({}),
        ];
        self.one_of(&values).clone()
    }

    /// An object with fields that are evaluated and fields that are not, and what it gives.
    pub fn template(&mut self, shape: &Shape, depth: usize) -> (Value, Shape) {
        let mut fields = Map::new();
        let mut given = Shape::value(Kind::Object);
        for _ in 0..1 + self.below(3) {
            let name = self.name("f");
            let path = format!(".{name}");
            match self.below(10) {
                0 | 1 => {
                    let value = self.literal();
                    given.graft(&path, &Shape::of(&value));
                    fields.insert(name, value);
                }
                2 if depth < 2 => {
                    let (value, found) = self.template(shape, depth + 1);
                    given.graft(&path, &found);
                    fields.insert(name, value);
                }
                3 if depth < 2 => {
                    let (value, _) = self.template(shape, depth + 1);
                    let list = json!([value, self.literal()]);
                    given.put(&path, Kind::List);
                    fields.insert(name, list);
                }
                _ => {
                    if let Some((expression, found)) = self.expression(shape) {
                        given.graft(&path, &found);
                        fields.insert(format!("{name}.$"), json!(expression));
                    }
                }
            }
        }
        (Value::Object(fields), given)
    }
}
