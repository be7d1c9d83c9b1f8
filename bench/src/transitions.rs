//! `transitions`: state transitions a CPU-second of the engine alone, in process and without durability, against
//! npm's `aws-local-stepfunctions`. One execution counts to 1,000 through a Pass and a Choice.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use asl::{Execution, Outcome, Start, StateMachine};
use serde_json::{Value, json};

use crate::cpu;
use crate::report::{Report, median};

/// A Pass and a Choice a turn, and the Succeed at the end.
const TRANSITIONS: u64 = 2 * 1000 + 1;
/// Turns of either side, one after the other, so that whatever else the machine does hits both.
const ROUNDS: usize = 7;
/// Executions of ours and of theirs in one round: about half a second each.
const OURS: u64 = 100;
const THEIRS: u64 = 20;

/// Runs both sides.
pub fn measure(peer: Option<&Path>) -> anyhow::Result<Report> {
    let definition = definition();
    let parsed = asl::parse(&definition.to_string());
    let machine = parsed.machine.filter(|_| parsed.diagnostics.is_empty());
    let machine = Arc::new(machine.context("the benchmark's own machine is not valid")?);
    let mut peer = peer
        .map(|folder| Peer::start(folder, &definition))
        .transpose()?;
    // Unmeasured: caches fill, and the peer's compiler finds its hot paths.
    ours(&machine, OURS)?;
    if let Some(peer) = &mut peer {
        peer.per_second(THEIRS)?;
    }
    let (mut our_rates, mut ratios) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let rate = ours(&machine, OURS)?;
        our_rates.push(rate);
        if let Some(peer) = &mut peer {
            let theirs = peer.per_second(THEIRS)?;
            ratios.push(rate / theirs);
            eprintln!("round {round}: {rate:.0} against {theirs:.0} transitions a CPU-second");
        }
    }
    Ok(Report {
        name: "transitions",
        value: median(our_rates),
        unit: "transitions per CPU-second",
        peer: peer.map(|peer| (peer.name.clone(), median(ratios))),
        goal: 10.0,
    })
}

fn definition() -> Value {
    json!({
        "StartAt": "Count",
        "States": {
            "Count": { "Type": "Pass", "Parameters": { "n.$": "States.MathAdd($.n, 1)" }, "Next": "More" },
            "More": {
                "Type": "Choice",
                "Choices": [{ "Variable": "$.n", "NumericLessThan": 1000, "Next": "Count" }],
                "Default": "Done"
            },
            "Done": { "Type": "Succeed" }
        }
    })
}

/// Transitions a CPU-second of this engine.
fn ours(machine: &Arc<StateMachine>, executions: u64) -> anyhow::Result<f64> {
    let before = cpu::thread_ns()?;
    for seed in 0..executions {
        let start = Start {
            execution_arn: "arn:aws:states:us-east-1:000000000000:execution:count:bench".to_owned(),
            execution_name: "bench".to_owned(),
            role_arn: "arn:aws:iam::000000000000:role/bench".to_owned(),
            state_machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:count"
                .to_owned(),
            state_machine_name: "count".to_owned(),
            input: json!({ "n": 0 }),
            input_text: None,
            seed,
        };
        let (execution, commands) = Execution::start(machine.clone(), start, 0);
        // Every transition is recorded as it is in a real execution.
        ensure!(
            commands.len() as u64 > TRANSITIONS,
            "{} commands only",
            commands.len()
        );
        match execution.status() {
            Outcome::Succeeded { output, .. } if output["n"] == 1000 => {}
            other => bail!("the execution did not count to 1,000: {other:?}"),
        }
    }
    Ok(rate(executions, cpu::thread_ns()? - before))
}

fn rate(executions: u64, cpu_ns: u64) -> f64 {
    (executions * TRANSITIONS) as f64 / (cpu_ns as f64 / 1e9)
}

/// The peer in a Node process that stays: each line in is a number of executions, each line out their CPU time.
struct Peer {
    name: String,
    node: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Peer {
    fn start(folder: &Path, definition: &Value) -> anyhow::Result<Peer> {
        let mut node = Command::new("node")
            .current_dir(folder)
            .args([
                "--input-type=module",
                "--eval",
                include_str!("transitions.mjs"),
            ])
            .env("DEFINITION", definition.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("node could not be started")?;
        let mut answers = BufReader::new(node.stdout.take().context("node has no output")?);
        let mut name = String::new();
        answers.read_line(&mut name)?;
        ensure!(!name.trim().is_empty(), "the peer did not start");
        Ok(Peer {
            name: name.trim().to_owned(),
            node,
            answers,
        })
    }

    fn per_second(&mut self, executions: u64) -> anyhow::Result<f64> {
        let input = self.node.stdin.as_mut().context("node has no input")?;
        writeln!(input, "{executions}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let cpu_ns: f64 = answer.trim().parse().context("the peer failed")?;
        Ok(rate(executions, cpu_ns as u64))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.node.stdin.take());
        let _ = self.node.wait();
    }
}
