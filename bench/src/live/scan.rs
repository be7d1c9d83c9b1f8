//! Finding the news in a stream of server-sent events, as bytes come: a view whose status is not the last one's.
//! Knows of the events only what it needs: a line of data is one view, `"status":"` stands first in it for the job.

/// What a line of data begins with, and where its status is.
const DATA: &[u8] = b"data: {";
const STATUS: &[u8] = b"\"status\":\"";

/// Reads one stream.
#[derive(Default)]
pub struct Scan {
    place: Place,
    /// The first letter of the last view's status.
    status: Option<u8>,
}

#[derive(Default, Clone, Copy)]
enum Place {
    /// So many bytes of [`DATA`] were seen since the line began.
    #[default]
    Begin,
    Line(usize),
    /// Inside a view, with so many bytes of [`STATUS`].
    View(usize),
    /// The next byte is the status.
    Status,
    /// Nothing more of this line matters.
    Rest,
}

impl Scan {
    /// How many times the status changed in what came, the first one of all included.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let mut changes = 0;
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            self.place = match (self.place, byte) {
                (_, b'\n') => Place::Begin,
                (Place::Begin, byte) => matched(DATA, 0, byte).map_or(Place::Rest, Place::Line),
                (Place::Line(seen), byte) => match matched(DATA, seen, byte) {
                    Some(all) if all == DATA.len() => Place::View(0),
                    Some(more) => Place::Line(more),
                    None => Place::Rest,
                },
                (Place::View(seen), byte) => match matched(STATUS, seen, byte) {
                    Some(all) if all == STATUS.len() => Place::Status,
                    Some(more) => Place::View(more),
                    None => Place::View(usize::from(byte == STATUS[0])),
                },
                (Place::Status, status) => {
                    changes += usize::from(self.status.replace(status) != Some(status));
                    Place::Rest
                }
                (Place::Rest, _) => Place::Rest,
            };
            if let Place::Rest = self.place {
                rest = &rest[line_end(rest)..];
            }
        }
        changes
    }
}

/// Where the line ends of which nothing more matters: views are long.
fn line_end(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())
}

fn matched(pattern: &[u8], seen: usize, byte: u8) -> Option<usize> {
    (pattern[seen] == byte).then_some(seen + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"retry: 2000\n\nevent: job\ndata: {\"job\":{\"status\":\"queued\"},\"status\":\"x\"}\nid: 1\n\n\
        event: alive\ndata: 17\n\nevent: job\ndata: {\"job\":{\"status\":\"queued\"}}\n\n\
        data: {\"job\":{\"\"status\":\"aborted\"}}\n\n";

    #[test]
    fn only_another_status_is_news() {
        assert_eq!(Scan::default().take(STREAM), 2);
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_come() {
        let mut scan = Scan::default();
        let changes: usize = STREAM.iter().map(|byte| scan.take(&[*byte])).sum();
        assert_eq!(changes, 2);
    }
}
