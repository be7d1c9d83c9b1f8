//! Poster: a representative frame, and a sheet of thumbnails with the WebVTT that says which shows what time
//! (as players' seek previews read it). Sound alone has neither.

use std::{fmt::Write, path::Path};

use model::{Artifact, ArtifactKind};
use serde::Deserialize;

use super::{Made, Media, Product, product, scratch};
use crate::{
    Failure, Invocation, Job, Kind,
    ffmpeg::Run,
    media::{self, Video},
    progress::Reporter,
};

/// The poster's longer side, in pixels, at most.
const POSTER_SIDE_MAX: u32 = 1_280;
/// Frames among which the `thumbnail` filter chooses.
const CANDIDATES: u32 = 48;
/// Where to look for a frame that is not dark, as shares of the duration.
const PLACES: [f64; 4] = [0.1, 0.35, 0.6, 0.0];
/// Mean luma from which a frame is not dark (of 255; black is 16 in most videos).
const LUMA_MIN: f64 = 40.0;
/// A thumbnail's longer side, in pixels.
const THUMBNAIL_SIDE: u32 = 160;
const THUMBNAILS_MAX: u64 = 100;
const COLUMNS: u64 = 10;
/// Sources longer than this have only their keyframes decoded for the sheet.
const DECODE_ALL_MS_MAX: u64 = 5 * 60 * 1000;

#[derive(Debug, Deserialize)]
pub struct Input {
    pub job: Job,
    pub media: Media,
}

/// Fails with `Media.EncodeFailed`, `Media.Unreadable` and `Media.TimedOut`.
pub async fn handle(invocation: &Invocation<'_>, input: Input) -> Result<Made, Failure> {
    let bucket = invocation.bucket(&input.job)?;
    let address = bucket.presigned(&input.media.key).await?;
    let summary = media::probe(&address, invocation.deadline).await?.summary;
    let mut progress = invocation.start("ms", summary.duration_ms, None);
    let Some(video) = summary.video else {
        progress.finish();
        return Ok(Made::skipped(
            "the source has sound alone: there is no picture to show",
        ));
    };
    let work = Work {
        invocation,
        job: &input.job,
        address: &address,
        video: &video,
        duration_ms: summary.duration_ms.unwrap_or(0),
    };
    let folder = scratch()?;
    let mut artifacts = vec![work.poster(folder.path()).await?];
    artifacts.extend(work.sprite(folder.path(), &mut progress).await?);
    progress.finish();
    Ok(Made {
        artifacts,
        skipped: None,
    })
}

struct Work<'a> {
    invocation: &'a Invocation<'a>,
    job: &'a Job,
    address: &'a str,
    video: &'a Video,
    duration_ms: u64,
}

impl Work<'_> {
    /// The lightest of a few representative frames, unless an early one is light enough.
    async fn poster(&self, folder: &Path) -> Result<Artifact, Failure> {
        let (width, height) = fit(self.video, POSTER_SIDE_MAX);
        let mut best: Option<(f64, std::path::PathBuf)> = None;
        for (number, place) in PLACES.into_iter().enumerate() {
            let file = folder.join(format!("poster{number}.jpg"));
            let luma = self.frame(place, (width, height), &file).await?;
            if let Some(luma) =
                luma.filter(|luma| best.as_ref().is_none_or(|(best, _)| luma > best))
            {
                best = Some((luma, file));
            }
            if best.as_ref().is_some_and(|(luma, _)| *luma >= LUMA_MIN) {
                break;
            }
        }
        let (_, file) = best.ok_or_else(|| {
            let message = "no frame of the source can be decoded: check that it plays";
            Failure::new(Kind::MediaEncodeFailed, message)
        })?;
        let content = product(&file, "poster").await?;
        let product = Product {
            kind: ArtifactKind::Poster,
            name: "poster.jpg",
            label: "poster",
            content_type: "image/jpeg",
            size: Some((width, height)),
        };
        product.put(self.invocation, self.job, content).await
    }

    /// Writes a representative frame from `place` on and answers its mean luma; none when there is no frame there.
    async fn frame(
        &self,
        place: f64,
        (width, height): (u32, u32),
        file: &Path,
    ) -> Result<Option<f64>, Failure> {
        let start = format!("{:.3}", self.duration_ms as f64 * place / 1000.0);
        let filter = format!(
            "thumbnail=n={CANDIDATES},scale={width}:{height},setsar=1,format=yuv420p,signalstats,metadata=mode=print:key=lavfi.signalstats.YAVG:file=-,format=yuvj420p"
        );
        let stream = format!("0:{}", self.video.stream);
        let path = file.to_string_lossy();
        let after = [
            "-map",
            &stream,
            "-vf",
            &filter,
            "-frames:v",
            "1",
            "-q:v",
            "3",
            "-update",
            "1",
            &path,
        ];
        let ran = Run::ffmpeg(
            self.address,
            &["-ss", &start],
            &after.map(str::to_owned),
            self.invocation.deadline,
        )
        .wait(Kind::MediaEncodeFailed, |_| {})
        .await?;
        let luma = ran
            .output
            .lines()
            .find_map(|line| line.strip_prefix("lavfi.signalstats.YAVG="))
            .and_then(|value| value.trim().parse().ok());
        Ok(luma.filter(|_| file.is_file()))
    }

    /// Thumbnails at equal distances, then one sheet of those that there are.
    async fn sprite(
        &self,
        folder: &Path,
        progress: &mut Reporter,
    ) -> Result<[Artifact; 2], Failure> {
        let interval_ms = interval_ms(self.duration_ms);
        let (width, height) = fit(self.video, THUMBNAIL_SIDE);
        let filter = format!(
            "fps=1000/{interval_ms}:start_time=0:round=up,scale={width}:{height},setsar=1,format=yuvj420p"
        );
        let stream = format!("0:{}", self.video.stream);
        let pattern = folder.join("t%04d.jpg");
        let most = THUMBNAILS_MAX.to_string();
        let after = [
            "-map",
            &stream,
            "-vf",
            &filter,
            "-frames:v",
            &most,
            "-q:v",
            "4",
            "-progress",
            "pipe:1",
            "-stats_period",
            "0.3",
            "-f",
            "image2",
            &pattern.to_string_lossy(),
        ];
        let before: &[&str] = match self.duration_ms > DECODE_ALL_MS_MAX {
            true => &["-skip_frame", "nokey"],
            false => &[],
        };
        let most_ms = self.duration_ms;
        Run::ffmpeg(
            self.address,
            before,
            &after.map(str::to_owned),
            self.invocation.deadline,
        )
        .wait(Kind::MediaEncodeFailed, |ms| progress.set(ms.min(most_ms)))
        .await?;
        let count = (1..=THUMBNAILS_MAX)
            .take_while(|number| folder.join(format!("t{number:04}.jpg")).is_file())
            .count() as u64;
        if count == 0 {
            let message = "no thumbnail of the source can be decoded: check that it plays";
            return Err(Failure::new(Kind::MediaEncodeFailed, message));
        }
        let (columns, rows) = (count.min(COLUMNS), count.div_ceil(COLUMNS));
        let sheet = folder.join("sprite.jpg");
        let tile = format!("tile={columns}x{rows}");
        let arguments = [
            "-f",
            "image2",
            "-i",
            &pattern.to_string_lossy(),
            "-vf",
            &tile,
            "-frames:v",
            "1",
            "-q:v",
            "4",
            "-update",
            "1",
            &sheet.to_string_lossy(),
        ];
        Run::ffmpeg_local(
            arguments.map(str::to_owned).into(),
            self.invocation.deadline,
        )
        .wait(Kind::MediaEncodeFailed, |_| {})
        .await?;
        let content = product(&sheet, "sheet of thumbnails").await?;
        let sheet = Product {
            kind: ArtifactKind::Sprite,
            name: "sprite.jpg",
            label: "thumbnails",
            content_type: "image/jpeg",
            size: Some((width * columns as u32, height * rows as u32)),
        };
        let sheet = sheet.put(self.invocation, self.job, content).await?;
        let index = index(count, interval_ms, self.duration_ms, (width, height));
        let index_product = Product {
            kind: ArtifactKind::SpriteIndex,
            name: "sprite.vtt",
            label: "thumbnails' times",
            content_type: "text/vtt",
            size: None,
        };
        let index = index_product
            .put(self.invocation, self.job, index.into_bytes())
            .await?;
        Ok([sheet, index])
    }
}

/// The size with the longer side at most `side_max`, both even, never larger than the source.
fn fit(video: &Video, side_max: u32) -> (u32, u32) {
    let long = video.width.max(video.height);
    let scale = f64::from(side_max.min(long)) / f64::from(long);
    let even = |length: u32| ((f64::from(length) * scale / 2.0).round() as u32 * 2).max(2);
    (even(video.width), even(video.height))
}

/// At least half a second, and no more thumbnails than the sheet takes.
fn interval_ms(duration_ms: u64) -> u64 {
    duration_ms.div_ceil(THUMBNAILS_MAX).max(500)
}

/// WebVTT (W3C) with media fragments (`#xywh=`) into the sheet.
fn index(count: u64, interval_ms: u64, duration_ms: u64, (width, height): (u32, u32)) -> String {
    let mut text = "WEBVTT\n".to_owned();
    for number in 0..count {
        let start = number * interval_ms;
        let end = match number + 1 == count {
            true => duration_ms.max(start + 1),
            false => start + interval_ms,
        };
        let x = number % COLUMNS * u64::from(width);
        let y = number / COLUMNS * u64::from(height);
        // Writing into a String does not fail.
        let _ = write!(
            text,
            "\n{} --> {}\nsprite.jpg#xywh={x},{y},{width},{height}\n",
            clock(start),
            clock(end)
        );
    }
    text
}

/// `01:02:03.004`.
fn clock(ms: u64) -> String {
    let seconds = ms / 1000;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        ms % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_covers_the_duration_without_gaps() {
        let text = index(12, 500, 6_200, (160, 90));
        assert!(
            text.starts_with(
                "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nsprite.jpg#xywh=0,0,160,90\n"
            )
        );
        assert!(text.contains("00:00:05.000 --> 00:00:05.500\nsprite.jpg#xywh=0,90,160,90\n"));
        assert!(text.ends_with("00:00:05.500 --> 00:00:06.200\nsprite.jpg#xywh=160,90,160,90\n"));
        assert_eq!(clock(3_723_004), "01:02:03.004");
    }

    #[test]
    fn a_sheet_has_at_most_a_hundred() {
        assert_eq!(interval_ms(5_000), 500);
        assert_eq!(interval_ms(7_200_000), 72_000);
    }
}
