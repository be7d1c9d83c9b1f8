//! Owns JSONata's reference suite: the value or the error's code of each expression.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use asl::jsonata::{Expression, World};
use asl::random::Random;
use serde_json::Value;

use crate::Outcome;

/// Prints the archive as one JSON object of texts by name: Python's library has what reads it.
const UNPACK: &str = "import json, sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    print(json.dumps({file.name: archive.extractfile(file).read().decode() for file in archive if file.isfile()}))";

/// The time of each evaluation; no case asks for a certain one.
const NOW_MS: i64 = 1_700_000_000_000;

type Files = BTreeMap<String, String>;

/// Runs the suite in an archive.
pub fn run(archive: &Path) -> Result<Vec<Outcome>, String> {
    let output = Command::new("python3")
        .arg("-c")
        .arg(UNPACK)
        .arg(archive)
        .output();
    let output = output.map_err(|error| format!("python3: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let files: Files = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let mut outcomes = Vec::new();
    for (path, text) in &files {
        let Some((folder, file)) = path.rsplit_once('/') else {
            continue;
        };
        let Some((_, group)) = folder.split_once("/groups/") else {
            continue;
        };
        let Some(case) = file.strip_suffix(".json") else {
            continue;
        };
        let name = format!("{group}/{case}");
        match serde_json::from_str(text) {
            Ok(Value::Array(cases)) => {
                let each = cases.iter().enumerate().map(|(index, case)| Outcome {
                    name: format!("{name}[{index}]"),
                    wrong: wrong(case, folder, &files),
                });
                outcomes.extend(each);
            }
            Ok(case) => outcomes.push(Outcome {
                name,
                wrong: wrong(&case, folder, &files),
            }),
            Err(error) => outcomes.push(Outcome {
                name,
                wrong: Some(error.to_string()),
            }),
        }
    }
    Ok(outcomes)
}

fn wrong(case: &Value, folder: &str, files: &Files) -> Option<String> {
    let source = match (case["expr"].as_str(), case["expr-file"].as_str()) {
        (Some(source), _) => source,
        (None, Some(file)) => files.get(&format!("{folder}/{file}"))?,
        (None, None) => return Some("the case has no expression".to_owned()),
    };
    let input = match (case.get("data"), case["dataset"].as_str()) {
        (Some(data), _) => Some(data.clone()),
        (None, Some(name)) => files
            .iter()
            .find(|(path, _)| path.ends_with(&format!("/datasets/{name}.json")))
            .and_then(|(_, text)| serde_json::from_str(text).ok()),
        (None, None) => None,
    };
    let mut world = World::new(NOW_MS);
    if let Some(input) = &input {
        world = world.with_input(input);
    }
    for (name, value) in case["bindings"].as_object().into_iter().flatten() {
        world = world.with(name, value);
    }
    let value = Expression::parse(source)
        .and_then(|expression| expression.evaluate(&world, &mut Random::new(1)));
    let code = case["code"].as_str().or(case["error"]["code"].as_str());
    let right = match (&value, code) {
        (Err(error), Some(code)) => error.code == code,
        (Err(_), None) => case.get("error").is_some(),
        (Ok(_), Some(_)) => false,
        (Ok(Some(value)), None) => case
            .get("result")
            .is_some_and(|wanted| same(value, wanted, case["unordered"] == true)),
        (Ok(None), None) => case["undefinedResult"] == true,
    };
    (!right).then(|| format!("{source:?} gives {value:?}"))
}

/// JSONata has one type of numbers; `in_any_order` asks for the elements of an array only.
fn same(given: &Value, wanted: &Value, in_any_order: bool) -> bool {
    match (given, wanted) {
        (Value::Number(given), Value::Number(wanted)) => given.as_f64() == wanted.as_f64(),
        (Value::Array(given), Value::Array(wanted)) if in_any_order => {
            let mut left: Vec<&Value> = wanted.iter().collect();
            given.len() == wanted.len()
                && given.iter().all(|value| {
                    let at = left.iter().position(|one| same(value, one, false));
                    at.map(|at| left.swap_remove(at)).is_some()
                })
        }
        (Value::Array(given), Value::Array(wanted)) => {
            given.len() == wanted.len() && given.iter().zip(wanted).all(|(a, b)| same(a, b, false))
        }
        (Value::Object(given), Value::Object(wanted)) => {
            given.len() == wanted.len()
                && given.iter().all(|(name, value)| {
                    wanted.get(name).is_some_and(|one| same(value, one, false))
                })
        }
        _ => given == wanted,
    }
}
