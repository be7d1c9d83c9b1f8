//! Pages, one file a resource. Each reads its view from the [`Backend`](crate::backend::Backend), sets title and
//! status, and draws; what is live in it is an island.

pub mod bulk;
pub mod bulks;
pub mod cold_starts;
pub mod health;
pub mod images;
pub mod job;
pub mod jobs;
pub mod new_bulk;
pub mod new_job;
pub mod not_found;
pub mod pipeline;

use leptos::prelude::*;
use leptos_meta::Title;
use model::{ApiError, ErrorCode};

use crate::{
    backend::{ActionFailure, PageStatus},
    components::error::error_panel,
};

/// Sets the page's HTTP status.
fn set_status(status: u16) {
    if let Some(page) = use_context::<PageStatus>() {
        page.set(status);
    }
}

/// Why a form's wish was refused, on the page that is shown in place of an answer.
fn told(refused: Option<ActionFailure>) -> AnyView {
    let Some(ActionFailure(error)) = refused else {
        return ().into_any();
    };
    set_status(error.code.http_status());
    error_panel("That was not done", &error, ().into_any())
}

/// The page in place of one whose view could not be had.
fn failed(error: &ApiError) -> AnyView {
    set_status(error.code.http_status());
    let title = match error.code {
        ErrorCode::NotFound => "Not found",
        ErrorCode::Unavailable => "Not available right now",
        ErrorCode::Invalid => "This address asks for something that does not exist",
        _ => "This page could not be shown",
    };
    view! {
        <Title text=title />
        <h1 class="sr">{title}</h1>
        {error_panel(title, error, ().into_any())}
        <p>
            <a href="/jobs">"Go to the jobs"</a>
        </p>
    }
    .into_any()
}
