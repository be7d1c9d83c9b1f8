//! `/bulks/new?kind=&status=&…`: what is to be done to many jobs. The form makes a preview; nothing begins here.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use model::{BulkKind, JobFilter, JobStatus, RerunChoice};

use super::{failed, jobs::filter, told};
use crate::backend::{ActionFailure, TypedCsv};

/// The form.
#[component]
pub fn NewBulkPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let refused = use_context::<ActionFailure>();
    let kind = query.get("kind").unwrap_or_default();
    let asked = kind
        .parse::<BulkKind>()
        .and_then(|kind| Ok((kind, filter(&query)?)));
    let (kind, filter) = match asked {
        Ok(asked) => asked,
        Err(error) => return failed(&error),
    };
    let title = match kind {
        BulkKind::Submit => "Submit many jobs".to_owned(),
        BulkKind::Rerun => format!("Rerun {}", filter.in_words()),
        BulkKind::Stop => format!("Stop {}", filter.in_words()),
    };
    let fields = match kind {
        BulkKind::Submit => submit(&query),
        BulkKind::Rerun => rerun(&query),
        BulkKind::Stop => ().into_any(),
    };
    view! {
        <Title text=title.clone() />
        <nav class="crumbs" aria-label="Breadcrumb">
            <a href="/bulks">"Bulk operations"</a>
        </nav>
        <h1>{title}</h1>
        {told(refused)}
        <form class="form" method="post" action="/bulks">
            <input type="hidden" name="kind" value=kind.as_str() />
            {(kind != BulkKind::Submit).then(|| which(&filter, kind))}
            {fields}
            {(kind != BulkKind::Stop).then(|| order(&query))}
            {text("reason", "Why (for the jobs' lineage)", &query, "", "")}
            <div class="actions">
                <button type="submit" class="button primary">
                    "Preview"
                </button>
                <span class="hint">"Nothing begins before you have seen what would."</span>
            </div>
        </form>
    }
    .into_any()
}

fn text(
    name: &'static str,
    label: &'static str,
    query: &ParamsMap,
    placeholder: &'static str,
    hint: &'static str,
) -> AnyView {
    view! {
        <div class="field">
            <label for=name>{label}</label>
            <input id=name name=name type="text" placeholder=placeholder value=query.get(name) />
            {(!hint.is_empty()).then(|| view! { <p class="hint">{hint}</p> })}
        </div>
    }
    .into_any()
}

/// Which jobs: the filter, to be narrowed.
fn which(filter: &JobFilter, kind: BulkKind) -> AnyView {
    let options = JobStatus::ALL
        .into_iter()
        .filter(|status| status.is_final() == (kind == BulkKind::Rerun))
        .map(|status| {
            view! {
                <option value=status.as_str() selected=filter.status == Some(status)>
                    {status.label()}
                </option>
            }
        })
        .collect_view();
    let any = match kind {
        BulkKind::Rerun => "Any that is over",
        _ => "Any that is under way",
    };
    let input = |name: &'static str, label: &'static str, value: Option<String>| {
        view! {
            <div class="field">
                <label for=name>{label}</label>
                <input id=name name=name type="text" value=value />
            </div>
        }
    };
    let hidden = |name: &'static str, value: Option<i64>| {
        value.map(|value| view! { <input type="hidden" name=name value=value /> })
    };
    view! {
        <fieldset>
            <legend>"Which jobs"</legend>
            <div class="field">
                <label for="status">"Status"</label>
                <select id="status" name="status">
                    <option value="">{any}</option>
                    {options}
                </select>
            </div>
            {input("error", "Error", filter.error.clone())}
            {input("failed_state", "Failed in state", filter.failed_state.clone())}
            {input("text", "Title or source contains", filter.text.clone())}
            {input("pipeline", "Pipeline", filter.pipeline.clone())}
            {hidden("since_ms", filter.since_ms)}
            {hidden("until_ms", filter.until_ms)}
        </fieldset>
    }
    .into_any()
}

fn rerun(query: &ParamsMap) -> AnyView {
    let chosen = query.get("mode").unwrap_or_default();
    let options = RerunChoice::ALL
        .iter()
        .map(|mode| {
            view! {
                <option value=mode.as_str() selected=mode.as_str() == chosen>
                    {mode.label()}
                </option>
            }
        })
        .collect_view();
    view! {
        <div class="field">
            <label for="mode">"How"</label>
            <select id="mode" name="mode">
                {options}
            </select>
        </div>
        <div class="field">
            <label for="edit">"Changes to each input (JSON Merge Patch)"</label>
            <textarea id="edit" name="edit" rows="3" placeholder="{\"max_height\": 720}">
                {query.get("edit")}
            </textarea>
            <p class="hint">
                "Only new executions can have another input. The preview shows every difference."
            </p>
        </div>
    }
    .into_any()
}

fn submit(query: &ParamsMap) -> AnyView {
    view! {
        <fieldset>
            <legend>"From one of these"</legend>
            <div class="field">
                <label for="csv">"CSV"</label>
                <textarea id="csv" name="csv" rows="8" placeholder="source,title">
                    {use_context::<TypedCsv>().map(|typed| typed.0)}
                </textarea>
                <p class="hint">
                    "The first line names fields of the pipeline's input; each line after it is a job."
                </p>
            </div>
            {text(
                "prefix",
                "Prefix in S3",
                query,
                "s3://bucket/folder/",
                "Every object under it becomes a job.",
            )}
            {text("suffix", "Only keys that end with", query, ".mp4", "")}
        </fieldset>
        {text("fields", "Fields that all of them have (JSON)", query, "{\"max_height\": 720}", "")}
        <input type="hidden" name="pipeline" value=query.get("pipeline").unwrap_or_else(|| "media".to_owned()) />
        <div class="field">
            <label for="priority">"Priority"</label>
            <input id="priority" name="priority" type="number" min="0" max="9" value=query.get("priority") placeholder="5" />
            <p class="hint">"From 0 to 9. Of jobs that wait for their start, higher ones start first."</p>
        </div>
    }
    .into_any()
}

fn order(query: &ParamsMap) -> AnyView {
    view! {
        <fieldset>
            <legend>"In which order"</legend>
            <div class="field check">
                <input id="canary" name="canary" type="checkbox" value="on" checked=query.get("canary").is_some() />
                <label for="canary">
                    "Canary: 1, then 10, then the rest; pause when the same failure comes again"
                </label>
            </div>
            <div class="field">
                <label for="pace_per_minute">"At most this many a minute"</label>
                <input
                    id="pace_per_minute"
                    name="pace_per_minute"
                    type="number"
                    min="1"
                    value=query.get("pace_per_minute")
                    placeholder="as fast as AWS allows"
                />
            </div>
        </fieldset>
    }
    .into_any()
}
