//! `/health`: whether everything works, and if not, what is wrong, since when and what to do about it.
use leptos::prelude::*;
#[component]
pub fn HealthPage() -> impl IntoView { "" }
