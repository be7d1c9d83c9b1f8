//! The button of [`crate::components::copy`] on pages that are otherwise HTML alone.

use leptos::prelude::*;

use crate::components::copy::copy_button;

/// Copies `text`; `what` names it for those who do not see where the button stands.
#[island]
pub fn CopyButton(text: String, what: String) -> impl IntoView {
    let alive = RwSignal::new(false);
    Effect::new(move || alive.set(true));
    copy_button(text, what, alive.into())
}
