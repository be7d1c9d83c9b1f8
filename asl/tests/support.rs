//! What of the language is understood and shown by cases of `tests/corpus`: `docs/asl-support.md` tells it, and
//! this test holds the page against the parser and the corpus. `UPDATE_EXPECT=1` writes the page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

const TYPES: [&str; 8] = [
    "Task", "Parallel", "Map", "Pass", "Wait", "Choice", "Succeed", "Fail",
];

const FIELDS: [&str; 47] = [
    "Comment",
    "QueryLanguage",
    "Next",
    "End",
    "InputPath",
    "OutputPath",
    "Parameters",
    "ResultSelector",
    "ResultPath",
    "Arguments",
    "Output",
    "Assign",
    "Retry",
    "Catch",
    "Resource",
    "Credentials",
    "TimeoutSeconds",
    "TimeoutSecondsPath",
    "HeartbeatSeconds",
    "HeartbeatSecondsPath",
    "Result",
    "Seconds",
    "SecondsPath",
    "Timestamp",
    "TimestampPath",
    "Choices",
    "Default",
    "Error",
    "ErrorPath",
    "Cause",
    "CausePath",
    "Branches",
    "Items",
    "ItemsPath",
    "ItemSelector",
    "ItemProcessor",
    "Iterator",
    "MaxConcurrency",
    "MaxConcurrencyPath",
    "ToleratedFailureCount",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentage",
    "ToleratedFailurePercentagePath",
    "ItemReader",
    "ItemBatcher",
    "ResultWriter",
    "Label",
];

const FUNCTIONS: [&str; 18] = [
    "Format",
    "StringToJson",
    "JsonToString",
    "Array",
    "ArrayPartition",
    "ArrayContains",
    "ArrayRange",
    "ArrayGetItem",
    "ArrayLength",
    "ArrayUnique",
    "Base64Encode",
    "Base64Decode",
    "Hash",
    "JsonMerge",
    "MathRandom",
    "MathAdd",
    "StringSplit",
    "UUID",
];

/// How many cases use something.
#[derive(Default)]
struct Used(BTreeMap<String, usize>);

impl Used {
    fn cell(&self, key: &str) -> String {
        match self.0.get(key) {
            Some(count) => format!("✓ {count}"),
            None => "✓".to_owned(),
        }
    }
}

/// Adds what one case uses: `type field`, `function`, `comparison`, each once.
fn use_in(case: &Value) -> Vec<String> {
    fn walk(value: &Value, jsonata: bool, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                let language = fields.get("QueryLanguage").and_then(Value::as_str);
                let jsonata = language.map_or(jsonata, |language| language == "JSONata");
                let kind = fields.get("Type").and_then(Value::as_str);
                for (name, value) in fields {
                    if let Some(kind) = kind {
                        let language = if jsonata { "JSONata" } else { "JSONPath" };
                        found.push(format!("{language} {kind} {name}"));
                    }
                    if fields.contains_key("Variable") {
                        found.push(name.clone());
                    }
                    walk(value, jsonata, found);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|one| walk(one, jsonata, found)),
            Value::String(text) => {
                let called = FUNCTIONS
                    .iter()
                    .filter(|name| text.contains(&format!("States.{name}(")));
                found.extend(called.map(|name| format!("States.{name}")));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(&case["definition"], false, &mut found);
    found.sort();
    found.dedup();
    found
}

/// A state of a type with what it cannot do without.
fn smallest(kind: &str, jsonata: bool) -> Map<String, Value> {
    let scope = json!({"StartAt": "B", "States": {"B": {"Type": "Succeed"}}});
    let mut state = match kind {
        "Task" => json!({"Resource": "arn:aws:lambda:us-east-1:000000000000:function:f"}),
        "Parallel" => json!({"Branches": [scope]}),
        "Map" => json!({"ItemProcessor": scope}),
        "Wait" => json!({"Seconds": 1}),
        "Choice" if jsonata => json!({"Choices": [{"Condition": true, "Next": "A"}]}),
        "Choice" => json!({"Choices": [{"Variable": "$.a", "IsNull": true, "Next": "A"}]}),
        _ => json!({}),
    };
    state["Type"] = json!(kind);
    if jsonata {
        state["QueryLanguage"] = json!("JSONata");
    }
    if !["Choice", "Succeed", "Fail"].contains(&kind) {
        state["End"] = json!(true);
    }
    state.as_object().cloned().unwrap_or_default()
}

/// What the parser says of a state.
fn said(state: Map<String, Value>) -> Vec<String> {
    let machine = json!({"StartAt": "A", "States": {"A": state}});
    let parsed = asl::parse(&machine.to_string());
    let diagnostics = parsed.diagnostics.into_iter();
    diagnostics.map(|diagnostic| diagnostic.message).collect()
}

/// One cell of the table of fields.
fn cell(kind: &str, field: &str, jsonata: bool, used: &Used) -> String {
    let mut state = smallest(kind, jsonata);
    let before = said(state.clone());
    state.entry(field).or_insert_with(|| json!({}));
    let mut new = said(state);
    new.retain(|message| !before.contains(message));
    let refused = [
        format!("Field '{field}' is not supported"),
        format!("field '{field}' is only supported for"),
    ];
    if new
        .iter()
        .any(|message| refused.iter().any(|refused| message.contains(refused)))
    {
        return String::new();
    }
    if new
        .iter()
        .any(|message| message.contains("not supported yet"))
    {
        return "not yet".to_owned();
    }
    let language = if jsonata { "JSONata" } else { "JSONPath" };
    used.cell(&format!("{language} {kind} {field}"))
}

fn fields(page: &mut String, jsonata: bool, used: &Used) {
    let state = said(smallest("Pass", jsonata));
    if let Some(reason) = state
        .iter()
        .find(|message| message.contains("not supported yet"))
    {
        let _ = writeln!(page, "{reason}.\n");
        return;
    }
    let _ = writeln!(page, "| field | {} |", TYPES.join(" | "));
    let _ = writeln!(page, "| --- |{}", " --- |".repeat(TYPES.len()));
    for field in FIELDS {
        let cells: Vec<String> = TYPES
            .iter()
            .map(|kind| cell(kind, field, jsonata, used))
            .collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            let _ = writeln!(page, "| `{field}` | {} |", cells.join(" | "));
        }
    }
    page.push('\n');
}

fn page(used: &Used, cases: usize) -> String {
    let mut page = format!(
        "# What of the Amazon States Language is understood\n\n\
         Made from the parser and the {cases} cases of `asl/tests/corpus` by `asl/tests/support.rs`; do not edit.\n\
         A tick stands for what is understood, the number behind it for the cases that show it.\n\n\
         ## Fields of states in JSONPath\n\n"
    );
    fields(&mut page, false, used);
    page.push_str("## Fields of states in JSONata\n\n");
    fields(&mut page, true, used);
    page.push_str("## Intrinsic functions\n\n| function | |\n| --- | --- |\n");
    for name in FUNCTIONS {
        let mut state = smallest("Pass", false);
        for arguments in ["", "$", "$, $", "$, $, $", "1, 2", "$, $, false", "'{}', $"] {
            state.insert(
                "Parameters".to_owned(),
                json!({"a.$": format!("States.{name}({arguments})")}),
            );
            if said(state.clone()).is_empty() {
                break;
            }
        }
        let understood = said(state).is_empty();
        let cell = if understood {
            used.cell(&format!("States.{name}"))
        } else {
            "not yet".to_owned()
        };
        let _ = writeln!(page, "| `States.{name}` | {cell} |");
    }
    page.push_str("\n## Comparisons of Choice rules\n\n| comparison | |\n| --- | --- |\n");
    for name in comparisons() {
        let value = match name.as_str() {
            name if name.ends_with("Path") => json!("$.b"),
            name if name.starts_with("Is") || name.starts_with("Boolean") => json!(true),
            name if name.starts_with("Numeric") => json!(1),
            name if name.starts_with("Timestamp") => json!("2016-03-14T01:59:00Z"),
            _ => json!("a"),
        };
        let state = json!({"Type": "Choice", "Choices": [{"Variable": "$.a", name.as_str(): value, "Next": "A"}]});
        let messages = said(state.as_object().cloned().unwrap_or_default());
        // That such a machine never ends is another matter.
        let understood = messages.iter().all(|message| message.contains("terminal"));
        let cell = if understood {
            used.cell(&name)
        } else {
            "not yet".to_owned()
        };
        let _ = writeln!(page, "| `{name}` | {cell} |");
    }
    page
}

fn comparisons() -> Vec<String> {
    let mut names = Vec::new();
    for kind in ["String", "Numeric", "Timestamp"] {
        for relation in [
            "Equals",
            "LessThan",
            "GreaterThan",
            "LessThanEquals",
            "GreaterThanEquals",
        ] {
            names.extend([format!("{kind}{relation}"), format!("{kind}{relation}Path")]);
        }
    }
    let others = [
        "BooleanEquals",
        "BooleanEqualsPath",
        "StringMatches",
        "IsBoolean",
        "IsNull",
        "IsNumeric",
        "IsPresent",
        "IsString",
        "IsTimestamp",
    ];
    names.extend(others.map(str::to_owned));
    names
}

#[test]
fn the_page_tells_what_is_so() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut used = Used::default();
    let mut cases = 0;
    for entry in fs::read_dir(root.join("tests/corpus")).expect("the corpus is there") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("the case can be read");
        let case: Value = serde_json::from_str(&text).expect("a case is JSON");
        cases += 1;
        for name in use_in(&case) {
            *used.0.entry(name).or_default() += 1;
        }
    }
    let wanted = page(&used, cases);
    let path = root.join("../docs/asl-support.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &wanted).expect("the page can be written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == wanted,
        "docs/asl-support.md is not current; UPDATE_EXPECT=1 cargo nextest run -p asl --test support writes it"
    );
}
