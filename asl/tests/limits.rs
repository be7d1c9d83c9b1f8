//! What is written with ill intent is refused or ends, and takes neither all time nor all memory.
//!
//! Bounds are those of the product, not of a clock: 1 MiB of definition, 256 KiB of data, 200 levels, 4 MiB made by a
//! template, 10 million values looked at by a path, 4 million steps of JSONata. Without them these tests would not end.

use std::sync::Arc;

use asl::context::{Context, Scene};
use asl::intrinsic::Call;
use asl::jsonata::{Expression, World};
use asl::path::Path;
use asl::random::Random;
use asl::{Execution, Outcome, parse};
use serde_json::{Value, json};

mod simulation;

use simulation::start;

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, level| {
        if level % 2 == 0 {
            json!([inner])
        } else {
            json!({"a": inner})
        }
    })
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
