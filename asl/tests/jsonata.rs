//! Owns the promise that no expression panics, hangs or overflows the stack: expressions put together
//! at random, from the grammar and from tokens in any order.

use asl::jsonata::{Expression, World};
use asl::random::Random;
use proptest::prelude::*;
use serde_json::json;

fn evaluate(source: &str) -> Option<String> {
    let states = json!({"input": {"a": [{"b": 1}, {"b": [2, "x"]}, null], "s": "text, with $1", "n": -2.5, "o": {}}});
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let world = World::new(1_700_000_000_000)
        .with("states", &states)
        .with("deep", &deep);
    let expression = Expression::parse(source).ok()?;
    let value = |seed| expression.evaluate(&world, &mut Random::new(seed));
    let first = value(1);
    assert_eq!(first, value(1), "{source} gives something else each time");
    Some(format!("{first:?}"))
}

const LEAVES: [&str; 22] = [
    "1",
    "-3",
    "2.5",
    "1e300",
    "0",
    "'a'",
    "''",
    "'[Y]-[M,2-5]#,##0;o'",
    "true",
    "null",
    "$",
    "$$",
    "a",
    "*",
    "**",
    "%",
    "$states.input",
    "$states.input.a.b",
    "$deep",
    "$nothing",
    "/a(b)?|\\s*/i",
    "[]",
];

const FUNCTIONS: [&str; 52] = [
    "sum",
    "count",
    "max",
    "average",
    "string",
    "substring",
    "substringBefore",
    "uppercase",
    "length",
    "trim",
    "pad",
    "match",
    "contains",
    "replace",
    "split",
    "join",
    "formatNumber",
    "formatBase",
    "formatInteger",
    "parseInteger",
    "number",
    "floor",
    "round",
    "sqrt",
    "power",
    "boolean",
    "not",
    "map",
    "zip",
    "filter",
    "single",
    "reduce",
    "sift",
    "keys",
    "lookup",
    "spread",
    "merge",
    "each",
    "sort",
    "shuffle",
    "distinct",
    "base64decode",
    "encodeUrl",
    "decodeUrl",
    "toMillis",
    "fromMillis",
    "now",
    "partition",
    "range",
    "hash",
    "parse",
    "random",
];

const TOKENS: [&str; 40] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ";",
    ":",
    ":=",
    "?",
    "??",
    "?:",
    "~>",
    "..",
    ".",
    "@$x",
    "#$i",
    "^(",
    "<",
    ">",
    "=",
    "!=",
    "in",
    "and",
    "or",
    "&",
    "+",
    "-",
    "*",
    "/",
    "%",
    "|",
    "function(",
    "λ($x)<s-:n>{",
    "$x",
    "`q`",
    "/*",
    "'",
    "\\",
];

fn grammar() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(LEAVES.to_vec()).prop_map(str::to_owned);
    let name = || prop::sample::select(FUNCTIONS.to_vec());
    leaf.prop_recursive(6, 48, 4, move |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "&", "=", "<", "in", "and", ".", "~>", "??", "?:",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
            (name(), prop::collection::vec(inner.clone(), 0..4))
                .prop_map(|(name, arguments)| format!("${name}({})", arguments.join(", "))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})^(>{b}, $)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}){{$string({b}): $}}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, [1..{b}]]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} ? {b} : [{b}])")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("($f := function($x, $y) {{ {a} }}; $map([{b}], $f))")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!(
                "$reduce([1..9], function($x, $y) {{ [$x, {a}] }}, {b})"
            )),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("({a})@$x#$i.({b} & $i & %.b)")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("{a} ~> |**|{{'k': {b}}}, ['b']|")),
            (name(), inner).prop_map(|(name, a)| format!("({a}) ~> ${name}(?, 2) ~> $string")),
        ]
    })
}

fn soup() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        prop::sample::select(TOKENS.to_vec()).prop_map(str::to_owned),
        prop::sample::select(LEAVES.to_vec()).prop_map(str::to_owned),
        prop::sample::select(FUNCTIONS.to_vec()).prop_map(|name| format!("${name}(")),
    ];
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn grammatical_expressions_end(source in grammar()) {
        evaluate(&source);
    }

    #[test]
    fn tokens_in_any_order_end(source in soup()) {
        evaluate(&source);
    }

    #[test]
    fn any_text_is_parsed_or_refused(source in "\\PC{0,60}") {
        evaluate(&source);
    }
}

/// The ways in which a function can call itself from within something else.
#[test]
fn recursion_is_bounded() {
    let bodies = [
        "1 + $f($n)",
        "{'a': [$f($n)]}",
        "$map([$n], $f)",
        "$sort([1, 2], $f)",
        "$replace('aaa', /a/, $f)",
        "$each({'a': 1}, $f)",
        "([1, 2])^($f($n))",
        "[1, 2][$f($n)]",
        "([1, 2])@$x#$i.[$f(1)]",
        "([1, 2])@$x{'a': $f(1)}",
        "{'a': 1} ~> |$|{'b': $f(1)}|",
        "-($n ~> $f)",
        "($f ~> $f)($n) & ''",
        "$filter([1], $f(?, 2))",
    ];
    for body in bodies {
        let source = format!("($f := function($n) {{ {body} }}; $f(1))");
        let given = evaluate(&source).unwrap_or_default();
        assert!(given.contains("D1011"), "{source}: {given}");
    }
}

/// Values that nest deeply, and functions that hold each other, come apart without recursion.
#[test]
fn deep_values_are_dropped() {
    for source in [
        "$reduce([1..20000], function($f, $x) { function() { $f } }, 1) ~> $type()",
        "$reduce([1..300], function($a, $x) { [[$a], 1] }, 1)",
        "$reduce([1..300], function($a, $x) { {'a': $a} }, 1)",
        "($f := function() { $g() }; $g := function() { $f }; $type($f()))",
    ] {
        assert!(evaluate(source).is_some(), "{source}");
    }
}
