//! Parallel and inline Map states, with their Retry and Catch.

use serde_json::{Map, Value, json};

use super::state::Exit;
use super::{Generator, Kind, Shape};

impl Generator {
    /// A Parallel or Map state; gives what it leaves. `around` is the query language of the scope.
    pub fn fork(&mut self, state: &mut Map<String, Value>, shape: &Shape, around: bool) -> Shape {
        // The states inside do not inherit what the state itself chose.
        let own = self.jsonata;
        let parallel = self.chance(50);
        let result = if parallel {
            self.parallel(state, shape, around)
        } else {
            self.map(state, shape, around)
        };
        self.jsonata = own;
        if own {
            return self.output(state, shape, Some(&result));
        }
        self.assign(state, &result);
        let result = if self.chance(30) {
            let (selector, given) = self.template(&result, 0);
            state.insert("ResultSelector".into(), selector);
            given
        } else {
            result
        };
        let output = self.result_path(state, shape, &result);
        self.output_path(state, output)
    }

    fn parallel(&mut self, state: &mut Map<String, Value>, shape: &Shape, around: bool) -> Shape {
        state.insert("Type".into(), json!("Parallel"));
        let given = if self.jsonata {
            self.arguments(state, shape)
        } else {
            let effective = self.input_path(state, shape);
            self.parameters(state, "Parameters", &effective)
        };
        let count = 1 + self.below(3);
        // Two branches that fail would race.
        let risky = self.below(count);
        let branches: Vec<Value> = (0..count)
            .map(|at| self.inner(&given, around, at == risky))
            .collect();
        state.insert("Branches".into(), json!(branches));
        Shape::value(Kind::List)
    }

    fn map(&mut self, state: &mut Map<String, Value>, shape: &Shape, around: bool) -> Shape {
        state.insert("Type".into(), json!("Map"));
        let in_map = self.in_map;
        let (effective, item) = if self.jsonata {
            let item = self.items(state, shape);
            self.in_map = true;
            if self.chance(30) {
                let (selector, given) = self.jsonata_object(shape, 0);
                state.insert("ItemSelector".into(), selector);
                (shape.clone(), given)
            } else {
                (shape.clone(), item)
            }
        } else {
            let effective = self.input_path(state, shape);
            let list = self.path(&effective, Kind::List);
            let item = match list {
                Some((path, kind)) => {
                    state.insert("ItemsPath".into(), json!(path));
                    item(kind)
                }
                None => {
                    state.insert("ItemsPath".into(), json!("$$.Execution.Input.numbers"));
                    Shape::value(Kind::Number)
                }
            };
            self.in_map = true;
            (effective, item)
        };
        let legacy = !self.jsonata && self.chance(15);
        let item = if !self.jsonata && self.chance(40) {
            let field = if legacy { "Parameters" } else { "ItemSelector" };
            let (selector, given) = self.template(&effective, 0);
            state.insert(field.into(), selector);
            given
        } else {
            item
        };
        let mut processor = self.inner(&item, around, true);
        // One after the other where items may fail.
        let concurrency = if self.safe { self.below(4) } else { 1 };
        if concurrency > 0 || self.chance(30) {
            state.insert("MaxConcurrency".into(), json!(concurrency));
        }
        if legacy {
            state.insert("Iterator".into(), processor);
        } else {
            if self.chance(50) {
                processor["ProcessorConfig"] = json!({ "Mode": "INLINE" });
            }
            state.insert("ItemProcessor".into(), processor);
        }
        self.in_map = in_map;
        Shape::value(Kind::List)
    }

    fn inner(&mut self, given: &Shape, around: bool, risky: bool) -> Value {
        let (own, safe) = (self.jsonata, self.safe);
        self.jsonata = around;
        self.safe |= !risky;
        self.depth += 1;
        let scope = self.scope(given);
        self.depth -= 1;
        (self.jsonata, self.safe) = (own, safe);
        scope
    }

    fn parameters(&mut self, state: &mut Map<String, Value>, field: &str, shape: &Shape) -> Shape {
        if !self.chance(30) {
            return shape.clone();
        }
        let (template, given) = self.template(shape, 0);
        state.insert(field.into(), template);
        given
    }

    /// Retriers and catchers; `before` is what was assigned when the state began.
    pub fn catch(
        &mut self,
        state: &mut Map<String, Value>,
        shape: &Shape,
        before: &Shape,
        names: &[String],
        at: usize,
        exits: &mut Vec<Exit>,
    ) {
        if self.features.retry && self.chance(50) {
            let errors = *self.one_of(&["E1", "States.ALL", "States.TaskFailed"]);
            let attempts = self.below(3);
            state.insert(
                "Retry".into(),
                json!([{ "ErrorEquals": [errors], "MaxAttempts": attempts, "IntervalSeconds": 1, "BackoffRate": 1.0 }]),
            );
        }
        if self.safe || at + 1 == names.len() || !self.chance(60) {
            return;
        }
        let mut catchers = Vec::new();
        let specific: [&[&str]; 8] = [
            &["E1"],
            &["E2", "My.Error"],
            &["States.TaskFailed"],
            &["States.NoChoiceMatched"],
            &["States.IntrinsicFailure", "States.QueryEvaluationError"],
            &["States.ParameterPathFailure"],
            &["States.Runtime"],
            &["States.BranchFailed"],
        ];
        for last in [false, true] {
            if !self.chance(60) {
                continue;
            }
            let errors = if last {
                &["States.ALL"]
            } else {
                *self.one_of(&specific)
            };
            let mut catcher = Map::new();
            catcher.insert("ErrorEquals".into(), json!(errors));
            let to = at + 1 + self.below(names.len() - at - 1);
            let output = if self.jsonata {
                if self.chance(50) {
                    catcher.insert(
                        "Output".into(),
                        json!("{% {'error': $states.errorOutput.Error, 'input': $states.input} %}"),
                    );
                    let mut given = Shape::value(Kind::Object);
                    given.put(".error", Kind::Text);
                    given.graft(".input", shape);
                    given
                } else {
                    Shape::value(Kind::Caught)
                }
            } else if shape.root() == Kind::Object && self.chance(70) {
                let name = self.name("e");
                catcher.insert("ResultPath".into(), json!(format!("$.{name}")));
                let mut given = shape.clone();
                given.put(&format!(".{name}"), Kind::Caught);
                given.put(&format!(".{name}.Error"), Kind::Text);
                given
            } else {
                Shape::value(Kind::Caught)
            };
            let mut variables = before.clone();
            if self.features.assign && self.chance(40) {
                let name = self.name("v");
                variables.put(&format!(".{name}"), Kind::Text);
                let assigned = match self.jsonata {
                    true => json!({ name: "{% $states.errorOutput.Error %}" }),
                    false => json!({ format!("{name}.$"): "$.Error" }),
                };
                catcher.insert("Assign".into(), assigned);
            }
            catcher.insert("Next".into(), json!(names[to]));
            catchers.push(Value::Object(catcher));
            exits.push((to, output, variables));
        }
        if !catchers.is_empty() {
            state.insert("Catch".into(), json!(catchers));
        }
    }
}

/// What is known of the items of a list.
pub fn item(list: Kind) -> Shape {
    let mut item = Shape::value(list.element());
    if list == Kind::Items {
        item.put(".id", Kind::Number);
        item.put(".name", Kind::Text);
    }
    item
}
