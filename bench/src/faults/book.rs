//! What was asked of the server, and what it acknowledged: the promises that it is held to.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It may have been heard or not.
    Unknown,
    Acknowledged,
    /// The server said no.
    Refused,
}

/// Something asked of a job, or of many.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The job; none where it is asked of whichever a bulk operation finds.
    pub job: Option<String>,
    pub outcome: Outcome,
}

/// The pages of the book.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    /// How many requests there were: what their titles and reasons are made of.
    pub numbered: u64,
    /// Jobs to be, by their titles.
    pub titles: BTreeMap<String, Outcome>,
    /// Ids of jobs that were acknowledged, with their titles.
    pub jobs: Vec<(String, String)>,
    /// Reruns and stops, by the reasons given, which are all different.
    pub asks: BTreeMap<String, Ask>,
}

/// The book, which many write.
#[derive(Debug, Default)]
pub struct Book(Mutex<Pages>);

impl Book {
    pub fn open(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests there were.
    pub fn asked(&self) -> usize {
        self.open().numbered as usize
    }
}

impl Pages {
    /// A number that no other request has.
    pub fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }
}
