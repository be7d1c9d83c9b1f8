//! What of the language is understood and shown by cases of `tests/corpus`: `docs/asl-support.md` tells it, and
//! this test holds the page against the parser and the corpus. What is understood and shown by no case
//! fails it. `UPDATE_EXPECT=1` writes the page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

mod errors;
mod language;
mod probe;
mod rules;
mod usage;

use errors::ERRORS;
use language::{FIELDS, FUNCTIONS, JSONATA_FUNCTIONS, PARTS, TYPES, VALUES, comparisons};
use probe::Understood;
use rules::{REDRIVES, RETRIES};
use usage::{Used, field};

/// The cases by name, each with its text.
type Cases = BTreeMap<String, String>;

fn told(understood: Understood, key: &str, used: &Used) -> String {
    match understood {
        Understood::Yes => used.cell(key),
        Understood::NotYet => "not yet".to_owned(),
        Understood::No => String::new(),
    }
}

fn fields(page: &mut String, jsonata: bool, used: &Used) {
    let _ = writeln!(page, "| field | {} |", TYPES.join(" | "));
    let _ = writeln!(page, "| --- |{}", " --- |".repeat(TYPES.len()));
    for name in FIELDS {
        let cells = TYPES.map(|kind| {
            let understood = probe::state_field(kind, name, jsonata);
            told(understood, &field(jsonata, kind, name), used)
        });
        if cells.iter().any(|cell| !cell.is_empty()) {
            let _ = writeln!(page, "| `{name}` | {} |", cells.join(" | "));
        }
    }
    page.push('\n');
}

fn parts(page: &mut String, used: &Used) {
    page.push_str("| in | field | JSONPath | JSONata |\n| --- | --- | --- | --- |\n");
    for (part, names) in PARTS {
        let place = match part {
            "machine" => "the machine".to_owned(),
            part => format!("`{part}`"),
        };
        for name in names {
            let [path, jsonata] = [false, true].map(|jsonata| {
                let understood = probe::part_field(part, name, None, jsonata);
                told(understood, &field(jsonata, part, name), used)
            });
            let _ = writeln!(page, "| {place} | `{name}` | {path} | {jsonata} |");
        }
    }
    page.push_str("\n| field | value | |\n| --- | --- | --- |\n");
    for (part, name, values) in VALUES {
        for value in values {
            let understood = probe::part_field(part, name, Some(value), false);
            let key = field(false, part, &format!("{name} {value}"));
            let cell = told(understood, &key, used);
            let _ = writeln!(page, "| `{name}` | `{value}` | {cell} |");
        }
    }
    page.push('\n');
}

fn links(cases: &[&str]) -> String {
    let links: Vec<String> = cases
        .iter()
        .map(|name| format!("[{name}](../asl/tests/corpus/{name}.json)"))
        .collect();
    links.join(", ")
}

fn page(used: &Used, cases: usize) -> String {
    let mut page = format!(
        "# What of the Amazon States Language is understood\n\n\
         Made from the parser and the {cases} cases of `asl/tests/corpus` by `asl/tests/support`; do not edit.\n\
         A tick stands for what is understood, the number behind it for the cases that show it: none is without.\n\n\
         ## Fields of states in JSONPath\n\n"
    );
    fields(&mut page, false, used);
    page.push_str("## Fields of states in JSONata\n\n");
    fields(&mut page, true, used);
    page.push_str("## Fields inside of states\n\n");
    parts(&mut page, used);
    page.push_str("## Intrinsic functions\n\n| function | |\n| --- | --- |\n");
    for name in FUNCTIONS {
        let cell = match probe::function(name) {
            true => used.cell(&format!("States.{name}")),
            false => "not yet".to_owned(),
        };
        let _ = writeln!(page, "| `States.{name}` | {cell} |");
    }
    page.push_str("\n## Functions that AWS adds to JSONata\n\n| function | |\n| --- | --- |\n");
    for name in JSONATA_FUNCTIONS {
        let cell = used.cell(&format!("${name}"));
        let _ = writeln!(page, "| `${name}` | {cell} |");
    }
    page.push_str("\n## Comparisons of Choice rules\n\n| comparison | |\n| --- | --- |\n");
    for name in comparisons() {
        let cell = match probe::comparison(&name) {
            true => used.cell(&name),
            false => "not yet".to_owned(),
        };
        let _ = writeln!(page, "| `{name}` | {cell} |");
    }
    page.push_str("\n## Names of errors\n\n| error | when it arises | what takes it | cases |\n");
    page.push_str("| --- | --- | --- | --- |\n");
    for error in ERRORS {
        let name = match error.name.starts_with("States.") {
            true => format!("`{}`", error.name),
            false => error.name.to_owned(),
        };
        let (arises, taken, cases) = (error.arises, error.taken, links(error.cases));
        let _ = writeln!(page, "| {name} | {arises} | {taken} | {cases} |");
    }
    for (title, rules) in [("Retries", &RETRIES[..]), ("Redrives", &REDRIVES[..])] {
        let _ = writeln!(page, "\n## {title}\n\n| rule | cases |\n| --- | --- |");
        for (rule, cases) in rules {
            let _ = writeln!(page, "| {rule} | {} |", links(cases));
        }
    }
    page
}

/// The cases that the rules name, each with the error it must speak of, if any.
fn named() -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    let errors = ERRORS.iter().flat_map(|error| {
        let name = error.name.starts_with("States.").then_some(error.name);
        error.cases.iter().map(move |case| (*case, name))
    });
    let rules = RETRIES.iter().chain(&REDRIVES);
    errors.chain(rules.flat_map(|(_, cases)| cases.iter().map(|case| (*case, None))))
}

fn cases() -> Cases {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let entries = fs::read_dir(folder).expect("the corpus is there");
    let cases = entries.map(|entry| {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("the case can be read");
        let name = path.file_stem().expect("a name").to_string_lossy();
        (name.into_owned(), text)
    });
    cases.collect()
}

#[test]
fn the_page_tells_what_is_so() {
    let cases = cases();
    let mut used = Used::default();
    for text in cases.values() {
        used.add(&serde_json::from_str::<Value>(text).expect("a case is JSON"));
    }
    let wanted = page(&used, cases.len());
    assert_eq!(used.missing(), Vec::<String>::new(), "no case shows these");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/asl-support.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &wanted).expect("the page can be written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == wanted,
        "docs/asl-support.md is not current; UPDATE_EXPECT=1 cargo nextest run -p asl --test support writes it"
    );
}

#[test]
fn rules_and_cases_name_each_other() {
    let cases = cases();
    for (name, error) in named() {
        let text = cases.get(name).unwrap_or_else(|| panic!("no case {name}"));
        if let Some(error) = error {
            assert!(text.contains(error), "{name} does not speak of {error}");
        }
    }
    for name in cases.keys() {
        let is_rule = ["error-", "retry-", "redrive-"]
            .iter()
            .any(|start| name.starts_with(start));
        let is_named = named().any(|(case, _)| case == name);
        assert!(is_named || !is_rule, "no rule names the case {name}");
    }
}

/// The reserved names in a text, with what follows `States.` beginning like a name.
fn reserved(text: &str) -> impl Iterator<Item = String> {
    text.split("States.").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.');
        let name = &rest[..end.unwrap_or(rest.len())];
        let is_call = rest[name.len()..].starts_with('(');
        let plain = name.trim_end_matches('.');
        (!is_call && plain.starts_with(char::is_uppercase)).then(|| format!("States.{plain}"))
    })
}

#[test]
fn every_error_that_the_engine_knows_is_on_the_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/step");
    let mut texts: Vec<String> = cases().into_values().collect();
    for entry in fs::read_dir(folder).expect("the engine is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(fs::read_to_string(path).expect("it can be read"));
        }
    }
    let known = |name: &String| {
        ERRORS.iter().any(|error| error.name == name.as_str())
            || FUNCTIONS
                .iter()
                .any(|function| name == &format!("States.{function}"))
    };
    let unknown: Vec<String> = texts
        .iter()
        .flat_map(|text| reserved(text))
        .filter(|name| !known(name))
        .collect();
    assert_eq!(unknown, Vec::<String>::new());
}
