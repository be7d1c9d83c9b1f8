//! Tests of paths.

use super::*;
use expect_test::{Expect, expect};
use serde_json::json;

fn check(path: &str, expected: Expect) {
    let input = json!({
        "a": {"b-c": [1, {"d": 2}, 3], "x y": true}, "items": [{"p": 1}, {"p": 2}, {"q": 3}], "nothing": null
    });
    let found = match Path::parse(path) {
        Ok(path) => path
            .find(&input)
            .map_or("nothing".to_owned(), |value| value.to_string()),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&found);
}

#[test]
fn definite() {
    check("$.a.b-c[1].d", expect!["2"]);
    check("$['a']['b-c'][-1]", expect!["3"]);
    check("$.a['x y']", expect!["true"]);
    check("$.nothing", expect!["null"]);
    check("$.a.missing", expect!["nothing"]);
    check("$.items[7]", expect!["nothing"]);
}

#[test]
fn indefinite() {
    check("$.items[*].p", expect!["[1,2]"]);
    check("$.items[1:]", expect![[r#"[{"p":2},{"q":3}]"#]]);
    check("$.items[0,2]", expect![[r#"[{"p":1},{"q":3}]"#]]);
    check("$..d", expect!["[2]"]);
    check("$.items[?(@.p > 1)]", expect![[r#"[{"p":2}]"#]]);
    check("$.missing[*].p", expect!["[]"]);
    check("$.a.b-c[?(@.d==2)].d", expect!["[2]"]);
}

#[test]
fn invalid() {
    check(
        "a.b",
        expect!["'a.b' is not a valid path: it must begin with $"],
    );
    check(
        "$.",
        expect!["'$.' is not a valid path: '' is not a field name"],
    );
    check("$.a[", expect!["'$.a[' is not a valid path: [ without ]"]);
    check(
        "$.a b",
        expect!["'$.a b' is not a valid path: 'a b' is not a field name"],
    );
}

fn check_put(target: Value, path: &str, expected: Expect) {
    let path = ReferencePath::parse(path).expect("a reference path");
    let put = path.put(target, json!("new"));
    expected.assert_eq(&put.map_or("cannot put".to_owned(), |value| value.to_string()));
}

#[test]
fn put() {
    check_put(json!({"a": 1}), "$", expect![[r#""new""#]]);
    check_put(
        json!({"a": 1}),
        "$.b.c",
        expect![[r#"{"a":1,"b":{"c":"new"}}"#]],
    );
    check_put(
        json!({"a": [1, 2]}),
        "$.a[1]",
        expect![[r#"{"a":[1,"new"]}"#]],
    );
    check_put(json!({"a": 1}), "$.a.b", expect!["cannot put"]);
    check_put(json!([1]), "$.a", expect!["cannot put"]);
    assert!(ReferencePath::parse("$.a[*]").is_err());
    assert!(ReferencePath::parse("$$.a").is_err());
}

#[test]
fn dialect() {
    // A dot before a bracket, as AWS's page on paths writes it.
    check("$.a.['x y']", expect!["true"]);
    check("$.items[(@.length-1)]", expect![[r#"{"q":3}"#]]);
    check("$.items[(@.length - 3)].p", expect!["1"]);
    // There are no functions: it is a name, and nothing has it.
    check("$.items.length()", expect!["nothing"]);
    check(
        "$.a b()",
        expect!["'$.a b()' is not a valid path: 'a b()' is not a field name"],
    );
    check(
        "$.items[9007199254740992]",
        expect![
            "'$.items[9007199254740992]' is not a valid path: 9007199254740992 is out of range"
        ],
    );
}

#[test]
fn quotes() {
    let input = json!({"a\\\"b": 1, "a\"b": 2, "a'b": 3, "☺": 4, "\t": [5]});
    let find = |path| Path::parse(path).ok().and_then(|path| path.find(&input));
    // AWS keeps backslashes between single quotes; between double quotes, it is a string of JSON.
    assert_eq!(find(r#"$['a\"b']"#), Some(json!(1)));
    assert_eq!(find(r#"$["a\"b"]"#), Some(json!(2)));
    assert_eq!(find(r"$['a\'b']"), Some(json!(3)));
    assert_eq!(find(r#"$["\u263a"]"#), Some(json!(4)));
    assert_eq!(find("$['\t'][*]"), Some(json!([5])));
    assert!(Path::parse("$[\"\t\"]").is_err());
}

#[test]
fn filters() {
    let input = json!([{"k": "Foo", "v": 1}, {"k": "Bar-2", "v": 2}, {"k": "true", "v": true}]);
    let find = |path| Path::parse(path).ok().and_then(|path| path.find(&input));
    assert_eq!(find("$[?(@.k == Foo)].v"), Some(json!([1])));
    assert_eq!(find("$[?(@.v > 1 && @.k==Bar-2)].v"), Some(json!([2])));
    assert_eq!(find("$..[?(@.v == true)].k"), Some(json!(["true"])));
    assert_eq!(find("$[?(@.k == 'Foo' || @.v==2)].v"), Some(json!([1, 2])));
    assert!(Path::parse("$[?@.k == Foo].v").is_err());
}

#[test]
fn what_aws_does_not_have() {
    for (path, expected) in [
        ("$.a.length()", Some("functions in paths")),
        ("States.Array(1, $.a.length())", Some("functions in paths")),
        ("States.Array(States.UUID())", None),
        ("$[?(length(@.a) > 1)]", Some("functions in filters")),
        (
            "$[?(@.a == $.b)]",
            Some("other values of the input in filters"),
        ),
        ("$[?(@.a == 'b()$')].c['d()']", None),
        ("$[?((@.a == 1) && (@.b == 2))][(@.length-1)]", None),
    ] {
        assert_eq!(unsupported(path), expected, "{path}");
    }
}
