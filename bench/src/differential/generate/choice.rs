//! Choice states and their rules.

use serde_json::{Map, Value, json};

use super::state::Exit;
use super::{Generator, Kind, Shape};

const RELATIONS: [&str; 5] = [
    "Equals",
    "LessThan",
    "GreaterThan",
    "LessThanEquals",
    "GreaterThanEquals",
];

impl Generator {
    pub fn choice(
        &mut self,
        state: &mut Map<String, Value>,
        shape: &Shape,
        names: &[String],
        at: usize,
        exits: &mut Vec<Exit>,
    ) {
        state.insert("Type".into(), json!("Choice"));
        let effective = if self.jsonata {
            shape.clone()
        } else {
            self.input_path(state, shape)
        };
        let before = self.variables.clone();
        let mut choices = Vec::new();
        for _ in 0..1 + self.below(3) {
            let mut rule = if self.jsonata {
                let condition = self.condition(shape);
                Map::from_iter([("Condition".to_owned(), json!(condition))])
            } else {
                self.rule(&effective, 0)
            };
            let to = at + 1 + self.below(names.len() - at - 1);
            rule.insert("Next".into(), json!(names[to]));
            let output = if self.jsonata {
                self.output(&mut rule, shape, None)
            } else {
                self.assign(&mut rule, &effective);
                effective.clone()
            };
            choices.push(Value::Object(rule));
            exits.push((
                to,
                output,
                std::mem::replace(&mut self.variables, before.clone()),
            ));
        }
        state.insert("Choices".into(), json!(choices));
        let output = if self.jsonata {
            effective.clone()
        } else {
            self.output_path(state, effective.clone())
        };
        // What `OutputPath` leaves out, no rule passes on either.
        if !self.jsonata {
            let many = exits.len();
            for exit in &mut exits[many - choices.len()..] {
                exit.1 = output.clone();
            }
        }
        // The next state is always reachable.
        if self.safe || !self.chance(15) || !exits.iter().any(|exit| exit.0 == at + 1) {
            state.insert("Default".into(), json!(names[at + 1]));
            // The state's own `Output` and `Assign` are for its default.
            let output = if self.jsonata {
                self.output(state, shape, None)
            } else {
                self.assign(state, &effective);
                output
            };
            exits.push((at + 1, output, self.variables.clone()));
        }
        self.variables = before;
    }

    fn rule(&mut self, shape: &Shape, depth: usize) -> Map<String, Value> {
        let mut rule = Map::new();
        match self.below(8) {
            0 if depth < 2 => {
                let rules = self.rules(shape, depth + 1);
                rule.insert("And".into(), rules);
            }
            1 if depth < 2 => {
                let rules = self.rules(shape, depth + 1);
                rule.insert("Or".into(), rules);
            }
            2 if depth < 2 => {
                let inner = self.rule(shape, depth + 1);
                rule.insert("Not".into(), Value::Object(inner));
            }
            3 => {
                let path = match (self.chance(50), self.known_path(shape, Kind::Unknown)) {
                    (true, Some((path, _))) => path,
                    _ => "$.nothing".to_owned(),
                };
                let wanted = self.chance(50);
                rule.insert("Variable".into(), json!(path));
                rule.insert("IsPresent".into(), json!(wanted));
            }
            4 => {
                let test = *self.one_of(&[
                    "IsNull",
                    "IsString",
                    "IsNumeric",
                    "IsBoolean",
                    "IsTimestamp",
                ]);
                let (wanted, path) = (self.chance(50), self.variable(shape, Kind::Unknown));
                rule.insert("Variable".into(), json!(path));
                rule.insert(test.into(), json!(wanted));
            }
            _ => self.comparison(&mut rule, shape),
        }
        rule
    }

    fn rules(&mut self, shape: &Shape, depth: usize) -> Value {
        let rules: Vec<Value> = (0..1 + self.below(3))
            .map(|_| Value::Object(self.rule(shape, depth)))
            .collect();
        json!(rules)
    }

    fn variable(&mut self, shape: &Shape, kind: Kind) -> String {
        // A value of another kind is no error: the comparison does not hold.
        let kind = if self.chance(15) { Kind::Unknown } else { kind };
        let found = self
            .path(shape, kind)
            .or_else(|| self.path(shape, Kind::Unknown));
        found.map_or_else(|| "$".to_owned(), |(path, _)| path)
    }

    fn comparison(&mut self, rule: &mut Map<String, Value>, shape: &Shape) {
        let kind = *self.one_of(&[Kind::Number, Kind::Text, Kind::Flag, Kind::Time]);
        let variable = self.variable(shape, kind);
        rule.insert("Variable".into(), json!(variable));
        if kind == Kind::Text && self.chance(35) {
            let patterns = [
                "*",
                "log-*.txt",
                "a\\*b",
                "*b",
                "a*",
                "x,*;*",
                "",
                "**",
                "Zo?",
                "[ab]",
                "*.*",
            ];
            rule.insert("StringMatches".into(), json!(*self.one_of(&patterns)));
            return;
        }
        let relation = match kind {
            Kind::Flag => "Equals",
            _ => *self.one_of(&RELATIONS),
        };
        let type_ = match kind {
            Kind::Number => "Numeric",
            Kind::Text => "String",
            Kind::Flag => "Boolean",
            _ => "Timestamp",
        };
        if self.features.choice_paths
            && self.chance(50)
            && let Some((path, _)) = self.path(shape, kind)
        {
            rule.insert(format!("{type_}{relation}Path"), json!(path));
            return;
        }
        let values = match kind {
            Kind::Number => vec![json!(0), json!(3), json!(2.5), json!(-1), json!(7.0)],
            Kind::Text => vec![
                json!("a"),
                json!(""),
                json!("Zoë"),
                json!("log-7.txt"),
                json!("m"),
            ],
            Kind::Flag => vec![json!(true), json!(false)],
            _ => vec![
                json!("2020-01-01T00:00:00Z"),
                json!("2021-06-30T12:30:00Z"),
                json!("2021-06-30T12:30:00.000Z"),
                json!("2021-06-30T05:30:00-07:00"),
            ],
        };
        rule.insert(format!("{type_}{relation}"), self.one_of(&values).clone());
    }
}
