//! `kill -9` in the middle of executions: what was recorded is not done again, what was not is.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::elsewhere::Elsewhere;
use crate::states::{Remote, States, function, types};

/// Killed when dropped too, so that a failing test leaves nothing behind.
pub struct Process(Child);

impl Process {
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // SIGKILL: the program cannot prepare for it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The program itself, over a data directory, with its tasks going to `lambda`.
pub fn start(data: &Path, lambda: &str) -> (Process, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["--port", "0", "--lambda-endpoint", lambda, "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let url = line
        .trim()
        .strip_prefix("local is ready at ")
        .unwrap_or_else(|| panic!("{line:?}"));
    (Process(child), url.to_owned())
}

#[tokio::test]
async fn an_execution_survives_kill_9_and_no_recorded_task_runs_twice() {
    let data = tempfile::tempdir().unwrap();
    let mut lambda = Elsewhere::start().await;
    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    let queue = aws.watch().await;
    let task = |name: &str| json!({"Type": "Task", "Resource": function(name), "End": true});
    let machine = aws
        .machine(
            "m",
            json!({"StartAt": "First", "States": {
                "First": {"Type": "Task", "Resource": function("first"), "Next": "Both"},
                "Both": {"Type": "Parallel", "End": true, "Branches": [
                    {"StartAt": "Second", "States": {"Second": task("second")}},
                    {"StartAt": "Pause", "States": {
                        "Pause": {"Type": "Wait", "TimestampPath": "$.until", "Next": "Third"},
                        "Third": task("third"),
                    }},
                    {"StartAt": "Fourth", "States": {"Fourth": task("fourth")}},
                ]},
            }}),
        )
        .await;
    let execution = aws.run(&machine, "e", json!({"n": 1})).await;
    assert_eq!(aws.next_change(&queue).await["status"], "RUNNING");
    // A moment that passes while nobody runs, so that its timer is overdue at the restart.
    let until = (jiff::Timestamp::now() + jiff::SignedDuration::from_millis(1500)).to_string();
    lambda.next().await.succeed(json!({"until": until}));
    // Both tasks of the fork are asked for, so the result of the first is on disk.
    let mut forked = [lambda.next().await, lambda.next().await];
    forked.sort_by(|one, other| one.function.cmp(&other.function));
    let [fourth, second] = forked;
    assert_eq!(
        (second.function.as_str(), fourth.function.as_str()),
        ("second", "fourth")
    );
    fourth.succeed(json!("4"));
    aws.recorded(&execution, "LambdaFunctionSucceeded", 2).await;
    local.kill();
    // It answers, and nobody is there to hear it.
    second.succeed(json!("lost"));
    // On a slow machine the pause was over before the end of the process, and the third was asked for.
    lambda.forget();

    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    let mut asked = vec![lambda.next().await, lambda.next().await];
    asked.sort_by(|one, other| one.function.cmp(&other.function));
    let names: Vec<&str> = asked.iter().map(|asked| asked.function.as_str()).collect();
    assert_eq!(
        names,
        ["second", "third"],
        "neither the first nor the fourth again"
    );
    for asked in asked {
        assert_eq!(asked.event, json!({"until": until}));
        let name = asked.function.clone();
        asked.succeed(json!(name));
    }
    let told = aws.end(&queue, &execution).await;
    assert_eq!(told["status"], "SUCCEEDED");
    let output: Value = serde_json::from_str(told["output"].as_str().unwrap()).unwrap();
    assert_eq!(output, json!(["second", "third", "4"]));
    let history = aws.history(&execution).await;
    let ids: Vec<i64> = history
        .iter()
        .map(|event| event["id"].as_i64().unwrap())
        .collect();
    assert_eq!(
        ids,
        (1..=ids.len() as i64).collect::<Vec<_>>(),
        "no event twice, none lost"
    );
    assert_eq!(types(&history).last(), Some(&"ExecutionSucceeded"));
    local.kill();
}

#[tokio::test]
async fn an_ended_execution_is_redriven_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let mut lambda = Elsewhere::start().await;
    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    let queue = aws.watch().await;
    let machine = aws
        .machine(
            "m",
            json!({"StartAt": "A", "States": {
                "A": {"Type": "Task", "Resource": function("a"), "End": true},
            }}),
        )
        .await;
    let execution = aws.run(&machine, "e", json!({})).await;
    lambda.next().await.fail("E", "first");
    assert_eq!(aws.end(&queue, &execution).await["status"], "FAILED");
    local.kill();

    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    aws.states("RedriveExecution", json!({"executionArn": execution}))
        .await
        .unwrap();
    // Killed again while the redriven task runs.
    let asked = lambda.next().await;
    local.kill();
    drop(asked);

    let (local, url) = start(data.path(), &lambda.url);
    let aws = Remote::new(&url);
    lambda.next().await.succeed(json!("done"));
    let told = aws.end(&queue, &execution).await;
    assert_eq!(
        (&told["status"], &told["redriveCount"]),
        (&json!("SUCCEEDED"), &json!(1))
    );
    local.kill();
}
