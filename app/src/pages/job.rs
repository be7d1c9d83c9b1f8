//! `/jobs/{id}?state=&visit=`: one job.

use asl::layout::Layout;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};
use model::{ApiError, ErrorCode, JobId, JobView, StateKind, StateStatus, StateView};

use super::{error::error_panel, failed, set_status};
use crate::{
    backend::{ActionFailure, SharedBackend},
    components::job::page_title,
    islands::job::{Drawing, JobPanel},
    quiet,
};

/// The state to show when the address names none: where it failed, else what is at work, else the last that was.
fn default_state(view: &JobView) -> Option<String> {
    let execution = view.execution.as_ref()?;
    let is_container =
        |state: &StateView| matches!(state.kind, StateKind::Map | StateKind::Parallel);
    let at_work = execution
        .states
        .iter()
        .filter(|state| matches!(state.status, StateStatus::Running | StateStatus::Retrying))
        .min_by_key(|state| is_container(state));
    let last = execution
        .states
        .iter()
        .filter(|state| !is_container(state))
        .max_by_key(|state| state.ended_at_ms);
    execution
        .failed_state
        .clone()
        .or_else(|| at_work.or(last).map(|state| state.name.clone()))
}

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
        let state = asked.clone().or_else(|| default_state(&view));
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
        let drawing = backend.job_layout(id).await.ok().map(|layout| {
            let everything = query.get("all").is_some();
            drawing(layout, &view, asked.as_deref(), everything)
        });
        if let Some(ActionFailure(error)) = &refused {
            set_status(error.code.http_status());
        }
        view! {
            <Title text=page_title(&view.job) />
            <nav class="crumbs" aria-label="Breadcrumb">
                <a href="/jobs">"Jobs"</a>
            </nav>
            {refused.map(|ActionFailure(error)| error_panel("That was not done", &error))}
            <JobPanel view drawing detail visit />
        }
        .into_any()
    })
}
