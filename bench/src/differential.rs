//! `differential`: random state machines on `local`, ministack and moto. A check, no measurement: it fails if an answer
//! differs from ours and no known fault of that peer explains it.

mod answer;
mod compare;
mod coverage;
mod faults;
mod generate;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use serde_json::Value;

use crate::endpoint::Endpoint;
use answer::Answer;
use compare::{Difference, Dispute};
use coverage::Coverage;
use generate::Machine;

/// Machines that run at once: ministack lets each execution wait before it begins.
const CLIENTS: usize = 24;
/// Unexplained disagreements that are printed in full.
const SHOWN: usize = 20;

/// What to run.
pub struct Plan {
    /// The seed of the first machine; each further one has the next.
    pub seed: u64,
    pub machines: u64,
    /// Of so many machines one is run on moto, which is slow.
    pub moto_every: u64,
}

/// What was found about one peer.
#[derive(Default)]
struct Tally {
    compared: usize,
    agree: usize,
    /// Of those that agree, how many the known faults would excuse had we answered something else.
    excusable: usize,
    /// By their names; how many, and of how many the other peer agreed with us.
    known: BTreeMap<&'static str, (usize, usize)>,
    unexplained: usize,
}

#[derive(Default)]
struct Findings {
    tallies: BTreeMap<&'static str, Tally>,
    coverage: Coverage,
    shown: usize,
}

/// Runs the plan; whether every disagreement is a known fault.
pub fn check(program: &Path, environment: &Path, plan: &Plan) -> anyhow::Result<bool> {
    let data = std::env::temp_dir().join(format!("gantry-differential-{}", std::process::id()));
    let result = run(program, environment, &data, plan);
    let _ = std::fs::remove_dir_all(&data);
    result
}

fn run(program: &Path, environment: &Path, data: &Path, plan: &Plan) -> anyhow::Result<bool> {
    let ours = Endpoint::ours(program, data)?;
    let ministack = Endpoint::ministack(environment)?;
    // One machine at a time: its parser keeps the query language in a variable of the class
    // (`_query_language_per_scope`), which concurrent calls spoil.
    let moto = Mutex::new(Endpoint::moto(environment)?);
    let next = AtomicU64::new(0);
    let findings = Mutex::new(Findings::default());
    let client = || -> anyhow::Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= plan.machines {
                return Ok(());
            }
            let machine = generate::machine(plan.seed.wrapping_add(at));
            let mine = answer::answer(&ours, &machine)?;
            let mut theirs = vec![(ministack.name, answer::answer(&ministack, &machine)?)];
            // It has no evaluator for JSONata, and once it refused such a machine it takes all that follow for JSONata.
            let jsonata = machine.definition.to_string().contains("\"JSONata\"");
            if at.is_multiple_of(plan.moto_every) && !jsonata {
                let Ok(moto) = moto.lock() else {
                    bail!("another client broke off");
                };
                theirs.push((moto.name, answer::answer(&moto, &machine)?));
            }
            let Ok(mut findings) = findings.lock() else {
                bail!("another client broke off");
            };
            findings.add(&machine, &mine, &theirs);
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        for client in clients {
            match client.join() {
                Ok(result) => result?,
                Err(_) => bail!("a client broke off"),
            }
        }
        Ok(())
    })?;
    let Ok(findings) = findings.into_inner() else {
        bail!("a client broke off");
    };
    Ok(findings.report(plan))
}

impl Findings {
    fn add(&mut self, machine: &Machine, ours: &Answer, theirs: &[(&'static str, Answer)]) {
        self.coverage.add(machine, ours);
        let found: Vec<Option<Difference>> = theirs
            .iter()
            .map(|(peer, theirs)| compare::difference(machine, ours, theirs, *peer == "moto"))
            .collect();
        let confirmed = found.iter().any(Option::is_none);
        for ((peer, theirs), difference) in theirs.iter().zip(found) {
            let tally = self.tallies.entry(peer).or_default();
            tally.compared += 1;
            let Some(difference) = difference else {
                tally.agree += 1;
                tally.excusable += usize::from(excuses(peer, machine, ours, theirs));
                continue;
            };
            let dispute = Dispute {
                machine,
                ours,
                theirs,
                difference,
            };
            if let Some(fault) = faults::explain(peer, &dispute) {
                let known = tally.known.entry(fault.name).or_default();
                known.0 += 1;
                known.1 += usize::from(confirmed);
                continue;
            }
            tally.unexplained += 1;
            self.shown += 1;
            if self.shown <= SHOWN {
                show(peer, &dispute);
            }
        }
    }

    /// Prints what was found; whether nothing is unexplained.
    fn report(&self, plan: &Plan) -> bool {
        println!("{}", self.coverage.lines());
        println!(
            "seeds {} to {}:",
            plan.seed,
            plan.seed.wrapping_add(plan.machines).wrapping_sub(1)
        );
        for (peer, tally) in &self.tallies {
            let known: usize = tally.known.values().map(|(count, _)| count).sum();
            println!(
                "{} machines: agree with {peer} {}, known faults {known}, unexplained {}",
                tally.compared, tally.agree, tally.unexplained
            );
            println!(
                "  known faults would excuse a wrong output of ours in {} of the {} that agree",
                tally.excusable, tally.agree
            );
            for (name, (count, confirmed)) in &tally.known {
                println!("  {count:>6} {name} (the other peer confirms {confirmed})");
            }
        }
        self.tallies.values().all(|tally| tally.unexplained == 0)
    }
}

/// Whether a known fault would hide an error of ours in this machine: the measure of how narrow the faults are.
fn excuses(peer: &str, machine: &Machine, ours: &Answer, theirs: &Answer) -> bool {
    let mut wrong = ours.clone();
    spoil(&mut wrong.output);
    let dispute = Dispute {
        machine,
        ours: &wrong,
        theirs,
        difference: Difference::Output,
    };
    ours.status == "SUCCEEDED" && faults::explain(peer, &dispute).is_some()
}

/// Replaces the first value that contains no other.
fn spoil(value: &mut Value) {
    let first = match value {
        Value::Object(fields) => fields.values_mut().next(),
        Value::Array(list) => list.first_mut(),
        _ => None,
    };
    match first {
        Some(first) => spoil(first),
        None => *value = Value::String("wrong".to_owned()),
    }
}

fn show(peer: &str, dispute: &Dispute<'_>) {
    let Dispute {
        machine,
        ours,
        theirs,
        difference,
    } = dispute;
    let told = |answer: &Answer| {
        format!(
            "{} {} {} {:?} through {}",
            answer.status,
            answer.output,
            answer.error,
            answer.cause,
            answer.entered.join(" → ")
        )
    };
    println!(
        "--- {difference} differs from {peer}; again with --seed {} --machines 1\n{}\ninput {}\nlocal: {}\n{peer}: {}\n",
        machine.seed,
        machine.definition,
        machine.input,
        told(ours),
        told(theirs)
    );
}
