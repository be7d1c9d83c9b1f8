//! Runs every case of `tests/corpus`: a definition, an input and the answers of its tasks must give
//! the outcome and the history that the case tells. `UPDATE_EXPECT=1` writes what is given now.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use asl::{Outcome, parse};
use serde::Deserialize;
use serde_json::{Value, json};

mod simulation;

use simulation::{Action, Answer, shown, simulate, start};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case is about.
    #[allow(dead_code)]
    about: String,
    definition: Value,
    #[serde(default)]
    input: Value,
    /// By the last part of the resource: the answers in order, the last one again and again.
    #[serde(default)]
    tasks: HashMap<String, Vec<Answer>>,
    #[serde(default)]
    actions: Vec<Action>,
    #[serde(default)]
    outcome: Value,
    #[serde(default)]
    history: Vec<String>,
    /// What Map states in DISTRIBUTED mode ask for, which the history does not tell.
    #[serde(default)]
    map_runs: Value,
}

fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Running => json!("RUNNING"),
        Outcome::Succeeded { output, .. } => json!({ "SUCCEEDED": output }),
        Outcome::Failed { error, cause } => json!({ "FAILED": [error, cause] }),
        Outcome::TimedOut { error, cause } => json!({ "TIMED_OUT": [error, cause] }),
        Outcome::Aborted { error, cause } => json!({ "ABORTED": [error, cause] }),
    }
}

fn check(path: &Path) {
    let name = path.file_name().expect("a file").to_string_lossy();
    let text = fs::read_to_string(path).expect("the case can be read");
    let case: Case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let parsed = parse(&case.definition.to_string());
    assert!(parsed.is_valid(), "{name}: {:#?}", parsed.diagnostics);
    let machine = Arc::new(parsed.machine.expect("a valid definition gives a machine"));
    let mut used: HashMap<String, usize> = HashMap::new();
    let simulated = simulate(
        &machine,
        start(case.input.clone()),
        &case.actions,
        &mut |resource, _| {
            let name = resource.rsplit(':').next().unwrap_or(resource);
            let answers = case
                .tasks
                .get(name)
                .unwrap_or_else(|| panic!("no answers for {name}"));
            let count = used.entry(name.to_owned()).or_default();
            *count += 1;
            answers[(*count - 1).min(answers.len() - 1)].clone()
        },
    );
    let (outcome, history) = (
        outcome(simulated.execution.status()),
        shown(&simulated.history),
    );
    let map_runs = match simulated.map_runs.as_slice() {
        [] => Value::Null,
        map_runs => json!(map_runs),
    };
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let mut value: Value = serde_json::from_str(&text).expect("read before");
        value["outcome"] = outcome;
        value["history"] = json!(history);
        if !map_runs.is_null() {
            value["map_runs"] = map_runs;
        }
        fs::write(
            path,
            serde_json::to_string_pretty(&value).expect("JSON") + "\n",
        )
        .expect("the case can be written");
        return;
    }
    assert_eq!(outcome, case.outcome, "{name}: {history:#?}");
    assert_eq!(history, case.history, "{name}");
    assert_eq!(map_runs, case.map_runs, "{name}");
    assert_eq!(
        (simulated.open_tasks, simulated.open_timers),
        (0, 0),
        "{name}: something is left open"
    );
}

#[test]
fn corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        check(&path);
    }
}
