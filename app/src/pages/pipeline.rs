//! `/pipelines/{name}`: what holds for a pipeline, and the form that sets it.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use model::{ApiError, PipelineSettings};

use super::failed;
use crate::{
    backend::{ActionFailure, SharedBackend},
    components::error::error_panel,
};

/// The pipeline's page.
#[component]
pub fn PipelinePage() -> impl IntoView {
    let name = use_params_map()
        .get_untracked()
        .get("name")
        .unwrap_or_default();
    let refused = use_context::<ActionFailure>().map(|refused| refused.0);
    let backend = expect_context::<SharedBackend>();
    Suspend::new(async move {
        match backend.pipeline_settings(name.clone()).await {
            Ok(settings) => page(&name, settings, refused.as_ref()),
            Err(error) => failed(&error),
        }
    })
}

fn page(name: &str, settings: PipelineSettings, refused: Option<&ApiError>) -> AnyView {
    let title = format!("Pipeline {name}");
    view! {
        <Title text=title.clone() />
        <h1>{title}</h1>
        {refused.map(|error| error_panel("The settings were not changed", error, problems(error)))}
        <form class="form" method="post" action=format!("/pipelines/{name}")>
            <fieldset class="settings">
                <legend>"Settings"</legend>
                {number(
                    "concurrency_max",
                    "Executions at once",
                    "Left empty, as many as AWS allows. What waits longer starts by priority.",
                    settings.concurrency_max,
                )}
                {number(
                    "retain_days",
                    "Keep histories for, in days",
                    "Histories of executions that ended earlier go to S3, packed, and stay readable. Left empty, they stay in the database.",
                    settings.retain_days,
                )}
            </fieldset>
            <p>
                <button type="submit" class="button primary">
                    "Save"
                </button>
            </p>
        </form>
        <p>
            <a href=format!("/jobs?pipeline={name}")>"Jobs of this pipeline"</a>
        </p>
    }
    .into_any()
}

/// What is wrong with each field.
fn problems(error: &ApiError) -> AnyView {
    let rows: Vec<_> = error
        .fields
        .iter()
        .map(|field| {
            let name = field.pointer.trim_start_matches('/').to_owned();
            view! {
                <li>
                    <a href=format!("#field-{name}")>{name.clone()}</a>
                    {format!(": {}", field.message)}
                </li>
            }
        })
        .collect();
    view! { <ul>{rows}</ul> }.into_any()
}

fn number(
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    value: Option<u32>,
) -> AnyView {
    let id = format!("field-{name}");
    let hint_id = format!("{id}-hint");
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            <input
                id=id
                name=name
                type="number"
                min="1"
                step="1"
                value=value.map(|value| value.to_string())
                aria-describedby=hint_id.clone()
            />
            <p id=hint_id class="hint">
                {hint}
            </p>
        </div>
    }
    .into_any()
}
