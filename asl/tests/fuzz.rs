//! What anybody may write is read and evaluated without a panic, and with bounded work: definitions, paths,
//! intrinsic functions, JSONata and timestamps, changed at random but always in the same way.
//!
//! Bounds are those of the product, not of a clock: 1 MiB of definition, [`EVENTS_MAX`] events, 256 KiB of data,
//! 200 levels, 4 MiB made by a template, 10 million values looked at by a path, 4 million steps of JSONata.

use std::fs;
use std::path::Path as FilePath;
use std::sync::Arc;

use asl::context::{Context, Scene};
use asl::intrinsic::Call;
use asl::jsonata::{Expression, World};
use asl::path::{Path, ReferencePath};
use asl::random::Random;
use asl::step::EVENTS_MAX;
use asl::{Command, Execution, Input, Outcome, parse, timestamp};
use serde_json::{Value, json};

mod simulation;

use simulation::dice::Dice;
use simulation::start;

/// Pieces that are put into texts: what is special somewhere.
const PIECES: [&str; 46] = [
    "\"",
    "'",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    ":",
    ".",
    "..",
    "*",
    "$",
    "$$",
    "@",
    "?",
    "!",
    "&&",
    "||",
    "==",
    "%}",
    "{%",
    "~>",
    ":=",
    "^",
    "#",
    "/",
    "function($x){",
    "States.Format(",
    "States.Array(",
    "$.a",
    "$..*",
    "1e999",
    "-0",
    "99999999999999999999",
    "\u{0}",
    "\u{fffd}",
    "😀",
    "\\ud800",
    "\\u0000",
    "e\u{301}",
    "null",
    "true",
    "0.1",
];

fn corpus() -> Vec<Value> {
    let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let cases = paths
        .iter()
        .map(|path| fs::read_to_string(path).expect("the case can be read"));
    cases
        .map(|text| serde_json::from_str(&text).expect("a case is JSON"))
        .collect()
}

/// Changes a text in some places, without regard for what it means.
fn scramble(dice: &mut Dice, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(bytes.len() + 1);
        let end = (at + dice.roll(6)).min(bytes.len());
        match dice.roll(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, dice.roll(256) as u8),
            3 => {
                let again: Vec<u8> = bytes[at..end].repeat(1 + dice.roll(9));
                bytes.splice(at..at, again);
            }
            _ => drop(bytes.splice(at..at, dice.pick(&PIECES).bytes())),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Changes one value somewhere inside of another.
fn twist(dice: &mut Dice, value: &mut Value) {
    let inside = dice.percent(85);
    match value {
        Value::Object(fields) if inside && !fields.is_empty() => {
            let at = dice.roll(fields.len());
            if dice.percent(10) {
                let found = fields.iter().nth(at);
                let (name, field) = found.map_or_else(Default::default, |(name, field)| {
                    (name.clone(), field.clone())
                });
                fields.insert(scramble(dice, &name), field);
            } else if let Some((_, field)) = fields.iter_mut().nth(at) {
                twist(dice, field);
            }
        }
        Value::Array(elements) if inside && !elements.is_empty() => {
            let at = dice.roll(elements.len());
            twist(dice, &mut elements[at]);
        }
        Value::String(text) if inside => *text = scramble(dice, text),
        _ => {
            let old = value.take();
            *value = match dice.roll(9) {
                0 => Value::Null,
                1 => json!(true),
                2 => dice
                    .pick(&[
                        json!(1e308),
                        json!(u64::MAX),
                        json!(i64::MIN),
                        json!(-1),
                        json!(0.5),
                    ])
                    .clone(),
                3 => json!("x".repeat(dice.roll(3000))),
                4 => json!([old]),
                5 => json!({"a.$": "$", "b": old}),
                6 => json!([]),
                7 => json!({}),
                _ => nested(dice.roll(120)),
            };
        }
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, level| {
        if level % 2 == 0 {
            json!([inner])
        } else {
            json!({"a": inner})
        }
    })
}

/// Runs a machine for some steps, its tasks giving back odd things.
fn drive(definition: &str, input: Value) {
    let parsed = parse(definition);
    asl::variable_references(definition);
    let Some(machine) = parsed.machine else {
        return;
    };
    let _ = asl::layout(&asl::graph(&machine));
    let (mut execution, mut commands) = Execution::start(Arc::new(machine), start(input), 0);
    for step in 0..40 {
        let mut inputs = Vec::new();
        for command in commands.drain(..) {
            match command {
                Command::InvokeTask {
                    task, parameters, ..
                } if step % 3 == 0 => {
                    inputs.push(Input::TaskSucceeded {
                        task,
                        output: json!({"a": parameters}),
                    });
                }
                Command::InvokeTask { task, .. } => {
                    inputs.push(Input::TaskFailed {
                        task,
                        error: Some("E".into()),
                        cause: None,
                    });
                }
                Command::StartMapRun { task, .. } | Command::RedriveMapRun { task, .. } => {
                    let _ = execution.map_item(task, 0, &json!({"a": 1}));
                    inputs.push(Input::MapRunSucceeded {
                        task,
                        output: json!([1]),
                    });
                }
                Command::SetTimer { timer, .. } => inputs.push(Input::TimerFired { timer }),
                _ => {}
            }
        }
        if inputs.is_empty() {
            inputs.push(Input::Redrive);
        }
        for input in inputs {
            commands.extend(execution.apply(i64::from(step) * 1000, input));
        }
        assert!(execution.last_event_id() <= EVENTS_MAX);
        if *execution.status() != Outcome::Running && step > 5 {
            break;
        }
    }
}

#[test]
fn definitions() {
    let cases = corpus();
    let mut dice = Dice::new(1);
    for round in 0..8 {
        for case in &cases {
            let mut definition = case["definition"].clone();
            let text = if round % 2 == 0 {
                scramble(&mut dice, &definition.to_string())
            } else {
                (0..=dice.roll(3)).for_each(|_| twist(&mut dice, &mut definition));
                definition.to_string()
            };
            // Loops that do not end are for the simulation: they fill a history.
            let endless = text.contains("endless")
                || case["history"].as_array().is_some_and(|h| h.len() > 500);
            if !endless {
                drive(&text, case["input"].clone());
            }
        }
    }
}

#[test]
fn definitions_that_are_meant_ill() {
    let state = |field: &str| {
        format!(r#"{{"StartAt":"A","States":{{"A":{{"Type":"Pass",{field},"End":true}}}}}}"#)
    };
    let deep = |open: &str, close: &str, levels: usize| {
        format!("{}1{}", open.repeat(levels), close.repeat(levels))
    };
    let mut texts = vec![
        deep("[", "]", 100_000),
        deep("{\"a\":", "}", 100_000),
        state(&format!("\"Result\":{}", deep("[", "]", 126))),
        state("\"Result\":1e999"),
        state("\"Result\":\"\\ud800\""),
        state("\"InputPath\":\"$\\u0000\""),
        state(&format!("\"Comment\":\"{}\"", "x".repeat(900_000))),
        "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Pass\",\"Next\":\"A\"}}}".to_owned(),
        "\u{feff}{}".to_owned(),
        String::new(),
    ];
    // Mistakes in great number, each at a place with a long name.
    let long = "k".repeat(200_000);
    texts.push(state(&format!(
        "\"Result\":{{\"{long}\":{{{}\"a\":1}}}}",
        "\"a\":1,".repeat(20_000)
    )));
    texts.push(state(&format!(
        "\"Parameters\":{{\"{long}\":[{}1]}}",
        "{\"a.$\":1},".repeat(2_000)
    )));
    let rules = "{\"Variable\":1},".repeat(5_000);
    texts.push(format!(
        r#"{{"StartAt":"A","States":{{"A":{{"Type":"Choice","Choices":[{rules}1]}}}}}}"#
    ));
    for text in texts {
        let parsed = parse(&text);
        let said: usize = parsed
            .diagnostics
            .iter()
            .map(|one| one.message.len() + one.pointer.len())
            .sum();
        assert!(said <= 3 << 20, "{said} bytes of diagnostics");
        asl::variable_references(&text);
    }
}

/// What an execution comes to, as its outcome's error.
fn error_of(states: Value, input: Value) -> Option<String> {
    let parsed = parse(&json!({"StartAt": "A", "States": states}).to_string());
    assert!(parsed.is_valid(), "{:?}", parsed.diagnostics);
    let machine = Arc::new(parsed.machine.expect("a valid definition gives a machine"));
    let (execution, _) = Execution::start(machine, start(input), 0);
    match execution.status() {
        Outcome::Failed { error, .. } => error.clone(),
        _ => None,
    }
}

#[test]
fn data_that_grows() {
    // Wraps its input again and again.
    let wraps = json!({"A": {"Type": "Pass", "Parameters": {"a.$": "$"}, "Next": "B"},
        "B": {"Type": "Choice", "Choices": [{"Variable": "$", "IsPresent": false, "Next": "C"}], "Default": "A"}, "C": {"Type": "Succeed"}});
    assert_eq!(error_of(wraps, json!(1)).as_deref(), Some("States.Runtime"));
    let wraps = json!({"A": {"Type": "Pass", "Result": 1, "ResultPath": format!("${}", ".a".repeat(300)), "End": true}});
    assert_eq!(
        error_of(wraps, json!({})).as_deref(),
        Some("States.Runtime")
    );
    // Repeats its input again and again.
    let fields: serde_json::Map<String, Value> = (0..20_000)
        .map(|n| (format!("f{n}.$"), json!("$")))
        .collect();
    let repeats = json!({"A": {"Type": "Pass", "Parameters": fields, "End": true}});
    assert_eq!(
        error_of(repeats, json!("x".repeat(200_000))).as_deref(),
        Some("States.DataLimitExceeded")
    );
    for call in ["States.Array", "States.Format"] {
        let template = if call == "States.Format" {
            format!("'{}', ", "{}".repeat(20_000))
        } else {
            String::new()
        };
        let call = format!("{call}({template}{})", vec!["$"; 20_000].join(","));
        let repeats = json!({"A": {"Type": "Pass", "Parameters": {"a.$": call}, "End": true}});
        assert_eq!(
            error_of(repeats, json!("x".repeat(200_000))).as_deref(),
            Some("States.DataLimitExceeded")
        );
    }
    // Each iteration is small enough, all together are not.
    let map = json!({"A": {"Type": "Map", "ItemProcessor": {"StartAt": "B", "States": {"B":
        {"Type": "Pass", "Parameters": {"a.$": "$$.Execution.Input[0]"}, "End": true}}}, "End": true}});
    let mut items = vec![json!(1); 60];
    items[0] = json!("x".repeat(20_000));
    assert_eq!(
        error_of(map, Value::Array(items)).as_deref(),
        Some("States.DataLimitExceeded")
    );
}

const EXPRESSIONS: [&str; 34] = [
    "$.a[*].b",
    "$..b",
    "$.a[?(@.b > 1)]",
    "$['a'][0]",
    "$.a[-1:]",
    "$.a[0,1].b",
    "$..[?(@..b)]",
    "$$.Execution.Id",
    "$v.a",
    "States.Format('{} {}', $.a, 1)",
    "States.StringToJson($.s)",
    "States.ArrayRange(1, 9, 2)",
    "States.ArrayPartition($.a, 2)",
    "States.JsonMerge($, $, false)",
    "States.Hash($.s, 'MD5')",
    "States.Base64Decode('YQ==')",
    "States.StringSplit('a,b', ',')",
    "States.MathRandom(1, 9, 7)",
    "States.ArrayGetItem($.a, 0)",
    "States.ArrayUnique($.a)",
    "States.MathAdd(1, -1)",
    "a.b[c>1].{'x': d}",
    "$map([1..5], function($v, $i) { $v * $i })",
    "($f := function($n) { $n > 1 ? $n * $f($n-1) : 1 }; $f(5))",
    "a ~> $sum",
    "$replace('abc', /b(.)/, '$1')",
    "a^(>b).b",
    "$formatNumber(1234.5, '#,##0.00')",
    "$fromMillis(0, '[Y0001]-[M01]')",
    "$toMillis('2020', '[Y]')",
    "|a|{'b': 1}|",
    "%.b",
    "$pad(s, 10, '#')",
    "$split(s, /,/)",
];

#[test]
fn expressions() {
    let input = json!({"a": [{"b": 1}, {"b": [2, 3]}, 4], "s": "x, y", "n": -1.5, "z": null});
    let context = Context::default();
    let mut dice = Dice::new(2);
    for round in 0..500 {
        for expression in EXPRESSIONS {
            let text = if round == 0 {
                expression.to_owned()
            } else {
                scramble(&mut dice, expression)
            };
            let mut random = Random::new(1);
            let mut scene = Scene::new(&input, &context, &mut random);
            if let Ok(path) = Path::parse(&text) {
                let _ = (path.find(&input), path.missing_part(&input));
            }
            if let Ok(path) = ReferencePath::parse(&text) {
                let _ = path.put(input.clone(), json!(1));
            }
            if let Ok(call) = Call::parse(&text) {
                let _ = call.evaluate(&mut scene);
            }
            if let Ok(expression) = Expression::parse(&text) {
                let world = World::new(0).with("states", &input);
                let _ = expression.evaluate(&world, &mut random);
            }
        }
    }
}

#[test]
fn paths_that_find_too_much() {
    let chains: Vec<Value> = (0..50).map(|_| nested(60)).collect();
    let root = Value::Array(chains);
    for (path, finds) in [
        ("$..*", true),
        ("$..a", true),
        ("$..*..*..*..*..*", false),
        ("$..[?(count($..a) > 1)]", false),
        ("$[?(@[?(@[?(@..a)])])]", true),
    ] {
        let found = Path::parse(path).expect("a path").find(&root);
        assert_eq!(found.is_some(), finds, "{path}");
    }
    for path in [
        format!("$[?{}@.a{}]", "(".repeat(5000), ")".repeat(5000)),
        format!("$[?{}@.a]", "!".repeat(5000)),
        format!("$[?{}]", vec!["@.a"; 5000].join("&&")),
        format!("$[?{}@.a", "@[?".repeat(5000)),
        format!("${}", "..*".repeat(5000)),
        format!("$[{}]", vec!["0"; 5000].join(",")),
        format!(
            "$[?(length({}@.a{}) > 1)]",
            "value(".repeat(5000),
            ")".repeat(5000)
        ),
    ] {
        assert!(Path::parse(&path).is_err());
    }
    // As much of it as may be written is read at once.
    for levels in [5, 10, 15, 19] {
        let _ = Path::parse(&format!(
            "$[?{}@.a{}]",
            "(".repeat(levels),
            ")".repeat(levels)
        ));
        let _ = Path::parse(&format!(
            "$[?{}@.a{}]",
            "!(".repeat(levels),
            ")".repeat(levels)
        ));
        let _ = Path::parse(&format!(
            "$[?{}@.a{}]",
            "@[?".repeat(levels),
            "]".repeat(levels)
        ));
    }
}

#[test]
fn functions_that_are_much_work() {
    let numbers: Vec<u32> = (0..40_000).collect();
    let input = json!({"numbers": numbers, "text": "x".repeat(200_000), "pairs": numbers.iter().map(|n| [n]).collect::<Vec<_>>()});
    let context = Context::default();
    for (call, is_ok) in [
        ("States.ArrayUnique($.numbers)", true),
        ("States.ArrayUnique($.pairs)", true),
        ("States.StringSplit($.text, $.text)", true),
        ("States.ArrayRange(0, 9223372036854775807, 1)", false),
        (
            "States.ArrayRange(-9223372036854775808, 9223372036854775807, 9223372036854775807)",
            true,
        ),
        (
            "States.ArrayPartition($.numbers, 9223372036854775807)",
            true,
        ),
        ("States.MathAdd(9223372036854775807, 1)", false),
        (
            "States.MathRandom(-9223372036854775808, 9223372036854775807)",
            true,
        ),
        ("States.Hash($.text, 'SHA-512')", false),
        ("States.JsonToString($)", true),
    ] {
        let mut random = Random::new(1);
        let mut scene = Scene::new(&input, &context, &mut random);
        let done = Call::parse(call).expect("a call").evaluate(&mut scene);
        assert_eq!(done.is_ok(), is_ok, "{call}");
    }
    assert!(Call::parse(&"States.Array(".repeat(5000)).is_err());
    assert!(Call::parse(&format!("States.Format('{}", "\\".repeat(100_001))).is_err());
}

#[test]
fn timestamps() {
    let mut dice = Dice::new(3);
    for _ in 0..3000 {
        let text = scramble(&mut dice, "2016-03-14T01:59:00.123456789+14:00");
        if let Some(time) = timestamp::parse(&text) {
            let ms = timestamp::to_millis(time);
            assert!(timestamp::parse(&timestamp::format(ms)).is_some(), "{text}");
        }
    }
    for ms in [i64::MIN, i64::MAX, -1, 0] {
        timestamp::format(ms);
    }
}

#[test]
fn jsonata_that_is_much_work() {
    let states = json!({"text": "x".repeat(20_000), "numbers": (0..1_500).collect::<Vec<u32>>()});
    for expression in [
        "$match($states.text, /(x?x?){50}y/)",
        "$match($states.text, /((x?x?){99}){99}y/)",
        "$replace($states.text, /(x+)+y/, 'z')",
        "$contains($states.text, /(x|xx|xxx)*y$/)",
        "$split($states.text, '')",
        "$pad('x', 1e11)",
        "$distinct($states.numbers)",
        "$sort($states.numbers, function($a, $b) { $a < $b })",
        "$states.numbers[$ in $states.numbers]",
        "$join($states.numbers.$string(), $states.text)",
        "**.**.**.**",
        "$reduce([1..60], function($a, $b) { $merge([{'a': $a}, {'b': $a}]) }, {})",
        "$formatNumber(1, $states.text)",
        "$formatBase(9007199254740991, 2)",
        "$power(10, 1e9)",
        "$eval('1')",
        "$zip($states.numbers, $states.numbers, $states.numbers)",
    ] {
        let Ok(expression) = Expression::parse(expression) else {
            continue;
        };
        let world = World::new(0).with("states", &states);
        // A step is bounded work, and there are so many steps at most; what is given is bounded with them.
        if let Ok(Some(value)) = expression.evaluate(&world, &mut Random::new(1)) {
            assert!(
                value.to_string().len() < 64 << 20,
                "{}",
                expression.source()
            );
        }
    }
    assert!(Expression::parse(&"(".repeat(50_000)).is_err());
    assert!(Expression::parse(&format!("{}1", "-".repeat(50_000))).is_err());
    assert!(Expression::parse(&format!("a{}", "[b".repeat(50_000))).is_err());
    assert!(Expression::parse(&format!("/{}x/", "(".repeat(50_000))).is_err());
}
