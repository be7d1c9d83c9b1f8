//! Owns the rules of retries and redrives that AWS documents, with the cases that show each.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>
//! <https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html>
//! <https://docs.aws.amazon.com/step-functions/latest/dg/redrive-map-run.html>

/// A rule and the cases that show it.
pub type Rule = (&'static str, &'static [&'static str]);

pub const RETRIES: [Rule; 13] = [
    (
        "`MaxAttempts` is 3, `IntervalSeconds` 1 and `BackoffRate` 2 where nothing else is said",
        &["retry-defaults"],
    ),
    (
        "`MaxAttempts` 0 never retries, and no later retrier is asked",
        &["retry-zero", "retry-not-timeouts"],
    ),
    (
        "`BackoffRate` multiplies the delay with each retry",
        &[
            "retry-backoff",
            "retry-backoff-one",
            "retry-backoff-fraction",
        ],
    ),
    ("`MaxDelaySeconds` limits the delay", &["retry-max-delay"]),
    (
        "`JitterStrategy` `FULL` takes a delay between nothing and what it would be",
        &["retry-jitter", "jsonata-retry-containers"],
    ),
    (
        "the first retrier that takes an error counts, and each counts for itself",
        &["retry-each-counts", "retry-per-retrier"],
    ),
    (
        "retriers count anew when the state is entered again",
        &["retry-visits"],
    ),
    (
        "`$$.State.RetryCount` tells how many retries there were",
        &["retry-count"],
    ),
    (
        "what was retried in vain is caught",
        &["retry-catch", "parallel-retry"],
    ),
    (
        "Parallel and Map states are retried as a whole",
        &["parallel-retry", "retry-map", "jsonata-retry-containers"],
    ),
    (
        "what is inside is retried before what is around it",
        &["retry-inside-first"],
    ),
    (
        "another try of a Map in DISTRIBUTED mode is another Map Run",
        &["map-run-fails", "error-tolerance"],
    ),
    (
        "a redrive lets retriers count anew",
        &["redrive-task", "redrive-retries", "redrive-in-retry"],
    ),
];

pub const REDRIVES: [Rule; 22] = [
    (
        "what failed, was stopped or timed out can be redriven; what runs or succeeded cannot",
        &[
            "redrive-task",
            "redrive-after-stop",
            "redrive-after-timeout",
            "redrive-running",
        ],
    ),
    ("what ended with `States.Runtime` too", &["redrive-runtime"]),
    (
        "states that were left are not run again, and what they assigned is kept",
        &["redrive-pass", "redrive-assigned", "redrive-after-catch"],
    ),
    (
        "`ExecutionRedriven` and `$$.Execution.RedriveCount` count up, with each redrive",
        &["redrive-twice", "redrive-other-branch", "context"],
    ),
    (
        "the machine's `TimeoutSeconds` count anew",
        &["redrive-after-timeout"],
    ),
    (
        "a Task is scheduled again, and its `TimeoutSeconds` count anew",
        &[
            "redrive-task",
            "redrive-task-timeout",
            "redrive-callback",
            "redrive-activity",
        ],
    ),
    (
        "the fields of the state are evaluated again",
        &["jsonata-redrive", "redrive-runtime"],
    ),
    (
        "the rules of a Choice are evaluated again",
        &["redrive-choice"],
    ),
    (
        "a Wait for a time that has passed is left at once",
        &["redrive-wait-timestamp"],
    ),
    (
        "any other Wait waits again",
        &[
            "redrive-wait-seconds",
            "redrive-wait-to-come",
            "redrive-parallel",
        ],
    ),
    (
        "a Fail state is entered again and fails again",
        &["redrive-fail-state", "redrive-fail-in-branch"],
    ),
    (
        "of a Parallel only the branches go on that failed or were stopped, at the state where they were",
        &[
            "redrive-parallel",
            "redrive-parallel-steps",
            "redrive-other-branch",
            "redrive-after-timeout-in-branches",
        ],
    ),
    (
        "of an inline Map only the iterations go on that failed or were stopped, and those begin that had not",
        &["redrive-map", "redrive-map-tolerated"],
    ),
    (
        "the same at every level of what is inside of each other",
        &["redrive-nested"],
    ),
    (
        "a Parallel or Map whose result was too large is run again as a whole",
        &[
            "redrive-parallel-data-limit",
            "redrive-map-data-limit",
            "redrive-map-run-result",
        ],
    ),
    (
        "retriers of Task, Parallel and Map states count anew, and what they start then is the whole state",
        &[
            "redrive-retries",
            "redrive-in-retry",
            "redrive-parallel-retried",
            "redrive-map-retried",
        ],
    ),
    (
        "a Map Run that failed or was stopped goes on, with `MapRunRedriven`",
        &[
            "map-run-redrive",
            "redrive-map-run-twice",
            "redrive-map-run-stopped",
            "redrive-map-run-reader",
        ],
    ),
    (
        "a Map Run that was never started is started",
        &["redrive-map-run-not-started"],
    ),
    (
        "after `States.DataLimitExceeded` or `States.Runtime` another Map Run begins",
        &[
            "error-map-run-data-limit",
            "error-map-run-runtime",
            "redrive-map-run-result",
        ],
    ),
    (
        "a retry after a redrive begins another Map Run",
        &["redrive-map-run-retried"],
    ),
    (
        "a Map Run inside of an iteration goes on only if it did not end well",
        &["redrive-map-run-nested"],
    ),
    (
        "what fails again is redriven again, from where it failed then",
        &[
            "redrive-twice",
            "redrive-other-branch",
            "redrive-fail-in-branch",
        ],
    ),
];
