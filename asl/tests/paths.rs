//! Owns the promise that no path panics: pieces of paths put together in any order, and any text.

use asl::path::{Path, ReferencePath};
use proptest::prelude::*;
use serde_json::json;

const PIECES: [&str; 34] = [
    "$",
    "$$",
    "$x",
    ".",
    "..",
    "a",
    "é",
    "*",
    "[",
    "]",
    "[0]",
    "[-1]",
    "[1:]",
    "['a']",
    "[\"a\"]",
    "['é','b']",
    "[?(@.a == b)]",
    "[?@.a > 1]",
    "[?(",
    "@.a",
    "==",
    " word",
    ")",
    "]",
    "&&",
    "(@.length-1)",
    "length()",
    "'",
    "\"",
    "\\",
    "\\u00e9",
    "9007199254740992",
    ",",
    " ",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..12)
        .prop_map(|pieces| format!("${}", pieces.concat()))
}

/// What a path finds does not depend on how often it is asked, and a reference path names one place.
fn check(text: &str) -> Result<(), TestCaseError> {
    let input = json!({"a": [{"a": 1, "é": "b"}, {"a": "b"}, [2]], "b": null});
    let Ok(path) = Path::parse(text) else {
        prop_assert!(ReferencePath::parse(text).is_err());
        return Ok(());
    };
    prop_assert_eq!(path.find(&input), path.find(&input));
    match path.segments() {
        None => prop_assert!(path.find(&input).is_some_and(|found| found.is_array())),
        Some(_) => prop_assert!(path.find(&input).is_some() || path.missing_part(&input) != "$"),
    }
    if let Ok(place) = ReferencePath::parse(text)
        && let Ok(output) = place.put(input, json!("new"))
    {
        prop_assert_eq!(path.find(&output), Some(json!("new")));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_in_any_order(text in soup()) {
        check(&text)?;
    }

    #[test]
    fn any_text(text in "\\$\\PC{0,40}") {
        check(&text)?;
    }
}
