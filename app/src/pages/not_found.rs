//! Any address without a page.

use leptos::prelude::*;
use model::{ApiError, ErrorCode};

use super::failed;

/// Answers 404.
#[component]
pub fn NotFoundPage() -> impl IntoView {
    failed(&ApiError::new(
        ErrorCode::NotFound,
        "There is no page at this address. Check it, or start from the list of jobs.",
    ))
}
