//! JSONPath: the fields that choose what a state is given and what it leaves, and `Assign`.

use serde_json::{Map, Value, json};

use super::{Generator, Kind, Shape};

impl Generator {
    /// `InputPath` and what it leaves.
    pub fn input_path(&mut self, state: &mut Map<String, Value>, shape: &Shape) -> Shape {
        if self.features.null_paths && self.chance(5) {
            state.insert("InputPath".into(), Value::Null);
            return Shape::value(Kind::Object);
        }
        if !self.features.input_output_paths || !self.chance(20) {
            return shape.clone();
        }
        self.narrow(state, "InputPath", shape.clone())
    }

    /// `OutputPath` and what it leaves.
    pub fn output_path(&mut self, state: &mut Map<String, Value>, shape: Shape) -> Shape {
        if self.features.null_paths && self.chance(4) {
            state.insert("OutputPath".into(), Value::Null);
            return Shape::value(Kind::Object);
        }
        if !self.features.input_output_paths || !self.chance(10) {
            return shape;
        }
        self.narrow(state, "OutputPath", shape)
    }

    fn narrow(&mut self, state: &mut Map<String, Value>, field: &str, shape: Shape) -> Shape {
        let wanted = if self.chance(70) {
            Kind::Object
        } else {
            Kind::Unknown
        };
        let Some((path, kind)) = self.path(&shape, wanted) else {
            return shape;
        };
        state.insert(field.into(), json!(path));
        match path.strip_prefix('$') {
            Some(rest) if rest.is_empty() || rest.starts_with('.') => shape.at(rest),
            _ => Shape::value(kind),
        }
    }

    /// `ResultPath` and what it makes of the state's input.
    pub fn result_path(
        &mut self,
        state: &mut Map<String, Value>,
        input: &Shape,
        result: &Shape,
    ) -> Shape {
        let mut output = input.clone();
        let path = match self.below(10) {
            0..2 => return result.clone(),
            2 => {
                state.insert("ResultPath".into(), json!("$"));
                return result.clone();
            }
            3 if self.features.null_paths => {
                state.insert("ResultPath".into(), Value::Null);
                return output;
            }
            4 => ".o.new".to_owned(),
            5 => ".n".to_owned(),
            6 => format!(".{}.deep", self.name("r")),
            _ => format!(".{}", self.name("r")),
        };
        // Into what is no object nothing can be written.
        let fits = input.root() == Kind::Object
            && (path != ".o.new" || input.at(".o").root() == Kind::Object);
        if !fits && (self.safe || !self.chance(20)) {
            return result.clone();
        }
        state.insert("ResultPath".into(), json!(format!("${path}")));
        if let Some((above, _)) = path[1..].split_once('.') {
            output.put(&format!(".{above}"), Kind::Object);
        }
        output.graft(&path, result);
        output
    }

    /// `Assign` in JSONPath.
    pub fn assign(&mut self, fields: &mut Map<String, Value>, shape: &Shape) {
        if !self.features.assign || !self.chance(50) {
            return;
        }
        let mut assigned = Map::new();
        let mut after = self.variables.clone();
        for _ in 0..1 + self.below(2) {
            let name = self.name("v");
            match self.expression(shape) {
                Some((expression, given)) if self.below(4) > 0 => {
                    assigned.insert(format!("{name}.$"), json!(expression));
                    after.graft(&format!(".{name}"), &given);
                }
                _ => {
                    let value = self.literal();
                    after.graft(&format!(".{name}"), &Shape::of(&value));
                    assigned.insert(name, value);
                }
            }
        }
        fields.insert("Assign".into(), Value::Object(assigned));
        self.variables = after;
    }
}
