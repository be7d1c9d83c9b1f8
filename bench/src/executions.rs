//! `executions`: state transitions a second over HTTP, `local` with every step durable against ministack and moto,
//! which keep everything in memory.
//!
//! Loads, each run in turn on every endpoint so that whatever else the machine does hits all of them: a loop
//! of 1,000 turns and a chain of 1,000 Pass states, five times one after the other, 100 executions of 10 Pass states
//! from 16 clients, 100 of one state, 1,000 that wait at once, and an inline Map of 1,000 items. (An inline Map of 10,000 would pass AWS's 25,000 history
//! events and fail, as it must.) Then what a waiting execution takes of memory. The line at the end is of the loop,
//! compared with ministack.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::report::{Report, median};
use crate::resting;

/// Turns of every endpoint.
const ROUNDS: usize = 5;
/// Long executions of one turn: what ran in between on the other endpoints is the first one's to forget.
const IN_A_ROW: usize = 5;
/// How often to ask whether an execution is over.
const LOOK: Duration = Duration::from_micros(500);
/// How long an execution may take.
const OVER_WITHIN: Duration = Duration::from_secs(120);
/// How long the waiting executions wait.
const WAIT_S: u64 = 3;

/// Something to run.
struct Load {
    name: &'static str,
    definition: Value,
    input: Value,
    /// How many executions, from how many clients.
    executions: usize,
    clients: usize,
    /// States that each of them enters.
    transitions: usize,
    /// Time that passes by itself.
    idle_s: f64,
}

/// What one run of a load took.
struct Run {
    wall_s: f64,
    cpu_s: f64,
    /// Seconds from each StartExecution's call to the execution's end as seen by polling.
    latencies_s: Vec<f64>,
}

/// Runs every load on every endpoint.
pub fn measure(program: &Path, environment: Option<&Path>) -> anyhow::Result<Report> {
    let data = std::env::temp_dir().join(format!("gantry-bench-{}", std::process::id()));
    let result = compare(program, environment, &data);
    let _ = std::fs::remove_dir_all(&data);
    result
}

fn compare(program: &Path, environment: Option<&Path>, data: &Path) -> anyhow::Result<Report> {
    let mut endpoints = vec![Endpoint::ours(program, data)?];
    if let Some(environment) = environment {
        endpoints.push(Endpoint::ministack(environment)?);
        endpoints.push(Endpoint::moto(environment)?);
    }
    let mut headline = None;
    for load in loads() {
        let found = interleaved(&load, &endpoints)?;
        for (endpoint, (rate, line)) in endpoints.iter().zip(&found) {
            eprintln!(
                "{:<8} {:<10} {line}, {:.0} times",
                load.name,
                endpoint.name,
                found[0].0 / rate
            );
        }
        headline.get_or_insert(found);
    }
    drop(endpoints);
    // In new processes: what others have let go of would be used again and not be seen. moto takes a thread for each
    // execution that waits: it is left out.
    let mut endpoints = vec![Endpoint::ours(program, &data.join("rests"))?];
    if let Some(environment) = environment {
        endpoints.push(Endpoint::ministack(environment)?);
    }
    for endpoint in &endpoints {
        let bytes = resting::bytes_each(endpoint)?;
        eprintln!(
            "rests    {:<10} {bytes:.0} bytes of memory an execution that waits",
            endpoint.name
        );
    }
    let found = headline.context("there is no load")?;
    Ok(Report {
        name: "executions",
        value: found[0].0,
        unit: "durable transitions per second",
        peer: found
            .get(1)
            .map(|(theirs, _)| ("ministack".to_owned(), found[0].0 / theirs)),
        goal: 30.0,
    })
}

fn loads() -> Vec<Load> {
    let chain = |length: usize| {
        let states: serde_json::Map<_, _> = (0..length)
            .map(|at| {
                let state = match at + 1 {
                    next if next == length => json!({ "Type": "Pass", "End": true }),
                    next => json!({ "Type": "Pass", "Next": format!("S{next}") }),
                };
                (format!("S{at}"), state)
            })
            .collect();
        json!({ "StartAt": "S0", "States": states })
    };
    vec![
        Load {
            name: "loop",
            definition: json!({ "StartAt": "Count", "States": {
                "Count": { "Type": "Pass", "Parameters": { "n.$": "States.MathAdd($.n, 1)" }, "Next": "More" },
                "More": { "Type": "Choice", "Default": "Done",
                    "Choices": [{ "Variable": "$.n", "NumericLessThan": 1000, "Next": "Count" }] },
                "Done": { "Type": "Succeed" }
            } }),
            input: json!({ "n": 0 }),
            executions: IN_A_ROW,
            clients: 1,
            transitions: 2001,
            idle_s: 0.0,
        },
        Load {
            name: "chain",
            definition: chain(1000),
            input: json!({}),
            executions: IN_A_ROW,
            clients: 1,
            transitions: 1000,
            idle_s: 0.0,
        },
        Load {
            name: "many",
            definition: chain(10),
            input: json!({}),
            executions: 100,
            clients: 16,
            transitions: 10,
            idle_s: 0.0,
        },
        Load {
            name: "one",
            definition: chain(1),
            input: json!({}),
            executions: 100,
            clients: 1,
            transitions: 1,
            idle_s: 0.0,
        },
        Load {
            name: "waits",
            definition: json!({ "StartAt": "W", "States": { "W": { "Type": "Wait", "Seconds": WAIT_S, "End": true } } }),
            input: json!({}),
            executions: 1000,
            clients: 16,
            transitions: 1,
            idle_s: WAIT_S as f64,
        },
        Load {
            name: "map",
            definition: json!({ "StartAt": "M", "States": { "M": { "Type": "Map", "ItemsPath": "$.items", "End": true,
                "ItemProcessor": { "StartAt": "P", "States": { "P": { "Type": "Pass", "End": true } } } } } }),
            input: json!({ "items": (0..1000).collect::<Vec<_>>() }),
            executions: 1,
            clients: 1,
            transitions: 1001,
            idle_s: 0.0,
        },
    ]
}

/// The median transitions a second of a load on each endpoint, with what there is to tell.
fn interleaved(load: &Load, endpoints: &[Endpoint]) -> anyhow::Result<Vec<(f64, String)>> {
    let machines: Vec<String> = endpoints
        .iter()
        .map(|endpoint| {
            let made = endpoint.call(
                "CreateStateMachine",
                &json!({ "name": load.name, "definition": load.definition.to_string(),
                    "roleArn": "arn:aws:iam::000000000000:role/bench" }),
            )?;
            Ok(made["stateMachineArn"]
                .as_str()
                .unwrap_or_default()
                .to_owned())
        })
        .collect::<anyhow::Result<_>>()?;
    let mut runs: Vec<Vec<Run>> = endpoints.iter().map(|_| Vec::new()).collect();
    // The first round only warms.
    for round in 0..=ROUNDS {
        for (at, endpoint) in endpoints.iter().enumerate() {
            let run = run(load, endpoint, &machines[at])
                .with_context(|| format!("{} on {}", load.name, endpoint.name))?;
            if round > 0 {
                runs[at].push(run);
            }
        }
    }
    runs.iter()
        .zip(endpoints)
        .map(|(runs, endpoint)| Ok(summary(load, runs, endpoint.resident_bytes()?)))
        .collect()
}

fn summary(load: &Load, runs: &[Run], resident_bytes: u64) -> (f64, String) {
    let transitions = (load.executions * load.transitions) as f64;
    let rate = median(
        runs.iter()
            .map(|run| transitions / (run.wall_s - load.idle_s))
            .collect(),
    );
    // Over all rounds: the kernel counts in hundredths of a second, more than one short run takes.
    let cpu_s: f64 = runs.iter().map(|run| run.cpu_s).sum();
    let mut latencies: Vec<f64> = runs
        .iter()
        .flat_map(|run| run.latencies_s.iter().copied())
        .collect();
    latencies.sort_by(f64::total_cmp);
    let percentile =
        |of: f64| 1e3 * latencies[((latencies.len() - 1) as f64 * of).round() as usize];
    let line = format!(
        "{rate:>8.0} transitions/s, {:>8.0} per CPU-s, execution p50 {:.1} ms p99 {:.1} ms, {:.0} MiB",
        transitions * runs.len() as f64 / cpu_s.max(0.01),
        percentile(0.5),
        percentile(0.99),
        resident_bytes as f64 / 1_048_576.0,
    );
    (rate, line)
}

fn run(load: &Load, endpoint: &Endpoint, machine: &str) -> anyhow::Result<Run> {
    let cpu_before = endpoint.cpu_s()?;
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    let input = load.input.to_string();
    let client = || -> anyhow::Result<Vec<f64>> {
        let mut latencies = Vec::new();
        let mut waiting = Vec::new();
        while next.fetch_add(1, Ordering::Relaxed) < load.executions {
            let started = Instant::now();
            let execution = endpoint.call(
                "StartExecution",
                &json!({ "stateMachineArn": machine, "input": input, "name": name() }),
            )?;
            waiting.push((execution["executionArn"].clone(), started));
            // Those that wait are all to wait at once.
            if load.idle_s == 0.0 {
                latencies.extend(ended(endpoint, &mut waiting)?);
            }
        }
        latencies.extend(ended(endpoint, &mut waiting)?);
        Ok(latencies)
    };
    let latencies_s = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..load.clients).map(|_| scope.spawn(client)).collect();
        let mut all = Vec::new();
        for client in clients {
            match client.join() {
                Ok(latencies) => all.extend(latencies?),
                Err(_) => bail!("a client broke off"),
            }
        }
        Ok(all)
    })?;
    ensure!(
        latencies_s.len() == load.executions,
        "executions are missing"
    );
    Ok(Run {
        wall_s: begun.elapsed().as_secs_f64(),
        cpu_s: endpoint.cpu_s()? - cpu_before,
        latencies_s,
    })
}

/// A name that no execution had: not every peer makes one up.
fn name() -> String {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    format!("bench-{}", NAMES.fetch_add(1, Ordering::Relaxed))
}

/// Waits for executions; tells how many seconds each took.
fn ended(endpoint: &Endpoint, waiting: &mut Vec<(Value, Instant)>) -> anyhow::Result<Vec<f64>> {
    waiting
        .drain(..)
        .map(|(execution, started)| {
            over(endpoint, &execution)?;
            Ok(started.elapsed().as_secs_f64())
        })
        .collect()
}

/// Waits for an execution's success.
fn over(endpoint: &Endpoint, execution: &Value) -> anyhow::Result<()> {
    let until = Instant::now() + OVER_WITHIN;
    loop {
        let found = endpoint.call("DescribeExecution", &json!({ "executionArn": execution }))?;
        match found["status"].as_str() {
            Some("SUCCEEDED") => return Ok(()),
            Some("RUNNING") if Instant::now() < until => std::thread::sleep(LOOK),
            _ => bail!("an execution did not succeed: {found}"),
        }
    }
}
