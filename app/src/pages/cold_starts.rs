//! `/cold-starts?base=&candidate=`: what cold starts cost, by function and digest, and two digests side by side.

use leptos::{prelude::*, tachys::svg};
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use model::{ColdStartComparison, ColdStartSummary, ColdStartView, HistogramBucket};

use super::failed;
use crate::{
    backend::SharedBackend,
    components::{digest::short_digest, moment::moment},
};

/// Under this many cold starts on either side a difference is as likely chance.
const SAMPLES_MIN: u64 = 20;
/// A ratio this near to 1 is called the same.
const SAME_WITHIN: f64 = 0.02;

/// Milliseconds for people: `34.2 ms`, `1.31 s`.
fn ms_text(ms: f64) -> String {
    match ms {
        ms if ms < 1000.0 => format!("{ms:.1} ms"),
        ms => format!("{:.2} s", ms / 1000.0),
    }
}

/// What a ratio means, in words.
fn ratio_text(ratio: f64) -> String {
    let per_cent = (ratio - 1.0).abs() * 100.0;
    if (ratio - 1.0).abs() < SAME_WITHIN {
        "starts as fast".to_owned()
    } else if ratio > 1.0 {
        format!("starts {per_cent:.0} % slower")
    } else {
        format!("starts {per_cent:.0} % faster")
    }
}

/// The comparison in one sentence, and whether there are too few samples to lean on it.
fn verdict(comparison: &ColdStartComparison) -> (String, bool) {
    let (base, candidate) = (&comparison.base, &comparison.candidate);
    let few = base.count.min(candidate.count) < SAMPLES_MIN;
    let Some(ratio) = comparison.p50_ratio else {
        return (
            format!(
                "Nothing to compare: {} cold starts against {}.",
                base.count, candidate.count
            ),
            true,
        );
    };
    let numbers = format!("n = {} against {}", base.count, candidate.count);
    let text = if few {
        format!(
            "Too few to tell: the candidate {} at p50, but {numbers}, and under {SAMPLES_MIN} on a side that may be chance.",
            ratio_text(ratio)
        )
    } else {
        format!("The candidate {} at p50 ({numbers}).", ratio_text(ratio))
    };
    (text, few)
}

/// Heights of bars from 0 to `full`: the largest count is `full`, and what is not nothing is seen.
fn bar_heights(buckets: &[HistogramBucket], full: f64) -> Vec<f64> {
    let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    buckets
        .iter()
        .map(|bucket| match bucket.count {
            0 => 0.0,
            count => (count as f64 / most as f64 * full).max(2.0),
        })
        .collect()
}

/// The page.
#[component]
pub fn ColdStartsPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let backend = expect_context::<SharedBackend>();
    let asked = |name: &str| query.get(name).filter(|digest| !digest.is_empty());
    let (base, candidate) = (asked("base"), asked("candidate"));
    Suspend::new(async move {
        match backend.cold_starts(base, candidate).await {
            Ok(view) => cold_starts(&view),
            Err(error) => failed(&error),
        }
    })
}

fn cold_starts(view: &ColdStartView) -> AnyView {
    let body = if view.rows.is_empty() {
        view! {
            <div class="empty">
                <h2>"No cold starts yet"</h2>
                <p>
                    "Each first invocation of a new sandbox is one. Run a job, and its functions appear here with the digest they ran."
                </p>
                <p>
                    <a class="button primary" href="/jobs/new">
                        "Submit a job"
                    </a>
                </p>
            </div>
        }
        .into_any()
    } else {
        view! {
            {compare(view)} {table(view)}
        }
        .into_any()
    };
    view! {
        <Title text="Cold starts" />
        <div class="title-line">
            <h1>"Cold starts"</h1>
            <p class="hint">"As of " {moment(view.as_of_ms)}</p>
        </div>
        <p class="lead">
            "How long Lambda took to initialise a sandbox, as its own reports say (initDurationMs), by the image digest it ran."
        </p>
        {body}
    }
    .into_any()
}

fn digest_text(digest: &str, tags: &[String]) -> String {
    if tags.is_empty() {
        short_digest(digest)
    } else {
        format!("{} · {}", tags.join(", "), short_digest(digest))
    }
}

fn compare(view: &ColdStartView) -> AnyView {
    let chosen = view.comparison.as_ref();
    let select = |name: &'static str, label: &'static str, chosen: Option<&str>| {
        let options: Vec<_> = view
            .digests
            .iter()
            .map(|(digest, tags)| {
                view! {
                    <option value=digest.clone() selected=chosen == Some(digest.as_str())>
                        {digest_text(digest, tags)}
                    </option>
                }
            })
            .collect();
        view! {
            <div class="field">
                <label for=name>{label}</label>
                <select id=name name=name>
                    {options}
                </select>
            </div>
        }
    };
    let form = (view.digests.len() > 1).then(|| {
        view! {
            <form class="compare" method="get" action="/cold-starts">
                {select("base", "Base", chosen.map(|chosen| chosen.base.digest.as_str()))}
                {select(
                    "candidate",
                    "Candidate",
                    chosen.map(|chosen| chosen.candidate.digest.as_str()),
                )} <button class="button">"Compare"</button>
            </form>
        }
    });
    let result = match chosen {
        Some(comparison) => {
            let (text, few) = verdict(comparison);
            view! {
                <p class=if few { "verdict few" } else { "verdict" }>{text}</p>
                <div class="sides">
                    {side("Base", &comparison.base)} {side("Candidate", &comparison.candidate)}
                </div>
            }
            .into_any()
        }
        None => view! {
            <p class="hint">"A second image is needed to compare: deploy once more and run a job."</p>
        }
        .into_any(),
    };
    view! {
        <section class="panel" aria-labelledby="compare-title" data-testid="comparison">
            <h2 id="compare-title">"Compare two images"</h2>
            {form} {result}
        </section>
    }
    .into_any()
}

fn side(title: &'static str, summary: &ColdStartSummary) -> AnyView {
    view! {
        <div class="side">
            <h3>{title} ": " {digest_text(&summary.digest, &summary.tags)}</h3>
            <dl class="facts">
                <div>
                    <dt>"p50"</dt>
                    <dd>{ms_text(summary.p50_ms)}</dd>
                </div>
                <div>
                    <dt>"p90"</dt>
                    <dd>{ms_text(summary.p90_ms)}</dd>
                </div>
                <div>
                    <dt>"Max"</dt>
                    <dd>{ms_text(summary.max_ms)}</dd>
                </div>
                <div>
                    <dt>"Cold starts"</dt>
                    <dd>{format!("{} of {}", summary.count, summary.invocation_count)}</dd>
                </div>
            </dl>
            {histogram(summary)}
        </div>
    }
    .into_any()
}

/// Bars side by side; the figures stand in its label.
fn histogram(summary: &ColdStartSummary) -> AnyView {
    const HEIGHT: f64 = 28.0;
    let buckets = &summary.histogram;
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
        return ().into_any();
    };
    let label = format!(
        "{} cold starts between {} and {}",
        summary.count,
        ms_text(first.from_ms),
        ms_text(last.to_ms)
    );
    let width = buckets.len() * 8;
    let bars: Vec<_> = buckets
        .iter()
        .zip(bar_heights(buckets, HEIGHT))
        .enumerate()
        .map(|(at, (bucket, height))| {
            view! {
                <rect
                    x=(at * 8).to_string()
                    y=format!("{:.1}", HEIGHT - height)
                    width="7"
                    height=format!("{height:.1}")
                >
                    {svg::title()
                        .child(
                            format!(
                                "{} from {} to {}",
                                bucket.count,
                                ms_text(bucket.from_ms),
                                ms_text(bucket.to_ms),
                            ),
                        )}
                </rect>
            }
        })
        .collect();
    view! {
        <svg
            class="histogram"
            role="img"
            aria-label=label
            viewBox=format!("0 0 {width} {}", HEIGHT + 1.0)
            width=width.to_string()
            height=(HEIGHT + 1.0).to_string()
        >
            <line x1="0" x2=width.to_string() y1=(HEIGHT + 0.5).to_string() y2=(HEIGHT + 0.5).to_string() />
            {bars}
        </svg>
    }
    .into_any()
}

fn table(view: &ColdStartView) -> AnyView {
    let rows: Vec<_> = view
        .rows
        .iter()
        .map(|row| {
            let function = if row.function == "*" {
                "All functions".to_owned()
            } else {
                row.function.clone()
            };
            view! {
                <tr
                    class=(row.function == "*").then_some("all")
                    data-testid="cold-start-row"
                    data-function=row.function.clone()
                    data-digest=row.digest.clone()
                >
                    <th scope="row">{function}</th>
                    <td>
                        {(!row.tags.is_empty())
                            .then(|| view! { <span class="tags">{row.tags.join(", ")}</span> " · " })}
                        <code title=row.digest.clone()>{short_digest(&row.digest)}</code>
                    </td>
                    <td class="number narrow-hide">{row.invocation_count}</td>
                    <td class="number">{row.count}</td>
                    <td class="number">{ms_text(row.p50_ms)}</td>
                    <td class="number">{ms_text(row.p90_ms)}</td>
                    <td class="number narrow-hide">{ms_text(row.max_ms)}</td>
                    <td class="narrow-hide">{histogram(row)}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <table class="list">
            <caption>"By function and image"</caption>
            <thead>
                <tr>
                    <th scope="col">"Function"</th>
                    <th scope="col">"Image"</th>
                    <th scope="col" class="number narrow-hide">
                        "Invocations"
                    </th>
                    <th scope="col" class="number">
                        "Cold"
                    </th>
                    <th scope="col" class="number">
                        "p50"
                    </th>
                    <th scope="col" class="number">
                        "p90"
                    </th>
                    <th scope="col" class="number narrow-hide">
                        "Max"
                    </th>
                    <th scope="col" class="narrow-hide">
                        "Distribution"
                    </th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use model::TimestampMs;

    use super::*;

    fn summary(count: u64) -> ColdStartSummary {
        ColdStartSummary {
            function: "*".to_owned(),
            digest: "sha256:aa".to_owned(),
            tags: Vec::new(),
            invocation_count: count * 2,
            count,
            p50_ms: 10.0,
            p90_ms: 20.0,
            max_ms: 30.0,
            histogram: Vec::new(),
            first_at_ms: TimestampMs(0),
            last_at_ms: TimestampMs(0),
        }
    }

    fn comparison(base: u64, candidate: u64, ratio: Option<f64>) -> ColdStartComparison {
        ColdStartComparison {
            base: summary(base),
            candidate: summary(candidate),
            p50_ratio: ratio,
            p90_ratio: None,
        }
    }

    #[test]
    fn few_samples_are_too_few_to_tell() {
        let (text, few) = verdict(&comparison(5, 5, Some(1.12)));
        assert!(few);
        assert!(text.starts_with("Too few to tell: the candidate starts 12 % slower at p50"));
        assert!(text.contains("n = 5 against 5"));
        assert!(verdict(&comparison(400, 19, Some(1.5))).1);
    }

    #[test]
    fn enough_samples_are_told_in_words() {
        let (text, few) = verdict(&comparison(40, 60, Some(0.8)));
        assert!(!few);
        assert_eq!(
            text,
            "The candidate starts 20 % faster at p50 (n = 40 against 60)."
        );
        assert_eq!(
            verdict(&comparison(40, 60, Some(1.01))).0,
            "The candidate starts as fast at p50 (n = 40 against 60)."
        );
    }

    #[test]
    fn without_a_ratio_there_is_nothing_to_compare() {
        assert!(
            verdict(&comparison(0, 9, None))
                .0
                .starts_with("Nothing to compare")
        );
    }

    #[test]
    fn bars_scale_to_the_largest_and_a_single_one_is_seen() {
        let bucket = |count| HistogramBucket {
            from_ms: 0.0,
            to_ms: 1.0,
            count,
        };
        assert_eq!(
            bar_heights(&[bucket(0), bucket(1), bucket(1000)], 30.0),
            [0.0, 2.0, 30.0]
        );
        assert_eq!(bar_heights(&[bucket(0)], 30.0), [0.0]);
        assert_eq!(bar_heights(&[], 30.0), [] as [f64; 0]);
    }
}
