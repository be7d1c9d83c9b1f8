//! The bucket under tokio's paused clock: nothing here waits for real.

use super::*;

fn rate(burst: u32, per_second: u32) -> Arc<Rate> {
    Arc::new(Rate::new(Budget { burst, per_second }))
}

/// Tasks that each wait for one turn and note who they were.
struct Crowd {
    rate: Arc<Rate>,
    order: Arc<Mutex<Vec<&'static str>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Crowd {
    fn of(rate: &Arc<Rate>) -> Crowd {
        Crowd {
            rate: rate.clone(),
            order: Arc::default(),
            tasks: Vec::new(),
        }
    }

    async fn join(&mut self, count: usize, caller: Caller) {
        for _ in 0..count {
            let (rate, order) = (self.rate.clone(), self.order.clone());
            self.tasks.push(tokio::spawn(async move {
                rate.turn(caller).await;
                order.lock().unwrap().push(caller.name());
            }));
        }
        tokio::task::yield_now().await;
    }

    async fn order(self) -> Vec<&'static str> {
        for task in self.tasks {
            let _ = task.await;
        }
        self.order.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_and_the_next_calls_wait_their_share() {
    let rate = rate(2, 10);
    let start = Instant::now();
    for waited_ms in [0, 0, 100, 200] {
        rate.turn(Caller::Tracker).await;
        let waited = start.elapsed();
        // The clock of tokio has a grain of a millisecond.
        assert_eq!((waited.as_millis() + 1) / 10 * 10, waited_ms);
    }
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(
        rate.level().tokens,
        2.0,
        "an idle hour saves no more than a burst"
    );
}

#[tokio::test(start_paused = true)]
async fn in_a_minute_no_more_calls_pass_than_burst_and_refill_allow() {
    let rate = rate(5, 2);
    let start = Instant::now();
    let mut crowd = Crowd::of(&rate);
    crowd.join(200, Caller::Reconciler).await;
    tokio::time::sleep_until(start + Duration::from_secs(60)).await;
    let passed = crowd.order.lock().unwrap().len();
    assert!((124..=125).contains(&passed), "{passed}");
}

#[tokio::test(start_paused = true)]
async fn a_person_does_not_wait_behind_a_hundred_of_the_reconciler() {
    let rate = rate(1, 1);
    let mut crowd = Crowd::of(&rate);
    crowd.join(100, Caller::Reconciler).await;
    crowd.join(1, Caller::Person).await;
    let order = crowd.order().await;
    let place = order.iter().position(|name| *name == "person").unwrap();
    assert!(place <= 2, "{place}");
}

#[tokio::test(start_paused = true)]
async fn kinds_take_turns_by_weight_and_nobody_starves() {
    let rate = rate(1, 1);
    let mut crowd = Crowd::of(&rate);
    rate.turn(Caller::Tracker).await;
    for caller in Caller::ALL {
        crowd.join(60, caller).await;
    }
    let order = crowd.order().await;
    // By 8, 4, 2 and 1 of 15, but for who goes first.
    for (name, turns) in [
        ("person", 32),
        ("dispatcher", 16),
        ("tracker", 8),
        ("reconciler", 4),
    ] {
        let among_first = order[..60].iter().filter(|other| **other == name).count();
        assert!(among_first.abs_diff(turns) <= 1, "{name}: {among_first}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_away_has_saved_up_no_turns() {
    let rate = rate(1, 1);
    for _ in 0..50 {
        rate.turn(Caller::Tracker).await;
    }
    let mut crowd = Crowd::of(&rate);
    crowd.join(10, Caller::Tracker).await;
    crowd.join(10, Caller::Reconciler).await;
    let order = crowd.order().await;
    let reconciler = order[..6]
        .iter()
        .filter(|name| **name == "reconciler")
        .count();
    assert!((1..=3).contains(&reconciler), "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_spends_nothing_and_lets_the_next_one_through() {
    let rate = rate(1, 1);
    rate.turn(Caller::Tracker).await;
    let mut leaving = Crowd::of(&rate);
    leaving.join(20, Caller::Person).await;
    let mut staying = Crowd::of(&rate);
    staying.join(1, Caller::Reconciler).await;
    assert_eq!(rate.level().waiting, [20, 0, 0, 1]);
    for task in &leaving.tasks {
        task.abort();
    }
    assert!(leaving.order().await.is_empty());
    let start = Instant::now();
    assert_eq!(staying.order().await, ["reconciler"]);
    // Twenty who left would have cost twenty seconds.
    assert!(start.elapsed() <= Duration::from_millis(1_001));
    assert_eq!(rate.level().waiting, [0; 4]);
}

#[tokio::test(start_paused = true)]
async fn throttling_halves_the_rate_once_a_burst_and_it_recovers() {
    let rate = rate(100, 64);
    let began = Instant::now();
    tokio::time::advance(Duration::from_millis(10)).await;
    for _ in 0..10 {
        rate.throttled(began);
    }
    let level = rate.level();
    assert_eq!((level.per_second, level.tokens), (32.0, 0.0));
    assert_eq!(level.throttled_for, Some(Duration::ZERO));
    for _ in 0..20 {
        tokio::time::advance(Duration::from_millis(1)).await;
        rate.throttled(Instant::now());
    }
    let cut = rate.level().per_second;
    assert!((1.0..1.1).contains(&cut), "{cut}");
    tokio::time::advance(Duration::from_secs(30)).await;
    let half = rate.level();
    assert!((32.0..34.0).contains(&half.per_second), "{half:?}");
    assert!(half.tokens <= 54.0, "a burst is as much smaller: {half:?}");
    tokio::time::advance(Duration::from_secs(30)).await;
    let whole = rate.level();
    assert_eq!((whole.per_second, whole.throttled_for), (64.0, None));
}
