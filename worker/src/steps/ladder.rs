//! Ladder: which renditions fit the source. None is larger than the source or than what was asked for; the
//! shorter side is the rung, so that portrait and landscape pictures are treated alike.

use serde::{Deserialize, Serialize};

use super::Media;
use crate::{
    Failure, Invocation, Job,
    media::{self, Summary, frames_per_second},
};

/// Lengths of the shorter side, in pixels.
const RUNGS: [u32; 4] = [1080, 720, 480, 360];
/// More frames a second are thinned out: what plays everywhere.
const FRAME_RATE_MAX: f64 = 60.0;

#[derive(Debug, Deserialize)]
pub struct Input {
    pub job: Job,
    pub media: Media,
    /// The largest rung asked for.
    pub max_height: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub rungs: Vec<Rung>,
}

/// One rendition to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// `720p`, or `audio`.
    pub label: String,
    /// None for sound alone.
    pub picture: Option<Picture>,
    /// The source's sound stream, where it has one.
    pub sound_stream: Option<u32>,
    /// The source's, for progress.
    pub duration_ms: Option<u64>,
    /// How long the rendition must be: the stated duration of the stream that it follows.
    pub expected_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// The source's picture stream.
    pub stream: u32,
    pub width: u32,
    pub height: u32,
    /// Frames a second, as a ratio.
    pub frame_rate: String,
    /// The encoder's ceiling, in kbit/s.
    pub rate_max_kbit: u32,
}

/// Fails with `Media.Unreadable`.
pub async fn handle(invocation: &Invocation<'_>, input: Input) -> Result<Output, Failure> {
    let progress = invocation.start("sources", Some(1), None);
    let bucket = invocation.bucket(&input.job)?;
    let address = bucket.presigned(&input.media.key).await?;
    let summary = media::probe(&address, invocation.deadline).await?.summary;
    let rungs = rungs(&summary, input.max_height);
    progress.finish();
    Ok(Output { rungs })
}

/// The rungs for a source, the tallest first; one rung of sound where there is no picture.
pub fn rungs(summary: &Summary, max_height: u32) -> Vec<Rung> {
    let sound_stream = summary.audio.as_ref().map(|audio| audio.stream);
    let rung = |label: String, picture: Option<Picture>| Rung {
        label,
        picture,
        sound_stream,
        duration_ms: summary.duration_ms,
        expected_ms: match (&summary.video, &summary.audio) {
            (Some(video), _) => video.duration_ms,
            (None, Some(audio)) => audio.duration_ms,
            (None, None) => None,
        },
    };
    let Some(video) = &summary.video else {
        return vec![rung("audio".to_owned(), None)];
    };
    let short = video.width.min(video.height);
    let mut shorts: Vec<u32> = RUNGS
        .into_iter()
        .filter(|rung| *rung <= short && *rung <= max_height)
        .collect();
    if shorts.is_empty() {
        shorts.push(short.min(max_height.max(2)));
    }
    let picture = |side: u32| {
        let (width, height) = size(video.width, video.height, side);
        Picture {
            stream: video.stream,
            width,
            height,
            frame_rate: frame_rate(&video.frame_rate),
            rate_max_kbit: rate_max_kbit(width, height, frames_per_second(&video.frame_rate)),
        }
    };
    shorts
        .into_iter()
        .map(|side| rung(format!("{side}p"), Some(picture(side))))
        .collect()
}

/// The picture's size with its shorter side at `side` or just below it: both sides even, as 4:2:0 needs, and
/// neither larger than the source's.
fn size(width: u32, height: u32, side: u32) -> (u32, u32) {
    let short = width.min(height).max(1);
    let scaled = |length: u32| {
        let exact = f64::from(length) * f64::from(side.min(short)) / f64::from(short);
        let even = (exact / 2.0).round() as u32 * 2;
        match even > length {
            true => length / 2 * 2,
            false => even,
        }
        .max(2)
    };
    (scaled(width), scaled(height))
}

fn frame_rate(source: &str) -> String {
    match frames_per_second(source) > FRAME_RATE_MAX {
        true => "60/1".to_owned(),
        false => source.to_owned(),
    }
}

/// About 0.1 bit a pixel at 25 to 30 frames: 5,000 kbit/s for 1080p, 2,300 for 720p, and not below 200.
fn rate_max_kbit(width: u32, height: u32, fps: f64) -> u32 {
    let area = f64::from(width) * f64::from(height) / (1920.0 * 1080.0);
    let motion = if fps > 35.0 { 1.5 } else { 1.0 };
    // Small pictures need more bits a pixel.
    ((5_000.0 * area.powf(0.85) * motion) as u32).max(200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Audio, Video};

    fn source(width: u32, height: u32) -> Summary {
        Summary {
            container: "mov".to_owned(),
            duration_ms: Some(1_000),
            bytes: None,
            bit_rate: None,
            video: Some(Video {
                stream: 0,
                codec: "h264".to_owned(),
                width,
                height,
                frame_rate: "24/1".to_owned(),
                rotation: 0,
                pixel_format: None,
                duration_ms: None,
            }),
            audio: None,
        }
    }

    fn check(width: u32, height: u32, max_height: u32, expected: &[(&str, u32, u32)]) {
        let rungs = rungs(&source(width, height), max_height);
        let found: Vec<_> = rungs
            .iter()
            .map(|rung| {
                let picture = rung.picture.as_ref().expect("a picture");
                (rung.label.as_str(), picture.width, picture.height)
            })
            .collect();
        assert_eq!(found, expected, "{width}x{height}, at most {max_height}");
    }

    #[test]
    fn no_rung_is_larger_than_the_source_or_the_wish() {
        let all = [
            ("1080p", 1920, 1080),
            ("720p", 1280, 720),
            ("480p", 854, 480),
            ("360p", 640, 360),
        ];
        check(1920, 1080, 1080, &all);
        check(1920, 1080, 720, &all[1..]);
        check(1919, 1079, 1080, &all[1..]);
        check(3840, 2160, 1080, &all);
        check(2560, 1080, 480, &[("480p", 1138, 480), ("360p", 854, 360)]);
    }

    #[test]
    fn portrait_counts_by_its_shorter_side() {
        check(
            1080,
            1920,
            720,
            &[("720p", 720, 1280), ("480p", 480, 854), ("360p", 360, 640)],
        );
    }

    #[test]
    fn what_is_below_the_smallest_rung_keeps_its_size() {
        check(176, 144, 1080, &[("144p", 176, 144)]);
        check(640, 272, 1080, &[("272p", 640, 272)]);
        check(175, 143, 1080, &[("143p", 174, 142)]);
        check(1, 1, 360, &[("1p", 2, 2)]);
    }

    #[test]
    fn sound_alone_is_one_rung() {
        let mut summary = source(2, 2);
        summary.video = None;
        summary.audio = Some(Audio {
            stream: 3,
            codec: "mp3".to_owned(),
            channels: 2,
            sample_rate: None,
            duration_ms: None,
        });
        let rungs = rungs(&summary, 1080);
        assert_eq!(rungs.len(), 1);
        assert_eq!(
            (rungs[0].label.as_str(), rungs[0].sound_stream),
            ("audio", Some(3))
        );
        assert_eq!(rungs[0].picture, None);
    }

    #[test]
    fn fast_sources_are_thinned_to_60() {
        assert_eq!(frame_rate("120/1"), "60/1");
        assert_eq!(frame_rate("60000/1001"), "60000/1001");
    }
}
