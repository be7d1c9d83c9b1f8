//! An [`ApiError`] as a person sees it, and only that: causes stay in the server's log.

use leptos::prelude::*;
use model::ApiError;

/// The message, what there is to add to it, and the request's id to quote.
pub fn error_panel(title: &'static str, error: &ApiError, more: AnyView) -> AnyView {
    view! {
        <div class="panel failure" role="alert">
            <h2>{title}</h2>
            <p>{error.message.clone()}</p>
            {more}
            {error
                .request_id
                .clone()
                .map(|id| view! { <p class="hint">"Request " <code>{id}</code></p> })}
        </div>
    }
    .into_any()
}
