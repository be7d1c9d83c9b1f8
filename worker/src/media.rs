//! What ffprobe says of the source, and the summary that steps, pages and the manifest use.
//! Owns the reading of ffprobe's JSON: rotation, pixel shape, cover pictures. Decides no renditions.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::{Failure, Kind, ffmpeg::Run};

/// A summary of audio or video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// ffmpeg's name of the container: `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    pub duration_ms: Option<u64>,
    pub bytes: Option<u64>,
    /// Bits a second, all streams.
    pub bit_rate: Option<u64>,
    pub video: Option<Video>,
    pub audio: Option<Audio>,
}

/// The first picture stream that is no cover picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Video {
    /// ffmpeg's number of the stream.
    pub stream: u32,
    pub codec: String,
    /// As shown: turned by `rotation`, with square pixels.
    pub width: u32,
    pub height: u32,
    /// Frames a second on average, as a ratio: `24/1`, `30000/1001`.
    pub frame_rate: String,
    /// Degrees clockwise by which a player turns the picture: 0, 90, 180, 270.
    pub rotation: u32,
    pub pixel_format: Option<String>,
    /// This stream's own, where the container states it.
    pub duration_ms: Option<u64>,
}

/// The first sound stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audio {
    /// ffmpeg's number of the stream.
    pub stream: u32,
    pub codec: String,
    pub channels: u32,
    pub sample_rate: Option<u32>,
    /// This stream's own, where the container states it.
    pub duration_ms: Option<u64>,
}

/// ffprobe's report without the address it read from, and its summary.
pub struct Probed {
    pub report: Value,
    pub summary: Summary,
}

/// Reads the source's report. Fails with `Media.Unreadable` when there is neither audio nor video in it.
pub async fn probe(address: &str, deadline: Instant) -> Result<Probed, Failure> {
    let options = [
        "-v",
        "error",
        "-print_format",
        "json",
        "-show_format",
        "-show_streams",
        "-show_chapters",
    ];
    let ran = Run::ffprobe(address, &options, deadline)
        .wait(Kind::MediaUnreadable, |_| {})
        .await?;
    let mut report: Value = serde_json::from_str(&ran.output).map_err(|error| {
        Failure::new(
            Kind::MediaUnreadable,
            format!("ffprobe's report is no JSON: {error}"),
        )
    })?;
    if let Some(format) = report.get_mut("format").and_then(Value::as_object_mut) {
        format.remove("filename");
    }
    let mut summary = summarise(&report);
    if summary.video.is_none() && summary.audio.is_none() {
        let message =
            "there is neither audio nor video in the source: check that it is the file you meant";
        return Err(Failure::new(Kind::MediaUnreadable, message));
    }
    if summary.duration_ms.is_none() {
        summary.duration_ms = duration_by_reading(address, deadline).await?;
    }
    Ok(Probed { report, summary })
}

/// Some containers (WebM from a browser's recorder, raw streams) state no duration: read through without decoding.
async fn duration_by_reading(address: &str, deadline: Instant) -> Result<Option<u64>, Failure> {
    let after = ["-c", "copy", "-progress", "pipe:1", "-f", "null", "-"].map(str::to_owned);
    let mut reached_ms = None;
    Run::ffmpeg(address, &[], &after, deadline)
        .wait(Kind::MediaUnreadable, |ms| reached_ms = Some(ms))
        .await?;
    Ok(reached_ms.filter(|ms| *ms > 0))
}

fn summarise(report: &Value) -> Summary {
    let streams = report["streams"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let of_type = |name: &'static str| {
        streams
            .iter()
            .filter(move |stream| stream["codec_type"] == name)
    };
    let video = of_type("video")
        .filter(|stream| stream["disposition"]["attached_pic"] != 1)
        .find_map(video);
    let audio = of_type("audio").find_map(audio);
    let format = &report["format"];
    let longest = streams
        .iter()
        .filter_map(|stream| number(&stream["duration"]))
        .reduce(f64::max);
    let seconds = number(&format["duration"])
        .or(longest)
        .filter(|seconds| *seconds > 0.0);
    Summary {
        container: format["format_name"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        duration_ms: seconds.map(|seconds| (seconds * 1000.0).round() as u64),
        bytes: number(&format["size"]).map(|bytes| bytes as u64),
        bit_rate: number(&format["bit_rate"]).map(|rate| rate as u64),
        video,
        audio,
    }
}

fn video(stream: &Value) -> Option<Video> {
    let coded_width = whole(&stream["width"]).filter(|width| *width > 0)?;
    let coded_height = whole(&stream["height"]).filter(|height| *height > 0)?;
    let width = match ratio(&stream["sample_aspect_ratio"], ':') {
        Some((shape_width, shape_height)) if shape_width != shape_height => {
            (f64::from(coded_width) * f64::from(shape_width) / f64::from(shape_height)).round()
                as u32
        }
        _ => coded_width,
    }
    .max(1);
    let rotation = rotation(stream);
    let (width, height) = match rotation {
        90 | 270 => (coded_height, width),
        _ => (width, coded_height),
    };
    let frame_rate = [&stream["avg_frame_rate"], &stream["r_frame_rate"]]
        .into_iter()
        .find_map(|rate| ratio(rate, '/'))
        .map_or_else(
            || "25/1".to_owned(),
            |(frames, seconds)| format!("{frames}/{seconds}"),
        );
    Some(Video {
        stream: whole(&stream["index"])?,
        codec: stream["codec_name"]
            .as_str()
            .unwrap_or("unknown")
            .to_owned(),
        width,
        height,
        frame_rate,
        rotation,
        pixel_format: stream["pix_fmt"].as_str().map(str::to_owned),
        duration_ms: stream_duration_ms(stream),
    })
}

fn audio(stream: &Value) -> Option<Audio> {
    Some(Audio {
        stream: whole(&stream["index"])?,
        codec: stream["codec_name"]
            .as_str()
            .unwrap_or("unknown")
            .to_owned(),
        channels: whole(&stream["channels"]).filter(|channels| *channels > 0)?,
        sample_rate: number(&stream["sample_rate"]).map(|rate| rate as u32),
        duration_ms: stream_duration_ms(stream),
    })
}

/// A stream's duration: as a number of seconds, or as Matroska's tag `00:00:05.005000000`.
fn stream_duration_ms(stream: &Value) -> Option<u64> {
    let tag = || {
        let mut parts = stream["tags"]["DURATION"].as_str()?.splitn(3, ':');
        let mut part = || parts.next()?.parse::<f64>().ok();
        Some((part()? * 60.0 + part()?) * 60.0 + part()?)
    };
    let seconds = number(&stream["duration"]).or_else(tag)?;
    (seconds > 0.0).then_some((seconds * 1000.0).round() as u64)
}

/// Degrees clockwise, from the display matrix (whose angle is counted the other way) or an old `rotate` tag.
fn rotation(stream: &Value) -> u32 {
    let matrix = stream["side_data_list"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|data| number(&data["rotation"]))
        .map(|counted| -counted);
    let clockwise = matrix
        .or_else(|| number(&stream["tags"]["rotate"]))
        .unwrap_or(0.0);
    ((clockwise / 90.0).round() as i64 * 90).rem_euclid(360) as u32
}

/// A number that ffprobe writes as a number or as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn whole(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|value| u32::try_from(value).ok())
}

/// `16:9` or `30000/1001`, both parts above 0.
fn ratio(value: &Value, separator: char) -> Option<(u32, u32)> {
    let (left, right) = value.as_str()?.split_once(separator)?;
    let (left, right) = (left.parse().ok()?, right.parse().ok()?);
    (left > 0 && right > 0).then_some((left, right))
}

/// A ratio's value.
pub fn frames_per_second(frame_rate: &str) -> f64 {
    ratio(&Value::from(frame_rate), '/').map_or(25.0, |(frames, seconds)| {
        f64::from(frames) / f64::from(seconds)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_turned_picture_counts_as_it_is_shown() {
        let stream = json!({
            "index": 0, "codec_type": "video", "codec_name": "hevc", "width": 1920, "height": 1080,
            "avg_frame_rate": "30000/1001", "side_data_list": [{"rotation": -90}]
        });
        let video = video(&stream).expect("a picture");
        assert_eq!(
            (video.width, video.height, video.rotation),
            (1080, 1920, 90)
        );
        assert_eq!(video.frame_rate, "30000/1001");
    }

    #[test]
    fn wide_pixels_are_made_square() {
        let stream = json!({
            "index": 0, "codec_type": "video", "codec_name": "mpeg2video", "width": 720, "height": 576,
            "sample_aspect_ratio": "64:45", "avg_frame_rate": "25/1"
        });
        let video = video(&stream).expect("a picture");
        assert_eq!((video.width, video.height), (1024, 576));
    }

    #[test]
    fn a_cover_picture_is_no_video() {
        let report = json!({"format": {"format_name": "mp3", "duration": "12.5", "size": "100"}, "streams": [
            {"index": 0, "codec_type": "video", "codec_name": "png", "width": 600, "height": 600, "disposition": {"attached_pic": 1}},
            {"index": 1, "codec_type": "audio", "codec_name": "mp3", "channels": 2, "sample_rate": "44100"}
        ]});
        let summary = summarise(&report);
        assert_eq!(summary.video, None);
        assert_eq!(
            summary.audio.map(|audio| (audio.stream, audio.channels)),
            Some((1, 2))
        );
        assert_eq!(summary.duration_ms, Some(12_500));
    }

    #[test]
    fn a_streams_duration_is_a_number_or_a_tag() {
        assert_eq!(
            stream_duration_ms(&json!({"duration": "5.28"})),
            Some(5_280)
        );
        let tagged = json!({"tags": {"DURATION": "01:02:05.005000000"}});
        assert_eq!(stream_duration_ms(&tagged), Some(3_725_005));
        assert_eq!(
            stream_duration_ms(&json!({"tags": {"DURATION": "soon"}})),
            None
        );
        assert_eq!(stream_duration_ms(&json!({})), None);
    }

    #[test]
    fn a_missing_rate_is_25_and_a_missing_duration_unknown() {
        let report = json!({"format": {"format_name": "matroska,webm"}, "streams": [
            {"index": 0, "codec_type": "video", "width": 2, "height": 2, "avg_frame_rate": "0/0", "r_frame_rate": "0/0"}
        ]});
        let summary = summarise(&report);
        assert_eq!(summary.duration_ms, None);
        assert_eq!(
            summary.video.map(|video| video.frame_rate),
            Some("25/1".to_owned())
        );
    }
}
