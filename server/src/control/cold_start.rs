//! Cold starts by function and image digest, and two digests side by side. Percentiles are exact, by
//! nearest rank over every cold start seen; every histogram has the same edges, so that two can be compared.

use std::collections::{BTreeMap, HashMap};

use model::{ColdStartComparison, ColdStartSummary, ColdStartView, HistogramBucket, TimestampMs};

use super::{Control, Failure};
use crate::{
    clock,
    store::{ColdStart, InvocationCount},
};

/// Cold starts that a view is made from at most.
const COLD_STARTS_MAX: u32 = 200_000;
/// What a row over all functions is called.
const ALL: &str = "*";

impl Control {
    /// Every function and digest, and `base` beside `candidate`: by default the two newest digests.
    pub async fn cold_starts(
        &self,
        base: Option<String>,
        candidate: Option<String>,
    ) -> Result<ColdStartView, Failure> {
        let starts = self.store.cold_starts(COLD_STARTS_MAX).await?;
        let counts = self.store.invocation_counts().await?;
        let tags = self.known_tags().await;
        Ok(view(&starts, &counts, &tags, base, candidate, clock::now()))
    }
}

fn view(
    starts: &[ColdStart],
    counts: &[InvocationCount],
    tags: &HashMap<String, Vec<String>>,
    base: Option<String>,
    candidate: Option<String>,
    now: TimestampMs,
) -> ColdStartView {
    let edges = edges(starts);
    let mut groups: BTreeMap<(&str, &str), Vec<&ColdStart>> = BTreeMap::new();
    // A digest is as new as its first cold start: that is when it was first used.
    let mut first_seen: HashMap<&str, i64> = HashMap::new();
    for start in starts {
        groups
            .entry((&start.function, &start.digest))
            .or_default()
            .push(start);
        first_seen
            .entry(&start.digest)
            .and_modify(|at| *at = start.at_ms.min(*at))
            .or_insert(start.at_ms);
    }
    let mut digests: Vec<&str> = first_seen.keys().copied().collect();
    digests.sort_by_key(|digest| (std::cmp::Reverse(first_seen[digest]), *digest));

    let scene = Scene {
        groups: &groups,
        counts,
        tags,
        edges: &edges,
    };
    let mut rows: Vec<ColdStartSummary> = groups
        .iter()
        .filter_map(|((function, digest), starts)| {
            scene.summary(function, digest, starts, &[*function])
        })
        .collect();
    rows.sort_by_key(|row| {
        (
            row.function.clone(),
            digests.iter().position(|digest| *digest == row.digest),
        )
    });

    let candidate = candidate.or_else(|| digests.first().map(|digest| (*digest).to_owned()));
    let base = base.or_else(|| {
        digests
            .iter()
            .find(|digest| Some(**digest) != candidate.as_deref())
            .map(|digest| (*digest).to_owned())
    });
    ColdStartView {
        comparison: base
            .zip(candidate)
            .and_then(|(base, candidate)| scene.comparison(&base, &candidate)),
        digests: digests
            .into_iter()
            .map(|digest| {
                (
                    digest.to_owned(),
                    tags.get(digest).cloned().unwrap_or_default(),
                )
            })
            .collect(),
        rows,
        as_of_ms: now,
    }
}

struct Scene<'a> {
    groups: &'a BTreeMap<(&'a str, &'a str), Vec<&'a ColdStart>>,
    counts: &'a [InvocationCount],
    tags: &'a HashMap<String, Vec<String>>,
    edges: &'a [f64],
}

impl Scene<'_> {
    /// Two digests over the functions that both ran: a function that only one ran would tilt it.
    fn comparison(&self, base: &str, candidate: &str) -> Option<ColdStartComparison> {
        let functions: Vec<&str> = self
            .groups
            .keys()
            .filter(|(function, digest)| {
                *digest == base && self.groups.contains_key(&(*function, candidate))
            })
            .map(|(function, _)| *function)
            .collect();
        let of = |digest: &str| {
            let starts: Vec<&ColdStart> = functions
                .iter()
                .filter_map(|function| self.groups.get(&(*function, digest)))
                .flatten()
                .copied()
                .collect();
            self.summary(ALL, digest, &starts, &functions)
        };
        let (base, candidate) = (of(base)?, of(candidate)?);
        let ratio = |new: f64, old: f64| (old > 0.0).then(|| new / old);
        Some(ColdStartComparison {
            p50_ratio: ratio(candidate.p50_ms, base.p50_ms),
            p90_ratio: ratio(candidate.p90_ms, base.p90_ms),
            base,
            candidate,
        })
    }

    /// The summary of some cold starts; none when there are none.
    fn summary(
        &self,
        function: &str,
        digest: &str,
        starts: &[&ColdStart],
        functions: &[&str],
    ) -> Option<ColdStartSummary> {
        let mut durations: Vec<f64> = starts.iter().map(|start| start.init_ms).collect();
        durations.sort_by(f64::total_cmp);
        Some(ColdStartSummary {
            function: function.to_owned(),
            digest: digest.to_owned(),
            tags: self.tags.get(digest).cloned().unwrap_or_default(),
            invocation_count: self
                .counts
                .iter()
                .filter(|count| {
                    count.digest == digest && functions.contains(&count.function.as_str())
                })
                .map(|count| count.count)
                .sum(),
            count: durations.len() as u64,
            p50_ms: percentile(&durations, 50)?,
            p90_ms: percentile(&durations, 90)?,
            max_ms: *durations.last()?,
            histogram: histogram(&durations, self.edges),
            first_at_ms: TimestampMs(starts.iter().map(|start| start.at_ms).min()?),
            last_at_ms: TimestampMs(starts.iter().map(|start| start.at_ms).max()?),
        })
    }
}

/// The percentile by nearest rank of sorted values.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Bars of a histogram.
const BARS: usize = 16;

/// Edges that every histogram shares: equal steps of a round number of milliseconds, up to the slowest.
fn edges(starts: &[ColdStart]) -> Vec<f64> {
    let slowest = starts
        .iter()
        .map(|start| start.init_ms)
        .fold(0.0_f64, f64::max);
    let wanted = slowest / BARS as f64;
    // The smallest of 1, 2, 5, 10, 20, … (and tenths, hundredths) that needs no more bars than there are.
    let mut step = 0.01;
    let mut factors = [2.0, 2.5, 2.0].iter().cycle();
    while step <= wanted {
        step *= factors.next().copied().unwrap_or(2.0);
    }
    (0..=BARS).map(|bar| step * bar as f64).collect()
}

fn histogram(durations: &[f64], edges: &[f64]) -> Vec<HistogramBucket> {
    let mut bars: Vec<HistogramBucket> = edges
        .windows(2)
        .map(|edge| HistogramBucket {
            from_ms: edge[0],
            to_ms: edge[1],
            count: 0,
        })
        .collect();
    for duration in durations {
        if let Some(bar) = bars.iter_mut().rev().find(|bar| *duration >= bar.from_ms) {
            bar.count += 1;
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(function: &str, digest: &str, init_ms: f64, at_ms: i64) -> ColdStart {
        ColdStart {
            function: function.to_owned(),
            digest: digest.to_owned(),
            init_ms,
            at_ms,
        }
    }

    fn count(function: &str, digest: &str, count: u64) -> InvocationCount {
        InvocationCount {
            function: function.to_owned(),
            digest: digest.to_owned(),
            count,
        }
    }

    #[test]
    fn the_two_newest_digests_are_compared_over_functions_both_ran() {
        let starts = [
            start("probe", "old", 30.0, 1),
            start("probe", "new", 45.0, 5),
            start("poster", "old", 900.0, 2),
            start("probe", "oldest", 1.0, 0),
        ];
        let counts = [count("probe", "old", 7), count("poster", "old", 3)];
        let view = view(
            &starts,
            &counts,
            &HashMap::new(),
            None,
            None,
            TimestampMs(9),
        );
        let digests: Vec<_> = view.digests.iter().map(|(digest, _)| digest).collect();
        assert_eq!(digests, ["new", "old", "oldest"]);
        let order: Vec<_> = view
            .rows
            .iter()
            .map(|row| (row.function.as_str(), row.digest.as_str()))
            .collect();
        assert_eq!(
            order,
            [
                ("poster", "old"),
                ("probe", "new"),
                ("probe", "old"),
                ("probe", "oldest")
            ]
        );
        let comparison = view.comparison.unwrap();
        assert_eq!((comparison.base.count, comparison.candidate.count), (1, 1));
        assert_eq!(comparison.base.invocation_count, 7);
        assert_eq!(comparison.p50_ratio, Some(1.5));
    }

    #[test]
    fn digests_without_a_function_in_common_are_not_compared() {
        let starts = [start("a", "old", 1.0, 1), start("b", "new", 1.0, 2)];
        let view = view(&starts, &[], &HashMap::new(), None, None, TimestampMs(9));
        assert_eq!(view.comparison, None);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sorted = [1.0, 2.0, 3.0, 4.0, 10.0];
        assert_eq!(percentile(&sorted, 50), Some(3.0));
        assert_eq!(percentile(&sorted, 90), Some(10.0));
        assert_eq!(percentile(&sorted[..1], 50), Some(1.0));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn every_cold_start_is_in_one_bar_and_bars_are_shared() {
        let starts: Vec<_> = (0..100)
            .map(|index| start("f", "d", 3.7 * f64::from(index), 1))
            .collect();
        let edges = edges(&starts);
        assert_eq!(edges.len(), BARS + 1);
        let durations: Vec<_> = starts.iter().map(|start| start.init_ms).collect();
        let bars = histogram(&durations, &edges);
        assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), 100);
        assert!(bars[BARS - 1].to_ms > 366.3, "{edges:?}");
    }
}
