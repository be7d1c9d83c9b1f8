//! CSV as Map Runs read it.
//!
//! Owns rows and their fields (RFC 4180, with any delimiter). Refuses to guess types: every value is a text.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html>

use serde_json::{Map, Value};

use crate::sfn::integration::Fault;

/// The rows as objects, at most so many. Without given headers the first row has them.
pub fn items(
    text: &str,
    delimiter: u8,
    headers: Option<&[String]>,
    items_max: usize,
) -> Result<Vec<Value>, Fault> {
    let mut rows = Rows {
        text,
        delimiter: char::from(delimiter),
    };
    let first;
    let headers = match headers {
        Some(headers) => headers,
        None => {
            first = rows.next().unwrap_or_default();
            &first
        }
    };
    // The order of members in which AWS has them.
    let buckets = (headers.len() * 4 / 3 + 1).next_power_of_two().max(16) as u32;
    let mut columns: Vec<(usize, &String)> = headers.iter().enumerate().collect();
    columns.sort_by_key(|(_, name)| asl::template::bucket(name, buckets));
    let mut names: Vec<&String> = headers.iter().collect();
    names.sort();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        let cause = "CSV headers cannot contain duplicates.";
        return Err(("States.ItemReaderFailed".into(), cause.into()));
    }
    let mut items = Vec::new();
    for row in rows.take(items_max) {
        let mut item = Map::with_capacity(columns.len());
        for (column, name) in &columns {
            let value = row.get(*column).cloned().unwrap_or_default();
            item.insert((*name).clone(), Value::String(value));
        }
        items.push(Value::Object(item));
    }
    Ok(items)
}

/// Rows that are left.
struct Rows<'a> {
    text: &'a str,
    delimiter: char,
}

impl Iterator for Rows<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        self.text = self.text.trim_start_matches(['\r', '\n']);
        if self.text.is_empty() {
            return None;
        }
        let mut row = Vec::new();
        let mut field = String::new();
        let mut quoted = false;
        let mut chars = self.text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' if quoted => {
                    if chars.next_if(|(_, next)| *next == '"').is_some() {
                        field.push('"');
                    } else {
                        quoted = false;
                    }
                }
                c if quoted => field.push(c),
                '"' if field.is_empty() => quoted = true,
                '\r' if chars.peek().is_some_and(|(_, next)| *next == '\n') => {}
                '\n' => {
                    row.push(field);
                    self.text = &self.text[at + 1..];
                    return Some(row);
                }
                c if c == self.delimiter => row.push(std::mem::take(&mut field)),
                c => field.push(c),
            }
        }
        row.push(field);
        self.text = "";
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str, headers: Option<&[&str]>) -> Value {
        let headers: Option<Vec<String>> =
            headers.map(|headers| headers.iter().map(|header| (*header).to_owned()).collect());
        json!(items(text, b',', headers.as_deref(), 100).unwrap())
    }

    #[test]
    fn rows() {
        assert_eq!(
            read("a,b\r\n1,\"x,\"\"y\"\"\nz\"\n\n,2,3\n  ", None),
            json!([{"a": "1", "b": "x,\"y\"\nz"}, {"a": "", "b": "2"}, {"a": "  ", "b": ""}])
        );
        assert_eq!(read("1;2", Some(&["one"])), json!([{"one": "1;2"}]));
        assert_eq!(read("", None), json!([]));
    }

    #[test]
    fn delimiters_and_limits() {
        let headers = ["a".to_owned(), "b".to_owned()];
        let items = items("1|2\n3|4", b'|', Some(&headers), 1).unwrap();
        assert_eq!(json!(items), json!([{"a": "1", "b": "2"}]));
    }

    #[test]
    fn one_header_twice() {
        let (error, _) = items("a,a\n1,2", b',', None, 10).unwrap_err();
        assert_eq!(error, "States.ItemReaderFailed");
    }
}
