//! Topics, their views and their watchers over a real store, without a network.

use super::*;
use crate::{
    control::{Control, testing::control},
    store,
};

const ALL: Topic = Topic::Jobs(None);

fn watcher(control: &Control, topics: &[Topic], last_event_id: Option<&str>) -> Watcher {
    let seat = control.live.seat().expect("a seat");
    Watcher::new(control, topics, last_event_id, seat)
}

/// The next event as text, and its id.
async fn next(watcher: &mut Watcher) -> (String, String) {
    let (event, id) = watcher.next().await.expect("the server goes on");
    (String::from_utf8(event.to_vec()).unwrap(), id)
}

#[tokio::test]
async fn a_watcher_gets_the_view_at_once_and_again_when_it_changed() {
    let (_folder, control) = control().await;
    let mut watcher = watcher(&control, &[ALL], None);
    let (empty, before) = next(&mut watcher).await;
    assert!(
        empty.starts_with("event: jobs\ndata: {\"jobs\":[]"),
        "{empty}"
    );
    let job = store::testing_submit(&control.store, 1).await;
    control.live.touch(job);
    let (full, after) = next(&mut watcher).await;
    assert!(full.contains(&job.to_string()), "{full}");
    assert_ne!(before, after);
}

#[tokio::test]
async fn who_comes_back_is_sent_what_changed_since_and_nothing_else() {
    let (_folder, control) = control().await;
    let job = store::testing_submit(&control.store, 1).await;
    let topics = [Topic::Job(job), ALL];
    let mut first = watcher(&control, &topics, None);
    next(&mut first).await;
    let (_, id) = next(&mut first).await;
    drop(first);

    let mut again = watcher(&control, &topics, Some(&id));
    // A second job changes the list and not the first job.
    let second = store::testing_submit(&control.store, 2).await;
    control.live.touch(job);
    let (event, _) = next(&mut again).await;
    assert!(event.starts_with("event: jobs\n"), "{event}");
    assert!(event.contains(&second.to_string()), "{event}");
}

#[tokio::test]
async fn two_servers_over_one_store_give_the_same_views_the_same_ids() {
    let (_folder, one) = control().await;
    let job = store::testing_submit(&one.store, 1).await;
    let other = Control::new(one.store.clone(), one.aws.clone(), (*one.config).clone());
    for topic in [Topic::Job(job), ALL] {
        let (_, here) = next(&mut watcher(&one, &[topic], None)).await;
        let (_, there) = next(&mut watcher(&other, &[topic], None)).await;
        assert_eq!(here, there);
        let mut moved = watcher(
            &other,
            &[topic, Topic::Jobs(Some(model::JobStatus::Failed))],
            Some(&here),
        );
        let (event, id) = next(&mut moved).await;
        assert!(
            event.starts_with("event: jobs:failed\n"),
            "what came along is not sent again: {event}"
        );
        assert!(id.contains(&here), "{id}");
    }
}

#[tokio::test]
async fn an_id_of_something_else_is_worth_nothing() {
    let (_folder, control) = control().await;
    let long = "0.".repeat(10_000);
    let (_, of_failed) = next(&mut watcher(
        &control,
        &[Topic::Jobs(Some(model::JobStatus::Failed))],
        None,
    ))
    .await;
    // The list of failed jobs looks like that of all while there are none.
    for id in ["", "nonesuch", "ffffffffffffffffff", &long, &of_failed] {
        next(&mut watcher(&control, &[ALL], Some(id))).await;
    }
}

#[tokio::test]
async fn a_watcher_who_was_away_gets_the_newest_view_alone() {
    let (_folder, control) = control().await;
    let mut slow = watcher(&control, &[ALL], None);
    let mut quick = watcher(&control, &[ALL], None);
    next(&mut slow).await;
    next(&mut quick).await;
    let mut newest = None;
    for second in 1..=3 {
        let job = store::testing_submit(&control.store, second).await;
        control.live.touch(job);
        // Nobody waits for the slow one.
        let (event, id) = next(&mut quick).await;
        assert!(event.contains(&job.to_string()), "{event}");
        newest = Some((event, id));
    }
    assert_eq!(next(&mut slow).await, newest.unwrap());
    let waits = futures::FutureExt::now_or_never(slow.next());
    assert!(waits.is_none(), "no view lay in a queue");
}

#[tokio::test]
async fn everybody_shares_the_bytes_of_a_view() {
    let (_folder, control) = control().await;
    let (mut first, mut second) = (
        watcher(&control, &[ALL], None),
        watcher(&control, &[ALL], None),
    );
    let (one, _) = first.next().await.unwrap();
    let (other, _) = second.next().await.unwrap();
    assert_eq!(one.as_ptr(), other.as_ptr());
}

#[tokio::test]
async fn a_topic_that_nobody_watches_any_more_is_given_up() {
    let (_folder, control) = control().await;
    let mut one = watcher(&control, &[ALL], None);
    next(&mut one).await;
    let mut two = watcher(&control, &[ALL], None);
    next(&mut two).await;
    drop(one);
    assert_eq!(
        control.live.topics().len(),
        1,
        "the second one watches still"
    );
    drop(two);
    while !control.live.topics().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_end_of_the_server_ends_what_is_watched() {
    let (_folder, control) = control().await;
    let mut watcher = watcher(&control, &[ALL], None);
    next(&mut watcher).await;
    control.ending.cancel();
    assert!(watcher.next().await.is_none());
}

#[tokio::test]
async fn a_seat_is_given_back_with_its_watcher() {
    let (_folder, control) = control().await;
    let watcher = watcher(&control, &[ALL], None);
    assert_eq!(control.live.watchers(), 1);
    drop(watcher);
    assert_eq!(control.live.watchers(), 0);
}

#[test]
fn a_job_looked_at_counts_as_watched_for_a_while() {
    let live = Live::default();
    let job = JobId(uuid::Uuid::nil());
    live.looked_at(job, 1_000);
    assert!(live.watched_jobs(1_500).contains(&job));
    assert!(live.watched_jobs(60_000).is_empty());
}
