//! What is asked of the server while it is being killed: jobs, with and without keys; reruns; stops; bulk operations.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use super::book::{Ask, Book, Outcome};
use super::schedule::Schedule;

/// How long whoever has a key repeats the request.
const REPEAT_FOR: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Asks the server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

/// One request.
#[derive(Debug)]
pub enum Action {
    /// Repeated until it is answered; with `twice`, two at a time.
    SubmitKeyed {
        title: String,
        twice: bool,
    },
    /// Sent once.
    Submit {
        title: String,
    },
    Rerun {
        job: String,
        mode: &'static str,
        reason: String,
    },
    Stop {
        job: String,
        reason: String,
    },
    BulkSubmit {
        titles: Vec<String>,
        reason: String,
    },
    BulkRerun {
        status: &'static str,
        reason: String,
    },
    BulkStop {
        jobs: Vec<String>,
        reason: String,
    },
}

/// Draws the next request and notes it in the book.
pub fn choose(dice: &mut Schedule, book: &Book) -> Action {
    let mut pages = book.open();
    let kind = ["ok", "ok", "fails", "waits", "works", "works", "stuck"][dice.below(7) as usize];
    let number = pages.number();
    let title = format!("{kind}-{number}");
    let reason = format!("ask-{number}");
    let draw = |dice: &mut Schedule, jobs: &[(String, String)]| {
        // Mostly one of the last: it is still under way.
        let among = jobs
            .len()
            .min(if dice.below(3) == 0 { usize::MAX } else { 6 });
        let at = jobs
            .len()
            .checked_sub(1 + dice.below(among as u64) as usize)?;
        jobs.get(at).map(|(id, _)| id.clone())
    };
    let (which, job) = (dice.below(20), draw(dice, &pages.jobs));
    let action = match (which, job) {
        (0..=5, _) => Action::SubmitKeyed {
            title,
            twice: dice.below(3) == 0,
        },
        (9..=12, Some(job)) => {
            let mode = ["auto", "auto", "redrive", "restart"][dice.below(4) as usize];
            Action::Rerun { job, mode, reason }
        }
        (13..=16, Some(job)) => Action::Stop { job, reason },
        (17, _) => Action::BulkSubmit {
            titles: (0..4).map(|at| format!("{title}.{at}")).collect(),
            reason,
        },
        (18, Some(_)) => {
            let status = ["failed", "aborted"][dice.below(2) as usize];
            Action::BulkRerun { status, reason }
        }
        (19, Some(_)) => Action::BulkStop {
            jobs: pages
                .jobs
                .iter()
                .rev()
                .take(5)
                .map(|(id, _)| id.clone())
                .collect(),
            reason,
        },
        _ => Action::Submit { title },
    };
    match &action {
        Action::SubmitKeyed { title, .. } | Action::Submit { title } => {
            pages.titles.insert(title.clone(), Outcome::Unknown);
        }
        Action::BulkSubmit { titles, .. } => {
            let unknown = titles.iter().map(|title| (title.clone(), Outcome::Unknown));
            pages.titles.extend(unknown);
        }
        Action::Rerun { job, reason, .. } | Action::Stop { job, reason } => {
            let ask = Ask {
                job: Some(job.clone()),
                outcome: Outcome::Unknown,
            };
            pages.asks.insert(reason.clone(), ask);
        }
        Action::BulkRerun { reason, .. } | Action::BulkStop { reason, .. } => {
            let ask = Ask {
                job: None,
                outcome: Outcome::Unknown,
            };
            pages.asks.insert(reason.clone(), ask);
        }
    }
    action
}

/// Sends the request and notes what came of it. An error is an answer that the server must not give.
pub async fn act(client: Client, book: Arc<Book>, action: Action) -> anyhow::Result<()> {
    match action {
        Action::SubmitKeyed { title, twice } => {
            let id = if twice {
                let (one, other) =
                    tokio::join!(client.submit_until(&title), client.submit_until(&title));
                let (one, other) = (one?, other?);
                ensure!(one == other, "one key made two jobs: {one} and {other}");
                one
            } else {
                client.submit_until(&title).await?
            };
            book.acknowledge(&title, id);
        }
        Action::Submit { title } => {
            if let Some((202, answer)) = client.post("/api/v1/jobs", &job(&title), None).await {
                book.acknowledge(&title, text(&answer["id"]));
            }
        }
        Action::Rerun { job, mode, reason } => {
            let body = json!({ "mode": mode, "reason": reason });
            let path = format!("/api/v1/jobs/{job}/rerun");
            let answer = client.post(&path, &body, None).await;
            book.heard(&reason, answer)?;
        }
        Action::Stop { job, reason } => {
            let path = format!("/api/v1/jobs/{job}/stop?reason={reason}");
            let answer = client.post(&path, &Value::Null, None).await;
            book.heard(&reason, answer)?;
        }
        Action::BulkSubmit { titles, reason } => {
            let inputs: Vec<Value> = titles
                .iter()
                .map(|title| job(title)["input"].clone())
                .collect();
            let what = json!({ "kind": "submit", "pipeline": "media", "inputs": inputs });
            let answer = client.bulk(what, &reason).await;
            if matches!(answer, Some((202, _))) {
                let mut pages = book.open();
                for title in titles {
                    pages.titles.insert(title, Outcome::Acknowledged);
                }
            } else if let Some((status @ 400..=499, answer)) = answer {
                bail!("a bulk operation was refused with {status}: {answer}");
            }
        }
        Action::BulkRerun { status, reason } => {
            let what = json!({ "kind": "rerun", "filter": { "status": status }, "mode": "auto" });
            let answer = client.bulk(what, &reason).await;
            book.heard(&reason, answer)?;
        }
        Action::BulkStop { jobs, reason } => {
            let answer = client
                .bulk(json!({ "kind": "stop", "jobs": jobs }), &reason)
                .await;
            book.heard(&reason, answer)?;
        }
    }
    Ok(())
}

impl Book {
    fn acknowledge(&self, title: &str, id: String) {
        let mut pages = self.open();
        pages.titles.insert(title.to_owned(), Outcome::Acknowledged);
        pages.jobs.push((id, title.to_owned()));
    }

    fn heard(&self, reason: &str, answer: Option<(u16, Value)>) -> anyhow::Result<()> {
        let outcome = match answer {
            Some((202, _)) => Outcome::Acknowledged,
            // The job is over, or not yet, or cannot be redriven.
            Some((409, _)) => Outcome::Refused,
            // A bulk operation that finds no job.
            Some((400, answer)) if answer.to_string().contains("job") => Outcome::Refused,
            Some((status @ 400..=499, answer)) => {
                bail!("{reason} was refused with {status}: {answer}")
            }
            _ => Outcome::Unknown,
        };
        if let Some(ask) = self.open().asks.get_mut(reason) {
            ask.outcome = outcome;
        }
        Ok(())
    }
}

impl Client {
    pub fn new(server: SocketAddr) -> anyhow::Result<Client> {
        let http = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()?;
        Ok(Client {
            http,
            base: format!("http://{server}"),
        })
    }

    /// GET; an error where there is no JSON with success.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path} answered {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// POST; none where the answer did not come.
    async fn post(&self, path: &str, body: &Value, key: Option<&str>) -> Option<(u16, Value)> {
        let mut request = self.http.post(format!("{}{path}", self.base));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let text = answer.text().await.ok()?;
        Some((status, serde_json::from_str(&text).ok()?))
    }

    async fn bulk(&self, what: Value, reason: &str) -> Option<(u16, Value)> {
        let ask = json!({ "what": what, "reason": reason, "canary": false, "start": true });
        self.post("/api/v1/bulks", &ask, None).await
    }

    async fn submit_until(&self, title: &str) -> anyhow::Result<String> {
        let until = Instant::now() + REPEAT_FOR;
        loop {
            match self.post("/api/v1/jobs", &job(title), Some(title)).await {
                Some((202, answer)) => return Ok(text(&answer["id"])),
                Some((status @ 400..=499, answer)) => {
                    bail!("a job was refused with {status}: {answer}")
                }
                _ if Instant::now() > until => bail!("the server does not take {title}"),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

fn job(title: &str) -> Value {
    json!({
        "pipeline": "media",
        "input": { "source": "s3://gantry-media/clip.mp4", "title": title },
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
