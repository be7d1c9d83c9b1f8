//! `/health`: whether everything works, and if not, what is wrong, since when and what to do about it. First the
//! sentence, then each API, then what waits.

use leptos::prelude::*;
use leptos_meta::Title;
use model::{
    ApiState, HealthLevel, HealthView, TimestampMs, Verdict,
    health::ApiHealth,
    time::{bytes_text, duration_text},
};

use super::failed;
use crate::{
    backend::SharedBackend,
    components::{
        moment::{age_text, rfc3339, time_text, utc_text},
        status::{Tone, badge, icon},
    },
    islands::refresh::Refresh,
};

/// The element that is kept fresh.
const PANEL_ID: &str = "health";

/// How a level looks.
pub fn level_tone(level: HealthLevel) -> Tone {
    match level {
        HealthLevel::Good => Tone::Succeeded,
        HealthLevel::Waiting => Tone::Retrying,
        HealthLevel::Broken => Tone::Failed,
    }
}

fn api_tone(state: ApiState) -> Tone {
    match state {
        ApiState::Unused => Tone::Idle,
        ApiState::Good => Tone::Succeeded,
        ApiState::Throttled => Tone::Retrying,
        ApiState::Unreachable | ApiState::Denied => Tone::Failed,
    }
}

/// The health of everything.
#[component]
pub fn HealthPage() -> impl IntoView {
    let backend = expect_context::<SharedBackend>();
    Suspend::new(async move {
        match backend.health().await {
            Ok(view) => health(&view),
            Err(error) => failed(&error),
        }
    })
}

fn health(view: &HealthView) -> AnyView {
    let now = view.as_of_ms;
    let (mut used, unused): (Vec<_>, Vec<_>) = view
        .apis
        .iter()
        .partition(|api| api.state != ApiState::Unused);
    used.sort_by_key(|api| !api.state.is_trouble());
    view! {
        <Title text="Health" />
        <div class="title-line">
            <h1>"Health"</h1>
            <Refresh id=PANEL_ID.to_owned() address="/health".to_owned() />
        </div>
        <div class="health" id=PANEL_ID>
            {verdict(view)}
            {facts(view)}
            <section class="panel">
                <div class="title-line">
                    <h2>"Calls to AWS"</h2>
                    <p class="hint">
                        "Each operation has a bucket of calls, as AWS has; what would be throttled waits here."
                    </p>
                </div>
                {if used.is_empty() {
                    view! { <p class="hint">"Nothing has been asked of AWS yet."</p> }.into_any()
                } else {
                    table(&used, now)
                }}
                {(!unused.is_empty())
                    .then(|| {
                        let names: Vec<_> = unused
                            .iter()
                            .map(|api| api.operation.as_str())
                            .collect();
                        view! { <p class="hint">"Not called yet: " {names.join(", ")} "."</p> }
                    })}
            </section>
            <p class="hint">
                "Gantry " {view.version.clone()} ", running for "
                {duration_text(now.since_ms(view.started_at_ms))} ". As of "
                <time datetime=rfc3339(now)>{utc_text(now)}</time> ". "
                <a href="/metrics">"Metrics for Prometheus"</a> " · "
                <a href="/api/v1/health">"This page as JSON"</a>
            </p>
        </div>
    }
    .into_any()
}

fn verdict(view: &HealthView) -> AnyView {
    let Verdict {
        level,
        sentence,
        advice,
        since_ms,
    } = view.verdict.clone();
    let tone = level_tone(level);
    let lasts = since_ms.map(|since| duration_text(view.as_of_ms.since_ms(since)));
    view! {
        <section
            class=format!("panel health-verdict {}", tone.class())
            data-testid="verdict"
            role="status"
        >
            <h2>{icon(tone)} <span>{sentence}</span></h2>
            {advice.map(|advice| view! { <p>{advice}</p> })}
            {(level != HealthLevel::Good)
                .then(|| {
                    view! {
                        <p class="actions">
                            <a class="button" href="/health">
                                "Look again"
                            </a>
                            {(view.outbox.rows > 0)
                                .then(|| {
                                    view! {
                                        <a class="button" href="/jobs?status=queued">
                                            "Jobs that wait"
                                        </a>
                                    }
                                })}
                            {lasts
                                .map(|lasts| {
                                    view! { <span class="hint">"For " {lasts} " now"</span> }
                                })}
                        </p>
                    }
                })}
        </section>
    }
    .into_any()
}

fn fact(name: &'static str, value: impl IntoView, hint: Option<String>) -> AnyView {
    view! {
        <div>
            <dt>{name}</dt>
            <dd>{value.into_any()} {hint.map(|hint| view! { <span class="hint">{hint}</span> })}</dd>
        </div>
    }
    .into_any()
}

fn facts(view: &HealthView) -> AnyView {
    let now = view.as_of_ms;
    let since = |at: TimestampMs| duration_text(now.since_ms(at));
    let queue = view.status_queue;
    let lag = view.telemetry;
    view! {
        <section class="panel">
            <h2>"What waits"</h2>
            <dl class="facts">
                {fact(
                    "Promised calls (outbox)",
                    view.outbox.rows,
                    view.outbox.oldest_ms.map(|at| format!("oldest waits {}", since(at))),
                )}
                {fact(
                    "Status queue",
                    queue.map_or("unknown".to_owned(), |queue| queue.waiting.to_string()),
                    queue
                        .map(|queue| {
                            format!("{} in flight, {}", queue.in_flight, age_text(queue.as_of_ms, now))
                        }),
                )}
                {fact(
                    "Telemetry stream",
                    match lag {
                        None => "not read yet".to_owned(),
                        Some(lag) if lag.lag_ms < 1_000 => "up to date".to_owned(),
                        Some(lag) => format!("{} behind", duration_text(lag.lag_ms)),
                    },
                    lag.map(|lag| format!("read {}", age_text(lag.as_of_ms, now))),
                )}
                {fact("Histories to read on", view.histories_unread, None)}
                {fact("Executions running", view.executions_running, None)}
                {fact(
                    "Reconciler",
                    view
                        .reconciler
                        .map_or(
                            "no round yet".to_owned(),
                            |sweep| format!("{} of {} corrected", sweep.corrected, sweep.asked),
                        ),
                    view.reconciler.map(|sweep| age_text(sweep.ended_at_ms, now)),
                )}
                {fact(
                    "Database",
                    match view.store.answer_ms {
                        Some(ms) => format!("{} answers in {ms} ms", view.store.kind),
                        None => format!("{} does not answer", view.store.kind),
                    },
                    view.store.bytes.map(bytes_text),
                )}
                {fact(
                    "AWS calls for each job",
                    view
                        .calls_per_job
                        .map_or(
                            "no job ended yet".to_owned(),
                            |calls| format!("{:.1}", calls.calls),
                        ),
                    view.calls_per_job.map(|calls| format!("unwatched at most {:.0}", calls.bound)),
                )}
            </dl>
        </section>
    }
    .into_any()
}

fn table(apis: &[&ApiHealth], now: TimestampMs) -> AnyView {
    let rows: Vec<_> = apis.iter().map(|api| row(api, now)).collect();
    view! {
        <table class="apis">
            <caption class="sr">"Operations of AWS, those in trouble first"</caption>
            <thead>
                <tr>
                    <th scope="col">"Operation"</th>
                    <th scope="col">"State"</th>
                    <th scope="col">"Budget left"</th>
                    <th scope="col" class="number">
                        "Waiting"
                    </th>
                    <th scope="col" class="number">
                        "Last minute"
                    </th>
                    <th scope="col">"Last error"</th>
                    <th scope="col">"Last success"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn row(api: &ApiHealth, now: TimestampMs) -> AnyView {
    let refill = if api.per_second < f64::from(api.per_second_max) {
        format!("+{} of {}/s", api.per_second, api.per_second_max)
    } else {
        format!("+{}/s", api.per_second_max)
    };
    let ago = |at: TimestampMs| {
        view! {
            <time datetime=rfc3339(at) title=utc_text(at)>
                {age_text(at, now)}
            </time>
        }
    };
    view! {
        <tr
            class=if api.state.is_trouble() { api_tone(api.state).class() } else { "" }
            data-testid="api"
        >
            <th scope="row">
                <span class="operation">{api.operation.clone()}</span>
                <span class="hint">{api.service.clone()}</span>
            </th>
            <td data-label="State">
                {badge(api_tone(api.state), api.state.label())}
                {api
                    .since_ms
                    .map(|since| view! { <span class="hint">"since " {time_text(since)}</span> })}
            </td>
            <td data-label="Budget left">
                <meter min="0" max=api.burst value=api.tokens aria-hidden="true"></meter>
                <span>{format!("{} of {}", api.tokens, api.burst)}</span>
                <span class="hint">{refill}</span>
            </td>
            <td class="number" data-label="Waiting">
                {api.waiting}
            </td>
            <td class="number" data-label="Last minute">
                {api.calls_last_minute}
            </td>
            <td data-label="Last error">
                {match &api.last_error {
                    Some(error) => {
                        view! {
                            <code>{error.said.clone()}</code>
                            <span class="hint">{ago(error.at_ms)}</span>
                        }
                            .into_any()
                    }
                    None => "none".into_any(),
                }}
            </td>
            <td data-label="Last success">
                {match api.last_success_ms {
                    Some(at) => ago(at).into_any(),
                    None => "never".into_any(),
                }}
            </td>
        </tr>
    }
    .into_any()
}
