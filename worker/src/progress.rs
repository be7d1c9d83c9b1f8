//! Progress and log lines: JSON on standard output, at a bounded rate.
//! Owns the pace and the lines' shape ([`model::ProgressLine`]); refuses to buffer: a line is out or it never was.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use model::{InvocationLine, Progress, ProgressLine};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// At most four progress lines a second, besides the first and the last of a piece of work.
const INTERVAL_MIN: Duration = Duration::from_millis(250);

/// Which state of which execution this invocation works for: the context object's values, passed on by the definition.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html>
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct Task {
    /// `$$.Execution.Id`.
    pub execution: String,
    /// `$$.State.Name`.
    pub state: String,
    /// `$$.State.EnteredTime`.
    pub entered: String,
    /// `$$.Map.Item.Index`, inside a Map.
    #[serde(default)]
    pub index: Option<u32>,
    /// `$$.State.RetryCount`.
    #[serde(default)]
    pub retry: Option<u32>,
}

/// Where lines go: standard output, or a test's list.
pub type Sink = Arc<dyn Fn(&str) + Send + Sync>;

/// Writes lines to standard output.
pub fn stdout() -> Sink {
    Arc::new(|line| println!("{line}"))
}

/// The lines of one invocation.
#[derive(Clone)]
pub struct Reports {
    request_id: String,
    task: Task,
    sink: Sink,
}

impl Reports {
    pub fn new(request_id: String, task: Task, sink: Sink) -> Reports {
        Reports {
            request_id,
            task,
            sink,
        }
    }

    /// Says which visit the invocation works for, so that its report can be told from others'.
    pub fn begin(&self) {
        let task = &self.task;
        let line = InvocationLine {
            kind: InvocationLine::TYPE.to_owned(),
            timestamp: now(),
            request_id: self.request_id.clone(),
            execution: task.execution.clone(),
            state: task.state.clone(),
            entered: task.entered.clone(),
            index: task.index,
            retry: task.retry,
        };
        if let Ok(line) = serde_json::to_string(&line) {
            (self.sink)(&line);
        }
    }

    /// Starts a piece of work of `total` units and says so.
    pub fn start(&self, unit: &str, total: Option<u64>, label: Option<&str>) -> Reporter {
        let mut reporter = Reporter {
            reports: self.clone(),
            label: label.map(str::to_owned),
            progress: Progress {
                unit: unit.to_owned(),
                done: 0,
                total,
            },
            pace: Pace::default(),
            written: false,
        };
        reporter.write(Instant::now());
        reporter
    }

    /// A log line for operators. `level` as Lambda's JSON log format has it: `INFO`, `WARN`, `ERROR`.
    pub fn log(&self, level: &str, message: &str, error_type: Option<&str>) {
        let line = json!({
            "timestamp": now(),
            "level": level,
            "requestId": self.request_id,
            "execution": self.task.execution,
            "state": self.task.state,
            "errorType": error_type,
            "message": message,
        });
        (self.sink)(&line.to_string());
    }
}

/// The progress of one piece of work. Writes its last value when it is dropped, if that was held back.
pub struct Reporter {
    reports: Reports,
    label: Option<String>,
    progress: Progress,
    pace: Pace,
    written: bool,
}

impl Reporter {
    /// `done` units are done now.
    pub fn set(&mut self, done: u64) {
        self.progress.done = done;
        self.written = false;
        let now = Instant::now();
        if self.pace.due(now) {
            self.write(now);
        }
    }

    /// `more` units are done besides those before.
    pub fn add(&mut self, more: u64) {
        self.set(self.progress.done + more);
    }

    /// All is done: what was counted is the total, unless the total is known.
    pub fn finish(mut self) {
        let done = self.progress.total.unwrap_or(self.progress.done);
        self.progress.total = Some(done);
        self.progress.done = done;
        self.write(Instant::now());
    }

    fn write(&mut self, now: Instant) {
        self.pace.last = Some(now);
        self.written = true;
        let task = &self.reports.task;
        let line = ProgressLine {
            kind: ProgressLine::TYPE.to_owned(),
            timestamp: self::now(),
            request_id: self.reports.request_id.clone(),
            execution: task.execution.clone(),
            state: task.state.clone(),
            entered: task.entered.clone(),
            index: task.index,
            label: self.label.clone(),
            progress: self.progress.clone(),
        };
        if let Ok(line) = serde_json::to_string(&line) {
            (self.reports.sink)(&line);
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if !self.written {
            self.write(Instant::now());
        }
    }
}

/// Says when the next line may go.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
}

impl Pace {
    fn due(&self, now: Instant) -> bool {
        self.last
            .is_none_or(|last| now.saturating_duration_since(last) >= INTERVAL_MIN)
    }
}

fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn lines(work: impl FnOnce(&Reports)) -> Vec<ProgressLine> {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = {
            let written = written.clone();
            Arc::new(move |line: &str| {
                let line = serde_json::from_str(line).expect("a progress line");
                written.lock().expect("no panic while held").push(line);
            })
        };
        let task = Task {
            state: "TransferPart".to_owned(),
            index: Some(2),
            ..Task::default()
        };
        work(&Reports::new("r-1".to_owned(), task, sink));
        let written = written.lock().expect("no panic while held");
        written.clone()
    }

    #[test]
    fn a_thousand_steps_in_no_time_are_two_lines() {
        let lines = lines(|reports| {
            let mut reporter = reports.start("bytes", Some(1000), Some("part 3"));
            (0..1000).for_each(|_| reporter.add(1));
            reporter.finish();
        });
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].progress.done, lines[1].progress.done), (0, 1000));
        assert_eq!(lines[1].index, Some(2));
        assert_eq!(lines[1].label.as_deref(), Some("part 3"));
    }

    #[test]
    fn what_was_done_before_a_failure_is_still_said() {
        let lines = lines(|reports| reports.start("ms", None, None).set(700));
        assert_eq!(lines.last().map(|line| line.progress.done), Some(700));
        assert_eq!(lines.last().and_then(|line| line.progress.total), None);
    }

    #[test]
    fn a_line_is_due_every_quarter_second() {
        let start = Instant::now();
        let pace = Pace { last: Some(start) };
        assert!(!pace.due(start + Duration::from_millis(249)));
        assert!(pace.due(start + Duration::from_millis(250)));
    }
}
