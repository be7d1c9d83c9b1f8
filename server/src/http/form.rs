//! Forms of pages: submitting a job with its file, running one again, stopping one. They work without
//! script: what succeeds answers 303 to the job's page, what does not renders the form's page again.

use std::collections::HashMap;

use app::backend::{ActionFailure, SubmitFailure};
use axum::{
    extract::{
        DefaultBodyLimit, FromRequest, Multipart, Path, Request, State,
        multipart::{Field, MultipartError},
    },
    http::{HeaderMap, header::ACCEPT},
    response::{IntoResponse, Redirect, Response},
};
use futures::StreamExt;
use model::{ApiError, ErrorCode, FieldError, JobId, SubmitJob};
use serde_json::{Map, Value};

use super::{
    Edge,
    answer::{Answer, job_id, status_of},
    job::mode_of,
    page::{Told, render_instead},
    request::{Actor, RequestId},
};
use crate::control::{
    Control, Failure,
    job::Rerun,
    pipeline::{FOLLOWED, pipeline},
    upload::{Arrived, Incoming},
};

/// The longest text of one field, and how many fields a form may have.
const FIELD_BYTES_MAX: usize = 64 * 1024;
const FIELDS_MAX: usize = 64;
/// Who asks when a page's form does not say.
pub(super) const PAGE: &str = "a page";

/// What a form said.
struct Filled {
    pipeline: String,
    /// Property name to what was typed.
    texts: Map<String, Value>,
    file: Option<Arrived>,
    /// What the uploaded file is called.
    file_name: Option<String>,
}

/// Submits a job: `multipart/form-data` (RFC 7578) with the schema's properties and at most one `file`.
pub(super) async fn submit(
    State(edge): State<Edge>,
    request_id: RequestId,
    actor: Actor,
    request: Request,
) -> Response {
    let wants_json = wants_json(request.headers());
    let job = edge.control.new_job_id();
    let mut filled = Filled {
        pipeline: FOLLOWED.to_owned(),
        texts: Map::new(),
        file: None,
        file_name: None,
    };
    let result = async {
        read(&edge.control, job, request, &mut filled).await?;
        make(&edge.control, job, &mut filled, actor.or(PAGE)).await
    };
    let failure = match result.await {
        Ok(()) => return Redirect::to(&format!("/jobs/{job}")).into_response(),
        Err(failure) => failure,
    };
    let error = failure.answer(&request_id.0);
    if wants_json {
        return Answer(error).into_response();
    }
    let address = "/jobs/new";
    let told = Told {
        status: Some(status_of(&error)),
        submit: Some(SubmitFailure {
            pipeline: filled.pipeline,
            input: Value::Object(filled.texts),
            error,
        }),
        ..Told::default()
    };
    render_instead(&edge, request_id, address, told).await
}

/// Whether the form was sent by a program that reads JSON, not by a browser that shows pages.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|types| types.contains("application/json") && !types.contains("text/html"))
}

/// Reads the whole form; its file goes on to the bucket as it comes.
async fn read(
    control: &Control,
    job: JobId,
    mut request: Request,
    filled: &mut Filled,
) -> Result<(), Failure> {
    // Texts and files have limits of their own, and a file's is larger than any memory.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|problem| Failure::invalid(problem.body_text()))?;
    for _ in 0..FIELDS_MAX {
        let Some(field) = form.next_field().await.map_err(broken)? else {
            return Ok(());
        };
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" => receive(control, job, field, filled).await?,
            "pipeline" => filled.pipeline = text(field).await?,
            _ => {
                filled.texts.insert(name, text(field).await?.into());
            }
        }
    }
    Err(Failure::invalid(format!(
        "The form has more than {FIELDS_MAX} fields."
    )))
}

async fn text(mut field: Field<'_>) -> Result<String, Failure> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        if text.len() + chunk.len() > FIELD_BYTES_MAX {
            return Err(Failure::invalid(format!(
                "A field is longer than {FIELD_BYTES_MAX} bytes."
            )));
        }
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).map_err(|_| Failure::invalid("A field is not UTF-8 text."))
}

async fn receive(
    control: &Control,
    job: JobId,
    mut field: Field<'_>,
    filled: &mut Filled,
) -> Result<(), Failure> {
    let name = field.file_name().unwrap_or_default().to_owned();
    if name.is_empty() {
        // What browsers send when no file was chosen.
        return drain(field).await;
    }
    if filled.file_name.is_some() {
        drain(field).await?;
        return Err(of_field("/file", "Choose one file; each job has one."));
    }
    filled.file_name = Some(name.clone());
    let mut incoming: Option<Incoming> = None;
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        if chunk.is_empty() {
            continue;
        }
        let incoming = match &mut incoming {
            Some(incoming) => incoming,
            None => incoming.insert(control.receive(job, &name).await?),
        };
        if let Err(failure) = incoming.push(chunk).await {
            let failure = match failure {
                Failure::Refused(error) => Failure::Refused(ApiError {
                    fields: vec![FieldError {
                        pointer: "/file".to_owned(),
                        message: error.message.clone(),
                    }],
                    ..error
                }),
                other => other,
            };
            // A browser that is still sending does not read the answer.
            drain(field).await?;
            return Err(failure);
        }
    }
    if let Some(incoming) = incoming {
        filled.file = incoming.finish().await?;
    }
    Ok(())
}

/// Reads on without keeping anything.
async fn drain(field: Field<'_>) -> Result<(), Failure> {
    let mut field = std::pin::pin!(field);
    while let Some(chunk) = field.next().await {
        chunk.map_err(broken)?;
    }
    Ok(())
}

/// Makes the job of what was read.
async fn make(
    control: &Control,
    job: JobId,
    filled: &mut Filled,
    actor: &str,
) -> Result<(), Failure> {
    let pipeline = pipeline(&filled.pipeline)?;
    let mut input = pipeline.typed(&filled.texts);
    let file = filled.file.take();
    if let Some(name) = &filled.file_name {
        if input.get("source").is_some() {
            return Err(of_field(
                "/source",
                "Give either an address or a file, not both.",
            ));
        }
        let Some(file) = &file else {
            return Err(of_field(
                "/file",
                format!("“{name}” is empty: there is nothing to process."),
            ));
        };
        input["source"] = file.source().into();
        if input.get("title").is_none() {
            input["title"] = name
                .chars()
                .take(TITLE_LENGTH_MAX)
                .collect::<String>()
                .into();
        }
    } else if input.get("source").is_none() {
        return Err(of_field(
            "/source",
            "Give the address of a video, or choose a file to upload.",
        ));
    }
    let request = SubmitJob {
        pipeline: pipeline.name.to_owned(),
        input,
        idempotency_key: None,
        once: false,
        priority: None,
    };
    let key = file.as_ref().map(|file| file.key().to_owned());
    control
        .submit_as(job, request, key.as_deref(), actor)
        .await?;
    if let Some(file) = file {
        file.keep();
    }
    Ok(())
}

/// The longest title that a file's name becomes.
const TITLE_LENGTH_MAX: usize = 200;

fn of_field(pointer: &str, message: impl Into<String>) -> Failure {
    Failure::Refused(ApiError {
        fields: vec![FieldError {
            pointer: pointer.to_owned(),
            message: message.into(),
        }],
        ..ApiError::new(
            ErrorCode::Invalid,
            "The input is not valid; see each field.",
        )
    })
}

/// The form did not come whole.
fn broken(problem: MultipartError) -> Failure {
    tracing::info!(problem = problem.body_text(), "a form broke off");
    Failure::invalid("The form did not arrive whole. Send it again.")
}

/// Runs a job again, as the form's mode and reason say. With another input it is a bulk operation of one, for that
/// shows the difference first.
pub(super) async fn rerun(
    State(edge): State<Edge>,
    request_id: RequestId,
    actor: Actor,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let result = async {
        let words = words(&body);
        let rerun = Rerun {
            mode: mode_of(words.get("mode").map(String::as_str))?,
            edit: None,
            reason: words.get("reason").cloned().unwrap_or_default(),
        };
        edge.control
            .rerun(job_id(&id)?, rerun, actor.or(PAGE))
            .await
    };
    acted(&edge, request_id, &id, &headers, result.await.map(|_| ())).await
}

/// Stops a job.
pub(super) async fn stop(
    State(edge): State<Edge>,
    request_id: RequestId,
    actor: Actor,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let result = async {
        let reason = words(&body).remove("reason").unwrap_or_default();
        edge.control
            .stop(job_id(&id)?, &reason, actor.or(PAGE))
            .await
    };
    acted(&edge, request_id, &id, &headers, result.await.map(|_| ())).await
}

/// What a form's fields say.
pub(super) fn words(body: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect()
}

async fn acted(
    edge: &Edge,
    request_id: RequestId,
    id: &str,
    headers: &HeaderMap,
    result: Result<(), Failure>,
) -> Response {
    let failure = match result {
        Ok(()) => return Redirect::to(&format!("/jobs/{id}")).into_response(),
        Err(failure) => failure,
    };
    let error = failure.answer(&request_id.0);
    if wants_json(headers) {
        return Answer(error).into_response();
    }
    let told = Told {
        status: Some(status_of(&error)),
        action: Some(ActionFailure(error)),
        ..Told::default()
    };
    let address = match job_id(id) {
        Ok(id) => format!("/jobs/{id}"),
        Err(_) => "/jobs".to_owned(),
    };
    render_instead(edge, request_id, &address, told).await
}
