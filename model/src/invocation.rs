//! Invocations of Lambda functions: the log line by which a worker says which visit it works for, and an
//! invocation as pages show it.

use serde::{Deserialize, Serialize};

use crate::TimestampMs;

/// The log line that joins an invocation to the visit that asked for it. A worker writes it first of all, one JSON
/// object a line on standard output; Lambda's own report of the invocation has the same request id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvocationLine {
    /// Always [`InvocationLine::TYPE`]; tells this line from other log lines.
    #[serde(rename = "type")]
    pub kind: String,
    /// RFC 3339.
    pub timestamp: String,
    /// The invocation's request id.
    #[serde(rename = "requestId")]
    pub request_id: String,
    /// The execution's ARN (`$$.Execution.Id`).
    pub execution: String,
    /// The state's name (`$$.State.Name`).
    pub state: String,
    /// When the state was entered (`$$.State.EnteredTime`): tells visits apart.
    pub entered: String,
    /// The Map iteration (`$$.Map.Item.Index`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// How many attempts of the visit failed before this one (`$$.State.RetryCount`); none when the definition
    /// does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<u32>,
}

impl InvocationLine {
    /// The value of `type`.
    pub const TYPE: &'static str = "invocation";
}

/// One invocation of a Lambda function that worked for a visit.
/// <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvocationView {
    pub request_id: String,
    pub function: String,
    /// The function's version; `$LATEST` where none was published.
    pub version: String,
    /// Of the image that ran; none while Lambda was not asked, or does not know any more.
    pub digest: Option<String>,
    /// Counted from 1; none when the state machine's definition does not tell.
    pub attempt: Option<u32>,
    /// `success`, `error`, `failure` or `timeout`; none until the invocation's report has come.
    pub status: Option<String>,
    /// How long a cold start took to get ready; none for a warm one.
    pub init_ms: Option<f64>,
    pub duration_ms: Option<f64>,
    pub max_memory_mib: Option<u64>,
    /// When it ended; until its report has come, when it began.
    pub at_ms: TimestampMs,
}

impl InvocationView {
    /// What a page says of it in one line: `attempt 2 · cold 412 ms · 3.2 s · 118 MiB`.
    pub fn in_words(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.attempt.map(|attempt| format!("attempt {attempt}")));
        match (&self.status, self.init_ms) {
            (None, _) => words.push("no report yet".to_owned()),
            (Some(_), Some(init_ms)) => words.push(format!("cold {}", milliseconds(init_ms))),
            (Some(_), None) => words.push("warm".to_owned()),
        }
        words.extend(self.duration_ms.map(milliseconds));
        words.extend(self.max_memory_mib.map(|mib| format!("{mib} MiB")));
        words.extend(
            self.status
                .clone()
                .filter(|status| status.as_str() != "success"),
        );
        words.join(" · ")
    }
}

/// A measured time for people: milliseconds under a second, else seconds with a tenth.
fn milliseconds(value_ms: f64) -> String {
    if value_ms < 999.5 {
        format!("{value_ms:.0} ms")
    } else {
        format!("{:.1} s", value_ms / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_is_one_line() {
        let mut invocation = InvocationView {
            request_id: "r".to_owned(),
            function: "gantry-probe".to_owned(),
            version: "7".to_owned(),
            digest: None,
            attempt: Some(2),
            status: None,
            init_ms: None,
            duration_ms: None,
            max_memory_mib: None,
            at_ms: TimestampMs(0),
        };
        assert_eq!(invocation.in_words(), "attempt 2 · no report yet");
        invocation.status = Some("success".to_owned());
        invocation.init_ms = Some(411.6);
        invocation.duration_ms = Some(3_240.0);
        invocation.max_memory_mib = Some(118);
        assert_eq!(
            invocation.in_words(),
            "attempt 2 · cold 412 ms · 3.2 s · 118 MiB"
        );
        invocation.attempt = None;
        invocation.init_ms = None;
        invocation.status = Some("timeout".to_owned());
        assert_eq!(invocation.in_words(), "warm · 3.2 s · 118 MiB · timeout");
    }
}
