//! What blocks find is what a walk through every job finds, whatever happened to them.

use model::{JobFilter, JobStatus};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{merge::Merging, *};
use crate::store::{
    Store,
    testing::{on_each_database, store},
};

on_each_database!(
    blocks_find_what_a_walk_finds,
    a_changed_text_is_found_and_its_old_one_is_not,
    a_job_is_found_by_how_it_ended_at_last,
    a_job_that_is_in_two_blocks_is_listed_once,
    what_a_crash_left_is_cleared_away,
    a_block_that_was_taken_for_left_over_does_not_count,
);

const SIZES: TextBlockSizes = TextBlockSizes {
    jobs_min: 8,
    jobs_max: 20,
    merged: 3,
    merged_jobs_max: 300,
};

const WORDS: [&str; 7] = [
    "harbour",
    "Ärger",
    "crane",
    "harvest",
    "zeppelin",
    "日本語の",
    "clip",
];

/// Jobs of a millisecond each, in an order of their own, whose words come with all frequencies.
async fn insert(store: &Store, at: impl IntoIterator<Item = u64>) {
    let rows: Vec<Value> = at
        .into_iter()
        .map(|at| {
            let words = WORDS.iter().enumerate();
            let words = words.filter(|(word, _)| at % (3_u64.pow(*word as u32)) == 0);
            let title: Vec<&str> = words.map(|(_, word)| *word).collect();
            let (status, error) = match at % 10 {
                3 if at % 4 == 1 => ("failed", Some("Encode.Failed")),
                3 => ("failed", Some("Source.Dropped")),
                5 => ("running", None),
                _ => ("succeeded", None),
            };
            let pipeline = if at % 7 == 2 { "audio" } else { "media" };
            json!({ "id": id(at), "title": title.join(" "), "status": status, "error": error, "pipeline": pipeline })
        })
        .collect();
    sqlx::query(
        "INSERT INTO job (id, pipeline, title, source, input, status, error, failed_state, submitted_at_ms)
         SELECT value ->> 'id', value ->> 'pipeline', value ->> 'title', 's3://in/' || (value ->> 'id'), '{}',
             value ->> 'status', value ->> 'error', 'At' || (value ->> 'error'), 0
         FROM json_each($1)",
    )
    .bind(Value::from(rows).to_string())
    .execute(&store.write)
    .await
    .unwrap();
}

fn id(at: u64) -> JobId {
    JobId(Uuid::from_u128(u128::from(at) << 80 | 7 << 76 | 2 << 62))
}

async fn index(store: &Store, now_ms: i64) {
    while store.index_texts(SIZES, now_ms).await.unwrap() {}
}

async fn count_of(store: &Store, what: &str) -> i64 {
    let text = format!("SELECT COUNT(*) FROM {what}");
    let count = sqlx::query_as(sqlx::AssertSqlSafe(text));
    let (count,) = count.fetch_one(&store.read).await.unwrap();
    count
}

/// What every job says, looked at one by one.
async fn walked(store: &Store, filter: &JobFilter) -> Vec<JobId> {
    let all = JobFilter {
        text: None,
        ..filter.clone()
    };
    let wanted = filter.text.as_ref().unwrap().to_lowercase();
    let jobs = store.jobs(&all, 10_000).await.unwrap();
    jobs.into_iter()
        .filter(|job| {
            format!("{}\n{}", job.title, job.source)
                .to_lowercase()
                .contains(&wanted)
        })
        .map(|job| job.id)
        .collect()
}

async fn paged(store: &Store, filter: &JobFilter, limit: u32) -> Vec<JobId> {
    let mut filter = filter.clone();
    let mut found = Vec::new();
    loop {
        let page = store.jobs(&filter, limit).await.unwrap();
        let Some(last) = page.last() else {
            return found;
        };
        filter.before = Some(last.id);
        found.extend(page.iter().map(|job| job.id));
    }
}

async fn blocks_find_what_a_walk_finds() {
    let (_folder, store) = store().await;
    // In time's order, then older ones among them, then some that stay in the queue; blocks of every size.
    for from in (0..500).step_by(20) {
        insert(&store, (from..from + 20).map(|at| at * 2)).await;
        index(&store, 0).await;
    }
    insert(&store, (100..300).map(|at| at * 2 + 1)).await;
    index(&store, 0).await;
    insert(&store, [1_001, 1_003, 5, 1_005]).await;
    assert_eq!(count_of(&store, "text_queue").await, 4);
    let sizes: Vec<(i64,)> =
        sqlx::query_as("SELECT jobs FROM text_block WHERE state = 'current' ORDER BY jobs")
            .fetch_all(&store.read)
            .await
            .unwrap();
    assert_eq!(sizes.iter().map(|(jobs,)| jobs).sum::<i64>(), 700);
    assert!(
        sizes.len() < 12 && sizes[sizes.len() - 1].0 > 150,
        "{sizes:?}"
    );
    for some in ["piece = -1", "piece > 3"] {
        let large = format!("text_gram_large WHERE {some}");
        assert!(count_of(&store, &large).await > 0, "{some}");
    }
    let mut filters = Vec::new();
    for text in WORDS.into_iter().chain([
        "HARBOUR ärger",
        "ärger crane harvest zeppelin",
        "nowhere",
        "harzep",
        "s3://in/",
        "7000-8000-000000000000",
        "00000000-03e",
    ]) {
        let any = JobFilter::default();
        let beside = [
            any.clone(),
            JobFilter {
                status: Some(JobStatus::Failed),
                ..any.clone()
            },
            JobFilter {
                status: Some(JobStatus::Running),
                pipeline: Some("audio".to_owned()),
                ..any.clone()
            },
            JobFilter {
                pipeline: Some("audio".to_owned()),
                error: Some("Source.Dropped".to_owned()),
                ..any.clone()
            },
            JobFilter {
                failed_state: Some("AtEncode.Failed".to_owned()),
                ..any
            },
        ];
        for beside in beside {
            for (since_ms, until_ms) in [(None, None), (Some(150), Some(444)), (Some(950), None)] {
                filters.push(JobFilter {
                    text: Some(text.to_owned()),
                    since_ms,
                    until_ms,
                    ..beside.clone()
                });
            }
        }
    }
    for filter in filters {
        let expected = walked(&store, &filter).await;
        for limit in [4, 23, 300] {
            assert_eq!(
                paged(&store, &filter, limit).await,
                expected,
                "{filter:?} by {limit}"
            );
        }
    }
}

async fn a_changed_text_is_found_and_its_old_one_is_not() {
    let (_folder, store) = store().await;
    insert(&store, 0..30).await;
    index(&store, 0).await;
    let found = async |text: &str| {
        let filter = JobFilter {
            text: Some(text.to_owned()),
            ..JobFilter::default()
        };
        paged(&store, &filter, 3).await
    };
    assert_eq!(found("zeppelin").await, [id(0)]);
    for (title, others) in [("a raft", 0), ("a barge", 30)] {
        sqlx::query("UPDATE job SET title = $1 WHERE id = $2")
            .bind(title)
            .bind(id(0).to_string())
            .execute(&store.write)
            .await
            .unwrap();
        assert_eq!(found(title).await, [id(0)]);
        insert(&store, 100 + others..119 + others).await;
        index(&store, 0).await;
        assert_eq!(count_of(&store, "text_queue").await, 0);
        assert_eq!(found(title).await, [id(0)]);
    }
    assert!(found("zeppelin").await.is_empty());
    assert!(found("raft").await.is_empty());
    assert_eq!(found("clip").await, []);
}

async fn a_job_is_found_by_how_it_ended_at_last() {
    let (_folder, store) = store().await;
    insert(&store, 0..30).await;
    index(&store, 0).await;
    let change = async |what: &str| {
        let text = format!("UPDATE job SET {what} WHERE id = $1");
        let change = sqlx::query(sqlx::AssertSqlSafe(text)).bind(id(5).to_string());
        change.execute(&store.write).await.unwrap();
    };
    let found = async |status, error: Option<&str>| {
        let filter = JobFilter {
            text: Some("s3://in/".to_owned()),
            status,
            error: error.map(str::to_owned),
            ..JobFilter::default()
        };
        paged(&store, &filter, 4).await.contains(&id(5))
    };
    let failed = Some(JobStatus::Failed);
    assert!(found(Some(JobStatus::Running), None).await);
    change("status = 'failed'").await;
    change("error = 'Disk.Full', failed_state = 'Inspect'").await;
    for is_indexed in [false, true] {
        if is_indexed {
            insert(&store, 100..118).await;
            index(&store, 0).await;
            assert_eq!(count_of(&store, "text_queue").await, 0);
        }
        assert!(found(failed, Some("Disk.Full")).await);
        assert!(found(failed, None).await);
        assert!(!found(Some(JobStatus::Running), None).await);
        assert!(!found(failed, Some("Source.Dropped")).await);
    }
    // What runs again ends otherwise.
    change("status = 'queued', error = NULL, failed_state = NULL").await;
    change("status = 'running'").await;
    assert_eq!(count_of(&store, "text_queue").await, 0);
    assert!(!found(failed, None).await);
    change("status = 'succeeded'").await;
    assert_eq!(count_of(&store, "text_queue").await, 1);
    assert!(found(Some(JobStatus::Succeeded), None).await);
    insert(&store, 200..219).await;
    index(&store, 0).await;
    assert_eq!(count_of(&store, "text_queue").await, 0);
    assert!(found(Some(JobStatus::Succeeded), None).await);
    assert!(!found(failed, None).await);
}

async fn a_job_that_is_in_two_blocks_is_listed_once() {
    let (_folder, store) = store().await;
    insert(&store, 0..16).await;
    index(&store, 0).await;
    sqlx::query("UPDATE job SET status = 'aborted'")
        .execute(&store.write)
        .await
        .unwrap();
    index(&store, 0).await;
    assert_eq!(count_of(&store, "text_queue").await, 0);
    assert_eq!(
        count_of(&store, "text_block WHERE state = 'current'").await,
        2
    );
    let filter = JobFilter {
        text: Some("s3://in/".to_owned()),
        ..JobFilter::default()
    };
    let all: Vec<JobId> = (0..16).rev().map(id).collect();
    for limit in [3, 16, 40] {
        assert_eq!(paged(&store, &filter, limit).await, all);
    }
}

async fn what_a_crash_left_is_cleared_away() {
    let (_folder, store) = store().await;
    insert(&store, 0..9).await;
    index(&store, 0).await;
    // Begun, and not finished.
    for statement in [
        "INSERT INTO text_block (state, jobs, first_id, last_id, layout) VALUES ('making', 1, '0', 'f', 1)",
        "INSERT INTO text_gram (block, gram, bytes, slots) SELECT id, 7, bytes, slots FROM text_block CROSS JOIN
             (SELECT bytes, slots FROM text_gram LIMIT 1) AS other WHERE state = 'making'",
        "INSERT INTO text_gram_large (block, gram, piece, slots) SELECT id, 7, -1, slots FROM text_block CROSS JOIN
             (SELECT slots FROM text_gram LIMIT 1) AS other WHERE state = 'making'",
    ] {
        sqlx::query(statement).execute(&store.write).await.unwrap();
    }
    for from in [20, 40] {
        insert(&store, from..from + 20).await;
        index(&store, 1_000).await;
    }
    // The three that were made one stay for those who read them.
    assert_eq!(count_of(&store, "text_block").await, 4);
    assert_eq!(
        count_of(&store, "text_block WHERE state = 'replaced'").await,
        3
    );
    assert_eq!(count_of(&store, "text_gram WHERE gram = 7").await, 0);
    index(&store, 100_000).await;
    assert_eq!(count_of(&store, "text_block").await, 1);
    let parts = "text_part WHERE block NOT IN (SELECT id FROM text_block)";
    let grams = "text_gram WHERE block NOT IN (SELECT id FROM text_block)";
    let large = "text_gram_large WHERE block NOT IN (SELECT id FROM text_block)";
    for left in [parts, grams, large] {
        assert_eq!(count_of(&store, left).await, 0, "{left}");
    }
}

async fn a_block_that_was_taken_for_left_over_does_not_count() {
    let (_folder, store) = store().await;
    insert(&store, 0..9).await;
    // As another server does that finds a block begun.
    let taken = match store.backend {
        crate::store::Backend::Sqlite => {
            "CREATE TRIGGER taken AFTER INSERT ON text_block BEGIN
                 UPDATE text_block SET state = 'leaving' WHERE id = new.id;
             END"
        }
        crate::store::Backend::Postgres => {
            "CREATE FUNCTION taken() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN UPDATE text_block SET state = ''leaving'' WHERE id = new.id; RETURN NULL; END';
             CREATE TRIGGER taken AFTER INSERT ON text_block FOR EACH ROW EXECUTE FUNCTION taken()"
        }
    };
    sqlx::raw_sql(taken).execute(&store.write).await.unwrap();
    assert!(store.index_texts(SIZES, 0).await.is_err());
    assert_eq!(count_of(&store, "text_queue").await, 9);
    assert_eq!(
        count_of(&store, "text_block WHERE state = 'current'").await,
        0
    );
}

#[test]
fn numbers_and_ids_are_looked_up_by_four_characters() {
    let places = |text: &str| {
        let mut places = wanted_grams(text);
        places.sort_unstable_by_key(|(_, place)| place.start);
        let text: Vec<char> = text.chars().collect();
        let places = places.into_iter();
        let places = places.map(|(_, place)| text[place].iter().collect());
        places.collect::<Vec<String>>()
    };
    assert_eq!(places("1234567"), ["1234", "2345", "3456", "4567"]);
    assert_eq!(places("clip 12"), ["cli", "lip", "ip ", "p 1", " 12"]);
    assert_eq!(places("Äb7f0-é"), ["Äb7", "b7f0", "f0-", "0-é"]);
    assert_eq!(places("ab7f0"), ["ab7f", "b7f0"]);
}

proptest! {
    #[test]
    fn merged_blocks_say_what_a_block_of_all_says(texts in prop::collection::vec(("[aäB ]{0,6}", "[aäB ]{0,6}"), 0..40), at in 0..40_usize) {
        let terms = |at: u64| terms(Some(["a", "b"][(at % 2) as usize]), None, None, None);
        let jobs = (0..).zip(texts).map(|(at, (title, source))| Entry { id: id(at * 7 % 41), title, source, terms: terms(at) });
        let jobs: Vec<_> = jobs.collect();
        let (one, other) = jobs.split_at(at.min(jobs.len()));
        let blocks = [Block::of(one.to_vec()), Block::of(other.to_vec())];
        let whole = Block::of(jobs);
        let merging = Merging::of(&blocks.each_ref().map(|block| block.ids.clone()));
        prop_assert_eq!(&merging.ids, &whole.ids);
        for (gram, slots) in &whole.grams {
            let sets = blocks.iter().map(|block| block.grams.get(gram).cloned().unwrap_or_default());
            prop_assert_eq!(&merging.merged(sets.enumerate()), slots);
        }
    }

    #[test]
    fn a_text_has_the_trigrams_of_what_it_holds(before in "(.|[0-9a]){0,5}", text in ".{3,30}|[0-9a-d.]{3,30}", after in "(.|[0-9a]){0,5}") {
        let whole = format!("{before}{text}{after}");
        prop_assert!(folded(&whole).contains(&folded(&text)));
        let (threes, fours) = grams(&whole);
        let is_held = |gram: &Gram| threes.iter().chain(&fours).any(|(held, _)| held == gram);
        prop_assert!(wanted_grams(&text).iter().all(|(gram, _)| is_held(gram)));
    }
}
