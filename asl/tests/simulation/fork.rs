//! Owns random Parallel and Map states, inline and distributed.

use serde_json::{Value, json};

use super::definition::Maker;

impl Maker {
    /// A scope inside of another; `jsonata`: the language of the whole machine.
    fn inner(&mut self, jsonata: bool) -> Value {
        let own = std::mem::replace(&mut self.jsonata, jsonata);
        self.depth += 1;
        let scope = self.scope();
        self.depth -= 1;
        self.jsonata = own;
        scope
    }

    pub fn parallel(&mut self, jsonata: bool) -> Value {
        let count = 1 + self.dice.roll(3);
        let branches: Vec<Value> = (0..count).map(|_| self.inner(jsonata)).collect();
        let mut parallel = json!({"Type": "Parallel", "Branches": branches});
        self.hand_on(&mut parallel);
        parallel
    }

    pub fn map(&mut self, jsonata: bool) -> Value {
        self.maps -= 1;
        let distributed = self.dice.percent(35);
        let mut processor = self.inner(jsonata);
        self.maps += 1;
        let mut map = json!({"Type": "Map"});
        if distributed {
            processor["ProcessorConfig"] =
                json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
            self.distributed(&mut map);
        } else if self.dice.percent(50) {
            processor["ProcessorConfig"] = json!({"Mode": "INLINE"});
        }
        map["ItemProcessor"] = processor;
        if self.jsonata {
            map["ItemSelector"] = json!({
                "items": "{% $states.input.items %}", "n": "{% $states.input.n %}", "t": "{% $states.input.t %}",
                "index": "{% $states.context.Map.Item.Index %}", "chance": "{% $random() %}",
            });
        } else {
            map["ItemSelector"] = json!({
                "items.$": "$.items", "n.$": "$.n", "t.$": "$.t", "index.$": "$$.Map.Item.Index",
                "value.$": "$$.Map.Item.Value", "chance.$": "States.UUID()",
            });
        }
        if map.get("ItemReader").is_none() {
            let field = if self.jsonata { "Items" } else { "ItemsPath" };
            map[field] = match (self.jsonata, self.dice.roll(4)) {
                (true, 0) => json!("{% [1..$count($states.input.items)] %}"),
                (true, _) => json!("{% $states.input.items %}"),
                (false, 0) => json!("$$.Execution.Input.items"),
                (false, _) => json!("$.items"),
            };
        }
        match self.dice.roll(8) {
            0..3 => {}
            3 if self.jsonata => map["MaxConcurrency"] = json!("{% $states.input.t %}"),
            3 => map["MaxConcurrencyPath"] = json!("$.t"),
            _ => map["MaxConcurrency"] = json!(self.dice.between(0, 3)),
        }
        match self.dice.roll(8) {
            0 | 1 => map["ToleratedFailureCount"] = json!(self.dice.between(0, 3)),
            2 => map["ToleratedFailurePercentage"] = json!(self.dice.between(0, 100)),
            3 if !self.jsonata => map["ToleratedFailureCountPath"] = json!("$.t"),
            _ => {}
        }
        self.hand_on(&mut map);
        map
    }

    fn distributed(&mut self, map: &mut Value) {
        if self.dice.percent(30) {
            let given = if self.jsonata {
                "Arguments"
            } else {
                "Parameters"
            };
            map["ItemReader"] = json!({
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON", "MaxItems": 3},
                given: {"Bucket": "b", "Key": "k"},
            });
        }
        if self.dice.percent(30) {
            map["ItemBatcher"] = json!({"MaxItemsPerBatch": self.dice.between(1, 3)});
        }
        if self.dice.percent(30) {
            map["Label"] = json!("label");
        }
    }

    /// What becomes of the results of branches and iterations: little, for they hold each other.
    fn hand_on(&mut self, state: &mut Value) {
        if self.jsonata {
            state["Output"] = match self.dice.roll(2) {
                0 => json!("{% $merge([$states.input, {'r': $count($states.result)}]) %}"),
                _ => self.kept(),
            };
        } else if self.dice.percent(50) {
            state["ResultPath"] = Value::Null;
        } else {
            state["ResultSelector"] = json!({"count.$": "States.ArrayLength($)"});
            state["ResultPath"] = json!("$.r");
        }
    }
}
