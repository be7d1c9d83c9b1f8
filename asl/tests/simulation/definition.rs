//! Owns random definitions: scopes, how their states follow each other, and loops.
//!
//! The data keeps its shape on the way, `{"items", "n", "t", …}`, so that paths lead somewhere: `n` counts loops
//! down, `t` is a time in seconds. Refuses to say what a state does ([`super::state`]).

use serde_json::{Map, Value, json};

use super::dice::Dice;

/// Makes one definition.
pub struct Maker {
    pub dice: Dice,
    /// States that may still be made, so that no machine grows out of hand.
    pub budget: usize,
    /// How deep Map states may still be nested, for they multiply.
    pub maps: usize,
    /// How deep scopes are nested.
    pub depth: usize,
    /// Every state is in JSONata.
    pub jsonata: bool,
    /// The outermost scope begins by assigning `$v`.
    pub assigns: bool,
    last_name: usize,
}

/// Where a state may lead.
pub struct Ways {
    pub next: String,
    /// Later states of the scope, the end and a Fail state among them.
    pub later: Vec<String>,
}

/// A definition.
pub fn definition(seed: u64) -> Value {
    let mut dice = Dice::new(seed);
    let jsonata = dice.percent(20);
    let mut maker = Maker {
        budget: 2 + dice.roll(14),
        maps: 2,
        depth: 0,
        jsonata,
        assigns: dice.percent(30),
        last_name: 0,
        dice,
    };
    let mut definition = maker.scope();
    if jsonata {
        definition["QueryLanguage"] = json!("JSONata");
    }
    if maker.dice.percent(30) {
        definition["TimeoutSeconds"] = json!(maker.dice.between(1, 60));
    }
    definition
}

impl Maker {
    fn name(&mut self) -> String {
        self.last_name += 1;
        format!("S{}", self.last_name)
    }

    /// States that lead to one another, the last of them to an end.
    pub fn scope(&mut self) -> Value {
        let count = 1 + self.dice.roll(4.min(self.budget.max(1)));
        self.budget = self.budget.saturating_sub(count);
        let names: Vec<String> = (0..count).map(|_| self.name()).collect();
        let (end, fail) = (self.name(), self.name());
        let mut states = Map::new();
        let start = if self.depth == 0 && self.assigns {
            let first = self.name();
            let assign = json!({"v": 1, "list": [1, 2]});
            let state =
                json!({"Type": "Pass", "Assign": assign, "Output": self.kept(), "Next": names[0]});
            states.insert(first.clone(), self.in_language(state));
            first
        } else {
            names[0].clone()
        };
        let loops = self.dice.percent(12).then(|| (self.name(), self.name()));
        let last = loops.as_ref().map_or(&end, |(down, _)| down).clone();
        for (index, name) in names.iter().enumerate() {
            let next = names.get(index + 1).unwrap_or(&last).clone();
            let mut later = names[index + 1..].to_vec();
            later.extend([end.clone(), fail.clone()]);
            let state = self.state(&Ways { next, later });
            states.insert(name.clone(), state);
        }
        if let Some((down, test)) = loops {
            let (count_down, test_count) = self.count_down(&names[0], &end, &test);
            states.insert(down, count_down);
            states.insert(test, test_count);
        }
        let reached = |states: &Map<String, Value>, name: &str| {
            let name = Value::from(name);
            states.values().any(|state| leads_to(state, &name))
        };
        if reached(&states, &fail) {
            let state = self.fail();
            states.insert(fail, state);
        }
        if reached(&states, &end) {
            let state = self.end();
            states.insert(end, state);
        }
        json!({ "StartAt": start, "States": states })
    }

    /// A pair of states that goes back to `first` as long as `n` is positive.
    fn count_down(&mut self, first: &str, end: &str, test: &str) -> (Value, Value) {
        if self.jsonata {
            let output = "{% $merge([$states.input, {'n': $states.input.n - 1}]) %}";
            let condition = "{% $states.input.n > 0 %}";
            return (
                json!({"Type": "Pass", "Output": output, "Next": test}),
                json!({"Type": "Choice", "Choices": [{"Condition": condition, "Next": first}], "Default": end}),
            );
        }
        let n = "States.MathAdd($.n, -1)";
        (
            json!({"Type": "Pass", "Parameters": {"items.$": "$.items", "t.$": "$.t", "n.$": n}, "Next": test}),
            json!({"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericGreaterThan": 0, "Next": first}], "Default": end}),
        )
    }

    /// `Output` of a state in JSONata that hands on its input.
    pub fn kept(&self) -> Value {
        json!("{% $states.input %}")
    }

    /// Takes away from a state what only JSONata has, unless it is in that.
    fn in_language(&self, mut state: Value) -> Value {
        if !self.jsonata
            && let Value::Object(fields) = &mut state
        {
            fields.remove("Output");
        }
        state
    }
}

/// Whether a state's transitions name a state; those of states inside of it do not count.
fn leads_to(value: &Value, name: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(field, value)| match field.as_str() {
            "Next" | "Default" => value == name,
            "Choices" | "Catch" => leads_to(value, name),
            _ => false,
        }),
        Value::Array(all) => all.iter().any(|value| leads_to(value, name)),
        _ => false,
    }
}
