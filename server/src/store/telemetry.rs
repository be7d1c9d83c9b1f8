//! What the telemetry stream brought, together with how far it was read: one transaction a batch, so that
//! a crash neither loses a record nor counts one twice.

use model::ProgressLine;
use sqlx::AnyConnection;

use super::{During, Invocation, Statement, Store, StoreError, Write, invocation, progress};

impl Store {
    /// Where reading of a shard goes on: after this sequence number; none when it was never read.
    pub async fn checkpoint(
        &self,
        stream: &str,
        shard: &str,
    ) -> Result<Option<String>, StoreError> {
        let row: Option<(String,)> = sqlx::query_as(
            "SELECT sequence FROM shard_checkpoint WHERE stream = $1 AND shard = $2",
        )
        .bind(stream)
        .bind(shard)
        .fetch_optional(&self.read)
        .await
        .during("read a checkpoint")?;
        Ok(row.map(|(sequence,)| sequence))
    }

    /// Keeps a batch of a shard's lines (with the moment each was written) and where the batch ended.
    pub async fn add_telemetry(
        &self,
        (stream, shard, sequence): (&str, &str, &str),
        lines: &[(ProgressLine, i64)],
        invocations: &[Invocation],
    ) -> Result<(), StoreError> {
        self.write(AddTelemetry {
            stream: stream.to_owned(),
            shard: shard.to_owned(),
            sequence: sequence.to_owned(),
            lines: lines.to_vec(),
            invocations: invocations.to_vec(),
        })
        .await
    }

    /// Forgets where reading stood, because the stream does not go back that far any more.
    pub async fn forget_checkpoint(&self, stream: &str, shard: &str) -> Result<(), StoreError> {
        let forgotten = Statement::new(
            "forget a checkpoint",
            "DELETE FROM shard_checkpoint WHERE stream = $1 AND shard = $2",
        );
        self.write(forgotten.bind(stream).bind(shard)).await?;
        Ok(())
    }
}

/// A batch of a shard's records and where it ended.
struct AddTelemetry {
    stream: String,
    shard: String,
    sequence: String,
    lines: Vec<(ProgressLine, i64)>,
    invocations: Vec<Invocation>,
}

impl Write for AddTelemetry {
    type Output = ();

    fn operation(&self) -> &'static str {
        "keep telemetry"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        for (line, at_ms) in &self.lines {
            progress::keep(connection, line, *at_ms).await?;
        }
        for invocation in &self.invocations {
            invocation::keep(connection, invocation).await?;
        }
        sqlx::query(
            "INSERT INTO shard_checkpoint (stream, shard, sequence) VALUES ($1, $2, $3)
             ON CONFLICT (stream, shard) DO UPDATE SET sequence = excluded.sequence",
        )
        .bind(&self.stream)
        .bind(&self.shard)
        .bind(&self.sequence)
        .execute(connection)
        .await
        .during(self.operation())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::{Progress, ProgressLine};

    use crate::store::{
        Invocation,
        testing::{on_each_database, store},
    };

    on_each_database!(a_batch_read_twice_counts_once_and_older_lines_lose,);

    fn line(done: u64) -> ProgressLine {
        ProgressLine {
            kind: ProgressLine::TYPE.to_owned(),
            timestamp: String::new(),
            request_id: "r".to_owned(),
            execution: "arn:x".to_owned(),
            state: "Rendition".to_owned(),
            entered: "2026-01-01T00:00:00Z".to_owned(),
            index: Some(0),
            label: Some("720p".to_owned()),
            progress: Progress {
                unit: "frames".to_owned(),
                done,
                total: Some(100),
            },
        }
    }

    fn invocation(request_id: &str, init_ms: Option<f64>) -> Invocation {
        Invocation {
            request_id: request_id.to_owned(),
            function: "gantry-probe".to_owned(),
            version: "3".to_owned(),
            status: "success".to_owned(),
            init_ms,
            duration_ms: 12.5,
            max_memory_mib: Some(40),
            at_ms: 1_000,
        }
    }

    async fn a_batch_read_twice_counts_once_and_older_lines_lose() {
        let (_folder, store) = store().await;
        let reports = [invocation("a", Some(31.0)), invocation("b", None)];
        for lines in [[(line(40), 2_000)], [(line(10), 1_000)]] {
            store
                .add_telemetry(("s", "shard-0", "7"), &lines, &reports)
                .await
                .unwrap();
        }
        let progress = store.progress("arn:x").await.unwrap();
        assert_eq!((progress.len(), progress[0].progress.done), (1, 40));
        assert_eq!(
            store.checkpoint("s", "shard-0").await.unwrap().as_deref(),
            Some("7")
        );
        assert!(store.cold_starts(9).await.unwrap().is_empty());
        assert_eq!(
            store.versions_unresolved(9).await.unwrap(),
            [("gantry-probe".to_owned(), "3".to_owned())]
        );
        store
            .version_resolved("gantry-probe", "3", "sha256:aa")
            .await
            .unwrap();
        assert_eq!(store.cold_starts(9).await.unwrap().len(), 1);
        // What comes after the version is known needs no second question.
        store
            .add_telemetry(("s", "shard-0", "8"), &[], &[invocation("c", None)])
            .await
            .unwrap();
        assert_eq!(store.invocation_counts().await.unwrap()[0].count, 3);
    }
}
