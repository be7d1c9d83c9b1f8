//! Owns random Task states, and the retriers and catchers of all states that have them.

use serde_json::{Value, json};

use super::definition::{Maker, Ways};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
const ACTIVITY: &str = "arn:aws:states:us-east-1:000000000000:activity:a";
const CALLBACK: &str = "arn:aws:states:::sqs:sendMessage.waitForTaskToken";
const INVOKE: &str = "arn:aws:states:::lambda:invoke";
const NESTED: &str = "arn:aws:states:::states:startExecution.sync:2";

impl Maker {
    /// A Task state. It tells the world its name, so that the world can tell tasks apart.
    pub fn task(&mut self) -> Value {
        let resource = *self
            .dice
            .pick(&[FUNCTION, FUNCTION, ACTIVITY, CALLBACK, INVOKE, NESTED]);
        let (name, token, chance) = if self.jsonata {
            (
                json!({"state": "{% $states.context.State.Name %}"}),
                json!("{% $states.context.Task.Token %}"),
                json!("{% $random() %}"),
            )
        } else {
            (
                json!({"state.$": "$$.State.Name"}),
                json!("$$.Task.Token"),
                json!("States.UUID()"),
            )
        };
        let suffix = if self.jsonata { "" } else { ".$" };
        let mut given = name;
        if self.dice.percent(30) {
            given[format!("chance{suffix}")] = chance;
        }
        let given = match resource {
            CALLBACK => {
                given[format!("token{suffix}")] = token;
                json!({"QueueUrl": "https://sqs.us-east-1.amazonaws.com/000000000000/q", "MessageBody": given})
            }
            INVOKE => json!({"FunctionName": "f", "Payload": given}),
            NESTED => {
                json!({"StateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:m", "Input": given})
            }
            _ => given,
        };
        let mut task = json!({"Type": "Task", "Resource": resource});
        if self.jsonata {
            task["Arguments"] = given;
            task["Output"] = match self.dice.roll(3) {
                0 => json!("{% $merge([$states.input, {'r': $states.result}]) %}"),
                _ => self.kept(),
            };
        } else {
            task["Parameters"] = given;
            task["ResultPath"] = match self.dice.roll(3) {
                0 => json!("$.r"),
                _ => Value::Null,
            };
        }
        self.times(&mut task);
        task
    }

    fn times(&mut self, task: &mut Value) {
        match self.dice.roll(6) {
            0 => {}
            1 if self.jsonata => task["TimeoutSeconds"] = json!("{% $states.input.t %}"),
            1 => task["TimeoutSecondsPath"] = json!("$.t"),
            2 => {
                task["TimeoutSeconds"] = json!(self.dice.between(3, 9));
                task["HeartbeatSeconds"] = json!(self.dice.between(1, 2));
            }
            _ => task["TimeoutSeconds"] = json!(self.dice.between(1, 6)),
        }
    }

    /// Gives a state retriers and catchers.
    pub fn effort(&mut self, state: &mut Value, ways: &Ways) {
        if self.dice.percent(50) {
            let retriers: Vec<Value> = self
                .named(3)
                .into_iter()
                .map(|of| self.retrier(of))
                .collect();
            state["Retry"] = json!(retriers);
        }
        if self.dice.percent(40) {
            let catchers: Vec<Value> = self
                .named(2)
                .into_iter()
                .map(|of| self.catcher(of, ways))
                .collect();
            state["Catch"] = json!(catchers);
        }
    }

    /// Up to `most` lists of errors; States.ALL stands alone and last.
    fn named(&mut self, most: usize) -> Vec<Value> {
        let count = 1 + self.dice.roll(most);
        (1..=count)
            .map(|index| match self.dice.roll(7) {
                0 => json!(["E2", "E1"]),
                1 => json!(["States.Timeout"]),
                2 => json!(["States.HeartbeatTimeout"]),
                3 => json!(["States.TaskFailed"]),
                4 if index == count => json!(["States.ALL"]),
                4 => json!([
                    "States.ExceedToleratedFailureThreshold",
                    "States.QueryEvaluationError"
                ]),
                _ => json!(["E1"]),
            })
            .collect()
    }

    fn retrier(&mut self, errors: Value) -> Value {
        let mut retrier = json!({"ErrorEquals": errors});
        if self.dice.percent(70) {
            retrier["IntervalSeconds"] = json!(self.dice.between(1, 3));
        }
        if self.dice.percent(70) {
            retrier["MaxAttempts"] = json!(self.dice.between(0, 3));
        }
        if self.dice.percent(50) {
            retrier["BackoffRate"] = json!(*self.dice.pick(&[1.0, 1.5, 2.0, 3.25]));
        }
        if self.dice.percent(30) {
            retrier["MaxDelaySeconds"] = json!(self.dice.between(4, 6));
        }
        if self.dice.percent(30) {
            retrier["JitterStrategy"] = json!(*self.dice.pick(&["FULL", "NONE"]));
        }
        retrier
    }

    fn catcher(&mut self, errors: Value, ways: &Ways) -> Value {
        let next = self.dice.pick(&ways.later).clone();
        let mut catcher = json!({"ErrorEquals": errors, "Next": next});
        if self.jsonata {
            catcher["Output"] = match self.dice.roll(3) {
                0 => json!("{% $merge([$states.input, {'e': $states.errorOutput}]) %}"),
                _ => self.kept(),
            };
        } else {
            catcher["ResultPath"] = json!("$.e");
        }
        if self.dice.percent(20) {
            catcher["Assign"] = self.assign();
        }
        catcher
    }
}
