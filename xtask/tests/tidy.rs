//! What reviewers would otherwise repeat: which room may use which, how files look, what tests may not do.
//! Owns the lists of exceptions, which may only shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which rooms a room may use, in its tests too. Nothing of the product uses `local`.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("app", &["asl", "model"]),
    ("asl", &[]),
    ("bench", &["asl"]),
    ("local", &["asl"]),
    ("model", &[]),
    ("server", &["app", "asl", "model"]),
    ("worker", &["model"]),
    ("xtask", &[]),
];

/// Lines beyond which a file is split by noun.
const LINES_MAX: usize = 500;

/// Longer files with the lines they have; a number may only become smaller, an entry only go.
const LONG_FILES: &[(&str, usize)] = &[];

/// Licences under which a dependency may be used.
const LICENCES: [&str; 13] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the checkout")
}

fn metadata(dependencies: bool) -> Value {
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(root())
        .args(["metadata", "--format-version", "1", "--locked"]);
    if !dependencies {
        command.arg("--no-deps");
    }
    let output = command.output().expect("cargo metadata starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata answers in JSON")
}

/// Every file of the project with this ending, by its path from the root.
fn files(extension: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder)
            .expect("a folder of the checkout can be listed")
            .flatten()
        {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if path.is_dir() {
                if !name.starts_with('.')
                    && !["target", "node_modules", "test-results"].contains(&name.as_ref())
                {
                    walk(&path, extension, found);
                }
            } else if path.extension().is_some_and(|given| given == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(root(), extension, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a source file is UTF-8");
            let path = path
                .strip_prefix(root())
                .expect("it was found under the root");
            (path.to_string_lossy().into_owned(), text)
        })
        .collect()
}

#[track_caller]
fn refuse(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn rooms_use_only_what_they_may() {
    let metadata = metadata(false);
    let packages = metadata["packages"].as_array().expect("packages");
    let rooms: BTreeSet<&str> = packages
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    assert_eq!(
        rooms,
        allowed.keys().copied().collect(),
        "MAY_USE lists every room"
    );
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let used = dependency["name"].as_str().expect("a name");
            if rooms.contains(used) && !allowed[name].contains(&used) {
                problems.push(format!("{name} uses {used}"));
            }
        }
    }
    refuse(problems);
}

#[test]
fn dependencies_are_listed_once_and_used() {
    let workspace =
        std::fs::read_to_string(root().join("Cargo.toml")).expect("the workspace's manifest");
    let (_, table) = workspace
        .split_once("[workspace.dependencies]")
        .expect("the table");
    let table = table.split("\n[").next().unwrap_or_default();
    let mut unused: BTreeSet<&str> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('=').map(|(name, _)| name.trim()))
        .collect();
    let mut problems = Vec::new();
    for (room, _) in MAY_USE {
        let manifest = std::fs::read_to_string(root().join(room).join("Cargo.toml"))
            .expect("a room's manifest");
        let mut in_dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
            } else if in_dependencies && !line.trim().is_empty() && !line.starts_with('#') {
                if !line.contains("workspace = true") {
                    problems.push(format!(
                        "{room}/Cargo.toml: not from the workspace's table: {line}"
                    ));
                }
                unused.remove(line.split(['.', ' ', '=']).next().unwrap_or_default());
            }
        }
    }
    problems.extend(
        unused
            .iter()
            .map(|name| format!("Cargo.toml: no room uses {name}")),
    );
    refuse(problems);
}

#[test]
fn every_dependency_has_a_licence_that_allows_its_use() {
    let metadata = metadata(true);
    let mut problems = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let licence = package["license"].as_str().unwrap_or("none");
        if !allowed(licence) {
            problems.push(format!("{}: {licence}", package["name"]));
        }
    }
    refuse(problems);
}

/// Whether an SPDX expression can be met with the licences allowed.
fn allowed(expression: &str) -> bool {
    // The old way of writing OR.
    let expression = expression.replace('/', " OR ");
    let expression = expression.trim();
    let mut depth = 0;
    let mut split = |separator: &str| {
        let mut parts = Vec::new();
        let mut start = 0;
        for (at, character) in expression.char_indices() {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ if depth == 0 && at >= start && expression[at..].starts_with(separator) => {
                    parts.push(&expression[start..at]);
                    start = at + separator.len();
                }
                _ => {}
            }
        }
        parts.push(&expression[start..]);
        parts
    };
    let either = split(" OR ");
    if either.len() > 1 {
        return either.into_iter().any(allowed);
    }
    let both = split(" AND ");
    if both.len() > 1 {
        return both.into_iter().all(allowed);
    }
    match expression
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'))
    {
        Some(inner) => allowed(inner),
        None => LICENCES.contains(&expression),
    }
}

#[test]
fn licence_expressions_are_read() {
    assert!(allowed("MIT"));
    assert!(allowed("AGPL-3.0 OR MIT"));
    assert!(allowed("(MIT OR AGPL-3.0) AND Unicode-3.0"));
    assert!(allowed("Apache-2.0/MIT"));
    assert!(!allowed("AGPL-3.0"));
    assert!(!allowed("MIT AND (AGPL-3.0 OR GPL-3.0)"));
    assert!(!allowed("none"));
}

#[test]
fn every_file_says_what_it_owns() {
    let silent = files("rs")
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"));
    refuse(
        silent
            .map(|(path, _)| format!("{path} does not open with //!"))
            .collect(),
    );
}

#[test]
fn long_files_only_shrink() {
    let listed: BTreeMap<&str, usize> = LONG_FILES.iter().copied().collect();
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, text) in files("rs") {
        let lines = text.lines().count();
        match listed.get(path.as_str()) {
            None if lines > LINES_MAX => {
                problems.push(format!("{path} has {lines} lines: split it by noun"))
            }
            Some(&most) if lines > most => {
                problems.push(format!("{path} grew from {most} to {lines} lines"))
            }
            Some(&most) if lines < most => problems.push(format!(
                "{path}: LONG_FILES can say {lines} now, not {most}"
            )),
            _ => {}
        }
        seen.insert(path);
    }
    for path in listed.keys().filter(|path| !seen.contains(**path)) {
        problems.push(format!("{path} is gone; take it off LONG_FILES"));
    }
    refuse(problems);
}

#[test]
fn nothing_is_left_unfinished_or_skipped() {
    // Written apart, so that this file does not hold what it looks for.
    let forbidden: Vec<String> = [
        ("to", "do!("),
        ("unimple", "mented!("),
        ("db", "g!("),
        ("#[ig", "nore"),
    ]
    .into_iter()
    .map(|(start, end)| format!("{start}{end}"))
    .collect();
    let mut problems = Vec::new();
    for (path, text) in files("rs") {
        for (number, line) in text.lines().enumerate() {
            for word in forbidden.iter().filter(|word| line.contains(word.as_str())) {
                problems.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    for (path, text) in files("ts") {
        for (number, line) in text.lines().enumerate() {
            for word in ["test.only", "test.skip", "test.fixme", "waitForTimeout"] {
                if line.contains(word) {
                    problems.push(format!("{path}:{}: {word}", number + 1));
                }
            }
        }
    }
    refuse(problems);
}

#[test]
fn no_test_sleeps() {
    let word = ["sle", "ep("].concat();
    let mut problems = Vec::new();
    for (path, text) in files("rs") {
        let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
        let from = if is_test {
            Some(0)
        } else {
            text.find("#[cfg(test)]")
        };
        let Some(from) = from else { continue };
        let before = text[..from].lines().count();
        for (number, line) in text[from..].lines().enumerate() {
            if line.contains(&word) {
                problems.push(format!(
                    "{path}:{}: a test sleeps; wait for what it waits for",
                    before + number + 1
                ));
            }
        }
    }
    refuse(problems);
}

#[test]
fn the_lock_file_of_npm_names_no_host() {
    let text =
        std::fs::read_to_string(root().join("e2e/package-lock.json")).expect("the lock file");
    let lock: Value = serde_json::from_str(&text).expect("JSON");
    let packages = lock["packages"].as_object().expect("packages");
    let named: Vec<String> = packages
        .iter()
        .filter(|(_, package)| package.get("resolved").is_some())
        .map(|(name, _)| format!("{name} has a `resolved` address"))
        .collect();
    refuse(named);
}
