//! What is made of real media, checked by ffprobe and by reading it back.

use std::{collections::BTreeMap, process::Command};

use model::{ArtifactKind, Manifest};
use serde_json::{Value, json};
use worker::Step;

use crate::{
    clip,
    run::Run,
    server::{Manner, source},
    storage::{BUCKET, Storage},
};

struct Outcome {
    storage: Storage,
    manifest: Manifest,
}

/// Runs the whole pipeline over a clip and checks what holds for every manifest.
async fn run(clip: Vec<u8>) -> Outcome {
    let storage = Storage::open().await;
    let source = source(clip, Manner::Steady).await;
    let (published, manifest) = Run::new(&storage)
        .whole(Run::input(&source.address))
        .await
        .expect("a success");
    let manifest: Manifest = serde_json::from_value(manifest).expect("a manifest");
    let bytes: u64 = manifest
        .artifacts
        .iter()
        .map(|artifact| artifact.bytes)
        .sum();
    assert_eq!(
        published,
        json!({"manifest": "jobs/j1/manifest.json", "artifacts": manifest.artifacts.len(), "bytes": bytes})
    );
    assert!(!manifest.source.contains("secret"));
    for artifact in &manifest.artifacts {
        let content = storage.object(&artifact.key);
        assert_eq!(content.len() as u64, artifact.bytes, "{}", artifact.key);
        let digest = <sha2::Sha256 as sha2::Digest>::digest(&content);
        assert_eq!(
            worker::codec::hex(&digest),
            artifact.sha256,
            "{}",
            artifact.key
        );
    }
    Outcome { storage, manifest }
}

impl Outcome {
    fn keys(&self) -> Vec<&str> {
        let prefix = "jobs/j1/";
        self.manifest
            .artifacts
            .iter()
            .map(|artifact| artifact.key.strip_prefix(prefix).expect("the job's prefix"))
            .collect()
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.storage.object(&format!("jobs/j1/{name}"))).expect("text")
    }

    /// ffprobe's streams of an artifact by type.
    fn streams(&self, name: &str) -> BTreeMap<String, Value> {
        let path = self
            .storage
            .folder
            .path()
            .join(BUCKET)
            .join("jobs/j1")
            .join(name);
        let probed = Command::new("ffprobe")
            .args(["-v", "error", "-print_format", "json", "-show_streams"])
            .arg(path)
            .output()
            .expect("ffprobe is installed");
        assert!(
            probed.status.success(),
            "{}",
            String::from_utf8_lossy(&probed.stderr)
        );
        let report: Value = serde_json::from_slice(&probed.stdout).expect("JSON");
        let streams = report["streams"].as_array().expect("streams").iter();
        streams
            .map(|stream| {
                (
                    stream["codec_type"].as_str().expect("a type").to_owned(),
                    stream.clone(),
                )
            })
            .collect()
    }
}

#[tokio::test]
async fn a_clip_with_sound_becomes_everything() {
    let outcome = run(clip::with_sound("854x480", 5)).await;
    assert_eq!(
        outcome.keys(),
        [
            "source",
            "poster.jpg",
            "sprite.jpg",
            "sprite.vtt",
            "hls/master.m3u8",
            "hls/480p.mp4",
            "hls/480p.m3u8",
            "hls/360p.mp4",
            "hls/360p.m3u8",
            "waveform.png",
            "loudness.json",
            "probe.json",
        ]
    );
    let streams = outcome.streams("hls/480p.mp4");
    let (video, audio) = (&streams["video"], &streams["audio"]);
    assert_eq!(
        (&video["codec_name"], &video["width"], &video["height"]),
        (&json!("h264"), &json!(854), &json!(480))
    );
    assert_eq!(video["pix_fmt"], "yuv420p");
    assert_eq!(
        (&audio["codec_name"], &audio["channels"]),
        (&json!("aac"), &json!(2))
    );

    let master = outcome.text("hls/master.m3u8");
    assert!(
        master.contains("RESOLUTION=854x480,FRAME-RATE=24.000\n480p.m3u8\n"),
        "{master}"
    );
    assert!(master.contains("CODECS=\"avc1.6400"), "{master}");
    assert!(
        master.find("480p.m3u8") < master.find("360p.m3u8"),
        "{master}"
    );

    let loudness: Value = serde_json::from_str(&outcome.text("loudness.json")).expect("JSON");
    assert!(
        loudness["integrated_lufs"]
            .as_f64()
            .is_some_and(|lufs| (-40.0..0.0).contains(&lufs)),
        "{loudness}"
    );
    assert!(loudness["true_peak_dbfs"].as_f64().is_some(), "{loudness}");
    assert_eq!(outcome.manifest.media["duration_ms"], 5_000);
    assert_eq!(outcome.streams("waveform.png")["video"]["pix_fmt"], "rgba");
    let index = outcome.text("sprite.vtt");
    assert_eq!(index.matches("sprite.jpg#xywh=").count(), 10, "{index}");
}

#[tokio::test]
async fn segments_start_at_the_same_times_in_every_rung() {
    let outcome = run(clip::with_sound("854x480", 5)).await;
    let durations = |name: &str| -> Vec<String> {
        let text = outcome.text(name);
        text.lines()
            .filter(|line| line.starts_with("#EXTINF"))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(durations("hls/480p.m3u8"), durations("hls/360p.m3u8"));
    assert_eq!(
        durations("hls/480p.m3u8")[..2],
        ["#EXTINF:2.000000,", "#EXTINF:2.000000,"]
    );
    let list = outcome.text("hls/480p.m3u8");
    assert!(
        list.contains("#EXT-X-MAP:URI=\"480p.mp4\",BYTERANGE="),
        "{list}"
    );
    let last = list
        .lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:"))
        .next_back()
        .expect("a range");
    let (bytes, start) = last.split_once('@').expect("length and start");
    let end = bytes.parse::<u64>().expect("bytes") + start.parse::<u64>().expect("a start");
    let file = outcome.storage.object("jobs/j1/hls/480p.mp4");
    assert_eq!(end, file.len() as u64, "the playlist covers the file");
}

#[tokio::test]
async fn a_silent_ten_bit_clip_has_no_sound_artifacts() {
    let outcome = run(clip::silent()).await;
    assert!(!outcome.keys().contains(&"waveform.png"));
    let streams = outcome.streams("hls/360p.mp4");
    assert_eq!(streams.keys().collect::<Vec<_>>(), ["video"]);
    assert_eq!(streams["video"]["pix_fmt"], "yuv420p");
    assert!(!outcome.text("hls/master.m3u8").contains("mp4a"));
    let storage = &outcome.storage;
    let media = json!({"key": "jobs/j1/source", "bytes": 1, "artifacts": []});
    let audio = Run::new(storage)
        .step(Step::Audio, json!({"media": media}))
        .await
        .expect("an answer");
    assert_eq!(
        audio,
        json!({"artifacts": [], "skipped": "the source has no sound"})
    );
}

#[tokio::test]
async fn sound_alone_is_one_rendition_without_pictures() {
    let outcome = run(clip::sound()).await;
    assert_eq!(
        outcome.keys(),
        [
            "source",
            "hls/master.m3u8",
            "hls/audio.mp4",
            "hls/audio.m3u8",
            "waveform.png",
            "loudness.json",
            "probe.json"
        ]
    );
    assert_eq!(
        outcome.streams("hls/audio.mp4").keys().collect::<Vec<_>>(),
        ["audio"]
    );
    let master = outcome.text("hls/master.m3u8");
    assert!(
        master.contains("CODECS=\"mp4a.40.2\"\naudio.m3u8"),
        "{master}"
    );
}

#[tokio::test]
async fn a_turned_clip_is_upright() {
    let outcome = run(clip::portrait()).await;
    let size = |kind| {
        let found = outcome
            .manifest
            .artifacts
            .iter()
            .find(|artifact| artifact.kind == kind);
        found.and_then(|artifact| Some((artifact.width?, artifact.height?)))
    };
    assert_eq!(size(ArtifactKind::Rendition), Some((360, 640)));
    assert_eq!(size(ArtifactKind::Poster), Some((360, 640)));
    let video = &outcome.streams("hls/360p.mp4")["video"];
    assert_eq!(
        (&video["width"], &video["height"]),
        (&json!(360), &json!(640))
    );
    assert_eq!(outcome.streams("poster.jpg")["video"]["height"], 640);
}

#[tokio::test]
async fn a_tiny_clip_keeps_its_size() {
    let outcome = run(clip::with_sound("176x144", 1)).await;
    let streams = outcome.streams("hls/144p.mp4");
    assert_eq!(
        (&streams["video"]["width"], &streams["video"]["height"]),
        (&json!(176), &json!(144))
    );
}

#[tokio::test]
async fn a_poster_is_not_dark_where_the_start_is() {
    let clip = clip::clip(
        "clip.mp4",
        "-f lavfi -i color=black:size=320x180:rate=10:duration=4 -f lavfi -i testsrc2=size=320x180:rate=10:duration=4 \
         -filter_complex concat=n=2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
    );
    let outcome = run(clip).await;
    let poster = outcome
        .storage
        .folder
        .path()
        .join(BUCKET)
        .join("jobs/j1/poster.jpg");
    let measured = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(poster)
        .args([
            "-vf",
            "format=gray,signalstats,metadata=mode=print:key=lavfi.signalstats.YAVG:file=-",
            "-f",
            "null",
            "-",
        ])
        .output()
        .expect("ffmpeg is installed");
    let text = String::from_utf8_lossy(&measured.stdout).into_owned();
    let luma = text
        .split("YAVG=")
        .nth(1)
        .and_then(|value| value.trim().parse::<f64>().ok());
    assert!(luma.is_some_and(|luma| luma > 40.0), "{text}");
}

#[tokio::test]
async fn publish_refuses_what_is_missing() {
    let outcome = run(clip::with_sound("176x144", 1)).await;
    let storage = &outcome.storage;
    let gone = storage
        .folder
        .path()
        .join(BUCKET)
        .join("jobs/j1/poster.jpg");
    std::fs::remove_file(gone).expect("removed");
    let of = |names: &[&str]| -> Vec<_> {
        let wanted = |key: &str| names.iter().any(|name| key.ends_with(name));
        outcome
            .manifest
            .artifacts
            .iter()
            .filter(|artifact| wanted(&artifact.key))
            .cloned()
            .collect()
    };
    let process = json!({
        "probe": {"summary": outcome.manifest.media, "artifacts": []}, "poster": {"artifacts": of(&["poster.jpg"])},
        "renditions": {"artifacts": []}, "audio": {"artifacts": []},
    });
    let media = json!({"key": "jobs/j1/source", "bytes": 1, "artifacts": of(&["source"])});
    let event = json!({"source": "http://h/x", "media": media, "process": process});
    let failure = Run::new(storage)
        .step(Step::Publish, event)
        .await
        .expect_err("a gap");
    assert_eq!(failure.kind.as_str(), "Storage.Corrupt");
    assert!(failure.message().contains("poster.jpg"), "{failure}");
}

#[tokio::test]
async fn the_smoke_check_names_versions() {
    let storage = Storage::open().await;
    let run = Run::new(&storage);
    let check = |step| run.step(step, json!({"check": true}));
    let publish = check(Step::Publish).await.expect("an answer");
    assert_eq!(
        publish,
        json!({"step": "publish", "version": env!("CARGO_PKG_VERSION")})
    );
    let poster = check(Step::Poster).await.expect("an answer");
    assert!(
        poster["ffmpeg"]
            .as_str()
            .is_some_and(|version| !version.is_empty()),
        "{poster}"
    );
}

#[tokio::test]
async fn a_cut_off_clip_does_not_pass_for_whole() {
    let mut clip = clip::with_sound("320x180", 10);
    clip.truncate(clip.len() / 2);
    let storage = Storage::open().await;
    let source = source(clip, Manner::Steady).await;
    let failure = Run::new(&storage)
        .whole(Run::input(&source.address))
        .await
        .expect_err("half of it is missing");
    assert_eq!(failure.kind.as_str(), "Media.EncodeFailed");
    assert!(
        failure.message().contains("of 10 s could be decoded"),
        "{failure}"
    );
}

#[tokio::test]
async fn an_input_by_reference_is_read_and_its_tags_stand_in_the_manifest() {
    let storage = Storage::open().await;
    let source = source(clip::with_sound("176x144", 1), Manner::Steady).await;
    let mut input = Run::input(&source.address);
    let tags = json!({"rights": "ours", "notes": "x".repeat(300 * 1024)});
    input["tags"] = tags.clone();
    let folder = storage.folder.path().join(BUCKET).join("jobs/j1");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("input.json"), input.to_string()).expect("an object");
    let named =
        json!({"input_s3": {"bucket": BUCKET, "key": "jobs/j1/input.json"}, "job": Run::job()});
    let run = Run::new(&storage);
    let (_, manifest) = run.whole(named).await.expect("a success");
    assert_eq!(manifest["tags"], tags);

    let missing = json!({"input_s3": {"bucket": BUCKET, "key": "jobs/j1/none.json"}});
    let failure = run
        .step(Step::Inspect, json!({"input": missing}))
        .await
        .expect_err("there is none");
    assert_eq!(failure.kind.as_str(), "Storage.NotFound");
}
