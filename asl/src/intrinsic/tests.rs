//! Tests of intrinsic functions.

use crate::context::{Context, Scene};
use crate::random::Random;
use crate::template::Expression;
use expect_test::{Expect, expect};
use serde_json::json;

fn check(call: &str, expected: Expect) {
    let input = json!({
        "n": 3, "list": [1, 2, 3, 2, 1.0, null, null], "text": "a,b,c", "o": {"x": 1, "y": {"z": 1}}, "json": "{\"k\": [1]}"
    });
    let context = Context::default();
    let mut random = Random::new(3);
    let mut scene = Scene::new(&input, &context, &mut random);
    let said = match Expression::parse(call).map(|parsed| parsed.evaluate(&mut scene)) {
        Ok(Ok(value)) => value.to_string(),
        Ok(Err(trouble)) => format!("{trouble:?}"),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&said);
}

#[test]
fn strings() {
    check(
        "States.Format('Hi {}, {} \\{\\} it\\'s {}', $.text, 1.5, null)",
        expect![[r#""Hi a,b,c, 1.5 {} it's null""#]],
    );
    check(
        "States.Format('{}')",
        expect![[r#"Function { call: "States.Format('{}')", reason: "more {} than arguments" }"#]],
    );
    check(
        "States.StringSplit('1.2+3,4', '.+,')",
        expect![[r#"["1","2","3","4"]"#]],
    );
    check("States.StringSplit(', ,', ',')", expect![[r#"[" "]"#]]);
    check(
        "States.Base64Encode('Data to encode')",
        expect![[r#""RGF0YSB0byBlbmNvZGU=""#]],
    );
    check(
        "States.Base64Decode('RGF0YSB0byBlbmNvZGU=')",
        expect![[r#""Data to encode""#]],
    );
    // MIME's decoding: no padding, other characters, data behind the padding, half a byte, bytes that are no UTF-8.
    check("States.Base64Decode('YWI')", expect![[r#""ab""#]]);
    check("States.Base64Decode(' Y-W%I=YWI=')", expect![[r#""ab""#]]);
    check("States.Base64Decode('YWJjZ')", expect![[r#""abc""#]]);
    check("States.Base64Decode('/w==')", expect![[r#""�""#]]);
    check(
        "States.Hash('input data', 'SHA-1')",
        expect![[r#""aaff4a450a104cd177d28d18d74485e8cae074b7""#]],
    );
    check(
        "States.Hash('', 'MD5')",
        expect![[r#""d41d8cd98f00b204e9800998ecf8427e""#]],
    );
}

#[test]
fn json_functions() {
    check("States.StringToJson($.json)", expect![[r#"{"k":[1]}"#]]);
    check("States.StringToJson('')", expect!["null"]);
    check(
        "States.JsonToString($.o)",
        expect![[r#""{\"x\":1,\"y\":{\"z\":1}}""#]],
    );
    check(
        "States.JsonMerge($.o, States.StringToJson('{\"y\": 2}'), false)",
        expect![[r#"{"x":1,"y":2}"#]],
    );
    check(
        "States.JsonMerge($.o, $.o, true)",
        expect![[
            r#"Function { call: "States.JsonMerge($.o, $.o, true)", reason: "deep merging is not available: the third argument must be false" }"#
        ]],
    );
}

#[test]
fn arrays() {
    check("States.Array()", expect!["[]"]);
    check(
        "States.Array('a', $.n, States.Array(true))",
        expect![[r#"["a",3,[true]]"#]],
    );
    check(
        "States.ArrayPartition($.list, 3)",
        expect!["[[1,2,3],[2,1.0,null],[null]]"],
    );
    check("States.ArrayContains($.list, 3.0)", expect!["true"]);
    check("States.ArrayRange(1, 9, 2)", expect!["[1,3,5,7,9]"]);
    check("States.ArrayRange(3, 1, -1)", expect!["[3,2,1]"]);
    check(
        "States.ArrayRange(0, 5000, 1)",
        expect![[
            r#"Function { call: "States.ArrayRange(0, 5000, 1)", reason: "more than 1000 elements" }"#
        ]],
    );
    check("States.ArrayGetItem($.list, 2)", expect!["3"]);
    check(
        "States.ArrayGetItem($.list, 9)",
        expect![[
            r#"Function { call: "States.ArrayGetItem($.list, 9)", reason: "index 9 is outside of an array of 7 elements" }"#
        ]],
    );
    check("States.ArrayLength($.list)", expect!["7"]);
    check("States.ArrayUnique($.list)", expect!["[1,2,3,null]"]);
}

#[test]
fn numbers() {
    check("States.MathAdd(1.5, -1.51)", expect!["0"]);
    check("States.MathAdd(-1.5, 0)", expect!["-1"]);
    check("States.MathRandom(5, 6)", expect!["5"]);
    check("States.MathRandom(1, 1000, 7)", expect!["390"]);
    check(
        "States.MathRandom(2, 1)",
        expect![[
            r#"Function { call: "States.MathRandom(2, 1)", reason: "the start 2 must be less than the end 1" }"#
        ]],
    );
    check(
        "States.UUID()",
        expect![[r#""1d0b14e4-db01-4fed-b346-6f8a7b81a989""#]],
    );
}

#[test]
fn invalid() {
    check(
        "States.Nothing()",
        expect![[
            "'States.Nothing()' is not a valid intrinsic function: there is no function States.Nothing"
        ]],
    );
    check(
        "States.MathAdd(1)",
        expect![[
            "'States.MathAdd(1)' is not a valid intrinsic function: it takes 2 arguments, not 1"
        ]],
    );
    check(
        "States.Format('x",
        expect![[
            "'States.Format('x' is not a valid intrinsic function: a string is not closed by '"
        ]],
    );
    check(
        "States.Array(nonsense)",
        expect![[
            "'States.Array(nonsense)' is not a valid intrinsic function: nonsense is neither a path nor a string in ' nor a number nor true, false or null"
        ]],
    );
    check(
        "States.Array(1) x",
        expect![["'States.Array(1) x' is not a valid intrinsic function: unexpected 'x'"]],
    );
    check(
        "States.MathAdd($.gone, 1)",
        expect![[r#"MissingArgument { call: "States.MathAdd($.gone, 1)", path: "$.gone" }"#]],
    );
}
