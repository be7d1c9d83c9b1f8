//! What pages ask for, answered by [`Control`]: the `Backend` that `app` defines, one for each request so
//! that errors carry its id.

use app::backend::{Backend, Reply};
use asl::Layout;
use model::{
    Bulk, BulkItemState, BulkView, ColdStartView, HealthView, ImageView, JobFilter, JobId, JobPage,
    JobView, PipelineSettings, StateDetail, Verdict,
};
use serde_json::Value;

use super::bulk::bulk_id;
use crate::control::{Control, Failure};

/// The backend of one request's page.
pub(super) struct RequestBackend {
    pub control: Control,
    pub request_id: String,
}

impl RequestBackend {
    fn reply<'a, T>(
        &'a self,
        answer: impl Future<Output = Result<T, Failure>> + Send + 'a,
    ) -> Reply<'a, T> {
        Box::pin(async move {
            answer
                .await
                .map_err(|failure| failure.answer(&self.request_id))
        })
    }
}

impl Backend for RequestBackend {
    fn jobs(&self, filter: JobFilter) -> Reply<'_, JobPage> {
        self.reply(self.control.jobs(filter))
    }

    fn job(&self, id: JobId) -> Reply<'_, JobView> {
        self.reply(self.control.job_shown(id))
    }

    fn job_layout(&self, id: JobId) -> Reply<'_, Layout> {
        self.reply(self.control.job_layout(id))
    }

    fn state_detail(&self, id: JobId, state: String, visit: Option<i64>) -> Reply<'_, StateDetail> {
        self.reply(async move { self.control.state_detail(id, &state, visit).await })
    }

    fn pipeline_schema(&self, pipeline: String) -> Reply<'_, Value> {
        self.reply(async move { self.control.pipeline_schema(&pipeline) })
    }

    fn bulks(&self) -> Reply<'_, Vec<Bulk>> {
        self.reply(self.control.bulks())
    }

    fn bulk(&self, id: String, state: Option<BulkItemState>, after: u64) -> Reply<'_, BulkView> {
        self.reply(async move { self.control.bulk_view(bulk_id(&id)?, state, after).await })
    }

    fn pipeline_settings(&self, pipeline: String) -> Reply<'_, PipelineSettings> {
        self.reply(async move { self.control.pipeline_settings(&pipeline).await })
    }

    fn images(&self) -> Reply<'_, ImageView> {
        self.reply(self.control.images())
    }

    fn cold_starts(
        &self,
        base: Option<String>,
        candidate: Option<String>,
    ) -> Reply<'_, ColdStartView> {
        self.reply(self.control.cold_starts(base, candidate))
    }

    fn health(&self) -> Reply<'_, HealthView> {
        self.reply(async move { Ok(self.control.health().await) })
    }

    fn verdict(&self) -> Verdict {
        self.control.verdict()
    }
}
