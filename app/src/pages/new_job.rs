//! `/jobs/new`: the form that submits a job, made from the pipeline's schema; rendered again with what was typed
//! when the server refused it.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use model::{ApiError, FieldError};
use serde_json::Value;

use super::{failed, set_status};
use crate::{
    backend::{SharedBackend, SubmitFailure},
    components::error::error_panel,
    islands::upload::{FORM_ID, Upload},
    schema_form::{Control, Field, fields, shown},
};

/// The pipeline when the address names none.
const DEFAULT_PIPELINE: &str = "media";
/// The property that an uploaded file may stand in for.
const SOURCE: &str = "source";

/// The form.
#[component]
pub fn NewJobPage() -> impl IntoView {
    let refused = use_context::<SubmitFailure>();
    let pipeline = refused
        .as_ref()
        .map(|refused| refused.pipeline.clone())
        .or_else(|| use_query_map().get_untracked().get("pipeline"))
        .filter(|pipeline| !pipeline.is_empty())
        .unwrap_or_else(|| DEFAULT_PIPELINE.to_owned());
    let backend = expect_context::<SharedBackend>();
    Suspend::new(async move {
        let schema = match backend.pipeline_schema(pipeline.clone()).await {
            Ok(schema) => schema,
            Err(error) => return failed(&error),
        };
        if let Some(refused) = &refused {
            set_status(refused.error.code.http_status());
        }
        let title = if refused.is_some() {
            "New job: not submitted"
        } else {
            "New job"
        };
        view! {
            <Title text=title />
            <h1>"New job"</h1>
            {schema["description"].as_str().map(|text| view! { <p class="lead">{text.to_owned()}</p> })}
            <Upload>{form(pipeline, &schema, refused)}</Upload>
        }
        .into_any()
    })
}

fn form(pipeline: String, schema: &Value, refused: Option<SubmitFailure>) -> AnyView {
    let fields = fields(schema);
    let typed = refused.as_ref().map(|refused| &refused.input);
    let error = refused.as_ref().map(|refused| &refused.error);
    let problem = |name: &str| {
        error.and_then(|error| {
            error
                .fields
                .iter()
                .find(|field| field.pointer.strip_prefix('/') == Some(name))
        })
    };
    let (source, others): (Vec<_>, Vec<_>) = fields.iter().partition(|field| field.name == SOURCE);
    let controls = |fields: Vec<&Field>| {
        fields
            .into_iter()
            .map(|one| field(one, shown(one, typed), problem(&one.name)))
            .collect::<Vec<_>>()
    };
    view! {
        <form
            id=FORM_ID
            class="form"
            method="post"
            action="/jobs"
            enctype="multipart/form-data"
        >
            {error.map(|error| summary(error, &fields))}
            <input type="hidden" name="pipeline" value=pipeline />
            <fieldset>
                <legend>"Address or file"</legend>
                {controls(source)}
                <p class="or">"or"</p>
                {file_field(problem("file"))}
            </fieldset>
            <fieldset class="settings">
                <legend>"Settings"</legend>
                {controls(others)}
            </fieldset>
            <p>
                <button type="submit" class="button primary">"Submit job"</button>
            </p>
        </form>
    }
    .into_any()
}

/// What is wrong, in one place, each with a link to its field.
fn summary(error: &ApiError, fields: &[Field]) -> AnyView {
    let title_of = |name: &str| {
        fields
            .iter()
            .find(|field| field.name == name)
            .map_or_else(|| "File".to_owned(), |field| field.title.clone())
    };
    let problems: Vec<_> = error
        .fields
        .iter()
        .map(|problem| {
            let name = problem.pointer.trim_start_matches('/').to_owned();
            view! {
                <li>
                    <a href=format!("#field-{name}")>{title_of(&name)}</a>
                    {format!(": {}", problem.message)}
                </li>
            }
        })
        .collect();
    let list = (!problems.is_empty()).then(|| view! { <ul>{problems}</ul> });
    error_panel("The job was not submitted", error, list.into_any())
}

/// What stands around every control: label, description, error; and the ids that bind them together.
fn field(field: &Field, value: String, problem: Option<&FieldError>) -> AnyView {
    let id = format!("field-{}", field.name);
    let about_id = format!("about-{}", field.name);
    let error_id = format!("error-{}", field.name);
    let described = match (&field.description, problem) {
        (_, Some(_)) => Some(format!("{error_id} {about_id}")),
        (Some(_), None) => Some(about_id.clone()),
        (None, None) => None,
    };
    let invalid = problem.is_some().then_some("true");
    let name = field.name.clone();
    let control = match &field.control {
        Control::Choice(choices) => {
            let options: Vec<_> = choices
                .iter()
                .map(|(choice, label)| {
                    view! {
                        <option value=choice.clone() selected=*choice == value>
                            {label.clone()}
                        </option>
                    }
                })
                .collect();
            view! {
                <select id=id.clone() name=name aria-describedby=described aria-invalid=invalid>
                    {options}
                </select>
            }
            .into_any()
        }
        Control::Integer { minimum, maximum } => view! {
            <input
                id=id.clone()
                name=name
                type="number"
                step="1"
                min=minimum.map(|minimum| minimum.to_string())
                max=maximum.map(|maximum| maximum.to_string())
                value=value
                aria-describedby=described
                aria-invalid=invalid
            />
        }
        .into_any(),
        Control::Number => view! {
            <input
                id=id.clone()
                name=name
                type="number"
                step="any"
                value=value
                aria-describedby=described
                aria-invalid=invalid
            />
        }
        .into_any(),
        Control::Text {
            max_length,
            example,
        } => view! {
            <input
                id=id.clone()
                name=name
                type="text"
                autocomplete="off"
                spellcheck="false"
                maxlength=max_length.map(|length| length.to_string())
                placeholder=example.clone()
                // The source may be a file instead; what else is required the browser may say itself.
                required=field.required && field.name != SOURCE
                value=value
                aria-describedby=described
                aria-invalid=invalid
            />
        }
        .into_any(),
    };
    view! {
        <div class=if matches!(field.control, Control::Text { .. }) { "field wide" } else { "field" }>
            <label for=id>{field.title.clone()}</label>
            {control}
            {problem.map(|problem| error_text(error_id, problem))}
            {field
                .description
                .clone()
                .map(|about| view! { <p class="hint" id=about_id>{about}</p> })}
        </div>
    }
    .into_any()
}

fn error_text(id: String, problem: &FieldError) -> impl IntoView {
    view! {
        <p class="field-error" id=id>
            {problem.message.clone()}
        </p>
    }
}

fn file_field(problem: Option<&FieldError>) -> impl IntoView {
    view! {
        <div class="field">
            <label for="field-file">"File"</label>
            <input
                id="field-file"
                name="file"
                type="file"
                accept="video/*,audio/*"
                aria-describedby=if problem.is_some() { "error-file about-file" } else { "about-file" }
                aria-invalid=problem.is_some().then_some("true")
            />
            {problem.map(|problem| error_text("error-file".to_owned(), problem))}
            <p class="hint" id="about-file">
                "A video or audio file of yours, in place of an address."
            </p>
        </div>
    }
}
