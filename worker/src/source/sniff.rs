//! What the first bytes of a source look like. Refuses what is surely no audio or video; leaves the doubtful to ffprobe.

/// What bytes look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looks {
    /// Audio or video of this media type, or something that may well be.
    Media(String),
    /// Something else, in words: `a web page (HTML)`.
    Other(String),
}

/// Looks at the first bytes; `stated` is the media type that came with them, which decides nothing but a name.
pub fn looks(head: &[u8], stated: Option<&str>) -> Looks {
    let stated = stated.map(|value| value.split(';').next().unwrap_or(value).trim());
    let stated_media =
        stated.filter(|value| value.starts_with("video/") || value.starts_with("audio/"));
    if head.starts_with(b"#EXTM3U") {
        return Looks::Other("an HLS playlist, not the media itself".to_owned());
    }
    if let Some(found) = infer::get(head) {
        use infer::MatcherType;
        let media_type = found.mime_type();
        return match found.matcher_type() {
            MatcherType::Audio | MatcherType::Video => Looks::Media(media_type.to_owned()),
            MatcherType::Archive => Looks::Other(format!("an archive ({media_type})")),
            MatcherType::Image => Looks::Other(format!("an image ({media_type})")),
            MatcherType::Font => Looks::Other(format!("a font ({media_type})")),
            MatcherType::App => Looks::Other(format!("a program ({media_type})")),
            MatcherType::Text if media_type == "text/html" => {
                Looks::Other("a web page (HTML)".to_owned())
            }
            _ => Looks::Other(format!("a document ({media_type})")),
        };
    }
    if is_text(head) {
        return Looks::Other("plain text".to_owned());
    }
    Looks::Media(
        stated_media
            .unwrap_or("application/octet-stream")
            .to_owned(),
    )
}

/// UTF-8, possibly cut within a character, or UTF-16 with its mark, without control characters but white space.
fn is_text(head: &[u8]) -> bool {
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        // Every second byte of Latin text is 0 in UTF-16; in an MPEG audio frame, which may start alike, few are.
        let zeros = head.iter().filter(|byte| **byte == 0).count();
        return head.len() >= 8 && zeros * 3 > head.len();
    }
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty()
        && !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(head: &[u8]) -> String {
        match looks(head, Some("video/mp4")) {
            Looks::Other(what) => what,
            Looks::Media(what) => panic!("taken for {what}"),
        }
    }

    #[test]
    fn what_is_no_media_is_named() {
        assert_eq!(
            other(b"Dear all,\nthe video is on the shared drive."),
            "plain text"
        );
        assert_eq!(
            other("cut within ü".as_bytes().split_last().expect("some").1),
            "plain text"
        );
        assert_eq!(other(b"\xff\xfeh\0e\0l\0l\0o\0"), "plain text");
        assert_eq!(other(b"<!DOCTYPE html><html>"), "a web page (HTML)");
        assert_eq!(
            other(b"PK\x03\x04\x14\0\0\0\x08\0"),
            "an archive (application/zip)"
        );
        assert_eq!(other(b"\x89PNG\r\n\x1a\n"), "an image (image/png)");
        assert!(other(b"%PDF-1.7").contains("application/pdf"));
        assert!(other(b"#EXTM3U\n#EXT-X-VERSION:3").contains("playlist"));
    }

    #[test]
    fn media_and_the_doubtful_go_on_to_ffprobe() {
        let mp4 = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41";
        assert_eq!(
            looks(mp4, Some("text/plain")),
            Looks::Media("video/mp4".to_owned())
        );
        assert_eq!(
            looks(b"RIFF\x24\0\0\0WAVEfmt ", None),
            Looks::Media("audio/x-wav".to_owned())
        );
        // MPEG-TS: no signature that `infer` knows.
        let unknown = [0x47, 0x40, 0x11, 0x10, 0x00, 0x42, 0xf0, 0x25];
        assert_eq!(
            looks(&unknown, Some("video/mp2t; x=y")),
            Looks::Media("video/mp2t".to_owned())
        );
        assert_eq!(
            looks(&unknown, Some("text/html")),
            Looks::Media("application/octet-stream".to_owned())
        );
    }
}
