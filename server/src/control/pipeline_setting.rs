//! What holds for a pipeline: how much of it runs at once, and for how long its histories are kept in the database.
//! Owns what may be set; what follows from it is the dispatcher's and the tracker's.

use model::{ApiError, ErrorCode, FieldError, PipelineSettings};

use super::{Control, Failure, pipeline::pipeline};

/// The most executions at once that may be set: AWS's own limit of open executions.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
const CONCURRENCY_MAX: u32 = 1_000_000;
/// The longest time that histories may be kept, a century: what is meant by more is “never”.
const RETAIN_DAYS_MAX: u32 = 36_500;

impl Control {
    /// What holds for a pipeline.
    pub async fn pipeline_settings(&self, name: &str) -> Result<PipelineSettings, Failure> {
        let pipeline = pipeline(name)?;
        let set = self.store.pipeline_setting(pipeline.name).await?;
        Ok(PipelineSettings {
            concurrency_max: set.concurrency_max,
            retain_days: set.retain_days,
        })
    }

    /// Sets all that holds for a pipeline; what is none is not limited any more.
    pub async fn set_pipeline_settings(
        &self,
        name: &str,
        settings: PipelineSettings,
    ) -> Result<PipelineSettings, Failure> {
        let pipeline = pipeline(name)?;
        let PipelineSettings {
            concurrency_max,
            retain_days,
        } = settings;
        let limits = [
            ("concurrency_max", concurrency_max, CONCURRENCY_MAX),
            ("retain_days", retain_days, RETAIN_DAYS_MAX),
        ];
        let fields: Vec<FieldError> = limits
            .into_iter()
            .filter(|(_, value, max)| value.is_some_and(|value| !(1..=*max).contains(&value)))
            .map(|(name, _, max)| FieldError {
                pointer: format!("/{name}"),
                message: format!("Must be from 1 to {max}, or left away for no limit."),
            })
            .collect();
        if !fields.is_empty() {
            let message = "The settings are not valid; see each field.";
            return Err(ApiError {
                fields,
                ..ApiError::new(ErrorCode::Invalid, message)
            }
            .into());
        }
        self.store
            .set_pipeline(pipeline.name, concurrency_max, retain_days)
            .await?;
        // More may run now than a moment ago.
        self.outbox.notify_one();
        tracing::info!(
            pipeline = name,
            ?concurrency_max,
            ?retain_days,
            "settings changed"
        );
        Ok(settings)
    }
}
