//! What is searched for is found, near and far, within times and whatever the case of its letters.

use model::JobStatus;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::store::{
    TextBlockSizes,
    testing::{on_each_database, store},
    text_index::find::WAITING_MAX,
};

on_each_database!(
    what_is_not_near_is_found_further_on,
    all_jobs_are_looked_at_while_the_index_is_made,
    times_bound_a_search,
    a_text_is_found_as_it_stands_whatever_the_case_of_its_letters,
);

/// Jobs of one second each; every hundredth has failed, the first three and the last have a word of their own.
async fn jobs(store: &Store, count: u64) -> Vec<JobId> {
    jobs_from(store, 0, count).await
}

async fn jobs_from(store: &Store, first: u64, count: u64) -> Vec<JobId> {
    let ids: Vec<JobId> = (first..first + count)
        .map(|second| {
            JobId(Uuid::from_u128(
                u128::from(second * 1000) << 80 | 7 << 76 | 2 << 62,
            ))
        })
        .collect();
    let rows: Vec<Value> = ids
        .iter()
        .enumerate()
        .map(|(at, id)| {
            let is_special = at < 3 || at + 1 == ids.len();
            json!({ "id": id, "title": if is_special { "Zeppelin landing" } else { "a harbour" },
                "status": if at % 100 == 0 { "failed" } else { "succeeded" } })
        })
        .collect();
    sqlx::query(
        "INSERT INTO job (id, pipeline, title, source, input, status, submitted_at_ms)
         SELECT value ->> 'id', 'media', value ->> 'title', 's3://in/clip.mp4', '{}', value ->> 'status', 0
         FROM json_each($1)",
    )
    .bind(Value::from(rows).to_string())
    .execute(&store.write)
    .await
    .unwrap();
    ids
}

async fn found(store: &Store, filter: &JobFilter, limit: u32) -> Vec<JobId> {
    let jobs = store.jobs(filter, limit).await.unwrap();
    jobs.iter().map(|job| job.id).collect()
}

async fn what_is_not_near_is_found_further_on() {
    let (_folder, store) = store().await;
    let ids = jobs(&store, u64::from(LOOKS_NEXT) + 205).await;
    let last = ids[ids.len() - 1];
    let searched = |text: &str, status| JobFilter {
        text: Some(text.to_owned()),
        status,
        ..JobFilter::default()
    };
    let zeppelins = searched("zeppelin", None);
    assert_eq!(
        found(&store, &zeppelins, 9).await,
        [last, ids[2], ids[1], ids[0]]
    );
    assert_eq!(found(&store, &zeppelins, 2).await, [last, ids[2]]);
    let next = JobFilter {
        before: Some(ids[2]),
        ..zeppelins
    };
    assert_eq!(found(&store, &next, 9).await, [ids[1], ids[0]]);
    let well = searched("zeppelin", Some(JobStatus::Succeeded));
    assert_eq!(found(&store, &well, 9).await, [last, ids[2], ids[1]]);
    let failed = searched("harbour", Some(JobStatus::Failed));
    assert_eq!(found(&store, &failed, 99).await.len(), ids.len() / 100);
}

async fn all_jobs_are_looked_at_while_the_index_is_made() {
    let (_folder, store) = store().await;
    let ids = jobs(&store, WAITING_MAX as u64 + 30).await;
    let searched = |text: &str, status| JobFilter {
        text: Some(text.to_owned()),
        status,
        ..JobFilter::default()
    };
    let rare = [&ids[ids.len() - 1..], &[ids[2], ids[1], ids[0]]].concat();
    for _ in 0..2 {
        let zeppelins = searched("zeppelin", None);
        assert_eq!(found(&store, &zeppelins, 9).await, rare);
        let common = found(&store, &searched("HARBOUR", None), 3).await;
        let newest = ids.iter().rev().skip(1).take(3);
        assert!(common.iter().eq(newest), "{common:?}");
        let failed = searched("harbour", Some(JobStatus::Failed));
        let failed = found(&store, &failed, 99).await.len();
        assert_eq!(failed, ids.len() / 100);
        let running = searched("harbour", Some(JobStatus::Running));
        assert_eq!(found(&store, &running, 9).await, []);
        assert_eq!(found(&store, &searched("Ärger", None), 9).await, []);
        // And the same once it is.
        let sizes = TextBlockSizes::default();
        while store.index_texts(sizes, 0).await.unwrap() {}
    }
    assert!(
        !store
            .texts_wait(TextBlockSizes::default(), 0)
            .await
            .unwrap()
    );
}

async fn times_bound_a_search() {
    let (_folder, store) = store().await;
    let ids = jobs(&store, 400).await;
    let between = |since_ms, until_ms| JobFilter {
        text: Some("clip".to_owned()),
        since_ms,
        until_ms,
        ..JobFilter::default()
    };
    assert_eq!(
        found(&store, &between(Some(100_000), Some(102_000)), 9).await,
        [ids[101], ids[100]]
    );
    assert_eq!(
        found(&store, &between(None, Some(2_000)), 9).await,
        [ids[1], ids[0]]
    );
    assert_eq!(
        found(&store, &between(Some(398_000), None), 9).await,
        [ids[399], ids[398]]
    );
}

async fn a_text_is_found_as_it_stands_whatever_the_case_of_its_letters() {
    let (_folder, store) = store().await;
    let mut ids = Vec::new();
    for (second, title) in [
        (1, "Ärger im Büro"),
        (2, "abcd bcde"),
        (3, "he said \"cut\" 100%"),
        (4, "the quick brown fox jumps over the lazy dog, twice"),
    ] {
        let job = crate::store::NewJob {
            title: title.to_owned(),
            ..crate::store::outbox::testing::new_job(second)
        };
        let asked = crate::store::Asked::default();
        store.submit(&job, None, &asked).await.unwrap();
        ids.push(job.id);
    }
    // So many that those are not near.
    jobs_from(&store, 100, 40).await;
    for (text, expected) in [
        ("ärger", vec![ids[0]]),
        ("BÜRO", vec![ids[0]]),
        ("ABCD", vec![ids[1]]),
        // Each three of it stand there.
        ("abcde", vec![]),
        ("büros", vec![]),
        ("\"Cut\" 100%", vec![ids[2]]),
        ("\"cut\" 1000", vec![]),
        ("brown fox jumps over the lazy dog, twice", vec![ids[3]]),
        ("brown fox jumps over the lazy dog, twofold", vec![]),
    ] {
        let filter = JobFilter {
            text: Some(text.to_owned()),
            ..JobFilter::default()
        };
        assert_eq!(found(&store, &filter, 9).await, expected, "{text}");
    }
}
