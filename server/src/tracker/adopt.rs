//! Executions that were not known until an event or a list told of them. One whose name is a job's is that job's: its
//! event was faster than the answer to StartExecution. Any other was started outside Gantry (in the console, by a
//! schedule, by an installation with another database) and makes a job of its own, the same one whoever hears of it.

use model::{JobId, TimestampMs};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Builder;

use super::dispatch::number_of;
use crate::{
    clock,
    control::{
        Control, Failure,
        pipeline::{FOLLOWED, shown_source},
    },
    store::{Adoption, NewExecution, execution_name},
};

/// An execution that nobody knows yet.
#[derive(Debug, Clone)]
pub(super) struct Unknown {
    pub arn: String,
    pub started_at_ms: i64,
    /// What it was started with; none when that was not told.
    pub input: Option<Value>,
}

/// Makes these executions known. Only the followed state machine's may be among them. Returns how many were adopted.
pub(super) async fn learn(control: &Control, unknown: Vec<Unknown>) -> Result<u64, Failure> {
    if unknown.is_empty() {
        return Ok(0);
    }
    let named: Vec<_> = unknown
        .into_iter()
        .filter_map(|one| {
            let name = control.aws.states.name_of(&one.arn)?.to_owned();
            Some((job_of(&name), name, one))
        })
        .collect();
    let ids: Vec<JobId> = named.iter().filter_map(|(job, ..)| *job).collect();
    let jobs = control.store.jobs_known(&ids).await?;
    let (mut own, mut adopted) = (Vec::new(), Vec::new());
    for (job, name, one) in named {
        match job.filter(|job| jobs.contains(job)) {
            Some(job) => own.push(NewExecution::new(
                job,
                &one.arn,
                number_of(&name),
                one.started_at_ms,
            )),
            None => adopted.push(adoption(&name, one)),
        }
    }
    let count = adopted.len() as u64;
    control.store.learn(own, adopted, clock::now().0).await?;
    if count > 0 {
        tracing::info!(count, "executions started outside Gantry are followed");
        control.aws.metrics().adopted(count);
    }
    Ok(count)
}

/// The job whose execution would have exactly this name.
fn job_of(name: &str) -> Option<JobId> {
    let job: JobId = name.get(..super::dispatch::UUID_LENGTH)?.parse().ok()?;
    (execution_name(job, number_of(name).into()) == name).then_some(job)
}

fn adoption(name: &str, one: Unknown) -> Adoption {
    let input = one.input.map(own_part);
    Adoption {
        job: adopted_id(&one.arn, one.started_at_ms),
        pipeline: FOLLOWED.to_owned(),
        title: name.to_owned(),
        source: source_of(input.as_ref()).unwrap_or_else(|| name.to_owned()),
        input,
        arn: one.arn,
        started_at: TimestampMs(one.started_at_ms),
    }
}

/// The id of the job that an execution makes: laid out as a UUID of version 7 (RFC 9562, section 5.7), of the moment
/// it was started, so that it sorts among the others; the rest is a digest of its ARN in place of chance.
fn adopted_id(arn: &str, started_at_ms: i64) -> JobId {
    let digest = Sha256::digest(arn.as_bytes());
    let mut rest = [0; 10];
    rest.copy_from_slice(&digest[..10]);
    let milliseconds = u64::try_from(started_at_ms).unwrap_or(0);
    JobId(Builder::from_unix_timestamp_millis(milliseconds, &rest).into_uuid())
}

/// An input without what an installation of Gantry adds for its own job: whoever runs it again adds its own.
pub(super) fn own_part(mut input: Value) -> Value {
    if let Value::Object(fields) = &mut input {
        fields.shift_remove("job");
    }
    input
}

/// The source that an input names, as it may be shown.
pub(super) fn source_of(input: Option<&Value>) -> Option<String> {
    let source = input?.get("source")?.as_str()?;
    Some(shown_source(source)).filter(|source| !source.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[test]
    fn only_a_name_that_gantry_would_give_is_a_jobs() {
        let job: JobId = ID.parse().unwrap();
        assert_eq!(job_of(ID), Some(job));
        assert_eq!(job_of(&format!("{ID}-2")), Some(job));
        for other in [
            format!("{ID}-1"),
            format!("{ID}-02"),
            format!("{ID}-again"),
            format!("{ID}x"),
            ID.to_uppercase(),
            "nightly".to_owned(),
        ] {
            assert_eq!(job_of(&other), None, "{other}");
        }
    }

    #[test]
    fn an_adopted_jobs_id_is_its_executions_and_sorts_by_its_start() {
        let id = |name: &str, at_ms| adopted_id(name, at_ms).0;
        assert_eq!(id("arn:a", 5_000), id("arn:a", 5_000));
        assert_ne!(id("arn:a", 5_000), id("arn:b", 5_000));
        assert!(id("arn:a", 5_000) < id("arn:b", 5_001));
        assert_eq!(id("arn:a", 5_000).get_version_num(), 7);
    }
}
