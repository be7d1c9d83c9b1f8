//! Rendition: one rung as H.264 and AAC in a single fragmented MP4 file, with the HLS playlist that addresses it
//! by byte range (RFC 8216). Keyframes are where segments start, in every rung at the same times.

use std::path::Path;

use model::{Artifact, ArtifactKind, time::duration_text};
use serde::{Deserialize, Serialize};

use super::{Media, Product, ladder::Rung, product, scratch};
use crate::{
    Failure, Invocation, Job, Kind,
    ffmpeg::Run,
    media::frames_per_second,
    playlist::{self, Variant},
};

/// How much of the MP4's start is searched for the codec's box; it stands in the first few hundred bytes.
const CODEC_BYTES: usize = 64 * 1024;

#[derive(Debug, Deserialize)]
pub struct Input {
    pub job: Job,
    pub media: Media,
    pub segment_seconds: u32,
    pub rung: Rung,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    #[serde(flatten)]
    pub variant: Variant,
    pub duration_ms: u64,
    pub segment_count: usize,
    pub artifacts: Vec<Artifact>,
}

/// Fails with `Media.EncodeFailed` and `Media.TimedOut`.
pub async fn handle(invocation: &Invocation<'_>, input: Input) -> Result<Output, Failure> {
    let rung = &input.rung;
    let mut progress = invocation.start("ms", rung.duration_ms, Some(&rung.label));
    let bucket = invocation.bucket(&input.job)?;
    let address = bucket.presigned(&input.media.key).await?;
    let folder = scratch()?;
    let media_name = format!("{}.mp4", rung.label);
    let list_name = format!("{}.m3u8", rung.label);
    let after = arguments(
        rung,
        input.segment_seconds,
        folder.path(),
        &media_name,
        &list_name,
    );
    let most = rung.duration_ms.unwrap_or(u64::MAX);
    Run::ffmpeg(&address, &[], &after, invocation.deadline)
        .wait(Kind::MediaEncodeFailed, |ms| progress.set(ms.min(most)))
        .await?;

    let nothing = |what: &str| {
        let message = format!("ffmpeg ended well but {what}: check that the source plays");
        Failure::new(Kind::MediaEncodeFailed, message)
    };
    let list = product(&folder.path().join(&list_name), "playlist").await?;
    let text = String::from_utf8_lossy(&list);
    let measured =
        playlist::measure(&text).ok_or_else(|| nothing("the playlist has no segments"))?;
    if measured.addresses != [media_name.as_str()] {
        return Err(nothing("the playlist names other files than the one made"));
    }
    if let Some(expected) = rung
        .expected_ms
        .filter(|expected| too_short(measured.duration_ms, *expected))
    {
        let message = format!(
            "only {} of {} could be decoded: the source is cut off or damaged; submit a complete copy",
            duration_text(measured.duration_ms),
            duration_text(expected),
        );
        return Err(Failure::new(Kind::MediaEncodeFailed, message));
    }
    let media_file = folder.path().join(&media_name);
    let codecs = codecs(rung, &media_file).await?;

    let size = rung
        .picture
        .as_ref()
        .map(|picture| (picture.width, picture.height));
    let rendition = Product {
        kind: ArtifactKind::Rendition,
        name: &format!("hls/{media_name}"),
        label: &rung.label,
        content_type: if size.is_some() {
            "video/mp4"
        } else {
            "audio/mp4"
        },
        size,
    };
    let media_artifact = rendition
        .put_file(invocation, &input.job, &media_file)
        .await?;
    // After the media: a playlist never addresses what is not there.
    let playlist = Product {
        kind: ArtifactKind::Playlist,
        name: &format!("hls/{list_name}"),
        label: &format!("{} playlist", rung.label),
        content_type: "application/vnd.apple.mpegurl",
        size,
    };
    let list_artifact = playlist.put(invocation, &input.job, list).await?;
    progress.finish();
    Ok(Output {
        variant: Variant {
            label: rung.label.clone(),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            frame_rate: rung
                .picture
                .as_ref()
                .map(|picture| frames_per_second(&picture.frame_rate)),
            bandwidth: measured.bandwidth,
            average_bandwidth: measured.average_bandwidth,
            codecs,
        },
        duration_ms: measured.duration_ms,
        segment_count: measured.segment_count,
        artifacts: vec![media_artifact, list_artifact],
    })
}

/// ffmpeg ends well on a source that is cut off. A tenth, and two seconds, may be missing: containers state
/// durations loosely.
fn too_short(made_ms: u64, expected_ms: u64) -> bool {
    made_ms + 2_000.max(expected_ms / 10) < expected_ms
}

/// ffmpeg's arguments behind its input.
fn arguments(
    rung: &Rung,
    segment_seconds: u32,
    folder: &Path,
    media_name: &str,
    list_name: &str,
) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |values: &[&str]| arguments.extend(values.iter().map(|&value| value.to_owned()));
    if let Some(picture) = &rung.picture {
        let rate = picture.rate_max_kbit;
        let frames_per_segment =
            frames_per_second(&picture.frame_rate) * f64::from(segment_seconds);
        // No frames of the source's own choosing between: segments are equally long in every rung.
        add(&["-map", &format!("0:{}", picture.stream)]);
        add(&[
            "-vf",
            &format!(
                "scale={}:{}:flags=bicubic,setsar=1,format=yuv420p",
                picture.width, picture.height
            ),
        ]);
        add(&["-fps_mode", "cfr", "-r", &picture.frame_rate]);
        add(&[
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-profile:v",
            "high",
            "-crf",
            "22",
        ]);
        add(&[
            "-maxrate",
            &format!("{rate}k"),
            "-bufsize",
            &format!("{}k", rate * 2),
        ]);
        add(&[
            "-force_key_frames",
            &format!("expr:gte(t,n_forced*{segment_seconds})"),
        ]);
        add(&[
            "-sc_threshold",
            "0",
            "-g",
            &format!("{}", frames_per_segment.ceil() as u64),
        ]);
    }
    if let Some(stream) = rung.sound_stream {
        let rate = match &rung.picture {
            Some(picture) if picture.width.min(picture.height) <= 360 => "96k",
            _ => "128k",
        };
        add(&[
            "-map",
            &format!("0:{stream}"),
            "-c:a",
            "aac",
            "-ac",
            "2",
            "-ar",
            "48000",
            "-b:a",
            rate,
        ]);
        // Gaps and drifting timestamps become silence; sound keeps its place beside the picture.
        add(&["-af", "aresample=async=1:first_pts=0"]);
    }
    add(&["-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn"]);
    add(&[
        "-max_muxing_queue_size",
        "4096",
        "-progress",
        "pipe:1",
        "-stats_period",
        "0.3",
    ]);
    add(&[
        "-f",
        "hls",
        "-hls_time",
        &segment_seconds.to_string(),
        "-hls_playlist_type",
        "vod",
    ]);
    add(&[
        "-hls_segment_type",
        "fmp4",
        "-hls_flags",
        "single_file+independent_segments",
    ]);
    let (media_file, list_file) = (folder.join(media_name), folder.join(list_name));
    add(&[
        "-hls_segment_filename",
        &media_file.to_string_lossy(),
        &list_file.to_string_lossy(),
    ]);
    arguments
}

/// The CODECS of the rendition's file. AAC here is always AAC-LC: `mp4a.40.2`.
async fn codecs(rung: &Rung, media_file: &Path) -> Result<String, Failure> {
    use tokio::io::AsyncReadExt;
    let unreadable = |why: String| {
        Failure::new(
            Kind::MediaEncodeFailed,
            format!("the rendition that ffmpeg made is damaged: {why}"),
        )
    };
    let mut names = Vec::new();
    if rung.picture.is_some() {
        let file = tokio::fs::File::open(media_file)
            .await
            .map_err(|error| unreadable(error.to_string()))?;
        let mut start = Vec::new();
        file.take(CODEC_BYTES as u64)
            .read_to_end(&mut start)
            .await
            .map_err(|error| unreadable(error.to_string()))?;
        names.push(
            playlist::avc_codec(&start)
                .ok_or_else(|| unreadable("it has no avcC box".to_owned()))?,
        );
    }
    if rung.sound_stream.is_some() {
        names.push("mp4a.40.2".to_owned());
    }
    Ok(names.join(","))
}
