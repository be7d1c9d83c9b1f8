//! Owns task tokens: what they say of the task they stand for.
//!
//! A token names its execution and task, so that nobody has to keep a list of them, and a number that
//! cannot be guessed from these. Whoever drives executions reads it and asks the execution.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::strand::Doing;
use super::{Execution, TaskId};

/// A task token that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskToken {
    /// ARN of the execution that waits.
    pub execution_arn: String,
    /// Which of its tasks.
    pub task: TaskId,
}

impl TaskToken {
    /// Reads a token; `None` if no execution made it.
    pub fn read(token: &str) -> Option<TaskToken> {
        let bytes = STANDARD.decode(token).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (secret, rest) = text.split_once(' ')?;
        let (task, execution_arn) = rest.split_once(' ')?;
        (secret.len() == 36).then_some(TaskToken {
            execution_arn: execution_arn.to_owned(),
            task: TaskId(task.parse().ok()?),
        })
    }
}

impl Execution {
    pub(super) fn new_token(&mut self, task: TaskId) -> String {
        let secret = self.random.uuid();
        let arn = self.execution["Id"].as_str().unwrap_or_default();
        STANDARD.encode(format!("{secret} {} {arn}", task.0))
    }

    /// Whether the execution waits for what the token's bearer says about a task.
    pub fn awaits(&self, task: TaskId, token: &str) -> bool {
        let Some(&id) = self.tasks.get(&task) else {
            return false;
        };
        matches!(&self.strand(id).doing, Doing::Task(run) if run.token.as_deref() == Some(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_made_is_no_token() {
        for token in ["", "NoSuchToken", "YSBiIGM=", "\u{e9}"] {
            assert_eq!(TaskToken::read(token), None, "{token}");
        }
    }
}
