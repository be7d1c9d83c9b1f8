//! What people have set for a pipeline: how much of it runs at once, and for how long its histories are kept here.

use super::{During, Statement, Store, StoreError};

/// What is set for a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PipelineSetting {
    /// Executions that run at once; none: as many as AWS allows.
    pub concurrency_max: Option<u32>,
    /// Days after which an ended execution's history goes to S3; none: never.
    pub retain_days: Option<u32>,
}

impl Store {
    /// Sets both for a pipeline.
    pub async fn set_pipeline(
        &self,
        pipeline: &str,
        concurrency_max: Option<u32>,
        retain_days: Option<u32>,
    ) -> Result<(), StoreError> {
        let set = Statement::new(
            "set what holds for a pipeline",
            "INSERT INTO pipeline_setting (pipeline, concurrency_max, retain_days) VALUES ($1, $2, $3)
             ON CONFLICT (pipeline) DO UPDATE SET concurrency_max = excluded.concurrency_max, retain_days = excluded.retain_days",
        );
        self.write(
            set.bind(pipeline)
                .bind(concurrency_max.map(i64::from))
                .bind(retain_days.map(i64::from)),
        )
        .await?;
        Ok(())
    }

    /// What is set for a pipeline.
    pub async fn pipeline_setting(&self, pipeline: &str) -> Result<PipelineSetting, StoreError> {
        let row: Option<(Option<i64>, Option<i64>)> = sqlx::query_as(
            "SELECT concurrency_max, retain_days FROM pipeline_setting WHERE pipeline = $1",
        )
        .bind(pipeline)
        .fetch_optional(&self.read)
        .await
        .during("read what is set for a pipeline")?;
        let number = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
        Ok(row.map_or_else(
            PipelineSetting::default,
            |(concurrency_max, retain_days)| PipelineSetting {
                concurrency_max: number(concurrency_max),
                retain_days: number(retain_days),
            },
        ))
    }
}
