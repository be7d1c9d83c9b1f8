//! Owns how much work an indefinite path may be: `$..*..*..*` finds the same things over and over, and a filter
//! looks at everything for each thing it looks at.

use serde_json::Value;

use crate::measure::{count, depth};

/// How much work a path may be, in values looked at.
pub(super) const MOST: usize = 10_000_000;
/// How deep brackets may be inside of each other.
const BRACKETS_MAX: usize = 20;
/// How deep square ones may be: reading filters inside of filters takes several times as long for each level.
const SQUARES_MAX: usize = 6;
/// How long such a path may be, in bytes.
const BYTES_MAX: usize = 4096;

/// What makes a path work.
#[derive(Debug, Default, Clone, Copy)]
struct Shape {
    /// How often it goes down to all descendants, in filters too.
    descents: u32,
    /// How many queries in filters begin anew at the top.
    anew: u32,
    /// How many queries there are.
    queries: usize,
    brackets: usize,
    squares: usize,
}

fn shape(text: &str) -> Shape {
    let mut shape = Shape::default();
    let (mut open, mut squares) = (0_usize, 0_usize);
    let (mut quote, mut before, mut escaped) = (None, ' ', false);
    for c in text.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[' | '(') => {
                open += 1;
                squares += usize::from(c == '[');
                shape.brackets = shape.brackets.max(open);
                shape.squares = shape.squares.max(squares);
            }
            (None, ']' | ')') => {
                open = open.saturating_sub(1);
                squares = squares.saturating_sub(usize::from(c == ']'));
            }
            (None, '.') if before == '.' => shape.descents += 1,
            (None, '@') => shape.queries += 1,
            (None, '$') => {
                shape.queries += 1;
                shape.anew += u32::from(open > 0);
            }
            _ => {}
        }
        before = c;
    }
    shape
}

/// Refuses a path that is too much to read.
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.len() > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes"));
    }
    let Shape {
        brackets, squares, ..
    } = shape(text);
    if brackets > BRACKETS_MAX || squares > SQUARES_MAX {
        return Err(format!(
            "more than {BRACKETS_MAX} brackets or {SQUARES_MAX} square ones are inside of each other"
        ));
    }
    Ok(())
}

/// At most how many values a path looks at.
pub(super) fn of(text: &str, root: &Value) -> usize {
    let Shape {
        descents,
        anew,
        queries,
        ..
    } = shape(text);
    let values = count(root);
    let again = depth(root)
        .max(1)
        .saturating_pow(descents.saturating_sub(1));
    let anew = values.saturating_pow(anew);
    [again, anew, queries]
        .into_iter()
        .fold(values, usize::saturating_mul)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn costs() {
        let root = json!({"a": [{"b": 1}, {"b": 2}]});
        assert_eq!(of("$..*", &root), 6);
        assert_eq!(of("$..*..*..*", &root), 6 * 3 * 3);
        assert_eq!(of("$['a..b'][*]", &root), 6);
        assert_eq!(of("$['a'][?@['b'] == $['a'][0]['b']]", &root), 6 * 6 * 3);
    }

    #[test]
    fn too_much() {
        assert!(check(&format!("$[?{}@{}]", "(".repeat(30), ")".repeat(30))).is_err());
        assert!(check(&format!("$[*]{}", "['a']".repeat(1000))).is_err());
        assert!(check("$['a'][?(@['b'] > 1 && (@['c'] || !@['d']))]").is_ok());
    }
}
