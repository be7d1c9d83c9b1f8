//! JSONata: expressions, `Output`, `Arguments`, `Items` and `Assign`.

mod expressions;

use serde_json::{Map, Value, json};

use super::fork::item;
use super::{Generator, Kind, Shape};
use expressions::{FLAGS, LISTS, NUMBERS, OBJECTS, TEXTS};

impl Generator {
    /// A reference to a known value of a kind.
    fn reference(&mut self, shape: &Shape, kind: Kind) -> Option<String> {
        let variables: Vec<String> = self
            .variables
            .paths(kind)
            .into_iter()
            .map(|(path, _)| format!("${}", &path[1..]))
            .collect();
        if !variables.is_empty() && self.chance(40) {
            return Some(self.one_of(&variables).clone());
        }
        let data = shape.paths(kind);
        (!data.is_empty()).then(|| format!("$states.input{}", self.one_of(&data).0))
    }

    /// The expression with references for its placeholders.
    fn fill(&mut self, shape: &Shape, expression: &str) -> String {
        let places = [
            ("<n>", Kind::Number, "4"),
            ("<s>", Kind::Text, "'text'"),
            ("<l>", Kind::Numbers, "[3, 1, 2]"),
            (
                "<i>",
                Kind::Items,
                "[{'id': 1, 'name': 'x'}, {'id': 2, 'name': 'y'}]",
            ),
            ("<o>", Kind::Object, "{'k': 1, 'l': 'm'}"),
        ];
        let mut filled = expression.to_owned();
        for (place, kind, otherwise) in places {
            let found = self.reference(shape, kind);
            filled = filled.replace(place, found.as_deref().unwrap_or(otherwise));
        }
        filled
    }

    fn number(&mut self, shape: &Shape) -> String {
        let number = *self.one_of(&NUMBERS);
        self.fill(shape, number)
    }

    fn flag(&mut self, shape: &Shape) -> String {
        let flag = *self.one_of(&FLAGS);
        self.fill(shape, flag)
    }

    /// An expression between `{%` and `%}`, and what it gives.
    fn query(&mut self, shape: &Shape) -> (String, Shape) {
        if !self.safe && self.chance(5) {
            let failing = [
                "$states.input.nothing",
                "$number('x')",
                "'a' + 1",
                "$sum('a')",
                "$unknown(1)",
                "$error('planned')",
            ];
            return (
                format!("{{% {} %}}", self.one_of(&failing)),
                Shape::value(Kind::Unknown),
            );
        }
        let (expression, given) = match self.below(9) {
            0..2 => (self.number(shape), Shape::value(Kind::Number)),
            2..4 => {
                let text = *self.one_of(&TEXTS);
                (self.fill(shape, text), Shape::value(Kind::Text))
            }
            4 => (self.flag(shape), Shape::value(Kind::Flag)),
            5 => {
                let (list, kind) = *self.one_of(&LISTS);
                (self.fill(shape, list), Shape::value(kind))
            }
            6 => {
                let object = *self.one_of(&OBJECTS);
                (self.fill(shape, object), Shape::value(Kind::Object))
            }
            _ => {
                let paths = shape.paths(Kind::Unknown);
                let path = match paths.is_empty() {
                    true => String::new(),
                    false => self.one_of(&paths).0.to_owned(),
                };
                (format!("$states.input{path}"), shape.at(&path))
            }
        };
        (format!("{{% {expression} %}}"), given)
    }

    /// The condition of a Choice rule.
    pub fn condition(&mut self, shape: &Shape) -> Value {
        if !self.safe && self.chance(5) {
            return json!("{% $states.input.nothing > 1 %}");
        }
        match self.chance(5) {
            true => json!(self.chance(50)),
            false => json!(format!("{{% {} %}}", self.flag(shape))),
        }
    }

    /// An object of expressions and literals.
    pub fn jsonata_object(&mut self, shape: &Shape, depth: usize) -> (Value, Shape) {
        let mut fields = Map::new();
        let mut given = Shape::value(Kind::Object);
        for _ in 0..1 + self.below(3) {
            let name = self.name("f");
            let (value, found) = match self.below(8) {
                0 => {
                    let value = self.literal();
                    let found = Shape::of(&value);
                    (value, found)
                }
                1 if depth < 2 => self.jsonata_object(shape, depth + 1),
                2 => {
                    let (value, _) = self.query(shape);
                    (json!([value, 1]), Shape::value(Kind::List))
                }
                3 if self.in_map => (
                    json!("{% $states.context.Map.Item.Index %}"),
                    Shape::value(Kind::Number),
                ),
                _ => {
                    let (value, found) = self.query(shape);
                    (json!(value), found)
                }
            };
            given.graft(&format!(".{name}"), &found);
            fields.insert(name, value);
        }
        (Value::Object(fields), given)
    }

    /// `Arguments` of a Parallel state.
    pub fn arguments(&mut self, state: &mut Map<String, Value>, shape: &Shape) -> Shape {
        if !self.chance(30) {
            return shape.clone();
        }
        let (arguments, given) = self.jsonata_object(shape, 0);
        state.insert("Arguments".into(), arguments);
        given
    }

    /// `Items` of a Map state, and what one of them is.
    pub fn items(&mut self, state: &mut Map<String, Value>, shape: &Shape) -> Shape {
        let lists = shape.paths(Kind::List);
        if lists.is_empty() || self.random.between(0, 3) == 0 {
            state.insert("Items".into(), json!("{% [1..3] %}"));
            return Shape::value(Kind::Number);
        }
        let (path, kind) = lists[self.random.between(0, lists.len() as i64) as usize];
        state.insert(
            "Items".into(),
            json!(format!("{{% $states.input{path} %}}")),
        );
        item(kind)
    }

    /// `Output` and `Assign` of a state or rule; `result` is what `$states.result` shows.
    pub fn output(
        &mut self,
        fields: &mut Map<String, Value>,
        shape: &Shape,
        result: Option<&Shape>,
    ) -> Shape {
        if self.features.assign && self.chance(40) {
            let name = self.name("v");
            let (value, given) = self.query(shape);
            let mut after = self.variables.clone();
            after.graft(&format!(".{name}"), &given);
            fields.insert("Assign".into(), json!({ name: value }));
            let output = self.output_alone(fields, shape, result);
            self.variables = after;
            return output;
        }
        self.output_alone(fields, shape, result)
    }

    /// `Output`; Succeed states have no `Assign`.
    pub fn output_alone(
        &mut self,
        fields: &mut Map<String, Value>,
        shape: &Shape,
        result: Option<&Shape>,
    ) -> Shape {
        let keep = self.chance(30);
        if let Some(result) = result {
            return match self.below(3) {
                0 => result.clone(),
                1 => {
                    fields.insert("Output".into(), json!({ "all": "{% $states.result %}", "count": "{% $count($states.result) %}" }));
                    let mut given = Shape::value(Kind::Object);
                    given.put(".all", result.root());
                    given.put(".count", Kind::Number);
                    given
                }
                _ => {
                    fields.insert(
                        "Output".into(),
                        json!("{% $merge([$states.input, {'result': $states.result}]) %}"),
                    );
                    if shape.root() != Kind::Object {
                        fields.insert("Output".into(), json!("{% {'result': $states.result} %}"));
                        return Shape::value(Kind::Object);
                    }
                    let mut given = shape.clone();
                    given.graft(".result", result);
                    given
                }
            };
        }
        if keep {
            return shape.clone();
        }
        if shape.root() == Kind::Object && self.chance(50) {
            let (name, text) = (self.name("r"), self.number(shape));
            fields.insert(
                "Output".into(),
                json!(format!(
                    "{{% $merge([$states.input, {{'{name}': {text}}}]) %}}"
                )),
            );
            let mut given = shape.clone();
            given.put(&format!(".{name}"), Kind::Number);
            return given;
        }
        let (output, given) = self.jsonata_object(shape, 0);
        fields.insert("Output".into(), output);
        given
    }
}
