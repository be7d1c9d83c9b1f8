//! A job's page, live: the graph, the lanes, the head and what may be done follow the server.

use asl::layout::Layout;
use leptos::{
    prelude::*,
    wasm_bindgen::{JsCast, closure::Closure},
};
use model::{ApiError, JobId, JobView, StateDetail, StateStatus, percent_encoded};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use web_sys::XmlHttpRequest;

use crate::{
    clock::Clock,
    components::{
        artifacts, detail, error::error_panel, graph, job, json::json_block, lanes, lineage,
    },
    stream::{follow, link_banner},
};

/// The execution graph as it is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drawing {
    /// What is drawn at first.
    pub shown: Layout,
    /// The whole, where `shown` leaves out error handling; drawn as soon as the execution comes to it.
    pub full: Option<Layout>,
    /// The address asks for the whole.
    pub everything: bool,
}

impl Drawing {
    /// The drawing that has every state that was entered.
    fn layout(&self, view: &JobView) -> &Layout {
        let states = view
            .execution
            .as_ref()
            .map(|execution| execution.states.as_slice());
        let all_shown = states.unwrap_or_default().iter().all(|state| {
            state.status == StateStatus::Idle
                || self.shown.nodes.iter().any(|node| node.name == state.name)
        });
        match &self.full {
            Some(full) if !all_shown => full,
            _ => &self.shown,
        }
    }
}

/// Everything about a job. `asked` and `visit` are what the address asks for; `detail` is that state, or else the
/// one that tells most, which changes while the job runs.
#[island]
pub fn JobPanel(
    view: JobView,
    drawing: Result<Drawing, ApiError>,
    asked: Option<String>,
    detail: Option<StateDetail>,
    visit: Option<i64>,
) -> impl IntoView {
    let id = view.job.id;
    let input = view.input.to_string();
    let clock = Clock::new(view.as_of_ms);
    let view = RwSignal::new(view);
    let link = follow(format!("job:{id}"), move |next: JobView| {
        clock.set(next.as_of_ms);
        view.set(next);
    });
    let as_of = Signal::derive(move || view.with(|view| view.as_of_ms));

    let detail = RwSignal::new(detail);
    let chosen = {
        let asked = asked.clone();
        Memo::new(move |_| {
            asked.clone().or_else(|| {
                view.with(|view| {
                    let told = view.execution.as_ref()?.telling_state();
                    told.map(str::to_owned)
                })
            })
        })
    };
    keep_detail(id, chosen, visit, view, detail);

    // The tab says how it stands, too.
    let title = Memo::new(move |_| view.with(|view| job::page_title(&view.job)));
    Effect::watch(
        move || title.get(),
        move |title, _, _| document().set_title(&format!("{title} · Gantry")),
        false,
    );

    // Memos, so that what has not changed is not drawn again: a playing video stays untouched.
    let head = Memo::new(move |_| {
        view.with(|view| {
            let arn = view
                .execution
                .as_ref()
                .map(|execution| execution.arn.clone());
            (view.job.clone(), arn)
        })
    });
    let told = Memo::new(move |_| view.with(|view| view.lineage.clone()));
    let made = Memo::new(move |_| view.with(|view| view.artifacts.clone()));
    let playing = RwSignal::new(0);
    // A drawing wider than its box begins in the middle, where Start is.
    let graph_box = NodeRef::<leptos::html::Div>::new();
    Effect::new(move || {
        if let Some(graph_box) = graph_box.get() {
            graph_box.set_scroll_left((graph_box.scroll_width() - graph_box.client_width()) / 2);
        }
    });

    view! {
        <div class="job">
            {link_banner(link, as_of)}
            {move || head.with(|(job, _)| job::title(job))}
            {move || view.with(job::outcome_above)}
            {move || head.with(|(job, arn)| job::facts(job, arn.as_deref(), clock))}
            {move || view.with(job::outcome_below)} <div class="split">
                <section class="graph-panel" aria-labelledby="graph-title">
                    <div class="title-line">
                        <h2 id="graph-title">"Execution graph"</h2>
                        {drawing.as_ref().ok().map(|drawing| handlers_link(id, drawing, asked.as_deref()))}
                    </div>
                    {match drawing {
                        Err(error) => {
                            error_panel("The graph cannot be drawn", &error, ().into_any())
                        }
                        Ok(drawing) => {
                            let tall = graph::is_tall(&drawing.shown);
                            view! {
                                <div
                                    class=if tall { "graph-box tall" } else { "graph-box" }
                                    tabindex="0"
                                    role="group"
                                    aria-label="Graph, scrollable"
                                    node_ref=graph_box
                                >
                                    {move || {
                                        let chosen = chosen.get();
                                        view.with(|view| {
                                            graph::graph(
                                                id,
                                                drawing.layout(view),
                                                view.execution.as_ref(),
                                                chosen.as_deref(),
                                            )
                                        })
                                    }}
                                </div>
                            }
                                .into_any()
                        }
                    }}
                    {graph::legend()}
                </section>
                <section class="panel detail" id="detail" aria-labelledby="detail-title" data-testid="state-detail">
                    {move || detail.with(|detail| detail::panel(id, detail.as_ref(), clock))}
                </section>
            </div>
            {move || made.with(|made| artifacts::artifacts(id, made, playing, clock))}
            {move || view.with(|view| lanes::lanes(view.execution.as_ref(), clock))}
            {move || told.with(|events| lineage::lineage(events))}
            <section aria-labelledby="input-title">
                <h2 id="input-title">"Input"</h2>
                {json_block("As submitted", &input, Some(format!("/api/v1/jobs/{id}")), false)}
            </section>
        </div>
    }
}

/// Where error handling that nothing has come to is drawn too, or is left out again.
fn handlers_link(id: JobId, drawing: &Drawing, chosen: Option<&str>) -> AnyView {
    let state = chosen.map(|state| format!("state={}", percent_encoded(state)));
    let (extra, text) = match (&drawing.full, drawing.everything) {
        (Some(_), _) => (Some("all=1".to_owned()), "Show error handling"),
        (None, true) => (None, "Hide error handling"),
        (None, false) => return ().into_any(),
    };
    let query = [state, extra]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("&");
    view! {
        <a class="button small" href=format!("/jobs/{id}?{query}#graph-title")>
            {text}
        </a>
    }
    .into_any()
}

/// Reads the chosen state's details again whenever something happened to it, or another is the chosen one.
fn keep_detail(
    id: JobId,
    chosen: Memo<Option<String>>,
    visit: Option<i64>,
    view: RwSignal<JobView>,
    detail: RwSignal<Option<StateDetail>>,
) {
    let stamp = Memo::new(move |_| {
        let chosen = chosen.get()?;
        view.with(|view| {
            let execution = view.execution.as_ref()?;
            let state = execution.states.iter().find(|view| view.name == chosen)?;
            Some((
                execution.arn.clone(),
                chosen,
                state.status,
                state.visit_count,
                state.retry_count,
                state.succeeded_count,
                state.failed_count,
            ))
        })
    });
    Effect::watch(
        move || stamp.get(),
        move |_, _, _| {
            let Some(state) = chosen.get_untracked() else {
                return;
            };
            let url = detail::detail_url(id, &state, visit);
            fetch(&url, move |found: StateDetail| {
                // An answer may come after another state became the chosen one.
                if chosen.get_untracked().as_ref() == Some(&found.name) {
                    detail.set(Some(found));
                }
            });
        },
        false,
    );
}

/// Reads JSON. An answer that is none is dropped: the next change asks again.
fn fetch<T: DeserializeOwned + 'static>(url: &str, take: impl Fn(T) + 'static) {
    let Ok(request) = XmlHttpRequest::new() else {
        return;
    };
    if request.open("GET", url).is_err() {
        return;
    }
    let answered = request.clone();
    let on_load = Closure::once_into_js(move || {
        if answered.status() == Ok(200)
            && let Ok(Some(text)) = answered.response_text()
            && let Ok(found) = serde_json::from_str(&text)
        {
            take(found);
        }
    });
    request.set_onload(Some(on_load.unchecked_ref()));
    // A failed send shows as the lost stream beside it.
    let _ = request.send();
}
