//! Gantry's resources on an AWS endpoint, made or brought up to date: a second deployment of the same changes
//! nothing. Owns their names; the Lambda functions are [`function`]'s.

mod function;
mod machine;

use std::path::Path;

use serde_json::json;

use crate::aws::{ACCOUNT, Aws, REGION, refused_as};
use crate::image::Image;
use crate::step::say;

pub use function::STEPS;

pub const BUCKET: &str = "gantry-media";
pub const REPOSITORY: &str = "gantry";
pub const STREAM: &str = "gantry-telemetry";
pub const STATE_MACHINE: &str = "gantry-media";
const QUEUE: &str = "gantry-status";
const RULE: &str = "gantry-execution-status";

/// What the server must be told of a deployment.
pub struct Deployment {
    pub queue_url: String,
    pub state_machine_arn: String,
}

/// Makes everything but the functions: it outlives every image.
pub fn resources(aws: &Aws, definition: &Path) -> anyhow::Result<Deployment> {
    aws.create_bucket(BUCKET)?;
    existing_is_fine(
        aws.json(
            "AmazonEC2ContainerRegistry_V20150921.CreateRepository",
            &json!({ "repositoryName": REPOSITORY, "imageTagMutability": "MUTABLE" }),
        ),
        &["RepositoryAlreadyExistsException"],
    )?;
    existing_is_fine(
        aws.json(
            "Kinesis_20131202.CreateStream",
            &json!({ "StreamName": STREAM, "ShardCount": 1 }),
        ),
        &["ResourceInUseException"],
    )?;
    for step in STEPS {
        logs(aws, &function::name(step))?;
    }
    let queue = aws.json("AmazonSQS.CreateQueue", &json!({ "QueueName": QUEUE }))?;
    let queue_url = queue["QueueUrl"].as_str().unwrap_or_default().to_owned();
    let state_machine_arn =
        format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{STATE_MACHINE}");
    let pattern = json!({
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": { "stateMachineArn": [state_machine_arn] },
    });
    aws.json(
        "AWSEvents.PutRule",
        &json!({ "Name": RULE, "EventPattern": pattern.to_string(), "State": "ENABLED" }),
    )?;
    let queue_arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}");
    aws.json(
        "AWSEvents.PutTargets",
        &json!({ "Rule": RULE, "Targets": [{ "Id": "status-queue", "Arn": queue_arn }] }),
    )?;
    machine::put(aws, STATE_MACHINE, &state_machine_arn, definition)?;
    Ok(Deployment {
        queue_url,
        state_machine_arn,
    })
}

/// Pushes an image and lets every function's alias `live` run it; then starts each function a few times, as a
/// smoke check and so that its cold starts are known before the first job. Does nothing where all of this stands.
pub fn image(aws: &Aws, image: &Image, tag: &str) -> anyhow::Result<()> {
    let digest = image.digest();
    say(format!(
        "   image {tag}: {} ({:.1} MB compressed)",
        &digest[..19],
        image.bytes() as f64 / 1e6
    ));
    image.push(aws, REPOSITORY, tag)?;
    for step in STEPS {
        function::put(aws, step, &digest)?;
    }
    function::check(aws)
}

/// Whether every function's alias already runs this image with the settings that it would be given now.
pub fn is_live(aws: &Aws, image: &Image) -> anyhow::Result<bool> {
    let digest = image.digest();
    for step in STEPS {
        if !function::is_live(aws, step, &digest)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A function's log group, and the filter that puts what the tracker reads of it on the stream.
fn logs(aws: &Aws, function: &str) -> anyhow::Result<()> {
    let group = format!("/aws/lambda/{function}");
    existing_is_fine(
        aws.json(
            "Logs_20140328.CreateLogGroup",
            &json!({ "logGroupName": group }),
        ),
        &["ResourceAlreadyExistsException"],
    )?;
    aws.json(
        "Logs_20140328.PutSubscriptionFilter",
        &json!({
            "logGroupName": group,
            "filterName": "gantry-telemetry",
            "filterPattern": "{ $.type = \"progress\" || $.type = \"invocation\" || $.type = \"platform.*\" }",
            "destinationArn": format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{STREAM}"),
            "roleArn": role("logs"),
        }),
    )?;
    Ok(())
}

/// The role a service acts under; the local endpoint checks no policies.
fn role(service: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/gantry-{service}")
}

fn existing_is_fine<T>(result: anyhow::Result<T>, codes: &[&str]) -> anyhow::Result<()> {
    if refused_as(&result, codes) {
        return Ok(());
    }
    result.map(|_| ())
}
