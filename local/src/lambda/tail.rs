//! The last lines of a sandbox's log, for callers that ask an invocation for them.
//!
//! Owns what `LogType: Tail` answers: the last 4 KB of the log, of this invocation only. Refuses to keep more.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#lambda-Invoke-request-LogType>

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// What Lambda keeps of a log for an answer, bytes.
const TAIL_BYTES_MAX: usize = 4096;

/// The end of a log; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// An invocation begins: what came before is not its.
    pub fn clear(&self) {
        self.lines().clear();
    }

    /// Adds lines and forgets the oldest ones that no answer has room for.
    pub fn add(&self, messages: &[String]) {
        let mut lines = self.lines();
        lines.extend(messages.iter().cloned());
        let mut bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        while bytes > TAIL_BYTES_MAX && lines.len() > 1 {
            bytes -= lines.pop_front().map_or(0, |line| line.len() + 1);
        }
    }

    /// The end of the log, at most 4 KB.
    pub fn text(&self) -> String {
        let mut text: String = self.lines().iter().flat_map(|line| [line, "\n"]).collect();
        let mut cut = text.len().saturating_sub(TAIL_BYTES_MAX);
        while !text.is_char_boundary(cut) {
            cut += 1;
        }
        text.split_off(cut)
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_are_forgotten() {
        let tail = Tail::default();
        tail.add(&["first".to_owned(), "x".repeat(4000), "é".repeat(100)]);
        assert_eq!(tail.text(), format!("{}\n", "é".repeat(100)));
        tail.add(&["y".repeat(5000)]);
        assert_eq!(tail.text().len(), TAIL_BYTES_MAX);
        tail.clear();
        tail.add(&["last".to_owned()]);
        assert_eq!(tail.text(), "last\n");
    }
}
