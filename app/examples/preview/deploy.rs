//! Made-up images and cold starts.

use model::{
    ColdStartComparison, ColdStartSummary, ColdStartView, FunctionUse, HistogramBucket, Image,
    ImageView, Layer, TimestampMs,
};

use super::jobs::now;

const NEW: &str = "sha256:5e2f1c9d8b7a60514233241506978869504132ffeeddccbbaa99887766554433";
const OLD: &str = "sha256:0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
const FUNCTIONS: [&str; 6] = [
    "gantry-audio",
    "gantry-inspect",
    "gantry-poster",
    "gantry-publish",
    "gantry-rendition",
    "gantry-transfer",
];

pub fn images(empty: bool) -> ImageView {
    let now = now();
    let image = |digest: &str, tags: &[&str], age_h: i64, version: &str, alias: bool| {
        Image {
        repository: "gantry".to_owned(),
        digest: digest.to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        pushed_at_ms: Some(TimestampMs(now.0 - age_h * 3_600_000)),
        bytes: 131_400_000,
        layers: vec![
            Layer {
                digest: OLD.to_owned(),
                bytes: 28_200_000,
                created_by: Some("debian:bookworm-slim".to_owned()),
            },
            Layer {
                digest: NEW.to_owned(),
                bytes: 96_000_000,
                created_by: Some("RUN apt-get install --no-install-recommends -y ffmpeg ca-certificates && rm -rf /var/lib/apt/lists/*".to_owned()),
            },
            Layer {
                digest: digest.to_owned(),
                bytes: 7_200_000,
                created_by: Some("COPY worker server /usr/local/bin/".to_owned()),
            },
        ],
        labels: vec![(
            "org.opencontainers.image.revision".to_owned(),
            "7455ef7d2c3b4a5968778695a4b3c2d1e0f01234".to_owned(),
        )],
        uses: FUNCTIONS
            .iter()
            .filter(|_| !version.is_empty())
            .map(|function| FunctionUse {
                function: (*function).to_owned(),
                version: version.to_owned(),
                aliases: if alias {
                    vec!["live".to_owned()]
                } else {
                    Vec::new()
                },
            })
            .collect(),
    }
    };
    ImageView {
        images: if empty {
            Vec::new()
        } else {
            vec![
                image(NEW, &["2026-11-22", "latest"], 2, "8", true),
                image(OLD, &["2026-11-21"], 26, "7", false),
                image(&OLD.replace('0', "c"), &[], 400, "", false),
            ]
        },
        as_of_ms: now,
        is_stale: false,
    }
}

fn summary(function: &str, digest: &str, tag: &str, count: u64, base_ms: f64) -> ColdStartSummary {
    ColdStartSummary {
        function: function.to_owned(),
        digest: digest.to_owned(),
        tags: vec![tag.to_owned()],
        invocation_count: count * 7,
        count,
        p50_ms: base_ms,
        p90_ms: base_ms * 1.6,
        max_ms: base_ms * 3.1,
        histogram: [1, 6, 11, 7, 4, 2, 2, 0, 0, 1]
            .into_iter()
            .enumerate()
            .map(|(at, share)| HistogramBucket {
                from_ms: base_ms * 0.6 + at as f64 * base_ms / 4.0,
                to_ms: base_ms * 0.6 + (at + 1) as f64 * base_ms / 4.0,
                count: share * count / 20,
            })
            .collect(),
        first_at_ms: now(),
        last_at_ms: now(),
    }
}

pub fn cold_starts(empty: bool, base: Option<String>, candidate: Option<String>) -> ColdStartView {
    if empty {
        return ColdStartView {
            rows: Vec::new(),
            digests: Vec::new(),
            comparison: None,
            as_of_ms: now(),
        };
    }
    // Swapped sides show what few samples look like.
    let few = base.as_deref() == Some(NEW) || candidate.as_deref() == Some(OLD);
    let count = if few { 5 } else { 240 };
    let rows = FUNCTIONS
        .iter()
        .enumerate()
        .flat_map(|(at, function)| {
            let ms = 30.0 + at as f64 * 3.4;
            [
                summary(function, NEW, "2026-11-22", 40, ms * 1.12),
                summary(function, OLD, "2026-11-21", 60, ms),
            ]
        })
        .collect();
    ColdStartView {
        rows,
        digests: vec![
            (NEW.to_owned(), vec!["2026-11-22".to_owned()]),
            (OLD.to_owned(), vec!["2026-11-21".to_owned()]),
        ],
        comparison: Some(ColdStartComparison {
            base: summary("*", OLD, "2026-11-21", count, 34.2),
            candidate: summary("*", NEW, "2026-11-22", count, 38.3),
            p50_ratio: Some(1.12),
            p90_ratio: Some(1.12),
        }),
        as_of_ms: now(),
    }
}
