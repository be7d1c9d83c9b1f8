//! Runs public suites of the languages inside the Amazon States Language: JSONPath's, JSONata's, and a
//! folder of definitions that are named `valid-…` or `invalid-…`.
//!
//! `cargo run --release -p asl --example conformance -- FOLDER` (a debug build has less stack), with `jsonpath/cts.json`,
//! `jsonata/test-suite.tar.xz` and `definitions/` in the folder. Cases that are not passed are listed
//! with their reasons in `asl/tests/not-passed`; a list that says too much or too little is a failure.
//! Owns no suite: they have licences and homes of their own.

use std::path::Path;
use std::process::ExitCode;

mod definitions;
mod jsonata;
mod jsonpath;
mod list;

/// What became of one case.
pub struct Outcome {
    /// The case's name.
    name: String,
    /// What was given instead, if it is not passed.
    wrong: Option<String>,
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: conformance FOLDER");
        return ExitCode::FAILURE;
    };
    let folder = Path::new(&folder);
    let suites = [
        ("jsonpath", jsonpath::run(&folder.join("jsonpath/cts.json"))),
        (
            "jsonata",
            jsonata::run(&folder.join("jsonata/test-suite.tar.xz")),
        ),
        ("definitions", definitions::run(&folder.join("definitions"))),
    ];
    let mut all_well = true;
    for (suite, outcomes) in suites {
        let problems = match outcomes {
            Ok(outcomes) => list::compare(suite, &outcomes),
            Err(error) => vec![error],
        };
        for problem in &problems {
            eprintln!("{suite}: {problem}");
        }
        all_well &= problems.is_empty();
    }
    if all_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
