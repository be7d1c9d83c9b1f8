//! What differs between two inputs, place by place.

use leptos::prelude::*;
use model::InputChange;

/// What changes in an input.
pub fn changes(changes: &[InputChange]) -> AnyView {
    if changes.is_empty() {
        return ().into_any();
    }
    let said = |value: &Option<serde_json::Value>| match value {
        Some(value) => value.to_string(),
        None => "nothing".to_owned(),
    };
    let rows = changes
        .iter()
        .map(|change| {
            view! {
                <li>
                    <code>{change.pointer.clone()}</code>
                    ": "
                    <del>{said(&change.before)}</del>
                    " → "
                    <ins>{said(&change.after)}</ins>
                </li>
            }
        })
        .collect_view();
    view! { <ul class="changes">{rows}</ul> }.into_any()
}
