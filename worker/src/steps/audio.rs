//! Audio: a waveform that fits light and dark pages, and loudness by EBU R 128, from one pass over the sound.

use model::ArtifactKind;
use serde::{Deserialize, Serialize};

use super::{Made, Media, Product, product, scratch};
use crate::{Failure, Invocation, Job, Kind, ffmpeg::Run, media};

/// The waveform's size in pixels.
const WAVEFORM: (u32, u32) = (1_200, 160);
/// A blue-grey that stands out against white and against near-black alike.
const COLOUR: &str = "0x5b8def";

#[derive(Debug, Deserialize)]
pub struct Input {
    pub job: Job,
    pub media: Media,
}

/// `loudness.json`. <https://tech.ebu.ch/publications/r128>
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loudness {
    /// Integrated loudness in LUFS; none for silence.
    pub integrated_lufs: Option<f64>,
    /// Loudness range in LU (EBU Tech 3342).
    pub range_lu: Option<f64>,
    /// True peak in dBFS (ITU-R BS.1770); none for silence.
    pub true_peak_dbfs: Option<f64>,
}

/// Fails with `Media.EncodeFailed`, `Media.Unreadable` and `Media.TimedOut`.
pub async fn handle(invocation: &Invocation<'_>, input: Input) -> Result<Made, Failure> {
    let bucket = invocation.bucket(&input.job)?;
    let address = bucket.presigned(&input.media.key).await?;
    let summary = media::probe(&address, invocation.deadline).await?.summary;
    let mut progress = invocation.start("ms", summary.duration_ms, None);
    let Some(audio) = summary.audio else {
        progress.finish();
        return Ok(Made::skipped("the source has no sound"));
    };
    let folder = scratch()?;
    let file = folder.path().join("waveform.png");
    let (width, height) = WAVEFORM;
    let filter = format!(
        "[0:{}]asplit=2[measured][drawn];[measured]ebur128=peak=true:framelog=verbose[loudness];[drawn]aformat=channel_layouts=mono,showwavespic=s={width}x{height}:colors={COLOUR}:scale=sqrt:filter=peak[waveform]",
        audio.stream
    );
    let after = [
        "-filter_complex",
        &filter,
        "-map",
        "[waveform]",
        "-frames:v",
        "1",
        "-pix_fmt",
        "rgba",
        "-update",
        "1",
        &file.to_string_lossy(),
        "-map",
        "[loudness]",
        "-progress",
        "pipe:1",
        "-stats_period",
        "0.3",
        "-f",
        "null",
        "-",
    ];
    let most = summary.duration_ms.unwrap_or(u64::MAX);
    let ran = Run::ffmpeg(
        &address,
        &[],
        &after.map(str::to_owned),
        invocation.deadline,
    )
    .wait(Kind::MediaEncodeFailed, |ms| progress.set(ms.min(most)))
    .await?;
    let loudness = loudness(&ran.errors).ok_or_else(|| {
        let message = "ffmpeg measured no loudness: check that the source's sound plays";
        Failure::new(Kind::MediaEncodeFailed, message)
    })?;

    let waveform = Product {
        kind: ArtifactKind::Waveform,
        name: "waveform.png",
        label: "waveform",
        content_type: "image/png",
        size: Some(WAVEFORM),
    };
    let content = product(&file, "waveform").await?;
    let waveform = waveform.put(invocation, &input.job, content).await?;
    let report = serde_json::to_string_pretty(&loudness).map_err(|error| {
        Failure::new(
            Kind::WorkerBroken,
            format!("the loudness cannot be written: {error}"),
        )
    })?;
    let product = Product {
        kind: ArtifactKind::Loudness,
        name: "loudness.json",
        label: "loudness (EBU R 128)",
        content_type: "application/json",
        size: None,
    };
    let loudness = product
        .put(invocation, &input.job, format!("{report}\n").into_bytes())
        .await?;
    progress.finish();
    Ok(Made {
        artifacts: vec![waveform, loudness],
        skipped: None,
    })
}

/// Reads the summary that `ebur128` prints at the end. The gate's floor of -70 LUFS stands for silence.
fn loudness(errors: &str) -> Option<Loudness> {
    let (_, summary) = errors.rsplit_once("Summary:")?;
    let value = |name: &str| -> Option<f64> {
        let line = summary
            .lines()
            .find_map(|line| line.trim().strip_prefix(name))?;
        line.split_whitespace()
            .next()?
            .parse()
            .ok()
            .filter(|value: &f64| value.is_finite())
    };
    let integrated = value("I:")?;
    let silent = integrated <= -70.0;
    Some(Loudness {
        integrated_lufs: (!silent).then_some(integrated),
        range_lu: value("LRA:").filter(|_| !silent),
        true_peak_dbfs: value("Peak:"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_summary_is_read() {
        let errors = "[Parsed_ebur128_1 @ 0x5] Summary:\n\n  Integrated loudness:\n    I:         -23.4 LUFS\n    Threshold: -33.6 LUFS\n\n  Loudness range:\n    LRA:        11.2 LU\n    Threshold: -43.6 LUFS\n    LRA low:   -30.1 LUFS\n\n  True peak:\n    Peak:       -1.5 dBFS\n";
        let expected = Loudness {
            integrated_lufs: Some(-23.4),
            range_lu: Some(11.2),
            true_peak_dbfs: Some(-1.5),
        };
        assert_eq!(loudness(errors), Some(expected));
        assert_eq!(loudness("nothing"), None);
    }

    #[test]
    fn silence_has_no_loudness() {
        let errors = "Summary:\n I: -70.0 LUFS\n LRA: 0.0 LU\n True peak:\n Peak: -inf dBFS\n";
        let expected = Loudness {
            integrated_lufs: None,
            range_lu: None,
            true_peak_dbfs: None,
        };
        assert_eq!(loudness(errors), Some(expected));
    }
}
