//! A [`Backend`] of made-up views.

use app::backend::{Backend, Reply};
use model::{
    ApiError, Bulk, BulkItemState, BulkView, ColdStartView, ErrorCode, HealthView, ImageView,
    JobFilter, JobId, JobPage, JobView, PipelineSettings, StateDetail, Verdict,
};

use super::{bulks, deploy, health, jobs};

/// The media pipeline, as it is shipped.
const DEFINITION: &str = include_str!("../../../pipelines/media.asl.json");
const SCHEMA: &str = include_str!("../../../pipelines/media.schema.json");

/// What a page is shown as.
#[derive(Clone, Copy, PartialEq)]
pub enum Shown {
    Full,
    Empty,
    Away,
    /// What was read before, as AWS does not answer.
    Stale,
}

/// Answers every question from constants.
pub struct Preview(pub Shown);

impl Preview {
    fn reply<T: Send + 'static>(&self, answer: Result<T, ApiError>) -> Reply<'_, T> {
        let answer = match self.0 {
            Shown::Away => Err(ApiError {
                request_id: Some("0198c0de-aaaa-7bbb-8ccc-123456789abc".to_owned()),
                ..ApiError::new(
                    ErrorCode::Unavailable,
                    "ECR does not answer right now. Nothing is lost; try again in a moment.",
                )
            }),
            _ => answer,
        };
        Box::pin(async move {
            // As from a store: the page is asked for again before it is there.
            tokio::task::yield_now().await;
            answer
        })
    }
}

impl Backend for Preview {
    fn jobs(&self, filter: JobFilter) -> Reply<'_, JobPage> {
        self.reply(Ok(match self.0 {
            Shown::Empty => jobs::page(&[], filter),
            _ => jobs::page(&jobs::all(), filter),
        }))
    }

    fn job(&self, id: JobId) -> Reply<'_, JobView> {
        self.reply(
            jobs::view(id).ok_or_else(|| {
                ApiError::new(ErrorCode::NotFound, format!("There is no job {id}."))
            }),
        )
    }

    fn job_layout(&self, _: JobId) -> Reply<'_, asl::Layout> {
        let machine = asl::parse(DEFINITION)
            .machine
            .expect("the pipeline's definition is valid");
        self.reply(Ok(asl::layout(&asl::graph(&machine))))
    }

    fn state_detail(&self, id: JobId, state: String, visit: Option<i64>) -> Reply<'_, StateDetail> {
        self.reply(jobs::detail(id, &state, visit).ok_or_else(|| {
            ApiError::new(ErrorCode::NotFound, format!("There is no state “{state}”."))
        }))
    }

    fn pipeline_schema(&self, _: String) -> Reply<'_, serde_json::Value> {
        self.reply(Ok(
            serde_json::from_str(SCHEMA).expect("the pipeline's schema is JSON")
        ))
    }

    fn bulks(&self) -> Reply<'_, Vec<Bulk>> {
        self.reply(Ok(match self.0 {
            Shown::Empty => Vec::new(),
            _ => bulks::bulks(),
        }))
    }

    fn bulk(&self, id: String, _: Option<BulkItemState>, _: u64) -> Reply<'_, BulkView> {
        self.reply(bulks::view(&id).ok_or_else(|| {
            ApiError::new(
                ErrorCode::NotFound,
                format!("There is no bulk operation {id}."),
            )
        }))
    }

    fn images(&self) -> Reply<'_, ImageView> {
        self.reply(Ok(ImageView {
            is_stale: self.0 == Shown::Stale,
            ..deploy::images(self.0 == Shown::Empty)
        }))
    }

    fn cold_starts(
        &self,
        base: Option<String>,
        candidate: Option<String>,
    ) -> Reply<'_, ColdStartView> {
        self.reply(Ok(deploy::cold_starts(
            self.0 == Shown::Empty,
            base,
            candidate,
        )))
    }

    fn pipeline_settings(&self, _: String) -> Reply<'_, PipelineSettings> {
        self.reply(Ok(PipelineSettings {
            concurrency_max: Some(20),
            retain_days: None,
        }))
    }

    fn health(&self) -> Reply<'_, HealthView> {
        // Told by Gantry itself, whatever AWS does.
        let view = health::view(self.0);
        Box::pin(async move { Ok(view) })
    }

    fn verdict(&self) -> Verdict {
        health::verdict(self.0)
    }
}
