//! JSON for reading: indented, and cut where it is long.

use leptos::prelude::*;

/// Bytes of indented text a page shows; what is longer is cut and linked to in full.
const LIMIT_BYTES: usize = 6 * 1024;

/// JSON made readable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable {
    pub text: String,
    /// Bytes of the indented text in all, where `text` does not hold everything.
    pub cut_from_bytes: Option<usize>,
}

/// Indents JSON text, or keeps it as it is where it is no JSON, and cuts it at a line's end.
pub fn readable(json: &str) -> Readable {
    let text = serde_json::from_str::<serde_json::Value>(json)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| json.to_owned());
    if text.len() <= LIMIT_BYTES {
        return Readable {
            text,
            cut_from_bytes: None,
        };
    }
    let end = (0..=LIMIT_BYTES)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    let end = text[..end].rfind('\n').unwrap_or(end);
    Readable {
        cut_from_bytes: Some(text.len()),
        text: text[..end].to_owned(),
    }
}

/// A block of JSON under a summary that opens and closes it; `full` is where the whole is.
pub fn json_block(title: &'static str, json: &str, full: Option<String>, open: bool) -> AnyView {
    let readable = readable(json);
    view! {
        <details class="json" open=open>
            <summary>{title}</summary>
            <pre tabindex="0">{readable.text}</pre>
            {readable
                .cut_from_bytes
                .map(|bytes| {
                    view! {
                        <p class="hint">
                            {format!("Cut: {} in all. ", model::time::bytes_text(bytes as u64))}
                            {full.map(|url| view! { <a href=url>"Show everything"</a> })}
                        </p>
                    }
                })}
        </details>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_in_its_own_order() {
        assert_eq!(
            readable(r#"{"b":1,"a":[]}"#).text,
            "{\n  \"b\": 1,\n  \"a\": []\n}"
        );
    }

    #[test]
    fn what_is_no_json_stays_as_it_is() {
        assert_eq!(readable("not {json").text, "not {json");
    }

    #[test]
    fn long_text_is_cut_at_a_line_and_says_so() {
        let long = serde_json::to_string(&vec!["äöü"; 2_000]).expect("strings serialise");
        let readable = readable(&long);
        assert!(readable.text.len() <= LIMIT_BYTES);
        assert!(readable.text.ends_with("\"äöü\","));
        assert!(
            readable
                .cut_from_bytes
                .is_some_and(|bytes| bytes > LIMIT_BYTES)
        );
    }

    #[test]
    fn one_long_line_is_cut_between_characters() {
        let long = "ä".repeat(LIMIT_BYTES);
        assert!(readable(&long).text.len() <= LIMIT_BYTES);
    }
}
