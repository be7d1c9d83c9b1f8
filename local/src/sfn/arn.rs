//! Names and ARNs of Step Functions: their rules and how they are put together.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-resource-names.html>

use crate::wire::{ACCOUNT, AwsError, REGION};

/// The ARN of a state machine.
pub fn of_machine(name: &str) -> String {
    format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}")
}

/// The ARN of an execution.
pub fn of_execution(machine: &str, name: &str) -> String {
    format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:{machine}:{name}")
}

/// The ARN of an execution of an Express workflow; `id` tells apart those of one name.
pub fn of_express(machine: &str, name: &str, id: &str) -> String {
    format!("arn:aws:states:{REGION}:{ACCOUNT}:express:{machine}:{name}:{id}")
}

/// The ARN of a Map Run.
pub fn of_map_run(machine: &str, label: &str, id: &str) -> String {
    format!("arn:aws:states:{REGION}:{ACCOUNT}:mapRun:{machine}/{label}:{id}")
}

/// The name of the state machine in an execution's ARN, also of one that is a child of a Map Run.
pub fn machine_of_execution(execution_arn: &str) -> &str {
    let name = execution_arn.split(':').nth(6).unwrap_or_default();
    name.split('/').next().unwrap_or_default()
}

/// The ARN of an activity.
pub fn of_activity(name: &str) -> String {
    format!("arn:aws:states:{REGION}:{ACCOUNT}:activity:{name}")
}

/// Errors with `InvalidName` unless AWS would take the name.
pub fn check_name(name: &str) -> Result<(), AwsError> {
    let allowed = |c: char| {
        !c.is_whitespace()
            && !c.is_control()
            && !"<>{}[]?*\"#%\\^|~`$&,;:/".contains(c)
            && !matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{10ffff}')
    };
    if name.is_empty() || name.chars().count() > 80 || !name.chars().all(allowed) {
        return Err(AwsError::bad_request(
            "InvalidName",
            format!("Invalid Name: '{name}'"),
        ));
    }
    Ok(())
}

/// Errors with `InvalidArn` unless the text is an ARN of Step Functions of that kind.
pub fn check(arn: &str, kind: &str) -> Result<(), AwsError> {
    let refuse = |reason: String| {
        Err(AwsError::bad_request(
            "InvalidArn",
            format!("Invalid Arn: '{reason}'"),
        ))
    };
    let parts: Vec<&str> = arn.split(':').collect();
    if parts.first() != Some(&"arn") {
        return refuse(format!("Invalid ARN prefix: {arn}"));
    }
    if parts.len() < 7 {
        return refuse(format!(
            "ARN must be in the format of arn:partition:service:region:account-id:resource-type:resource-id: {arn}"
        ));
    }
    if parts[2] != "states" || parts[5] != kind {
        return refuse(format!(
            "Resource type not valid in this context: {}",
            parts[5]
        ));
    }
    Ok(())
}

/// What stands behind a state machine's name in a qualified ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier<'a> {
    /// The number of a version.
    Version(i64),
    /// The name of an alias.
    Alias(&'a str),
}

/// Splits a state machine's ARN into the unqualified ARN and the qualifier, if it has one.
pub fn qualified(arn: &str) -> (&str, Option<Qualifier<'_>>) {
    let Some((at, _)) = arn.match_indices(':').nth(6) else {
        return (arn, None);
    };
    let qualifier = &arn[at + 1..];
    let number = qualifier.bytes().all(|byte| byte.is_ascii_digit());
    let qualifier = match qualifier.parse() {
        Ok(version) if number => Qualifier::Version(version),
        _ => Qualifier::Alias(qualifier),
    };
    (&arn[..at], Some(qualifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["a", "job-1_b.c", &"x".repeat(80), "ünï"] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
        for name in ["", "a b", "a:b", "a/b", "a*", "a\u{7f}", &"x".repeat(81)] {
            assert_eq!(
                check_name(name).unwrap_err().code,
                "InvalidName",
                "{name:?}"
            );
        }
    }

    #[test]
    fn arns() {
        let child = of_execution("m/label", "e");
        assert_eq!(machine_of_execution(&child), "m");
        assert!(check(&of_map_run("m", "label", "id"), "mapRun").is_ok());
        assert!(check(&of_machine("m"), "stateMachine").is_ok());
        assert!(check(&of_execution("m", "e"), "execution").is_ok());
        assert!(check(&of_machine("m"), "execution").is_err());
        assert!(check("nonsense", "stateMachine").is_err());
        assert!(check("arn:aws:states", "stateMachine").is_err());
    }

    #[test]
    fn qualifiers() {
        let machine = of_machine("m");
        assert_eq!(qualified(&machine), (machine.as_str(), None));
        let of = |qualifier: &str| format!("{machine}:{qualifier}");
        assert_eq!(qualified(&of("7")).1, Some(Qualifier::Version(7)));
        assert_eq!(qualified(&of("live")).1, Some(Qualifier::Alias("live")));
        assert_eq!(qualified(&of("+7")).1, Some(Qualifier::Alias("+7")));
        assert_eq!(qualified("nonsense"), ("nonsense", None));
    }
}
