//! Sources that are refused: by which name, with which words, and nothing left open.

use crate::{
    clip,
    run::Run,
    server::{Manner, source},
    storage::Storage,
};

/// Inspect's verdict on a source: the error's name and its words.
async fn verdict(content: &'static [u8], manner: Manner) -> (&'static str, String) {
    let storage = Storage::open().await;
    let source = source(content, manner).await;
    verdict_of(&storage, &source.address).await
}

async fn verdict_of(storage: &Storage, address: &str) -> (&'static str, String) {
    let failure = Run::new(storage)
        .inspect(address)
        .await
        .expect_err("a refusal");
    assert_eq!(storage.open_parts(), [""; 0], "nothing is left open");
    assert!(!failure.message().contains("secret"), "{failure}");
    (failure.kind.as_str(), failure.message().to_owned())
}

#[tokio::test]
async fn text_named_mp4_is_not_media() {
    let (name, words) = verdict(b"This is not a video.\n", Manner::Steady).await;
    assert_eq!(name, "Source.NotMedia");
    assert!(words.contains("/clip.mp4 is plain text: submit"), "{words}");
}

#[tokio::test]
async fn a_web_page_is_not_media() {
    let (name, words) = verdict(b"<!doctype html><title>Sign in</title>", Manner::NoRanges).await;
    assert_eq!(name, "Source.NotMedia");
    assert!(words.contains("a web page (HTML)"), "{words}");
}

#[tokio::test]
async fn empty_files_are_empty_with_ranges_and_without() {
    for manner in [Manner::Steady, Manner::NoRanges, Manner::NoLength] {
        let (name, words) = verdict(b"", manner).await;
        assert_eq!(name, "Source.Empty", "{manner:?}: {words}");
    }
}

#[tokio::test]
async fn statuses_are_told_apart() {
    let cases = [
        (404, "Source.NotFound"),
        (410, "Source.NotFound"),
        (401, "Source.Forbidden"),
        (403, "Source.Forbidden"),
        (400, "Source.Forbidden"),
        (503, "Source.Unreachable"),
        (429, "Source.Unreachable"),
    ];
    for (status, expected) in cases {
        let (name, words) = verdict(b"x", Manner::Status(status)).await;
        assert_eq!(name, expected, "{words}");
        assert!(words.contains(&status.to_string()), "{words}");
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let storage = Storage::open().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    for address in [
        format!("http://127.0.0.1:{port}/a"),
        "http://no-such-host.invalid/a".to_owned(),
    ] {
        let (name, words) = verdict_of(&storage, &address).await;
        assert_eq!(name, "Source.Unreachable");
        assert!(words.contains("cannot be reached"), "{words}");
    }
}

#[tokio::test]
async fn other_schemes_and_missing_objects_are_named() {
    let storage = Storage::open().await;
    let name = |address: &'static str| verdict_of(&storage, address);
    assert_eq!(name("ftp://h/clip.mp4").await.0, "Source.Unsupported");
    assert_eq!(
        name("s3://media/uploads/none.mp4").await.0,
        "Source.NotFound"
    );
    assert_eq!(name("s3://elsewhere/none.mp4").await.0, "Source.NotFound");
}

#[tokio::test]
async fn an_empty_object_is_empty() {
    let storage = Storage::open().await;
    std::fs::write(storage.folder.path().join("media/empty.mp4"), b"").expect("an object");
    assert_eq!(
        verdict_of(&storage, "s3://media/empty.mp4").await.0,
        "Source.Empty"
    );
}

#[tokio::test]
async fn a_source_that_changes_midway_is_found_out() {
    let storage = Storage::open().await;
    let changing = source(clip::sound(), Manner::Changing).await;
    let run = Run::new(&storage);
    let inspect = run.inspect(&changing.address).await.expect("a look at it");
    // Its ranges could not be confirmed: they are of another version each time.
    assert_eq!(inspect["from"]["ranges"], false);
    let failure = run.transfer(&inspect).await.expect_err("another version");
    assert_eq!(failure.kind.as_str(), "Source.Changed");
    assert!(failure.message().contains("/clip.mp4 changed"), "{failure}");
}

#[tokio::test]
async fn a_source_that_shrinks_between_its_parts_is_found_out() {
    let storage = Storage::open().await;
    let run = Run::new(&storage);
    let before = source(vec![0xb7; 6_000_000], Manner::Steady).await;
    let after = source(vec![0xb7; 5_000_000], Manner::Steady).await;
    let mut inspect = run.inspect(&before.address).await.expect("a look at it");
    assert_eq!(inspect["parts"].as_array().map(Vec::len), Some(2));
    inspect["from"]["source"] = after.address.into();
    let failure = run.transfer(&inspect).await.expect_err("another size");
    assert_eq!(failure.kind.as_str(), "Source.Changed");
}

#[tokio::test]
async fn damaged_media_is_unreadable() {
    let storage = Storage::open().await;
    let run = Run::new(&storage);
    let mut damaged = clip::with_sound("176x144", 1);
    damaged.truncate(600);
    let damaged = source(damaged, Manner::Steady).await;
    let (_, media) = run.copy(&damaged.address).await.expect("a copy");
    let event = serde_json::json!({"media": media});
    let failure = run
        .step(worker::Step::Probe, event)
        .await
        .expect_err("no media");
    assert_eq!(failure.kind.as_str(), "Media.Unreadable");
    assert!(!failure.message().contains("X-Amz"), "{failure}");
}

#[tokio::test]
async fn a_playlist_makes_ffmpeg_open_nothing() {
    let storage = Storage::open().await;
    let inside = source(clip::sound(), Manner::Steady).await;
    let playlist = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{}\n#EXT-X-ENDLIST\n",
        inside.address
    );
    // Past Inspect, which refuses playlists already.
    let folder = storage.folder.path().join("media/jobs/j1");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("source"), playlist).expect("an object");
    let media = serde_json::json!({"key": "jobs/j1/source", "bytes": 1, "artifacts": []});
    let event = serde_json::json!({"media": media});
    let failure = Run::new(&storage)
        .step(worker::Step::Probe, event)
        .await
        .expect_err("no media");
    assert_eq!(failure.kind.as_str(), "Media.Unreadable");
    assert_eq!(inside.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
}
