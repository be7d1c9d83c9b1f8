//! One state of each type, with the ways out of it.

use serde_json::{Map, Value, json};

use super::{Generator, Kind, Shape};

/// A way out: which state of the scope comes next, with the data and the variables that it is given.
pub type Exit = (usize, Shape, Shape);

impl Generator {
    /// The state at a place of its scope, given data of a shape.
    pub fn state(
        &mut self,
        shape: &Shape,
        names: &[String],
        at: usize,
        may_end: bool,
    ) -> (Value, Vec<Exit>) {
        let last = at + 1 == names.len();
        let around = self.jsonata;
        let mut state = Map::new();
        if self.mixed && !around && self.chance(35) {
            self.jsonata = true;
            state.insert("QueryLanguage".into(), json!("JSONata"));
        }
        let mut exits = Vec::new();
        let before = self.variables.clone();
        match self.below(100) {
            0..22 if !last => self.choice(&mut state, shape, names, at, &mut exits),
            22..30 => {
                let output = self.wait(&mut state, shape);
                self.go_on(&mut state, output, names, at, &mut exits);
            }
            30..34 if may_end && !self.safe => self.fail(&mut state, shape),
            34..38 if may_end => self.succeed(&mut state, shape),
            38..62 if self.features.forks && self.depth < 2 => {
                let outcome = self.fork(&mut state, shape, around);
                self.catch(&mut state, shape, &before, names, at, &mut exits);
                self.go_on(&mut state, outcome, names, at, &mut exits);
            }
            _ => {
                let output = self.pass(&mut state, shape);
                self.go_on(&mut state, output, names, at, &mut exits);
            }
        }
        self.jsonata = around;
        (Value::Object(state), exits)
    }

    fn go_on(
        &mut self,
        state: &mut Map<String, Value>,
        output: Shape,
        names: &[String],
        at: usize,
        exits: &mut Vec<Exit>,
    ) {
        match names.get(at + 1) {
            Some(next) => {
                state.insert("Next".into(), json!(next));
                exits.push((at + 1, output, self.variables.clone()));
            }
            None => {
                state.insert("End".into(), json!(true));
            }
        }
    }

    fn pass(&mut self, state: &mut Map<String, Value>, shape: &Shape) -> Shape {
        state.insert("Type".into(), json!("Pass"));
        if self.jsonata {
            return self.output(state, shape, None);
        }
        let effective = self.input_path(state, shape);
        let result = match self.below(10) {
            0..5 => {
                let (template, given) = self.template(&effective, 0);
                state.insert("Parameters".into(), template);
                given
            }
            5..7 => {
                let value = self.literal();
                state.insert("Result".into(), value.clone());
                Shape::of(&value)
            }
            _ => {
                self.assign(state, &effective);
                effective
            }
        };
        let output = self.result_path(state, shape, &result);
        self.output_path(state, output)
    }

    fn wait(&mut self, state: &mut Map<String, Value>, shape: &Shape) -> Shape {
        state.insert("Type".into(), json!("Wait"));
        if self.jsonata {
            let (field, value) = match self.below(4) {
                0 => ("Seconds", json!(0)),
                1 => ("Seconds", json!("{% $count([]) %}")),
                2 => ("Timestamp", json!("2021-06-30T12:30:00Z")),
                _ => ("Timestamp", json!("{% '2020-01-01T' & '00:00:00Z' %}")),
            };
            state.insert(field.into(), value);
            return self.output(state, shape, None);
        }
        let effective = self.input_path(state, shape);
        let zero = self.known_path(&effective, Kind::Zero);
        let time = self.known_path(&effective, Kind::Time);
        let (field, value) = match (self.below(4), zero, time) {
            (0, Some((path, _)), _) => ("SecondsPath", path),
            (1, _, Some((path, _))) => ("TimestampPath", path),
            (2, ..) => ("Timestamp", "2021-06-30T12:30:00Z".to_owned()),
            _ => ("Seconds", String::new()),
        };
        let value = if field == "Seconds" {
            json!(0)
        } else {
            json!(value)
        };
        state.insert(field.into(), value);
        self.output_path(state, effective)
    }

    fn succeed(&mut self, state: &mut Map<String, Value>, shape: &Shape) {
        state.insert("Type".into(), json!("Succeed"));
        if self.jsonata {
            self.output_alone(state, shape, None);
        } else {
            let effective = self.input_path(state, shape);
            self.output_path(state, effective);
        }
    }

    fn fail(&mut self, state: &mut Map<String, Value>, shape: &Shape) {
        state.insert("Type".into(), json!("Fail"));
        for (field, literal) in [
            ("Error", *self.one_of(&["E1", "E2", "My.Error"])),
            ("Cause", "planned"),
        ] {
            let path = self.known_path(shape, Kind::Text);
            match (self.below(6), path) {
                (0, _) => {}
                (1, Some((path, _))) if !self.jsonata => {
                    state.insert(format!("{field}Path"), json!(path));
                }
                (2, _) if !self.jsonata && self.features.intrinsics => {
                    state.insert(
                        format!("{field}Path"),
                        json!("States.Format('{}-{}', 'My', 7)"),
                    );
                }
                (3, _) if self.jsonata => {
                    state.insert(field.into(), json!("{% 'My' & '-' & 7 %}"));
                }
                _ => {
                    state.insert(field.into(), json!(literal));
                }
            }
        }
    }
}
