//! Keeps a part of a page fresh: asks for the page again every few seconds while somebody sees it, and puts the
//! part that the server has drawn in the place of the one that is shown. Without script the page stands still.

use std::time::Duration;

use leptos::{
    prelude::*,
    wasm_bindgen::{JsCast, JsValue, closure::Closure},
};
use web_sys::{DomParser, SupportedType, XmlHttpRequest};

/// How often the page is asked for.
const PACE: Duration = Duration::from_secs(5);
/// How long an answer may take, in ms: less than that, so that no two are under way.
const ANSWER_MS_MAX: u32 = 4_000;

/// Keeps the element with this id fresh, and the mark in the navigation with it; says when it cannot. The page is asked
/// for at `address`: what the browser shows may be where a form was sent to.
#[island]
pub fn Refresh(id: String, address: String) -> impl IntoView {
    let is_lost = RwSignal::new(false);
    Effect::new(move || {
        let (id, address) = (id.clone(), address.clone());
        // Lives as long as the page.
        let _ = set_interval_with_handle(
            move || {
                if !document().hidden() {
                    let _ = ask(id.clone(), &address, is_lost);
                }
            },
            PACE,
        );
    });
    view! {
        <p class="hint" role="status">
            {move || {
                is_lost
                    .get()
                    .then_some("Gantry itself does not answer: what is shown may be old. Trying again…")
            }}
        </p>
    }
}

fn ask(id: String, address: &str, is_lost: RwSignal<bool>) -> Result<(), JsValue> {
    let request = XmlHttpRequest::new()?;
    request.open("GET", address)?;
    request.set_timeout(ANSWER_MS_MAX);
    let answered = request.clone();
    let on_load = Closure::once_into_js(move || {
        let shown =
            answered.status().is_ok_and(|status| status == 200) && show(&id, &answered).is_some();
        is_lost.set(!shown);
    });
    request.set_onload(Some(on_load.unchecked_ref()));
    let on_error = Closure::once_into_js(move || is_lost.set(true));
    request.set_onerror(Some(on_error.unchecked_ref()));
    let on_timeout = Closure::once_into_js(move || is_lost.set(true));
    request.set_ontimeout(Some(on_timeout.unchecked_ref()));
    request.send()
}

/// Puts the new element in the place of the old one.
fn show(id: &str, answer: &XmlHttpRequest) -> Option<()> {
    let text = answer.response_text().ok().flatten()?;
    let page = DomParser::new()
        .ok()?
        .parse_from_string(&text, SupportedType::TextHtml)
        .ok()?;
    for id in [id, "health-mark"] {
        let new = page.get_element_by_id(id)?;
        let old = document().get_element_by_id(id)?;
        // What did not change stays, with what a person has selected in it.
        if old.inner_html() != new.inner_html() || old.class_name() != new.class_name() {
            old.replace_with_with_node_1(&new).ok()?;
        }
    }
    Some(())
}
