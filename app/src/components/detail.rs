//! One state in full: its visits, attempts, times, error, input and output.

use leptos::prelude::*;
use model::{
    Attempt, InvocationView, JobId, StateDetail, VisitView, percent_encoded, time::duration_text,
};

use super::{
    copy::copy_button,
    digest::{image_href, short_digest},
    graph::state_href,
    json::json_block,
    moment::{self, time_text},
    status::{state_badge, state_label},
};
use crate::clock::Clock;

/// Where the API has the same state, whole.
pub fn detail_url(id: JobId, state: &str, visit: Option<i64>) -> String {
    let state = percent_encoded(state);
    match visit {
        Some(visit) => format!("/api/v1/jobs/{id}/states/{state}?visit={visit}"),
        None => format!("/api/v1/jobs/{id}/states/{state}"),
    }
}

/// The panel; without a chosen state it says how to choose one.
pub fn panel(id: JobId, detail: Option<&StateDetail>, clock: Clock) -> AnyView {
    match detail {
        None => view! {
            <h2 id="detail-title">"State"</h2>
            <p class="hint">"Choose a state in the graph to see its input, output and attempts."</p>
        }
        .into_any(),
        Some(detail) => chosen(id, detail, clock),
    }
}

fn chosen(id: JobId, detail: &StateDetail, clock: Clock) -> AnyView {
    let visit = detail.visit.as_ref();
    let full = detail_url(id, &detail.name, visit.map(|visit| visit.entered_event_id));
    view! {
        <h2 id="detail-title" data-testid="state-name">
            {detail.name.clone()} " " <span class="hint">{format!("{:?}", detail.kind)}</span>
            {visit.map(|visit| state_badge(visit.status))}
        </h2>
        {visits(id, detail)}
        {match visit {
            None => {
                view! { <p class="hint">"This execution has not entered the state."</p> }.into_any()
            }
            Some(_) => {
                view! {
                    {(detail.error.is_some() || detail.cause.is_some())
                        .then(|| {
                            view! {
                                <div class="error-box">
                                    {detail.error.clone().map(|error| view! { <code>{error}</code> })}
                                    {detail
                                        .cause
                                        .clone()
                                        .map(|cause| view! { <p class="cause">{cause}</p> })}
                                </div>
                            }
                        })}
                    <dl class="facts">
                        {detail
                            .started_at_ms
                            .map(|started| {
                                view! {
                                    <div>
                                        <dt>"Entered"</dt>
                                        <dd>{moment::moment(started)}</dd>
                                    </div>
                                    <div>
                                        <dt>
                                            {if detail.ended_at_ms.is_some() { "Took" } else { "Running for" }}
                                        </dt>
                                        <dd>{moment::duration(started, detail.ended_at_ms, clock)}</dd>
                                    </div>
                                }
                            })}
                        {detail
                            .resource
                            .clone()
                            .map(|resource| {
                                view! {
                                    <div class="wide">
                                        <dt>"Resource"</dt>
                                        <dd class="break">
                                            <code>{resource.clone()}</code>
                                            {copy_button(resource, "resource ARN".to_owned(), clock.alive_signal())}
                                        </dd>
                                    </div>
                                }
                            })}
                    </dl>
                    {attempts(&detail.attempts)}
                    {invocations(&detail.invocations)}
                    {detail
                        .input
                        .as_deref()
                        .map(|input| json_block("Input", input, Some(full.clone()), true))}
                    {detail
                        .output
                        .as_deref()
                        .map(|output| json_block("Output", output, Some(full.clone()), true))}
                }
                    .into_any()
            }
        }}
    }
    .into_any()
}

/// What a visit is called in the list to choose from.
fn visit_text(visit: &VisitView, number: usize) -> String {
    let name = match (&visit.label, visit.iteration) {
        (Some(label), _) => label.clone(),
        (None, Some(iteration)) => format!("#{iteration}"),
        (None, None) => format!("visit {number}"),
    };
    format!("{name}: {}", state_label(visit.status).to_lowercase())
}

fn visits(id: JobId, detail: &StateDetail) -> AnyView {
    if detail.visits.len() < 2 {
        return ().into_any();
    }
    let chosen = detail.visit.as_ref().map(|visit| visit.entered_event_id);
    let options: Vec<_> = detail
        .visits
        .iter()
        .enumerate()
        .map(|(at, visit)| {
            view! {
                <option
                    value=visit.entered_event_id.to_string()
                    selected=chosen == Some(visit.entered_event_id)
                >
                    {visit_text(visit, at + 1)}
                </option>
            }
        })
        .collect();
    let at = detail
        .visits
        .iter()
        .position(|visit| Some(visit.entered_event_id) == chosen);
    let step = |to: Option<usize>, text: &'static str| {
        to.and_then(|to| detail.visits.get(to)).map(|visit| {
            let href = state_href(id, &detail.name, Some(visit.entered_event_id));
            view! { <a class="button small" href=href>{text}</a> }
        })
    };
    view! {
        <form class="visits" method="get" action=format!("/jobs/{id}#detail")>
            <input type="hidden" name="state" value=detail.name.clone() />
            <label for="visit">{format!("{} visits", detail.visits.len())}</label>
            <select id="visit" name="visit">
                {options}
            </select>
            <button class="button small">"Show"</button>
            {step(at.and_then(|at| at.checked_sub(1)), "Previous")}
            {step(at.map(|at| at + 1), "Next")}
        </form>
    }
    .into_any()
}

fn attempts(attempts: &[Attempt]) -> AnyView {
    if attempts.is_empty() {
        return ().into_any();
    }
    let rows: Vec<_> = attempts
        .iter()
        .map(|attempt| {
            let took = attempt
                .started_at_ms
                .zip(attempt.ended_at_ms)
                .map(|(started, ended)| duration_text(ended.since_ms(started)));
            view! {
                <tr>
                    <td>{attempt.number}</td>
                    <td>{state_badge(attempt.status)}</td>
                    <td>{time_text(attempt.started_at_ms.unwrap_or(attempt.scheduled_at_ms))}</td>
                    <td>{took.unwrap_or_else(|| "–".to_owned())}</td>
                </tr>
                {(attempt.error.is_some() && attempts.len() > 1)
                    .then(|| {
                        view! {
                            <tr class="attempt-error">
                                <td colspan="4">
                                    <code>{attempt.error.clone()}</code>
                                    " "
                                    <span class="cause">{attempt.cause.clone()}</span>
                                </td>
                            </tr>
                        }
                    })}
            }
        })
        .collect();
    view! {
        <table class="attempts">
            <caption>"Attempts"</caption>
            <thead>
                <tr>
                    <th scope="col">"No."</th>
                    <th scope="col">"Status"</th>
                    <th scope="col">"Started, UTC"</th>
                    <th scope="col">"Took"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

/// One line for each invocation, with the image that it ran.
fn invocations(invocations: &[InvocationView]) -> AnyView {
    if invocations.is_empty() {
        return ().into_any();
    }
    let rows: Vec<_> = invocations
        .iter()
        .map(|invocation| {
            let image = invocation.digest.clone().map(|digest| {
                view! {
                    " · "
                    <a href=image_href(&digest) title=digest.clone()>
                        <code>{format!("sha256:{}…", short_digest(&digest))}</code>
                    </a>
                }
            });
            let title = format!("Request {}", invocation.request_id);
            view! {
                <li title=title>
                    {invocation.in_words()} {image}
                    <span class="hint">
                        {format!(" {}, version {}", invocation.function, invocation.version)}
                    </span>
                </li>
            }
        })
        .collect();
    view! {
        <section class="invocations" aria-labelledby="invocations-title">
            <h3 id="invocations-title">"Invocations"</h3>
            <ol data-testid="invocations">{rows}</ol>
        </section>
    }
    .into_any()
}
