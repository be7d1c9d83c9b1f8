//! Owns the JSONPath compliance suite (RFC 9535): which nodes a path finds, which paths are refused.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Outcome;

/// Runs the suite in a file.
pub fn run(path: &Path) -> Result<Vec<Outcome>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let suite: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let cases = suite["tests"].as_array().ok_or("the suite has no tests")?;
    let outcomes = cases.iter().map(|case| Outcome {
        name: case["name"].as_str().unwrap_or_default().to_owned(),
        wrong: wrong(case),
    });
    Ok(outcomes.collect())
}

fn wrong(case: &Value) -> Option<String> {
    let refusal = case["invalid_selector"] == true;
    let path = match asl::path::Path::parse(case["selector"].as_str().unwrap_or_default()) {
        Ok(_) if refusal => return Some("the path is accepted".to_owned()),
        Ok(path) => path,
        Err(_) if refusal => return None,
        Err(error) => return Some(error.to_string()),
    };
    // A path that names one place gives the value itself, not a list of what was found.
    let found = path.find(&case["document"]);
    let nodes = match path.segments() {
        Some(_) => Value::Array(found.into_iter().collect()),
        None => found.unwrap_or_default(),
    };
    let wanted = case["results"].as_array();
    let right = case.get("result") == Some(&nodes)
        || wanted.is_some_and(|several| several.contains(&nodes));
    (!right).then(|| format!("it gives {nodes}"))
}
