//! A button that copies a text. Without script there is nothing to press, so it stays hidden until it works.

use std::time::Duration;

use leptos::prelude::*;

/// Copies `text`; `what` names it for those who do not see where the button stands.
pub fn copy_button(text: String, what: String, alive: Signal<bool>) -> AnyView {
    let (copied, set_copied) = signal(false);
    let copy = move |_| {
        // Not awaited: the browser refuses only where the page may not use the clipboard at all.
        let _ = window().navigator().clipboard().write_text(&text);
        set_copied.set(true);
        set_timeout(
            move || {
                set_copied.try_set(false);
            },
            Duration::from_secs(2),
        );
    };
    view! {
        <button
            type="button"
            class="copy"
            hidden=move || !alive.get()
            aria-label=format!("Copy {what}")
            on:click=copy
        >
            {move || if copied.get() { "Copied" } else { "Copy" }}
        </button>
    }
    .into_any()
}
