//! Owns the lists of cases that are not passed: one `case<TAB>reason` a line, where a `*` at the end of
//! the case stands for any rest. A line that no failing case needs, or that hides a passing one, is wrong.

use std::fs;
use std::path::Path;

use crate::Outcome;

/// What a list and the outcomes disagree about.
pub fn compare(suite: &str, outcomes: &[Outcome]) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/not-passed/{suite}.txt"));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return vec![format!("{}: {error}", path.display())],
    };
    let mut problems = Vec::new();
    let mut patterns = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.split_once('\t') {
            Some((case, reason)) if !reason.trim().is_empty() => patterns.push(case),
            _ => problems.push(format!("this line gives no reason: {line}")),
        }
    }
    let mut needed = vec![false; patterns.len()];
    let mut named = 0;
    for outcome in outcomes {
        let listed = patterns
            .iter()
            .position(|pattern| covers(pattern, &outcome.name));
        match (listed, &outcome.wrong) {
            (Some(at), Some(_)) => {
                needed[at] = true;
                named += 1;
            }
            (Some(at), None) => {
                problems.push(format!(
                    "{} passes but {} is listed",
                    outcome.name, patterns[at]
                ));
                needed[at] = true;
            }
            (None, Some(wrong)) => problems.push(format!("{} fails: {wrong}", outcome.name)),
            (None, None) => {}
        }
    }
    let unneeded = patterns.iter().zip(needed).filter(|(_, needed)| !needed);
    problems.extend(unneeded.map(|(pattern, _)| format!("{pattern} is listed but names no case")));
    let passed = outcomes
        .iter()
        .filter(|outcome| outcome.wrong.is_none())
        .count();
    println!(
        "{suite}: passed {passed} of {}, {named} named",
        outcomes.len()
    );
    problems
}

fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}
