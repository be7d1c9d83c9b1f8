//! Why a step failed: the name that `Retry` and `Catch` of the pipeline look at, and words for the person who
//! submitted the job. Refuses secrets: every message is redacted and bounded here, once.

use std::fmt;

use crate::redact;

/// The longest message, in characters: Step Functions keeps causes of up to 32,768, pages show far less.
const MESSAGE_CHARS_MAX: usize = 1_500;

/// What went wrong, as `errorType` names it in the pipeline's definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The source has no bytes.
    SourceEmpty,
    /// The source is something else than audio or video.
    SourceNotMedia,
    /// There is nothing at the source's address.
    SourceNotFound,
    /// The source's server refuses to hand it out.
    SourceForbidden,
    /// The source's server cannot be reached or has a fault of its own; passes by itself, perhaps.
    SourceUnreachable,
    /// The connection broke and could not be resumed; passes by itself, perhaps.
    SourceDropped,
    /// The source is not what it was when the job started.
    SourceChanged,
    /// The source is larger than a job may copy.
    SourceTooLarge,
    /// The source's address is of a kind that cannot be read.
    SourceUnsupported,
    /// ffprobe finds neither audio nor video in it.
    MediaUnreadable,
    /// ffmpeg failed.
    MediaEncodeFailed,
    /// The work did not end within the function's time.
    MediaTimedOut,
    /// S3 does not answer or has a fault of its own; passes by itself, perhaps.
    StorageUnavailable,
    /// S3 refuses it to this function's role.
    StorageForbidden,
    /// The bucket, the object or the upload is not there.
    StorageNotFound,
    /// What S3 holds is not what was sent.
    StorageCorrupt,
    /// The pipeline's definition gave this step something it cannot work on.
    WorkerInput,
    /// The function's own surroundings are broken: no ffmpeg, no room on its disk.
    WorkerBroken,
}

impl Kind {
    /// The `errorType` of the Lambda answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::SourceEmpty => "Source.Empty",
            Kind::SourceNotMedia => "Source.NotMedia",
            Kind::SourceNotFound => "Source.NotFound",
            Kind::SourceForbidden => "Source.Forbidden",
            Kind::SourceUnreachable => "Source.Unreachable",
            Kind::SourceDropped => "Source.Dropped",
            Kind::SourceChanged => "Source.Changed",
            Kind::SourceTooLarge => "Source.TooLarge",
            Kind::SourceUnsupported => "Source.Unsupported",
            Kind::MediaUnreadable => "Media.Unreadable",
            Kind::MediaEncodeFailed => "Media.EncodeFailed",
            Kind::MediaTimedOut => "Media.TimedOut",
            Kind::StorageUnavailable => "Storage.Unavailable",
            Kind::StorageForbidden => "Storage.Forbidden",
            Kind::StorageNotFound => "Storage.NotFound",
            Kind::StorageCorrupt => "Storage.Corrupt",
            Kind::WorkerInput => "Worker.Input",
            Kind::WorkerBroken => "Worker.Broken",
        }
    }
}

/// A step's failure, ready to be shown: no credentials and no queries of addresses in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    message: String,
}

impl Failure {
    /// A failure with words that say what was wrong and what to do; they are redacted and bounded.
    pub fn new(kind: Kind, message: impl AsRef<str>) -> Failure {
        let redacted = redact::text(message.as_ref());
        let message = match redacted.char_indices().nth(MESSAGE_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &redacted[..end]),
            None => redacted,
        };
        Failure { kind, message }
    }

    /// What was wrong and what to do.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for lambda_runtime::Diagnostic {
    fn from(failure: Failure) -> Self {
        lambda_runtime::Diagnostic {
            error_type: failure.kind.as_str().to_owned(),
            error_message: failure.message,
        }
    }
}

/// An error with all its causes on one line, for logs and for the part of a message that quotes it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    text
}
