//! Step Functions for one test: its operations, and the events that tell how executions go.

use reqwest::Client;
use serde_json::{Value, json};

use crate::aws::{Aws, PATIENCE, answer, eventually};

const ROLE: &str = "arn:aws:iam::000000000000:role/states";

/// A task's resource.
pub fn function(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")
}

/// A `local` in a process of its own.
pub struct Remote {
    client: Client,
    endpoint: String,
}

impl Remote {
    pub fn new(endpoint: &str) -> Remote {
        let client = Client::builder().no_proxy().build().unwrap();
        Remote {
            client,
            endpoint: endpoint.to_owned(),
        }
    }
}

impl States for Remote {
    fn http(&self) -> (&Client, &str) {
        (&self.client, &self.endpoint)
    }
}

impl States for Aws {
    fn http(&self) -> (&Client, &str) {
        (&self.client, &self.endpoint)
    }
}

/// What executions need, wherever they run.
pub trait States {
    fn http(&self) -> (&Client, &str);

    async fn send(&self, target: String, input: Value) -> Result<Value, (u16, Value)> {
        let (client, endpoint) = self.http();
        let request = client.post(endpoint).header("x-amz-target", target);
        let request = request.header("content-type", "application/x-amz-json-1.0");
        answer(request.body(input.to_string()).send().await.unwrap()).await
    }

    async fn states(&self, operation: &str, input: Value) -> Result<Value, (u16, Value)> {
        self.send(format!("AWSStepFunctions.{operation}"), input)
            .await
    }

    async fn sqs(&self, operation: &str, input: Value) -> Result<Value, (u16, Value)> {
        self.send(format!("AmazonSQS.{operation}"), input).await
    }

    async fn events(&self, operation: &str, input: Value) -> Result<Value, (u16, Value)> {
        self.send(format!("AWSEvents.{operation}"), input).await
    }

    /// Makes a state machine; gives its ARN.
    async fn machine(&self, name: &str, definition: Value) -> String {
        let input = json!({"name": name, "definition": definition.to_string(), "roleArn": ROLE});
        let made = self.states("CreateStateMachine", input).await.unwrap();
        made["stateMachineArn"].as_str().unwrap().to_owned()
    }

    /// Starts an execution; gives its ARN.
    async fn run(&self, machine: &str, name: &str, input: Value) -> String {
        let input = json!({"stateMachineArn": machine, "name": name, "input": input.to_string()});
        let started = self.states("StartExecution", input).await.unwrap();
        started["executionArn"].as_str().unwrap().to_owned()
    }

    async fn describe(&self, execution: &str) -> Value {
        let input = json!({"executionArn": execution});
        self.states("DescribeExecution", input).await.unwrap()
    }

    /// The whole history.
    async fn history(&self, execution: &str) -> Vec<Value> {
        let input = json!({"executionArn": execution, "maxResults": 1000});
        let history = self.states("GetExecutionHistory", input).await.unwrap();
        assert_eq!(history.get("nextToken"), None);
        history["events"].as_array().unwrap().clone()
    }

    /// Sends every status change to a queue; gives the queue's URL.
    async fn watch(&self) -> String {
        let queue = self
            .sqs("CreateQueue", json!({"QueueName": "status"}))
            .await
            .unwrap();
        let rule = json!({
            "Name": "status",
            "EventPattern": json!({
                "source": ["aws.states"],
                "detail-type": ["Step Functions Execution Status Change"],
            }).to_string(),
        });
        self.events("PutRule", rule).await.unwrap();
        let targets = json!({"Rule": "status", "Targets": [
            {"Id": "queue", "Arn": "arn:aws:sqs:us-east-1:000000000000:status"},
        ]});
        self.events("PutTargets", targets).await.unwrap();
        queue["QueueUrl"].as_str().unwrap().to_owned()
    }

    /// The detail of the next status change, in the order of their happening.
    async fn next_change(&self, queue: &str) -> Value {
        let ask = json!({"QueueUrl": queue, "WaitTimeSeconds": 20, "VisibilityTimeout": 600});
        let received = tokio::time::timeout(PATIENCE, self.sqs("ReceiveMessage", ask))
            .await
            .expect("an event comes")
            .unwrap();
        let message = &received["Messages"][0];
        let event: Value =
            serde_json::from_str(message["Body"].as_str().expect("an event comes")).unwrap();
        let delete = json!({"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]});
        self.sqs("DeleteMessage", delete).await.unwrap();
        assert_eq!(event["source"], "aws.states");
        assert_eq!(event["resources"], json!([event["detail"]["executionArn"]]));
        event["detail"].clone()
    }

    /// Waits for the end of an execution whose changes the queue gets; gives the last change.
    async fn end(&self, queue: &str, execution: &str) -> Value {
        loop {
            let change = self.next_change(queue).await;
            if change["executionArn"] == execution && change["status"] != "RUNNING" {
                return change;
            }
        }
    }

    /// Waits until the history has so many events of a type.
    async fn recorded(&self, execution: &str, kind: &str, count: usize) {
        eventually(kind, || async {
            let history = self.history(execution).await;
            (types(&history).iter().filter(|name| **name == kind).count() == count).then_some(())
        })
        .await;
    }
}

/// The names of events.
pub fn types(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}
