//! The state machine: its definition with the functions' ARNs filled in.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{STEPS, function, role};
use crate::aws::{Aws, refused_as};

/// Creates the state machine, or updates it where its definition is another one.
pub fn put(aws: &Aws, name: &str, arn: &str, definition: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(definition)
        .with_context(|| format!("{} cannot be read", definition.display()))?;
    let definition = substituted(&text)?;
    let standing = aws.json(
        "AWSStepFunctions.DescribeStateMachine",
        &json!({ "stateMachineArn": arn }),
    );
    if refused_as(&standing, &["StateMachineDoesNotExist"]) {
        let input = json!({
            "name": name,
            "definition": definition,
            "roleArn": role("states"),
            "type": "STANDARD",
        });
        aws.json("AWSStepFunctions.CreateStateMachine", &input)?;
    } else if standing?["definition"] != Value::String(definition.clone()) {
        let input = json!({ "stateMachineArn": arn, "definition": definition });
        aws.json("AWSStepFunctions.UpdateStateMachine", &input)?;
    }
    Ok(())
}

/// Fills in `${InspectFunctionArn}` and its like, as CloudFormation's DefinitionSubstitutions do.
fn substituted(text: &str) -> anyhow::Result<String> {
    let mut text = text.to_owned();
    for step in STEPS {
        let mut letters = step.chars();
        let capital: String = letters
            .next()
            .into_iter()
            .flat_map(char::to_uppercase)
            .chain(letters)
            .collect();
        text = text.replace(&format!("${{{capital}FunctionArn}}"), &function::arn(step));
    }
    ensure!(
        !text.contains("${"),
        "the definition holds a substitution that no function fills: {}",
        &text[text.find("${").unwrap_or(0)..]
            .chars()
            .take(40)
            .collect::<String>()
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substitutions_become_alias_arns_and_unknown_ones_are_refused() {
        let filled = substituted(r#"{"Resource":"${InspectFunctionArn}"}"#).unwrap();
        assert_eq!(
            filled,
            r#"{"Resource":"arn:aws:lambda:us-east-1:000000000000:function:gantry-inspect:live"}"#
        );
        assert!(substituted("${NobodyFunctionArn}").is_err());
    }
}
