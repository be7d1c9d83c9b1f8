//! Progress bars with their figures in words.

use leptos::prelude::*;
use model::{
    Progress,
    time::{bytes_text, duration_text},
};

/// The figures for people: `12.0 MiB of 64.0 MiB`, `1.2 s of 30 s`, `3 of 7 parts`.
pub fn progress_text(progress: &Progress) -> String {
    let figure: fn(u64) -> String = match progress.unit.as_str() {
        "bytes" => bytes_text,
        "ms" => duration_text,
        _ => |count| count.to_string(),
    };
    let unit = match progress.unit.as_str() {
        "bytes" | "ms" => "",
        unit => unit,
    };
    let text = match progress.total {
        Some(total) => format!("{} of {} {unit}", figure(progress.done), figure(total)),
        None => format!("{} {unit}", figure(progress.done)),
    };
    text.trim_end().to_owned()
}

/// The share in whole per cent, rounded down so that 100 means done.
pub fn percent(progress: &Progress) -> Option<u32> {
    progress
        .fraction()
        .map(|fraction| (fraction * 100.0).floor() as u32)
}

/// A bar with its figures under the given label; without a total the bar is indeterminate.
pub fn bar(progress: &Progress, label: String) -> AnyView {
    let value = percent(progress).map(|percent| percent.to_string());
    view! {
        <span class="bar">
            <progress max="100" value=value aria-label=label></progress>
            <span class="figures">{progress_text(progress)}</span>
        </span>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(unit: &str, done: u64, total: Option<u64>) -> Progress {
        Progress {
            unit: unit.to_owned(),
            done,
            total,
        }
    }

    #[test]
    fn figures_follow_their_unit() {
        assert_eq!(
            progress_text(&progress("bytes", 1 << 20, Some(8 << 20))),
            "1.0 MiB of 8.0 MiB"
        );
        assert_eq!(
            progress_text(&progress("ms", 1_200, Some(30_000))),
            "1.2 s of 30 s"
        );
        assert_eq!(
            progress_text(&progress("parts", 3, Some(7))),
            "3 of 7 parts"
        );
        assert_eq!(progress_text(&progress("frames", 40, None)), "40 frames");
        assert_eq!(progress_text(&progress("bytes", 40, None)), "40 B");
    }

    #[test]
    fn a_hundred_per_cent_means_done() {
        assert_eq!(percent(&progress("frames", 999, Some(1000))), Some(99));
        assert_eq!(percent(&progress("frames", 1000, Some(1000))), Some(100));
        assert_eq!(percent(&progress("frames", 7, None)), None);
        assert_eq!(percent(&progress("frames", 0, Some(0))), Some(100));
    }
}
