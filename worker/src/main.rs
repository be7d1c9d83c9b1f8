//! `worker <step>`: one Lambda function of the image, whose `Command` names the step. Wiring only: arguments,
//! the Lambda Runtime API, standard output.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::time::Instant;
use worker::{Clients, Step, progress, steps};

/// What Lambda grants, less what an answer takes to be sent.
const ANSWER_TAKES: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn start() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (name, extra) = (arguments.next(), arguments.next());
    let step: Step = match (&name, &extra) {
        (Some(name), None) => name.parse().map_err(anyhow::Error::msg)?,
        _ => anyhow::bail!(
            "usage: worker <step>, one of {}",
            Step::ALL.map(Step::name).join(", ")
        ),
    };
    for needed in ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME"] {
        if std::env::var_os(needed).is_none() {
            anyhow::bail!(
                "{needed} is not set: this is a Lambda function and runs where Lambda, or `local`, starts it"
            );
        }
    }
    // One thread: the work is waiting for the network and for ffmpeg, and the kernel's parent-death signal to
    // ffmpeg is tied to the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let clients = Clients::from_env();
    let serve = lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let context = &event.context;
        let answered = steps::answer(
            step,
            &clients,
            &context.request_id,
            deadline(context.deadline()),
            event.payload,
            progress::stdout(),
        );
        answered.await.map_err(Diagnostic::from)
    }));
    runtime
        .block_on(serve)
        .map_err(|error| anyhow::anyhow!("the Lambda Runtime API failed: {error}"))
}

fn deadline(at: SystemTime) -> Instant {
    let left = at.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.saturating_sub(ANSWER_TAKES)
}
