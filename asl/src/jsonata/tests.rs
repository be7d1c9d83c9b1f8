//! Tests of expressions: what each gives, and that none is without bound.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{Expression, World};
use crate::random::Random;

/// What an expression gives, as JSON, `undefined`, or an error's code.
fn given(source: &str) -> String {
    let order = json!({
        "id": 9_007_199_254_740_993_i64,
        "lines": [
            {"sku": "b", "price": 2.5, "count": 2, "tags": ["x"]},
            {"sku": "a", "price": 10, "count": 1, "tags": ["x", "y"]},
            {"sku": "b", "price": 1, "count": 10},
        ],
        "empty": [],
        "note": null,
    });
    let world = World::new(1_700_000_000_123).with("order", &order);
    let expression = match Expression::parse(source) {
        Ok(expression) => expression,
        Err(error) => return format!("{} at {:?}", error.code, error.position),
    };
    match expression.evaluate(&world, &mut Random::new(1)) {
        Ok(Some(value)) => value.to_string(),
        Ok(None) => "undefined".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// One expression a line, each with what it gives.
fn check(sources: &[&str], expected: Expect) {
    let lines: Vec<String> = sources
        .iter()
        .map(|source| format!("{source} => {}\n", given(source)))
        .collect();
    expected.assert_eq(&lines.concat());
}

#[test]
fn paths() {
    check(
        &[
            "$order.lines.sku",
            "$order.lines[0].sku",
            "$order.lines[-1].price",
            "$order.lines[price > 2].sku",
            "$order.lines[sku = 'a'].sku",
            "$order.lines[sku = 'a'].sku[]",
            "$order.lines.tags",
            "$order.nothing",
            "$order.empty",
            "$order.lines.(price * count)",
            "$order.lines.{sku: price}",
            "$order.lines{sku: $sum(price)}",
            "$order.lines^(>price).price",
            "$order.lines^(sku, price).price",
            "$order.lines@$l.{'sku': $l.sku, 'of': $type(id)}",
            "$order.lines#$i[sku = 'b'].$i",
            "$order.lines.tags.{'tag': $, 'of': %.sku}",
            "$order.*.sku",
            "$order.**.tags[]",
            "$order.id",
        ],
        expect![[r#"
            $order.lines.sku => ["b","a","b"]
            $order.lines[0].sku => "b"
            $order.lines[-1].price => 1
            $order.lines[price > 2].sku => ["b","a"]
            $order.lines[sku = 'a'].sku => "a"
            $order.lines[sku = 'a'].sku[] => ["a"]
            $order.lines.tags => ["x","x","y"]
            $order.nothing => undefined
            $order.empty => []
            $order.lines.(price * count) => [5,10,10]
            $order.lines.{sku: price} => [{"b":2.5},{"a":10},{"b":1}]
            $order.lines{sku: $sum(price)} => {"b":3.5,"a":10}
            $order.lines^(>price).price => [10,2.5,1]
            $order.lines^(sku, price).price => [10,1,2.5]
            $order.lines@$l.{'sku': $l.sku, 'of': $type(id)} => [{"sku":"b","of":"number"},{"sku":"a","of":"number"},{"sku":"b","of":"number"}]
            $order.lines#$i[sku = 'b'].$i => [0,2]
            $order.lines.tags.{'tag': $, 'of': %.sku} => [{"tag":"x","of":"b"},{"tag":"x","of":"a"},{"tag":"y","of":"a"}]
            $order.*.sku => ["b","a","b"]
            $order.**.tags[] => ["x","x","y"]
            $order.id => 9007199254740993
        "#]],
    );
}

#[test]
fn operators() {
    check(
        &[
            "1 + 2 * 3 - 4 / 8",
            "0.1 + 0.2",
            "-(3) % 2",
            "'a' & 1 & true & null & [1, {'b': 2}]",
            "1 = 1.0 and 'a' != 'b'",
            "1 in [1, 2] or false",
            "'a' < 'b'",
            "1 < 'b'",
            "1 + 'b'",
            "[1..3, 7]",
            "false ? 1",
            "$x := 5; $x",
            "($x := 5; $y := $x * 2; $x + $y)",
            "(function($n) { $n * 2 })(21)",
            "($f := function($n) { $n <= 1 ? 1 : $n * $f($n - 1) }; $f(20))",
            "($f := function($n, $sum) { $n = 0 ? $sum : $f($n - 1, $sum + $n) }; $f(5000, 0))",
            "[1, 2, 3] ~> $map(function($v) { $v * $v }) ~> $sum()",
            "($twice := $power(?, 2); $twice(7))",
            "($order ~> |lines|{'total': price * count}, 'tags'|).lines[0]",
            "null ?? 1",
            "$nothing ?? 1",
            "0 ?: 1",
            "/* a comment */ 1",
        ],
        expect![[r#"
            1 + 2 * 3 - 4 / 8 => 6.5
            0.1 + 0.2 => 0.30000000000000004
            -(3) % 2 => -1
            'a' & 1 & true & null & [1, {'b': 2}] => "a1truenull[1,{\"b\":2}]"
            1 = 1.0 and 'a' != 'b' => true
            1 in [1, 2] or false => true
            'a' < 'b' => true
            1 < 'b' => T2009: The values 1 and "b" either side of operator "<" must be of the same data type
            1 + 'b' => T2002: The right side of the "+" operator must evaluate to a number
            [1..3, 7] => [1,2,3,7]
            false ? 1 => undefined
            $x := 5; $x => S0201 at Some(7)
            ($x := 5; $y := $x * 2; $x + $y) => 15
            (function($n) { $n * 2 })(21) => 42
            ($f := function($n) { $n <= 1 ? 1 : $n * $f($n - 1) }; $f(20)) => 2432902008176640000
            ($f := function($n, $sum) { $n = 0 ? $sum : $f($n - 1, $sum + $n) }; $f(5000, 0)) => 12502500
            [1, 2, 3] ~> $map(function($v) { $v * $v }) ~> $sum() => 14
            ($twice := $power(?, 2); $twice(7)) => 49
            ($order ~> |lines|{'total': price * count}, 'tags'|).lines[0] => {"sku":"b","price":2.5,"count":2,"total":5}
            null ?? 1 => null
            $nothing ?? 1 => 1
            0 ?: 1 => 1
            /* a comment */ 1 => 1
        "#]],
    );
}

#[test]
fn functions() {
    check(
        &[
            "$string(1e21) & ' ' & $string(0.000001) & ' ' & $string(1e-7)",
            "$substring('hello', -3, 2)",
            "$pad('7', -3, '0')",
            "$match('a1b22', /[a-z]([0-9]+)/)",
            "$replace('John Smith', /(\\w+) (\\w+)/, '$2, $1')",
            "$split('a, b,c', /, */)",
            "$contains('abc', /B/i)",
            "$formatNumber(12345.678, '#,##0.00')",
            "$formatNumber(0.14, '01%')",
            "$formatInteger(1999, 'I') & ' ' & $formatInteger(21, 'w;o')",
            "$formatBase(255, 16)",
            "$round(2.5) & ' ' & $round(-1.005, 2)",
            "$number('0x1F') & ' ' & $number('1e3')",
            "$fromMillis(1510067557121, '[M01]/[D01]/[Y0001] [h#1]:[m01][P]')",
            "$toMillis('2017-11-07T15:12:37.121Z')",
            "$toMillis('7 Nov 2017', '[D] [MNn,*-3] [Y]')",
            "$now() & ' ' & $millis()",
            "$sort([3, 1, 2]) ~> $reverse()",
            "$sort($order.lines, function($a, $b) { $a.price > $b.price }).price",
            "$reduce([1..5], function($a, $b) { $a * $b })",
            "$merge([{'a': 1}, {'b': 2}]) ~> $keys()",
            "$each({'a': 1}, function($v, $k) { $k & $v })",
            "$zip([1, 2], [3, 4])",
            "$type(null) & $type([]) & $type($sum)",
            "$encodeUrlComponent('a b/ü')",
            "$base64decode($base64encode('hello'))",
            "$error('no')",
            "$assert(false, 'never')",
            "$sum('a')",
            "$nothing(1)",
            "$uppercase(5)",
        ],
        expect![[r#"
            $string(1e21) & ' ' & $string(0.000001) & ' ' & $string(1e-7) => "1e+21 0.000001 1e-7"
            $substring('hello', -3, 2) => "ll"
            $pad('7', -3, '0') => "007"
            $match('a1b22', /[a-z]([0-9]+)/) => [{"match":"a1","index":0,"groups":["1"]},{"match":"b22","index":2,"groups":["22"]}]
            $replace('John Smith', /(\w+) (\w+)/, '$2, $1') => "Smith, John"
            $split('a, b,c', /, */) => ["a","b","c"]
            $contains('abc', /B/i) => true
            $formatNumber(12345.678, '#,##0.00') => "12,345.68"
            $formatNumber(0.14, '01%') => "14%"
            $formatInteger(1999, 'I') & ' ' & $formatInteger(21, 'w;o') => "MCMXCIX twenty-first"
            $formatBase(255, 16) => "ff"
            $round(2.5) & ' ' & $round(-1.005, 2) => "2 -1"
            $number('0x1F') & ' ' & $number('1e3') => "31 1000"
            $fromMillis(1510067557121, '[M01]/[D01]/[Y0001] [h#1]:[m01][P]') => "11/07/2017 3:12pm"
            $toMillis('2017-11-07T15:12:37.121Z') => 1510067557121
            $toMillis('7 Nov 2017', '[D] [MNn,*-3] [Y]') => 1510012800000
            $now() & ' ' & $millis() => "2023-11-14T22:13:20.123Z 1700000000123"
            $sort([3, 1, 2]) ~> $reverse() => [3,2,1]
            $sort($order.lines, function($a, $b) { $a.price > $b.price }).price => [1,2.5,10]
            $reduce([1..5], function($a, $b) { $a * $b }) => 120
            $merge([{'a': 1}, {'b': 2}]) ~> $keys() => ["a","b"]
            $each({'a': 1}, function($v, $k) { $k & $v }) => "a1"
            $zip([1, 2], [3, 4]) => [[1,3],[2,4]]
            $type(null) & $type([]) & $type($sum) => "nullarrayfunction"
            $encodeUrlComponent('a b/ü') => "a%20b%2F%C3%BC"
            $base64decode($base64encode('hello')) => "hello"
            $error('no') => D3137: no
            $assert(false, 'never') => D3141: never
            $sum('a') => T0412: Argument 1 of function "sum" must be an array of numbers
            $nothing(1) => T1006: Attempted to invoke a non-function
            $uppercase(5) => T0410: Argument 1 of function "uppercase" does not match function signature
        "#]],
    );
}

#[test]
fn functions_of_aws() {
    check(
        &[
            "$partition([1, 2, 3, 4, 5], 2)",
            "$partition([1], 0)",
            "$range(1, 9, 3)",
            "$range(3, 1, -1)",
            "$range(1, 2, 5)",
            "$range(1, 2, 0)",
            "$hash('input data', 'SHA-1')",
            "$hash('input data', 'CRC')",
            "$random(7) = $random(7)",
            "$random() < 1",
            "$length($uuid())",
            "$parse('{\"a\": [1]}').a",
            "$parse('{')",
            "$eval('1')",
        ],
        expect![[r#"
            $partition([1, 2, 3, 4, 5], 2) => [[1,2],[3,4],[5]]
            $partition([1], 0) => D3137: $partition: the size of the pieces must be a positive integer
            $range(1, 9, 3) => [1,4,7]
            $range(3, 1, -1) => [3,2,1]
            $range(1, 2, 5) => 1
            $range(1, 2, 0) => D3137: $range: the step must not be 0
            $hash('input data', 'SHA-1') => "aaff4a450a104cd177d28d18d74485e8cae074b7"
            $hash('input data', 'CRC') => D3137: $hash: CRC is none of MD5, SHA-1, SHA-256, SHA-384, SHA-512
            $random(7) = $random(7) => true
            $random() < 1 => true
            $length($uuid()) => 36
            $parse('{"a": [1]}').a => [1]
            $parse('{') => D3137: $parse: the text is not JSON: EOF while parsing an object at line 1 column 1
            $eval('1') => T1006: Attempted to invoke a non-function: $eval is not supported, use $parse
        "#]],
    );
}

#[test]
fn syntax_errors_have_a_place() {
    check(
        &[
            "10 + * 2 }",
            "$sum($order.lines",
            "'open",
            "a.1",
            "$order.lines[",
            "/(?=a)/",
            "/(/",
            "function(a) { a }",
            "%.a",
            "a ~ b",
            "",
        ],
        expect![[r#"
            10 + * 2 } => S0201 at Some(7)
            $sum($order.lines => S0203 at Some(17)
            'open => S0101 at Some(5)
            a.1 => S0213 at Some(2)
            $order.lines[ => S0207 at Some(13)
            /(?=a)/ => S0303 at Some(1)
            /(/ => S0302 at Some(3)
            function(a) { a } => S0208 at Some(9)
            %.a => S0217 at Some(0)
            a ~ b => S0204 at Some(2)
             => S0207 at Some(0)
        "#]],
    );
}

#[test]
fn limits() {
    let nested = format!("{}1{}", "(".repeat(1000), ")".repeat(1000));
    check(
        &[
            "($f := function($n) { $f($n + 1) }; $f(0))",
            "($f := function($n) { 1 + $f($n) }; $f(0))",
            "$pad('x', 1e15)",
            "$length($reduce([1..60], function($a, $b) { $a & $a }, 'x'))",
            "$string($reduce([1..60], function($a, $b) { [$a, $a] }, 1))",
            "[1..1e9]",
            "[1..1e7]",
            "$formatInteger(1e300, 'i')",
            "$count($reduce([1..1000], function($a, $b) { [[$a]] }, []))",
            "$replace($pad('', 5000, 'a'), /(a*)*b/, 'x') = $pad('', 5000, 'a')",
        ],
        expect![[r#"
            ($f := function($n) { $f($n + 1) }; $f(0)) => D1012: The evaluation takes too many steps. Check for infinite loop
            ($f := function($n) { 1 + $f($n) }; $f(0)) => D1011: Stack overflow. Check for non-terminating recursive function. Consider rewriting as tail-recursive
            $pad('x', 1e15) => D1012: The evaluation takes too many steps. Check for infinite loop
            $length($reduce([1..60], function($a, $b) { $a & $a }, 'x')) => D1012: The evaluation takes too many steps. Check for infinite loop
            $string($reduce([1..60], function($a, $b) { [$a, $a] }, 1)) => D1012: The evaluation takes too many steps. Check for infinite loop
            [1..1e9] => D2014: The size of the sequence allocated by the range operator (..) must not exceed 1e7. Attempted to allocate 1000000000.
            [1..1e7] => D1012: The evaluation takes too many steps. Check for infinite loop
            $formatInteger(1e300, 'i') => D1012: The evaluation takes too many steps. Check for infinite loop
            $count($reduce([1..1000], function($a, $b) { [[$a]] }, [])) => D1011: Stack overflow. Check for non-terminating recursive function. Consider rewriting as tail-recursive
            $replace($pad('', 5000, 'a'), /(a*)*b/, 'x') = $pad('', 5000, 'a') => true
        "#]],
    );
    assert_eq!(given(&nested), "S0500 at Some(200)");
}

#[test]
fn the_same_again() {
    let world = World::new(5);
    let expression = Expression::parse("[$random(), $uuid(), $shuffle([1..9]), $now()]");
    let expression = expression.expect("an expression");
    let value = |seed| {
        let value = expression.evaluate(&world, &mut Random::new(seed));
        value.expect("a value").unwrap_or(Value::Null)
    };
    assert_eq!(value(3), value(3));
    assert_ne!(value(3), value(4));
}
