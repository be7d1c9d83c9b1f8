//! What can be watched, and how it is written in an address.

use std::{fmt, str::FromStr};

use model::{ApiError, ErrorCode, JobId, JobStatus};

/// Topics that one watcher may have.
pub const TOPICS_MAX: usize = 16;

/// Something that can be watched. Written `job:ID`, `jobs` or `jobs:STATUS`; its events bear that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// One job, as `JobView`.
    Job(JobId),
    /// Page one of the list of jobs of this status, or of all, as `JobPage`.
    Jobs(Option<JobStatus>),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topic::Job(id) => write!(f, "job:{id}"),
            Topic::Jobs(None) => f.write_str("jobs"),
            Topic::Jobs(Some(status)) => write!(f, "jobs:{}", status.as_str()),
        }
    }
}

impl FromStr for Topic {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Topic, ApiError> {
        let (noun, which) = match text.split_once(':') {
            Some((noun, which)) => (noun, Some(which)),
            None => (text, None),
        };
        match (noun, which) {
            ("jobs", None) => Some(Topic::Jobs(None)),
            ("jobs", Some(status)) => status.parse().ok().map(|status| Topic::Jobs(Some(status))),
            ("job", Some(id)) => id.parse().ok().map(Topic::Job),
            _ => None,
        }
        .ok_or_else(|| unknown(text))
    }
}

fn unknown(text: &str) -> ApiError {
    let statuses = JobStatus::ALL.map(JobStatus::as_str).join(", ");
    ApiError::new(
        ErrorCode::Invalid,
        format!(
            "There is no topic “{text}”. A topic is `job:` and a job's id, `jobs`, or `jobs:` and one of {statuses}."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_read_as_it_is_written() {
        for text in [
            "jobs",
            "jobs:timed_out",
            "job:01890a5d-ac96-774b-bcce-b302099a8057",
        ] {
            assert_eq!(text.parse::<Topic>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_unknown_topic_is_named_with_what_there_is() {
        for text in ["", "job", "job:7", "jobs:", "jobs:nonesuch", "images"] {
            let error = text.parse::<Topic>().unwrap_err();
            assert!(
                error.message.contains(&format!("“{text}”")),
                "{}",
                error.message
            );
            assert!(error.message.contains("timed_out"), "{}", error.message);
        }
    }
}
