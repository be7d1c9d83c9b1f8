//! What an execution costs in memory that waits for hours: what a server grows by while many of them are started.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;

/// Started first, so that whatever a server keeps for good is there.
const WARM: usize = 500;
/// Started then.
const EXECUTIONS: usize = 5_000;

/// Bytes of memory that an endpoint takes for each of many executions that wait.
pub fn bytes_each(endpoint: &Endpoint) -> anyhow::Result<f64> {
    let definition = json!({ "StartAt": "W", "States": { "W": { "Type": "Wait", "Seconds": 3600, "End": true } } });
    let made = endpoint.call(
        "CreateStateMachine",
        &json!({ "name": "rests", "definition": definition.to_string(),
            "roleArn": "arn:aws:iam::000000000000:role/bench" }),
    )?;
    start(endpoint, &made["stateMachineArn"], 0, WARM)?;
    let before = endpoint.resident_bytes()?;
    start(endpoint, &made["stateMachineArn"], WARM, EXECUTIONS)?;
    let after = endpoint.resident_bytes()?;
    let listed = endpoint.call(
        "ListExecutions",
        &json!({ "stateMachineArn": made["stateMachineArn"], "statusFilter": "RUNNING", "maxResults": 1 }),
    )?;
    ensure!(
        listed["executions"]
            .as_array()
            .is_some_and(|list| !list.is_empty()),
        "{} does not wait",
        endpoint.name
    );
    Ok(after.saturating_sub(before) as f64 / EXECUTIONS as f64)
}

fn start(endpoint: &Endpoint, machine: &Value, from: usize, count: usize) -> anyhow::Result<()> {
    for number in from..from + count {
        let ask =
            json!({ "stateMachineArn": machine, "input": "{}", "name": format!("rests-{number}") });
        endpoint.call("StartExecution", &ask)?;
    }
    Ok(())
}
