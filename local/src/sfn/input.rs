//! What happened to an execution, as the journal keeps it: the engine's inputs in JSON.

use asl::{Input, TaskId, TimerId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Stored {
    ActivityScheduled {
        task: u64,
    },
    ActivityStarted {
        task: u64,
        worker: Option<String>,
    },
    TaskImpossible {
        task: u64,
        cause: String,
    },
    TaskStarted {
        task: u64,
    },
    TaskSubmitted {
        task: u64,
        output: Value,
    },
    TaskSubmitFailed {
        task: u64,
        error: String,
        cause: String,
    },
    TaskHeartbeat {
        task: u64,
    },
    TaskSucceeded {
        task: u64,
        output: Value,
    },
    TaskFailed {
        task: u64,
        error: Option<String>,
        cause: Option<String>,
    },
    MapRunStarted {
        task: u64,
        arn: String,
    },
    MapRunSucceeded {
        task: u64,
        output: Value,
    },
    MapRunFailed {
        task: u64,
        error: String,
        cause: String,
    },
    TimerFired {
        timer: u64,
    },
    Stop {
        error: Option<String>,
        cause: Option<String>,
    },
    Redrive,
}

/// The input as text.
pub fn write(input: &Input) -> String {
    let stored = match input.clone() {
        Input::ActivityScheduled { task } => Stored::ActivityScheduled { task: task.0 },
        Input::ActivityStarted { task, worker } => Stored::ActivityStarted {
            task: task.0,
            worker,
        },
        Input::TaskImpossible { task, cause } => Stored::TaskImpossible {
            task: task.0,
            cause,
        },
        Input::TaskStarted { task } => Stored::TaskStarted { task: task.0 },
        Input::TaskSubmitted { task, output } => Stored::TaskSubmitted {
            task: task.0,
            output,
        },
        Input::TaskSubmitFailed { task, error, cause } => Stored::TaskSubmitFailed {
            task: task.0,
            error,
            cause,
        },
        Input::TaskHeartbeat { task } => Stored::TaskHeartbeat { task: task.0 },
        Input::TaskSucceeded { task, output } => Stored::TaskSucceeded {
            task: task.0,
            output,
        },
        Input::TaskFailed { task, error, cause } => Stored::TaskFailed {
            task: task.0,
            error,
            cause,
        },
        Input::MapRunStarted { task, map_run_arn } => Stored::MapRunStarted {
            task: task.0,
            arn: map_run_arn,
        },
        Input::MapRunSucceeded { task, output } => Stored::MapRunSucceeded {
            task: task.0,
            output,
        },
        Input::MapRunFailed { task, error, cause } => Stored::MapRunFailed {
            task: task.0,
            error,
            cause,
        },
        Input::TimerFired { timer } => Stored::TimerFired { timer: timer.0 },
        Input::Stop { error, cause } => Stored::Stop { error, cause },
        Input::Redrive => Stored::Redrive,
    };
    serde_json::to_string(&stored).expect("numbers, texts and JSON values are JSON")
}

/// Reads what [`write`] wrote.
pub fn read(text: &str) -> Result<Input, serde_json::Error> {
    Ok(match serde_json::from_str(text)? {
        Stored::ActivityScheduled { task } => Input::ActivityScheduled { task: TaskId(task) },
        Stored::ActivityStarted { task, worker } => Input::ActivityStarted {
            task: TaskId(task),
            worker,
        },
        Stored::TaskImpossible { task, cause } => Input::TaskImpossible {
            task: TaskId(task),
            cause,
        },
        Stored::TaskStarted { task } => Input::TaskStarted { task: TaskId(task) },
        Stored::TaskSubmitted { task, output } => Input::TaskSubmitted {
            task: TaskId(task),
            output,
        },
        Stored::TaskSubmitFailed { task, error, cause } => Input::TaskSubmitFailed {
            task: TaskId(task),
            error,
            cause,
        },
        Stored::TaskHeartbeat { task } => Input::TaskHeartbeat { task: TaskId(task) },
        Stored::TaskSucceeded { task, output } => Input::TaskSucceeded {
            task: TaskId(task),
            output,
        },
        Stored::TaskFailed { task, error, cause } => Input::TaskFailed {
            task: TaskId(task),
            error,
            cause,
        },
        Stored::MapRunStarted { task, arn } => Input::MapRunStarted {
            task: TaskId(task),
            map_run_arn: arn,
        },
        Stored::MapRunSucceeded { task, output } => Input::MapRunSucceeded {
            task: TaskId(task),
            output,
        },
        Stored::MapRunFailed { task, error, cause } => Input::MapRunFailed {
            task: TaskId(task),
            error,
            cause,
        },
        Stored::TimerFired { timer } => Input::TimerFired {
            timer: TimerId(timer),
        },
        Stored::Stop { error, cause } => Input::Stop { error, cause },
        Stored::Redrive => Input::Redrive,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_input_is_read_back() {
        let task = TaskId(7);
        for input in [
            Input::TaskStarted { task },
            Input::TaskHeartbeat { task },
            Input::TaskSucceeded {
                task,
                output: json!({"b": 1, "a": [1.5, null]}),
            },
            Input::TaskSubmitted {
                task,
                output: json!({"MessageId": "m"}),
            },
            Input::TaskSubmitFailed {
                task,
                error: "E".into(),
                cause: "c".into(),
            },
            Input::TaskFailed {
                task,
                error: Some("E".into()),
                cause: None,
            },
            Input::MapRunStarted {
                task,
                map_run_arn: "arn".into(),
            },
            Input::MapRunSucceeded {
                task,
                output: json!([1]),
            },
            Input::MapRunFailed {
                task,
                error: "E".into(),
                cause: "c".into(),
            },
            Input::ActivityScheduled { task },
            Input::ActivityStarted {
                task,
                worker: Some("w".into()),
            },
            Input::TaskImpossible {
                task,
                cause: "c".into(),
            },
            Input::TimerFired { timer: TimerId(3) },
            Input::Stop {
                error: None,
                cause: Some("c".into()),
            },
            Input::Redrive,
        ] {
            assert_eq!(read(&write(&input)).unwrap(), input);
        }
    }
}
