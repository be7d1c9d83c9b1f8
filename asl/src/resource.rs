//! Owns the `Resource` of a Task state: what kind of thing it names and how its result comes.
//!
//! Refuses to know what a service does: whoever drives an execution does.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html>

/// What a `Resource` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A Lambda function by its own ARN.
    Function,
    /// An activity: workers ask for its tasks.
    Activity,
    /// A service integration.
    Service {
        /// The history's `resourceType`: `lambda`, `sqs`, `aws-sdk:s3`, …
        service: &'a str,
        /// The history's `resource`: the action with the suffix of its pattern.
        action: &'a str,
    },
}

/// When a service integration's task is over.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// With the answer to the request.
    Response,
    /// With the job that the request began; `Sync(2)` gives its output as JSON instead of text.
    Sync(u8),
    /// When somebody reports by the task token.
    Callback,
}

impl<'a> Resource<'a> {
    /// Reads an ARN; what is neither a function nor an activity is a service integration.
    pub fn of(arn: &'a str) -> Resource<'a> {
        let mut parts = arn.splitn(6, ':');
        let service = parts.nth(2);
        let rest = parts.nth(2).unwrap_or_default();
        match service {
            Some("lambda") => Resource::Function,
            Some("states") if rest.starts_with("activity:") => Resource::Activity,
            _ => {
                let start = "aws-sdk:".len();
                let from = if rest.starts_with("aws-sdk:") {
                    start
                } else {
                    0
                };
                let split = rest[from..].find(':').map(|at| at + from);
                let (service, action) = match split {
                    Some(at) => (&rest[..at], &rest[at + 1..]),
                    None => (rest, ""),
                };
                Resource::Service { service, action }
            }
        }
    }

    /// When its tasks are over.
    pub fn pattern(self) -> Pattern {
        let Resource::Service { action, .. } = self else {
            return Pattern::Response;
        };
        match action.split_once('.') {
            Some((_, "sync")) => Pattern::Sync(1),
            Some((_, "sync:2")) => Pattern::Sync(2),
            Some((_, "waitForTaskToken")) => Pattern::Callback,
            _ => Pattern::Response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(arn: &str) -> (&str, &str, Pattern) {
        let resource = Resource::of(arn);
        match resource {
            Resource::Service { service, action } => (service, action, resource.pattern()),
            other => panic!("{arn} is {other:?}"),
        }
    }

    #[test]
    fn arns() {
        let function = "arn:aws:lambda:us-east-1:000000000000:function:f:live";
        assert_eq!(Resource::of(function), Resource::Function);
        let activity = "arn:aws:states:us-east-1:000000000000:activity:a";
        assert_eq!(Resource::of(activity), Resource::Activity);
        assert_eq!(
            service("arn:aws:states:::sqs:sendMessage.waitForTaskToken"),
            ("sqs", "sendMessage.waitForTaskToken", Pattern::Callback)
        );
        assert_eq!(
            service("arn:aws:states:::states:startExecution.sync:2"),
            ("states", "startExecution.sync:2", Pattern::Sync(2))
        );
        assert_eq!(
            service("arn:aws:states:::aws-sdk:sfn:sendTaskSuccess"),
            ("aws-sdk:sfn", "sendTaskSuccess", Pattern::Response)
        );
        assert_eq!(service("arn:aws:states"), ("", "", Pattern::Response));
        assert_eq!(
            service("arn:aws:states:::sqs"),
            ("sqs", "", Pattern::Response)
        );
    }
}
