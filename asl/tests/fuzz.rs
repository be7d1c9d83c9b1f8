//! What anybody may write is read and evaluated without a panic: definitions, paths, intrinsic functions, JSONata and
//! timestamps, changed at random but always in the same way. What is meant ill is in `limits.rs`.

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
