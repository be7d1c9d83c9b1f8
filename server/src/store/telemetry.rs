//! What the telemetry stream brought, together with how far it was read: one transaction a batch, so that
//! a crash neither loses a record nor counts one twice.

use model::ProgressLine;
use sqlx::AnyConnection;

use super::{
    During, Invocation, InvocationStart, Statement, Store, StoreError, Write, invocation, progress,
};

/// What some records of the stream told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Telemetry {
    /// Progress, with the moment each line was written.
    pub lines: Vec<(ProgressLine, i64)>,
    pub starts: Vec<InvocationStart>,
    pub invocations: Vec<Invocation>,
}

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

    /// Keeps a batch of a shard's records and where the batch ended. Answers the executions of which an invocation's
    /// report was news.
    pub async fn add_telemetry(
        &self,
        (stream, shard, sequence): (&str, &str, &str),
        told: Telemetry,
    ) -> Result<Vec<String>, StoreError> {
        self.write(AddTelemetry {
            stream: stream.to_owned(),
            shard: shard.to_owned(),
            sequence: sequence.to_owned(),
            told,
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
    told: Telemetry,
}

impl Write for AddTelemetry {
    type Output = Vec<String>;

    fn operation(&self) -> &'static str {
        "keep telemetry"
    }

    async fn apply(&self, connection: &mut AnyConnection) -> Result<Vec<String>, StoreError> {
        let mut reported = Vec::new();
        for (line, at_ms) in &self.told.lines {
            progress::keep(connection, line, *at_ms).await?;
        }
        for start in &self.told.starts {
            invocation::begin(connection, start).await?;
        }
        for invocation in &self.told.invocations {
            reported.extend(invocation::keep(connection, invocation).await?);
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
        Ok(reported)
    }
}

#[cfg(test)]
mod tests {
    use model::{Progress, ProgressLine};

    use super::Telemetry;
    use crate::store::{
        Invocation, InvocationStart,
        testing::{on_each_database, store},
    };

    on_each_database!(
        a_batch_read_twice_counts_once_and_older_lines_lose,
        an_invocation_is_joined_whichever_half_comes_first,
    );

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

    fn start(request_id: &str) -> InvocationStart {
        InvocationStart {
            request_id: request_id.to_owned(),
            function: "gantry-probe".to_owned(),
            version: "3".to_owned(),
            execution_arn: "arn:x".to_owned(),
            state: "Probe".to_owned(),
            entered: "2026-01-01T00:00:00Z".to_owned(),
            iteration: None,
            attempt: Some(2),
            at_ms: 900,
        }
    }

    async fn an_invocation_is_joined_whichever_half_comes_first() {
        let (_folder, store) = store().await;
        let line = |request_id: &str| Telemetry {
            starts: vec![start(request_id)],
            ..Telemetry::default()
        };
        let report = |request_id: &str| Telemetry {
            invocations: vec![invocation(request_id, Some(31.0))],
            ..Telemetry::default()
        };
        let orders = [
            [line("a"), report("a"), line("a"), report("a")],
            [report("b"), line("b"), report("b"), line("b")],
        ];
        let mut reported = Vec::new();
        for (told, sequence) in orders
            .into_iter()
            .flatten()
            .zip(["1", "2", "3", "4", "5"].iter().cycle())
        {
            let news = store
                .add_telemetry(("s", "shard-0", sequence), told)
                .await
                .unwrap();
            reported.push(news.len());
        }
        // Only a report that is news, of an execution that is known, is worth telling.
        assert_eq!(reported, [0, 1, 0, 0, 0, 0, 0, 0]);
        let joined = store
            .invocations_of("arn:x", "Probe", None, 9)
            .await
            .unwrap();
        assert_eq!(joined.len(), 2);
        for (one, request_id) in joined.iter().zip(["a", "b"]) {
            assert_eq!(one.entered, "2026-01-01T00:00:00Z");
            let told = &one.invocation;
            assert_eq!(told.request_id, request_id);
            assert_eq!((told.attempt, told.version.as_str()), (Some(2), "3"));
            assert_eq!(
                (told.status.as_deref(), told.init_ms),
                (Some("success"), Some(31.0))
            );
            assert_eq!(
                (told.duration_ms, told.max_memory_mib),
                (Some(12.5), Some(40))
            );
            assert_eq!(told.at_ms.0, 1_000);
        }
        // One that has not ended is there, and is not counted.
        store
            .add_telemetry(("s", "shard-0", "6"), line("c"))
            .await
            .unwrap();
        store
            .version_resolved("gantry-probe", "3", "sha256:aa")
            .await
            .unwrap();
        assert_eq!(
            store
                .invocations_of("arn:x", "Probe", None, 9)
                .await
                .unwrap()
                .len(),
            3
        );
        assert_eq!(
            store
                .invocations_of("arn:x", "Probe", Some(0), 9)
                .await
                .unwrap(),
            []
        );
        assert_eq!(store.invocation_counts().await.unwrap()[0].count, 2);
    }

    async fn a_batch_read_twice_counts_once_and_older_lines_lose() {
        let (_folder, store) = store().await;
        let reports = [invocation("a", Some(31.0)), invocation("b", None)];
        for lines in [[(line(40), 2_000)], [(line(10), 1_000)]] {
            store
                .add_telemetry(
                    ("s", "shard-0", "7"),
                    Telemetry {
                        lines: lines.to_vec(),
                        invocations: reports.to_vec(),
                        ..Telemetry::default()
                    },
                )
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
            .add_telemetry(
                ("s", "shard-0", "8"),
                Telemetry {
                    invocations: vec![invocation("c", None)],
                    ..Telemetry::default()
                },
            )
            .await
            .unwrap();
        assert_eq!(store.invocation_counts().await.unwrap()[0].count, 3);
    }
}
