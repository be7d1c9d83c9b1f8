//! Making jobs, each with the promise of its start. Those that come at one time share their statements.

use std::{collections::HashSet, str::FromStr};

use model::{JobId, JobStatus, JobSummary, LineageKind};
use serde_json::{Value, json};
use sqlx::AnyConnection;

use crate::store::{Asked, NewJob, Store, StoreError, error::During, lineage, plain, write::Write};

/// What submitting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// This request made the job.
    Made(JobId),
    /// The same request made this job before.
    Repeated(JobId),
    /// Another request used the same idempotency key before, for this job.
    KeyTaken(JobId),
}

impl Store {
    /// Makes a job and promises its start. `upload` is the key of the upload that became its source.
    /// Twice is as good as once, by the job's id and by its idempotency key.
    pub async fn submit(
        &self,
        job: &NewJob,
        upload: Option<&str>,
        asked: &Asked,
    ) -> Result<Submitted, StoreError> {
        self.write(Submit {
            job: job.clone(),
            upload: upload.map(str::to_owned),
            asked: asked.clone(),
        })
        .await
    }
}

impl NewJob {
    /// The job as it stands when it was made.
    pub fn summary(self) -> JobSummary {
        JobSummary {
            id: self.id,
            pipeline: self.pipeline,
            title: self.title,
            source: self.source,
            status: JobStatus::Queued,
            submitted_at_ms: self.submitted_at,
            started_at_ms: None,
            ended_at_ms: None,
            error: None,
            failed_state: None,
            rerun_count: 0,
            adopted: false,
        }
    }
}

#[derive(Debug)]
pub(in crate::store) struct Submit {
    pub(in crate::store) job: NewJob,
    pub(in crate::store) upload: Option<String>,
    pub(in crate::store) asked: Asked,
}

impl Write for Submit {
    type Output = Submitted;

    fn operation(&self) -> &'static str {
        OPERATION
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<Submitted, StoreError> {
        let mut submitted = Submit::apply_all(&[self], connection).await?;
        submitted.pop().ok_or(StoreError::Unreadable {
            what: "outcome of submitting",
            text: String::new(),
        })
    }

    async fn apply_all(
        writes: &[&Submit],
        connection: &mut AnyConnection,
    ) -> Result<Vec<Submitted>, StoreError> {
        let rows: Vec<Value> = writes.iter().map(|write| write.row()).collect();
        // Newest first, as the index of texts has them.
        let made: Vec<(String,)> = sqlx::query_as(
            "INSERT INTO job (id, pipeline, title, source, input, status, submitted_at_ms, priority, idempotency_key, request_digest)
             SELECT value ->> 'id', value ->> 'pipeline', value ->> 'title', value ->> 'source', value ->> 'input', 'queued',
                 CAST(value ->> 'at_ms' AS BIGINT), CAST(value ->> 'priority' AS BIGINT), value ->> 'key', value ->> 'digest'
             FROM json_each($1) WHERE TRUE ORDER BY value ->> 'id' DESC ON CONFLICT DO NOTHING RETURNING id",
        )
        .bind(Value::from(rows).to_string())
        .fetch_all(&mut *connection)
        .await
        .during(OPERATION)?;
        let mut made: HashSet<String> = made.into_iter().map(|(id,)| id).collect();
        let mut submitted = Vec::with_capacity(writes.len());
        let mut promised = Vec::with_capacity(made.len());
        for write in writes {
            // Of the same job twice, the first one made it.
            submitted.push(made.remove(&write.job.id.to_string()).then(|| {
                promised.push(write.promise());
                Submitted::Made(write.job.id)
            }));
        }
        if !promised.is_empty() {
            let promised = Value::from(promised).to_string();
            for text in [
                "INSERT INTO outbox (job_id, command, target, due_at_ms, pipeline, priority)
                 SELECT value ->> 'id', 'start', value ->> 'id', CAST(value ->> 'at_ms' AS BIGINT), value ->> 'pipeline',
                     CAST(value ->> 'priority' AS BIGINT) FROM json_each($1)",
                "DELETE FROM upload WHERE key IN (SELECT value ->> 'upload' FROM json_each($1))",
                lineage::NOTE,
            ] {
                sqlx::query(text)
                    .bind(&promised)
                    .execute(&mut *connection)
                    .await
                    .during(OPERATION)?;
            }
        }
        let mut all = Vec::with_capacity(writes.len());
        for (write, submitted) in writes.iter().zip(submitted) {
            all.push(match submitted {
                Some(made) => made,
                None => write.repeated(&mut *connection).await?,
            });
        }
        Ok(all)
    }
}

const OPERATION: &str = "submit a job";

impl Submit {
    /// The job's columns.
    fn row(&self) -> Value {
        let job = &self.job;
        json!({
            "id": job.id, "pipeline": plain(&job.pipeline), "title": plain(&job.title), "source": plain(&job.source),
            "input": job.input.to_string(), "at_ms": job.submitted_at, "priority": job.priority,
            "key": job.idempotency_key, "digest": job.request_digest,
        })
    }

    /// The columns of what is promised of it, and of its lineage.
    fn promise(&self) -> Value {
        let job = &self.job;
        let kind = LineageKind::Submitted;
        let mut row = lineage::row(job.id, kind, &self.asked, 1, job.submitted_at.0);
        row["pipeline"] = plain(&job.pipeline).into();
        row["priority"] = job.priority.into();
        row["upload"] = self.upload.as_deref().into();
        row
    }

    /// A job of this id, or of this key, is there already.
    async fn repeated(&self, connection: &mut AnyConnection) -> Result<Submitted, StoreError> {
        let (id, digest): (String, Option<String>) = sqlx::query_as(
            "SELECT id, request_digest FROM job WHERE id = $1 OR idempotency_key = $2",
        )
        .bind(self.job.id.to_string())
        .bind(self.job.idempotency_key.as_deref())
        .fetch_one(connection)
        .await
        .during(OPERATION)?;
        let first = JobId::from_str(&id).map_err(|_| StoreError::Unreadable {
            what: "job id",
            text: id,
        })?;
        Ok(
            match first == self.job.id || digest == self.job.request_digest {
                true => Submitted::Repeated(first),
                false => Submitted::KeyTaken(first),
            },
        )
    }
}
