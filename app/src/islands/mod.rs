//! Islands: the parts of pages that live on in the browser. Everything else is HTML alone. Each island draws
//! with the same functions as the server and adds what moves.

pub mod copy;
pub mod job;
pub mod jobs;
pub mod refresh;
pub mod upload;
