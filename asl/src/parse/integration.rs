//! Owns which optimised integrations there are: the actions of their services, and when a task may end.
//!
//! Services that are not in the table are taken as they are: AWS adds some every year. A service in it has just
//! these actions, so that another one is a mistake.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html>

use crate::resource::Resource;

/// An action with the patterns that it has beside Request Response.
type Action = (&'static str, &'static [&'static str]);

/// The services' actions.
const KNOWN: &[(&str, &[Action])] = &[
    ("apigateway", &[("invoke", CALLBACK)]),
    (
        "athena",
        &[
            ("startQueryExecution", SYNC),
            ("stopQueryExecution", &[]),
            ("getQueryExecution", &[]),
            ("getQueryResults", &[]),
        ],
    ),
    ("batch", &[("submitJob", SYNC)]),
    (
        "dynamodb",
        &[
            ("getItem", &[]),
            ("putItem", &[]),
            ("updateItem", &[]),
            ("deleteItem", &[]),
        ],
    ),
    ("ecs", &[("runTask", &["sync", "waitForTaskToken"])]),
    ("events", &[("putEvents", CALLBACK)]),
    ("glue", &[("startJobRun", SYNC)]),
    ("http", &[("invoke", &[])]),
    ("lambda", &[("invoke", CALLBACK)]),
    ("sns", &[("publish", CALLBACK)]),
    ("sqs", &[("sendMessage", CALLBACK)]),
    (
        "states",
        &[("startExecution", &["sync", "sync:2", "waitForTaskToken"])],
    ),
];
const CALLBACK: &[&str] = &["waitForTaskToken"];
const SYNC: &[&str] = &["sync"];

/// Whether the resource may be had; `Err` says what its service has.
pub(super) fn check(resource: &str) -> Result<(), String> {
    let Resource::Service { service, action } = Resource::of(resource) else {
        return Ok(());
    };
    let Some((_, actions)) = KNOWN.iter().find(|(known, _)| *known == service) else {
        return Ok(());
    };
    let (action, pattern) = match action.split_once('.') {
        Some((action, pattern)) => (action, Some(pattern)),
        None => (action, None),
    };
    let found = actions.iter().find(|(known, _)| *known == action);
    let fits = |patterns: &[&str]| pattern.is_none_or(|pattern| patterns.contains(&pattern));
    match found {
        Some((_, patterns)) if fits(patterns) => Ok(()),
        Some((_, [])) => Err(format!("{service}:{action} is there without a suffix only")),
        Some((_, patterns)) => Err(format!(
            "{service}:{action} may end in .{}",
            patterns.join(", .")
        )),
        None => {
            let names: Vec<&str> = actions.iter().map(|(name, _)| *name).collect();
            Err(format!(
                "{service} has {}; every other action is at aws-sdk:{service}",
                names.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_and_patterns() {
        let of = |action: &str| check(&format!("arn:aws:states:::{action}"));
        assert_eq!(of("dynamodb:putItem"), Ok(()));
        assert_eq!(of("states:startExecution.sync:2"), Ok(()));
        assert_eq!(of("aws-sdk:dynamodb:query"), Ok(()));
        assert_eq!(of("newservice:something.sync"), Ok(()));
        assert_eq!(
            of("dynamodb:query").unwrap_err(),
            "dynamodb has getItem, putItem, updateItem, deleteItem; every other action is at aws-sdk:dynamodb"
        );
        assert_eq!(
            of("lambda:invoke.sync").unwrap_err(),
            "lambda:invoke may end in .waitForTaskToken"
        );
        assert_eq!(
            of("http:invoke.sync").unwrap_err(),
            "http:invoke is there without a suffix only"
        );
    }
}
