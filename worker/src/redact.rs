//! Takes credentials and queries out of addresses, wherever they stand in a text.
//! Owns that one rule; refuses to guess at secrets that are not in an address.

/// `text` with the user information, query and fragment of every address in it cut out.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let body_at = at + 3;
        out.push_str(&rest[..body_at]);
        let body = &rest[body_at..];
        let end = body
            .find(|c: char| {
                c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '”' | '’' | ')')
            })
            .unwrap_or(body.len());
        out.push_str(&address_body(&body[..end]));
        rest = &body[end..];
    }
    out.push_str(rest);
    out
}

/// What follows `scheme://`, without user information, query and fragment.
fn address_body(body: &str) -> String {
    let authority_end = body.find(['/', '?', '#']).unwrap_or(body.len());
    let (authority, path) = body.split_at(authority_end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    match path.find(['?', '#']) {
        Some(cut) => format!("{host}{}?…", &path[..cut]),
        None => format!("{host}{path}"),
    }
}

/// One address for people: like [`text`], and without the mark where the query was.
pub fn address(address: &str) -> String {
    let redacted = text(address);
    redacted.strip_suffix("?…").unwrap_or(&redacted).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_credentials_disappear_from_any_text() {
        let cases = [
            ("no address here: a@b?c", "no address here: a@b?c"),
            (
                "https://u:p@host.example/a.mp4?X-Amz-Signature=abc: Invalid data",
                "https://host.example/a.mp4?… Invalid data",
            ),
            (
                "open 'http://h/x?token=1' and s3://b/k#f failed",
                "open 'http://h/x?…' and s3://b/k?… failed",
            ),
            ("ftp://me:secret@h", "ftp://h"),
            ("http://a@b@c/p", "http://c/p"),
            ("“https://h/ü?q”", "“https://h/ü?…”"),
            ("x://", "x://"),
        ];
        for (given, expected) in cases {
            assert_eq!(text(given), expected);
        }
    }

    #[test]
    fn one_address_carries_no_mark() {
        assert_eq!(address("https://u@h/a?b=c"), "https://h/a");
        assert_eq!(address("s3://b/k"), "s3://b/k");
    }
}
