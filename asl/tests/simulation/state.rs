//! Owns random states that neither call nor fork: Pass, Wait, Choice, Succeed and Fail.

use serde_json::{Value, json};

use super::definition::{Maker, Ways};

impl Maker {
    /// Any state.
    pub fn state(&mut self, ways: &Ways) -> Value {
        let jsonata = self.jsonata;
        // A machine in JSONPath may hold states in JSONata, not the other way round.
        let own = !jsonata && self.dice.percent(20);
        self.jsonata |= own;
        let mut state = match self.dice.roll(20) {
            0..3 => self.pass(),
            3..5 => self.wait(),
            5 => self.choice(ways),
            6..9 if self.depth < 3 && self.budget > 0 => self.parallel(jsonata),
            9..13 if self.depth < 3 && self.budget > 0 && self.maps > 0 => self.map(jsonata),
            _ => self.task(),
        };
        if ["Task", "Parallel", "Map"].contains(&state["Type"].as_str().unwrap_or_default()) {
            self.effort(&mut state, ways);
        }
        if self.dice.percent(15) && state["Type"] != "Choice" {
            state["Assign"] = self.assign();
        }
        if own {
            state["QueryLanguage"] = json!("JSONata");
        }
        if state["Type"] != "Choice" {
            state["Next"] = json!(ways.next);
        }
        if !self.jsonata && self.dice.permille(8) {
            // Leads nowhere, which no retrier or catcher may deal with.
            state["InputPath"] = json!("$.nothing");
        }
        self.jsonata = jsonata;
        state
    }

    /// Variables have other names in each depth: those from outside must not be assigned.
    pub fn assign(&mut self) -> Value {
        let own = format!("d{}", self.depth);
        let mut assign = json!({});
        if self.jsonata {
            assign[&own] = json!("{% $states.input.n & $random() %}");
            if self.depth == 0 && self.assigns {
                assign["v"] = json!("{% $v + 1 %}");
            }
        } else {
            assign[&own] = json!(1);
            if self.depth == 0 && self.assigns {
                assign["v.$"] = json!("States.MathAdd($v, 1)");
            }
        }
        assign
    }

    fn pass(&mut self) -> Value {
        if self.jsonata {
            let outputs = [
                "{% $merge([$states.input, {'p': $random()}]) %}",
                "{% $states.input %}",
                "{% $merge([$states.input, {'p': $now()}]) %}",
                // Gives nothing, which is an error.
                "{% $states.input.nothing %}",
            ];
            let at = if self.dice.percent(4) {
                3
            } else {
                self.dice.roll(3)
            };
            return json!({"Type": "Pass", "Output": outputs[at]});
        }
        match self.dice.roll(4) {
            0 => json!({"Type": "Pass"}),
            1 => json!({"Type": "Pass", "Result": [1], "ResultPath": "$.p"}),
            2 => {
                json!({"Type": "Pass", "Parameters": {"u.$": "States.UUID()"}, "ResultPath": "$.p"})
            }
            _ => json!({"Type": "Pass", "Result": 0, "ResultPath": null}),
        }
    }

    fn wait(&mut self) -> Value {
        let seconds = self.dice.between(0, 5);
        let at = format!("2023-11-14T22:13:{:02}Z", 20 + self.dice.roll(12));
        let mut wait = match (self.dice.roll(4), self.jsonata) {
            (0, _) => json!({"Timestamp": at}),
            (1, false) => json!({"SecondsPath": "$.t"}),
            (1, true) => json!({"Seconds": "{% $states.input.t %}"}),
            _ => json!({"Seconds": seconds}),
        };
        wait["Type"] = json!("Wait");
        wait
    }

    fn choice(&mut self, ways: &Ways) -> Value {
        let other = self.dice.pick(&ways.later).clone();
        let mut rule = match (self.jsonata, self.dice.roll(3)) {
            (true, 0) => json!({"Condition": "{% $states.input.n > 1 %}", "Output": self.kept()}),
            (true, _) => json!({"Condition": "{% $random() > 0.5 %}", "Output": self.kept()}),
            (false, 0) => json!({"Variable": "$.n", "NumericGreaterThan": 1}),
            (false, 1) => json!({"Variable": "$.nothing", "IsPresent": false}),
            (false, _) => json!({"And": [
                {"Variable": "$.t", "IsNumeric": true},
                {"Not": {"Variable": "$.t", "NumericEquals": 2}},
            ]}),
        };
        rule["Next"] = json!(ways.next);
        if self.dice.percent(30) {
            rule["Assign"] = self.assign();
        }
        let mut choice = json!({"Type": "Choice", "Choices": [rule]});
        // Without a default, States.NoChoiceMatched is in reach.
        if self.dice.percent(85) {
            choice["Default"] = json!(other);
        }
        choice
    }

    /// The last state of a scope.
    pub fn end(&mut self) -> Value {
        match self.dice.roll(4) {
            0 => json!({"Type": "Succeed"}),
            1 => {
                let mut task = self.task();
                task["End"] = json!(true);
                task
            }
            _ => json!({"Type": "Pass", "End": true}),
        }
    }

    pub fn fail(&mut self) -> Value {
        let error = *self.dice.pick(&["E1", "E2"]);
        match self.dice.roll(4) {
            0 => json!({"Type": "Fail"}),
            1 if !self.jsonata => {
                json!({"Type": "Fail", "Error": error, "CausePath": "$$.State.Name"})
            }
            1 => {
                json!({"Type": "Fail", "Error": error, "Cause": "{% $states.context.State.Name %}"})
            }
            _ => json!({"Type": "Fail", "Error": error, "Cause": "planned"}),
        }
    }
}
