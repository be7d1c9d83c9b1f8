//! The New-job form while it is sent: a file's upload shows how far it is. Without script, and for a form
//! without a file, the browser sends the form as it is.

use leptos::{
    prelude::*,
    wasm_bindgen::{JsCast, JsValue, closure::Closure},
};
use model::{Progress, time::bytes_text};
use web_sys::{
    DomParser, Element, FormData, HtmlFormElement, HtmlInputElement, ProgressEvent, SubmitEvent,
    SupportedType, XmlHttpRequest,
};

use crate::components::progress::percent;

/// The id of the form's element in the page.
pub const FORM_ID: &str = "new-job";

/// What the sending of the form has come to.
#[derive(Debug, Clone, PartialEq)]
enum Sending {
    No,
    /// Bytes sent so far; all of them sent means that the server is storing them.
    Bytes(Progress),
    /// The connection broke.
    Broken,
}

/// Wraps the form, which the server has drawn.
#[island]
pub fn Upload(children: Children) -> impl IntoView {
    let sending = RwSignal::new(Sending::No);
    let on_submit = move |event: SubmitEvent| {
        let Some(form) = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlFormElement>().ok())
        else {
            return;
        };
        if !has_file(&form) {
            return;
        }
        // From here on the browser would send it itself: only a request that has been sent replaces it.
        if send(&form, sending).is_ok() {
            event.prevent_default();
        }
    };
    view! {
        <div on:submit=on_submit>
            {children()}
            <div class="upload" role="status">
                {move || match sending.get() {
                    Sending::No => ().into_any(),
                    Sending::Broken => {
                        view! {
                            <p class="field-error">
                                "The connection broke while the file was sent. Check the network and submit again."
                            </p>
                        }
                            .into_any()
                    }
                    Sending::Bytes(progress) => {
                        let percent = percent(&progress).unwrap_or(0);
                        let text = if percent < 100 {
                            format!(
                                "Sending: {} of {}, {percent} %",
                                bytes_text(progress.done),
                                bytes_text(progress.total.unwrap_or(0)),
                            )
                        } else {
                            "Sent; the server is storing the file…".to_owned()
                        };
                        view! {
                            <progress max="100" value=percent.to_string() aria-label="Upload"></progress>
                            <p>{text}</p>
                        }
                            .into_any()
                    }
                }}
            </div>
        </div>
    }
}

fn file_input(form: &Element) -> Option<HtmlInputElement> {
    form.query_selector("input[type=file]")
        .ok()
        .flatten()
        .and_then(|input| input.dyn_into().ok())
}

fn has_file(form: &HtmlFormElement) -> bool {
    file_input(form)
        .and_then(|input| input.files())
        .is_some_and(|files| files.length() > 0)
}

fn send(form: &HtmlFormElement, sending: RwSignal<Sending>) -> Result<(), JsValue> {
    let request = XmlHttpRequest::new()?;
    request.open("POST", &form.action())?;
    let on_progress = Closure::<dyn Fn(ProgressEvent)>::new(move |event: ProgressEvent| {
        sending.set(Sending::Bytes(Progress {
            unit: "bytes".to_owned(),
            done: event.loaded() as u64,
            total: Some(event.total() as u64),
        }));
    });
    request
        .upload()?
        .set_onprogress(Some(on_progress.as_ref().unchecked_ref()));
    on_progress.forget();

    let answered = request.clone();
    let sent_form = form.clone();
    let on_load = Closure::once_into_js(move || {
        sending.set(Sending::No);
        let landed = answered.response_url();
        if answered.status().is_ok_and(|status| status < 400) && !landed.is_empty() {
            // The form was accepted and the redirect followed: show where it led to.
            let _ = window().location().set_href(&landed);
        } else if show_refusal(&sent_form, &answered).is_none() {
            sending.set(Sending::Broken);
        }
    });
    request.set_onload(Some(on_load.unchecked_ref()));
    let on_error = Closure::once_into_js(move || sending.set(Sending::Broken));
    request.set_onerror(Some(on_error.unchecked_ref()));

    request.send_with_opt_form_data(Some(&FormData::new_with_form(form)?))
}

/// Puts the refused form, as the server has drawn it with its errors, in the place of the one that was sent.
/// The chosen file is kept: a page cannot choose it anew.
fn show_refusal(form: &HtmlFormElement, answer: &XmlHttpRequest) -> Option<()> {
    let text = answer.response_text().ok().flatten()?;
    let page = DomParser::new()
        .ok()?
        .parse_from_string(&text, SupportedType::TextHtml)
        .ok()?;
    let refused = page.get_element_by_id(FORM_ID)?;
    let file = file_input(form)?;
    if let Some(place) = file_input(&refused) {
        place.replace_with_with_node_1(&file).ok()?;
    }
    form.set_inner_html("");
    while let Some(child) = refused.first_child() {
        form.append_child(&child).ok()?;
    }
    form.query_selector("[aria-invalid=true]")
        .ok()
        .flatten()
        .and_then(|field| field.dyn_into::<web_sys::HtmlElement>().ok())
        .map(|field| field.focus());
    Some(())
}
