//! Copies from sources of every manner, and what a second run of a step does.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use worker::Step;

use crate::{
    run::Run,
    server::{Manner, source},
    storage::Storage,
};

/// Bytes that no part may mix up, which nothing takes for text or another format.
fn content(bytes: usize) -> Vec<u8> {
    let mut content = vec![0x47, 0x40, 0x11, 0x10];
    content.extend(
        (0..bytes as u32 / 4).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()),
    );
    content.truncate(bytes);
    content
}

async fn check(bytes: usize, manner: Manner, ranges: bool, parts: usize) {
    let storage = Storage::open().await;
    let run = Run::new(&storage);
    let content = content(bytes);
    let source = source(content.clone(), manner).await;
    let (inspect, media) = run.copy(&source.address).await.expect("a copy");
    assert_eq!(inspect["from"]["ranges"], ranges);
    assert_eq!(inspect["parts"].as_array().map(Vec::len), Some(parts));
    assert_eq!(media["bytes"], bytes);
    assert!(
        storage.object("jobs/j1/source") == content,
        "the copy is the source"
    );
    assert_eq!(storage.open_parts(), [""; 0]);
}

#[tokio::test]
async fn ranges_become_parts() {
    check(11_000_000, Manner::Steady, true, 3).await;
}

#[tokio::test]
async fn without_ranges_one_item_sends_all_parts() {
    check(11_000_000, Manner::NoRanges, false, 1).await;
}

#[tokio::test]
async fn without_a_length_too() {
    check(11_000_000, Manner::NoLength, false, 1).await;
}

#[tokio::test]
async fn broken_connections_go_on_where_they_broke() {
    check(11_000_000, Manner::Breaking, true, 3).await;
}

#[tokio::test]
async fn a_break_without_ranges_is_dropped() {
    let storage = Storage::open().await;
    let run = Run::new(&storage);
    let source = source(content(6_000_000), Manner::BreakingNoRanges).await;
    let inspect = run
        .inspect(&source.address)
        .await
        .expect("its head is readable");
    let failure = run.transfer(&inspect).await.expect_err("it breaks");
    assert_eq!(failure.kind.as_str(), "Source.Dropped");
    assert!(
        failure
            .message()
            .contains("of 6000000; its server serves no ranges"),
        "{failure}"
    );
    assert!(!failure.message().contains("secret"), "{failure}");
}

#[tokio::test]
async fn silence_is_dropped_after_a_few_tries() {
    let storage = Storage::open().await;
    let run = Run::new(&storage);
    let steady = source(content(100_000), Manner::Steady).await;
    let silent = source(content(100_000), Manner::Silent).await;
    let mut inspect = run.inspect(&steady.address).await.expect("a look at it");
    inspect["from"]["source"] = silent.address.clone().into();
    let part = &inspect["parts"][0];
    let event = json!({"from": inspect["from"], "upload": inspect["upload"], "part": part});
    let failure = run.step(Step::Transfer, event).await.expect_err("silence");
    assert_eq!(failure.kind.as_str(), "Source.Dropped", "{failure}");
    assert_eq!(silent.requests.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn an_object_in_s3_is_a_source() {
    let storage = Storage::open().await;
    let content = content(6_000_000);
    let folder = storage.folder.path().join("media/uploads/j1");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("my clip.mp4"), &content).expect("an object");
    let run = Run::new(&storage);
    let (inspect, _) = run
        .copy("s3://media/uploads/j1/my clip.mp4")
        .await
        .expect("a copy");
    assert_eq!(inspect["parts"].as_array().map(Vec::len), Some(2));
    assert!(
        storage.object("jobs/j1/source") == content,
        "the copy is the source"
    );
}

#[tokio::test]
async fn steps_may_run_twice() {
    let storage = Storage::open().await;
    let run = Run::new(&storage);
    let source = source(content(6_000_000), Manner::Steady).await;
    let inspect = run.inspect(&source.address).await.expect("a plan");
    let first = run.transfer(&inspect).await.expect("parts");
    let second = run.transfer(&inspect).await.expect("parts again");
    assert_eq!(first, second);
    let assembled = run.assemble(&inspect, &first).await.expect("an object");
    let again = run
        .assemble(&inspect, &first)
        .await
        .expect("the same object");
    assert_eq!(assembled, again);
}

#[tokio::test]
async fn a_wrong_byte_in_the_bucket_is_corrupt() {
    let storage = Storage::open().await;
    let run = Run::new(&storage);
    let source = source(content(6_000_000), Manner::Steady).await;
    let inspect = run.inspect(&source.address).await.expect("a plan");
    let parts = run.transfer(&inspect).await.expect("parts");
    run.assemble(&inspect, &parts).await.expect("an object");
    let path = storage.folder.path().join("media/jobs/j1/source");
    let mut bytes = std::fs::read(&path).expect("the object");
    bytes[5_500_000] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let failure = run.assemble(&inspect, &parts).await.expect_err("corrupt");
    assert_eq!(failure.kind.as_str(), "Storage.Corrupt");
    assert!(
        failure.message().contains("part 2 has another SHA-256"),
        "{failure}"
    );
}

#[tokio::test]
async fn abort_leaves_no_parts() {
    let storage = Storage::open().await;
    let run = Run::new(&storage);
    let source = source(content(6_000_000), Manner::Steady).await;
    let inspect = run.inspect(&source.address).await.expect("a plan");
    run.transfer(&inspect).await.expect("parts");
    assert_ne!(storage.open_parts(), [""; 0], "parts are there before");
    let state = json!({"inspect": inspect, "failure": {"Error": "Source.Dropped", "Cause": "x"}});
    let answer = run
        .step(Step::Abort, json!({"state": state}))
        .await
        .expect("aborted");
    assert_eq!(answer["aborted"], 1);
    assert_eq!(storage.open_parts(), [""; 0], "parts are gone after");
}

#[tokio::test]
async fn abort_without_an_upload_has_nothing_to_do() {
    let storage = Storage::open().await;
    let run = Run::new(&storage);
    let answer = run
        .step(Step::Abort, json!({"state": {"source": "x"}}))
        .await
        .expect("an answer");
    assert_eq!(answer, json!({"aborted": 0, "said": "no upload was open"}));
    let state = json!({"inspect": {"upload": {"key": "k", "upload_id": "u"}}, "assembled": {}});
    let answer = run
        .step(Step::Abort, json!({"state": state}))
        .await
        .expect("an answer");
    assert_eq!(answer["aborted"], 0);
}

#[tokio::test]
async fn every_part_reports_its_progress() {
    let storage = Storage::open().await;
    let run = Run::new(&storage);
    let source = source(content(6_000_000), Manner::Steady).await;
    run.copy(&source.address).await.expect("a copy");
    let lines = run.lines.lock().expect("not poisoned").clone();
    let of = |label: &str| -> Vec<(u64, u64)> {
        lines
            .iter()
            .filter(|line| line["type"] == "progress" && line["label"] == label)
            .map(|line| {
                (
                    line["done"].as_u64().expect("done"),
                    line["total"].as_u64().expect("total"),
                )
            })
            .collect()
    };
    assert_eq!(of("part 1").first(), Some(&(0, 5_242_880)));
    assert_eq!(of("part 1").last(), Some(&(5_242_880, 5_242_880)));
    assert_eq!(of("part 2").last(), Some(&(757_120, 757_120)));
    let line = lines
        .iter()
        .find(|line| line["label"] == "part 1")
        .expect("a line");
    let fixed =
        ["requestId", "execution", "state", "entered", "unit"].map(|name| line[name].clone());
    assert_eq!(
        fixed,
        ["r-1", "arn:e", "transfer", "2026-01-01T00:00:00Z", "bytes"].map(Value::from)
    );
}

#[tokio::test]
async fn an_invocation_says_first_which_visit_it_works_for() {
    let storage = Storage::open().await;
    let run = Run::new(&storage);
    let source = source(content(6_000_000), Manner::Steady).await;
    run.inspect(&source.address).await.expect("an answer");
    let lines = run.lines.lock().expect("not poisoned").clone();
    let line: model::InvocationLine =
        serde_json::from_value(lines[0].clone()).expect("the first line");
    assert_eq!(line.kind, model::InvocationLine::TYPE);
    assert_eq!(
        (line.request_id.as_str(), line.execution.as_str()),
        ("r-1", "arn:e")
    );
    assert_eq!(
        (line.state.as_str(), line.entered.as_str()),
        ("inspect", "2026-01-01T00:00:00Z")
    );
    assert_eq!((line.index, line.retry), (Some(0), Some(1)));
}
