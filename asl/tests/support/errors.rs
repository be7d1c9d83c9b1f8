//! Owns the reserved names of errors: when they arise, what takes them, and the cases that show it.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>

/// A reserved name of an error.
pub struct ErrorName {
    pub name: &'static str,
    pub arises: &'static str,
    pub taken: &'static str,
    pub cases: &'static [&'static str],
}

const fn error(
    name: &'static str,
    arises: &'static str,
    taken: &'static str,
    cases: &'static [&'static str],
) -> ErrorName {
    ErrorName {
        name,
        arises,
        taken,
        cases,
    }
}

const USUAL: &str = "its name, `States.TaskFailed`, `States.ALL`";

pub const ERRORS: [ErrorName; 18] = [
    error(
        "States.ALL",
        "never: it stands for all errors, in the last place and alone",
        "takes all but `States.DataLimitExceeded` and `States.Runtime`",
        &["error-all", "error-runtime", "error-data-limit-output"],
    ),
    error(
        "States.TaskFailed",
        "when a task says so; else it stands for errors",
        "takes all but `States.Timeout`, `States.DataLimitExceeded` and `States.Runtime`",
        &["error-task-failed", "error-first-catcher", "task-timeout"],
    ),
    error(
        "States.Timeout",
        "a task takes longer than `TimeoutSeconds`, or misses a heartbeat",
        "its name, `States.ALL`; nothing takes it that the machine took longer than its own `TimeoutSeconds`",
        &[
            "task-timeout",
            "error-timeout-not-heartbeat",
            "retry-not-timeouts",
        ],
    ),
    error(
        "States.HeartbeatTimeout",
        "never told: a task that misses a heartbeat fails with `States.Timeout`",
        "its name and `States.Timeout`, `States.ALL`",
        &[
            "error-heartbeat",
            "task-heartbeat",
            "task-seconds-paths",
            "callback-heartbeat",
        ],
    ),
    error(
        "States.Permissions",
        "a task is refused what it does",
        USUAL,
        &["error-permissions", "error-task-failed"],
    ),
    error(
        "States.Http.Socket",
        "an HTTP task has no answer in time",
        USUAL,
        &["error-http-socket"],
    ),
    error(
        "States.DataLimitExceeded",
        "the input of a state after `Parameters`, its result or its output has more than 262,144 bytes",
        "its name; the result of a task, which AWS records as the task's failure, also as any error of a task",
        &[
            "error-data-limit-output",
            "error-data-limit-parameters",
            "error-data-limit-catch",
            "error-data-limit-task",
            "error-map-run-data-limit",
            "jsonata-error-data-limit",
            "task-too-large",
        ],
    ),
    error(
        "States.Runtime",
        "a path finds nothing, or not what a field takes; a Map Run fails with it",
        "nothing: the execution fails, whatever is around the state",
        &[
            "error-runtime",
            "error-map-run-runtime",
            "choice-missing-operand",
            "choice-missing-type",
            "map-run-batch-path-zero",
            "pass-missing-parameter",
            "task-seconds-path-zero",
        ],
    ),
    error(
        "States.ParameterPathFailure",
        "never: AWS says `States.Runtime` of a path in `Parameters` that finds nothing",
        "a task that says so",
        &["error-parameter-path"],
    ),
    error(
        "States.ResultPathMatchFailure",
        "`ResultPath` cannot be written into the state's input",
        USUAL,
        &[
            "error-result-path",
            "error-catch-result-path",
            "result-path-in-the-way",
        ],
    ),
    error(
        "States.IntrinsicFailure",
        "an intrinsic function refuses its arguments",
        USUAL,
        &[
            "intrinsic-failure",
            "intrinsic-format-template",
            "intrinsic-math-add",
            "intrinsic-text-limit",
        ],
    ),
    error(
        "States.QueryEvaluationError",
        "a JSONata expression fails, has no value, or one of another type than the field takes",
        USUAL,
        &[
            "jsonata-throws",
            "jsonata-branch-fails",
            "jsonata-map-no-array",
            "jsonata-map-run-batch-zero",
        ],
    ),
    error(
        "States.BranchFailed",
        "never: a Parallel fails with the error of the branch that failed first",
        "a task that says so",
        &["error-branch-failed"],
    ),
    error(
        "States.NoChoiceMatched",
        "no rule of a Choice holds, and there is no `Default`",
        "what is around it, as a Choice has no `Catch`",
        &["error-no-choice", "choice-no-match", "jsonata-choice-none"],
    ),
    error(
        "States.ExceedToleratedFailureThreshold",
        "more items of a Map fail than it tolerates",
        USUAL,
        &["error-tolerance", "map-exceeds-tolerance", "map-percentage"],
    ),
    error(
        "States.ItemReaderFailed",
        "a Map Run cannot read its items",
        USUAL,
        &["error-item-reader", "map-run-fails"],
    ),
    error(
        "States.ResultWriterFailed",
        "a Map Run cannot write its results",
        USUAL,
        &["error-result-writer"],
    ),
    error(
        "any other",
        "a task or a Fail state says it",
        USUAL,
        &["error-all", "error-names-are-exact", "retry-catch"],
    ),
];
