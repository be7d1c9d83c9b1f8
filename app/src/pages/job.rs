//! `/jobs/{id}?state=&visit=`: one job.

use asl::layout::Layout;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};
use model::{ApiError, ErrorCode, Execution, JobId, JobView, StateStatus};

use super::{failed, told};
use crate::{
    backend::{ActionFailure, SharedBackend},
    components::job::page_title,
    islands::job::{Drawing, JobPanel},
    quiet,
};

/// The drawing with error handling only where the execution has come to it, or the address asks for it.
fn drawing(layout: Layout, view: &JobView, chosen: Option<&str>, everything: bool) -> Drawing {
    let mut hidden = quiet::handlers(&layout);
    if everything {
        hidden.clear();
    }
    let states = view
        .execution
        .as_ref()
        .map(|execution| execution.states.as_slice());
    for state in states.unwrap_or_default() {
        if state.status != StateStatus::Idle {
            hidden.remove(&state.name);
        }
    }
    if let Some(chosen) = chosen {
        hidden.remove(chosen);
    }
    Drawing {
        shown: quiet::without(&layout, &hidden),
        full: (!hidden.is_empty()).then_some(layout),
        everything,
    }
}

/// The job.
#[component]
pub fn JobPage() -> impl IntoView {
    let id = use_params_map()
        .get_untracked()
        .get("id")
        .unwrap_or_default();
    let query = use_query_map().get_untracked();
    let backend = expect_context::<SharedBackend>();
    let refused = use_context::<ActionFailure>();
    Suspend::new(async move {
        let Ok(id) = id.parse::<JobId>() else {
            return failed(&ApiError::new(
                ErrorCode::NotFound,
                format!("There is no job “{id}”."),
            ));
        };
        let view = match backend.job(id).await {
            Ok(view) => view,
            Err(error) => return failed(&error),
        };
        let asked = query.get("state").filter(|state| !state.is_empty());
        let visit = query.get("visit").and_then(|visit| visit.parse().ok());
        let state = asked.clone().or_else(|| {
            let told = view.execution.as_ref().and_then(Execution::telling_state);
            told.map(str::to_owned)
        });
        let detail = match state {
            None => None,
            Some(state) => match backend.state_detail(id, state, visit).await {
                Ok(detail) => Some(detail),
                // Nobody asked for this state: the page is whole without it.
                Err(_) if asked.is_none() => None,
                Err(error) => return failed(&error),
            },
        };
        // A queued job has no execution yet; whether there is a drawing already is the server's to say.
        let drawing = backend.job_layout(id).await.map(|layout| {
            let everything = query.get("all").is_some();
            drawing(layout, &view, asked.as_deref(), everything)
        });
        view! {
            <Title text=page_title(&view.job) />
            <nav class="crumbs" aria-label="Breadcrumb">
                <a href="/jobs">"Jobs"</a>
            </nav>
            {told(refused)}
            <JobPanel view drawing asked detail visit />
        }
        .into_any()
    })
}
