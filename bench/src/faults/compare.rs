//! The comparison: what the server's API tells against what `local` did and what was acknowledged. Exact: a job too
//! many, an execution too many, a status that differs, a promise that left no trace are all errors. What the worker
//! told of itself is compared by [`telemetry`].

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use super::book::{Book, Outcome, Pages};
use super::telemetry::{self, Heard};
use super::work::Client;
use crate::product::Product;
use crate::stream::{Reshardings, Stream, reshardings};

/// Differences that are told of many.
const TOLD: usize = 10;
/// Characters of a UUID as text.
const ID_LENGTH: usize = 36;

/// What was found to agree.
pub struct Found {
    pub jobs: usize,
    pub executions: usize,
    pub heard: Heard,
    pub reshardings: Reshardings,
}

/// An execution as AWS has it.
struct Execution {
    name: String,
    status: String,
    redrives: u64,
}

/// Compares; an error names what differs, or what is still under way.
pub async fn compare(
    client: &Client,
    product: &Product,
    stream: &Stream,
    book: &Book,
) -> anyhow::Result<Found> {
    let first = client.get("/api/v1/jobs").await?;
    let under_way = first["counts"]["queued"].as_u64().unwrap_or(0)
        + first["counts"]["running"].as_u64().unwrap_or(0);
    ensure!(under_way == 0, "{under_way} jobs are under way");
    for bulk in client
        .get("/api/v1/bulks")
        .await?
        .as_array()
        .into_iter()
        .flatten()
    {
        ensure!(
            bulk["state"] == "done",
            "a bulk operation is {}: {bulk}",
            bulk["state"]
        );
    }
    let jobs = jobs(client, first.clone()).await?;
    let executions = executions(product).await?;
    let pages = book.open().clone();
    let mut wrong = Vec::new();
    titles(&pages, &jobs, &mut wrong);
    counts(&first["counts"], &jobs, &mut wrong);
    for name in executions
        .values()
        .flatten()
        .map(|execution| &execution.name)
    {
        if !name
            .get(..ID_LENGTH)
            .is_some_and(|id| jobs.contains_key(id))
        {
            wrong.push(format!("execution {name} is of no job"));
        }
    }
    let mut reasons: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut views = BTreeMap::new();
    for (id, summary) in &jobs {
        let view = client.get(&format!("/api/v1/jobs/{id}")).await?;
        let own = executions.get(id).map_or(&[][..], Vec::as_slice);
        if let Err(difference) = job(&view, summary, own) {
            wrong.push(format!(
                "job {id}: {difference}; {}; AWS: {}",
                told(&view),
                listed(own)
            ));
        }
        for event in view["lineage"].as_array().into_iter().flatten() {
            let reason = text(&event["reason"]);
            if !reason.is_empty() {
                *reasons.entry((reason, id.clone())).or_default() += 1;
            }
        }
        views.insert(id.clone(), view);
    }
    promises(&pages, &reasons, &mut wrong);
    if !wrong.is_empty() {
        let count = wrong.len();
        wrong.truncate(TOLD);
        bail!("{count} differences:\n{}", wrong.join("\n"));
    }
    let records = stream.records().await?;
    Ok(Found {
        jobs: jobs.len(),
        executions: executions.values().map(Vec::len).sum(),
        heard: telemetry::compare(client, &records, &views).await?,
        reshardings: reshardings(&stream.shards().await?),
    })
}

/// Every job of the list, page by page.
async fn jobs(client: &Client, first: Value) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut jobs = BTreeMap::new();
    let mut page = first;
    loop {
        for job in page["jobs"].as_array().into_iter().flatten() {
            let id = text(&job["id"]);
            ensure!(
                jobs.insert(id.clone(), job.clone()).is_none(),
                "job {id} is on two pages"
            );
        }
        let Some(next) = page["next"].as_str() else {
            return Ok(jobs);
        };
        page = client.get(&format!("/api/v1/jobs?before={next}")).await?;
    }
}

/// Every execution of AWS's, by the job that its name begins with, oldest first.
async fn executions(product: &Product) -> anyhow::Result<BTreeMap<String, Vec<Execution>>> {
    let mut found: BTreeMap<String, Vec<Execution>> = BTreeMap::new();
    let mut next = Value::Null;
    loop {
        let mut ask = json!({ "stateMachineArn": product.machine(), "maxResults": 1000 });
        if next.is_string() {
            ask["nextToken"] = next;
        }
        let page = product.states("ListExecutions", &ask).await?;
        for item in page["executions"].as_array().into_iter().flatten() {
            let name = text(&item["name"]);
            let described = match item["redriveCount"].as_u64() {
                Some(count) => count,
                None => {
                    let ask = json!({ "executionArn": item["executionArn"] });
                    let described = product.states("DescribeExecution", &ask).await?;
                    described["redriveCount"].as_u64().unwrap_or(0)
                }
            };
            let job = name.get(..ID_LENGTH).unwrap_or(&name).to_owned();
            found.entry(job).or_default().push(Execution {
                name,
                status: text(&item["status"]),
                redrives: described,
            });
        }
        next = page["nextToken"].clone();
        if !next.is_string() {
            break;
        }
    }
    for list in found.values_mut() {
        list.sort_by_key(|execution| number(&execution.name));
    }
    Ok(found)
}

/// The number in an execution's name: 1 for a job's first.
fn number(name: &str) -> u64 {
    let rest = name.get(ID_LENGTH + 1..);
    rest.map_or(1, |number| number.parse().unwrap_or(0))
}

/// Each job that was asked for is there once; if its request was not answered, once at most.
fn titles(pages: &Pages, jobs: &BTreeMap<String, Value>, wrong: &mut Vec<String>) {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for job in jobs.values() {
        *seen.entry(text(&job["title"])).or_default() += 1;
    }
    for (title, outcome) in &pages.titles {
        let count = seen.remove(title).unwrap_or(0);
        if count > 1 || (count == 0 && *outcome == Outcome::Acknowledged) {
            wrong.push(format!(
                "there are {count} jobs {title}, which was {outcome:?}"
            ));
        }
    }
    for title in seen.keys() {
        wrong.push(format!("nobody asked for job {title}"));
    }
    for (id, title) in &pages.jobs {
        match jobs.get(id) {
            Some(job) if job["title"] == **title => {}
            _ => wrong.push(format!(
                "job {id} ({title}) was acknowledged and is not there"
            )),
        }
    }
}

/// The counts are those of the rows.
fn counts(counts: &Value, jobs: &BTreeMap<String, Value>, wrong: &mut Vec<String>) {
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for job in jobs.values() {
        *counted.entry(text(&job["status"])).or_default() += 1;
    }
    for (status, told) in counts.as_object().into_iter().flatten() {
        let count = counted.get(status).copied().unwrap_or(0);
        if told.as_u64() != Some(count) {
            wrong.push(format!(
                "{told} jobs are told to be {status}, and {count} are"
            ));
        }
    }
}

/// A job, its newest execution, and how often AWS was to begin something for it.
fn job(view: &Value, summary: &Value, own: &[Execution]) -> anyhow::Result<()> {
    ensure!(
        view["job"]["status"] == summary["status"],
        "it is still changing"
    );
    let events = |kind: &str| {
        let all = view["lineage"].as_array().into_iter().flatten();
        all.filter(|event| event["kind"] == kind).count() as u64
    };
    let starts = events("submitted") + events("restarted");
    let (redrives, stops) = (events("redriven"), events("stopped"));
    let began = own.len() as u64;
    let redriven: u64 = own.iter().map(|execution| execution.redrives).sum();
    let numbers: Vec<u64> = own
        .iter()
        .map(|execution| number(&execution.name))
        .collect();
    ensure!(
        numbers.iter().copied().eq(1..=began),
        "its executions have the numbers {numbers:?}"
    );
    ensure!(
        began <= starts && redriven <= redrives,
        "AWS began more than was asked for: {starts} starts and {redrives} redrives"
    );
    // A stop withdraws what nobody has tried yet.
    let withdrawn = starts + redrives - began - redriven;
    ensure!(
        withdrawn <= stops,
        "{withdrawn} of {starts} starts and {redrives} redrives never came"
    );
    let status = text(&view["job"]["status"]);
    let Some(newest) = own.last() else {
        ensure!(
            status == "aborted" && view["execution"].is_null(),
            "it was never started"
        );
        return Ok(());
    };
    let is_stopped = stops > 0;
    let expected = expected(&text(&view["job"]["title"]));
    ensure!(
        is_stopped || expected.is_none_or(|expected| expected == status),
        "its like ends otherwise"
    );
    let stored = &view["execution"];
    ensure!(
        stored["name"] == *newest.name,
        "another execution is the newest"
    );
    ensure!(
        stored["status"] == *newest.status,
        "the execution's status differs"
    );
    ensure!(
        stored["redrive_count"] == newest.redrives,
        "the count of redrives differs"
    );
    let is_withdrawn = withdrawn > 0 && status == "aborted";
    ensure!(
        status == newest.status.to_lowercase() || is_withdrawn,
        "the job's status is not its execution's"
    );
    Ok(())
}

/// How a job ends that nobody stops, by the kind that its title begins with.
fn expected(title: &str) -> Option<&'static str> {
    match title.split_once('-')?.0 {
        "ok" | "waits" | "works" => Some("succeeded"),
        "fails" | "stuck" => Some("failed"),
        _ => None,
    }
}

/// What was acknowledged stands in the lineage once, what was refused never, the rest once at most.
fn promises(pages: &Pages, reasons: &BTreeMap<(String, String), u64>, wrong: &mut Vec<String>) {
    for ((reason, job), count) in reasons {
        if *count > 1 {
            wrong.push(format!("{reason} happened to job {job} {count} times"));
        }
    }
    let jobs_of: BTreeMap<&str, BTreeSet<&str>> =
        reasons
            .keys()
            .fold(BTreeMap::new(), |mut found, (reason, job)| {
                found
                    .entry(reason.as_str())
                    .or_default()
                    .insert(job.as_str());
                found
            });
    for (reason, ask) in &pages.asks {
        let jobs = jobs_of.get(reason.as_str());
        match (&ask.job, ask.outcome) {
            (Some(job), Outcome::Acknowledged)
                if !jobs.is_some_and(|jobs| jobs.contains(&**job)) =>
            {
                wrong.push(format!(
                    "{reason} was acknowledged for job {job} and left no trace"
                ));
            }
            (Some(job), Outcome::Refused) if jobs.is_some() => {
                wrong.push(format!(
                    "{reason} was refused for job {job} and happened all the same"
                ));
            }
            _ => {}
        }
    }
}

fn told(view: &Value) -> String {
    let events: Vec<String> = view["lineage"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|event| format!("{} {}", text(&event["kind"]), text(&event["reason"])))
        .collect();
    let execution = &view["execution"];
    format!(
        "{} is {}, execution {} {} redriven {}, lineage: {}",
        text(&view["job"]["title"]),
        text(&view["job"]["status"]),
        text(&execution["name"]),
        text(&execution["status"]),
        execution["redrive_count"],
        events.join(", ")
    )
}

fn listed(own: &[Execution]) -> String {
    let all: Vec<String> = own
        .iter()
        .map(|one| format!("{} {} redriven {}", one.name, one.status, one.redrives))
        .collect();
    all.join(", ")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn view(job: &str, execution: Value, lineage: &[&str]) -> Value {
        let lineage: Vec<Value> = lineage.iter().map(|kind| json!({ "kind": kind })).collect();
        json!({ "job": { "status": job }, "execution": execution, "lineage": lineage })
    }

    fn told_of(view: &Value, own: &[(&str, &str, u64)]) -> Result<(), String> {
        let own: Vec<Execution> = own
            .iter()
            .map(|(name, status, redrives)| Execution {
                name: format!("{ID}{name}"),
                status: (*status).to_owned(),
                redrives: *redrives,
            })
            .collect();
        job(view, &view["job"], &own).map_err(|error| error.to_string())
    }

    #[test]
    fn what_agrees_is_let_pass_and_anything_else_is_told() {
        let stored = json!({ "name": ID, "status": "FAILED", "redrive_count": 1 });
        let failed = view("failed", stored.clone(), &["submitted", "redriven"]);
        assert_eq!(told_of(&failed, &[("", "FAILED", 1)]), Ok(()));
        for (own, why) in [
            (&[("", "FAILED", 2)][..], "more than was asked for"),
            (&[("", "FAILED", 0)], "never came"),
            (&[("", "SUCCEEDED", 1)], "status differs"),
            (
                &[("", "FAILED", 1), ("-2", "FAILED", 0)],
                "more than was asked for",
            ),
            (&[("-2", "FAILED", 1)], "have the numbers"),
            (&[], "never came"),
        ] {
            let told = told_of(&failed, own).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        let other = view("succeeded", stored, &["submitted", "redriven"]);
        let told = told_of(&other, &[("", "FAILED", 1)]).unwrap_err();
        assert!(told.contains("not its execution's"), "{told}");
        let mut lost = failed.clone();
        lost["job"]["title"] = json!("works-7");
        let told = told_of(&lost, &[("", "FAILED", 1)]).unwrap_err();
        assert!(told.contains("ends otherwise"), "{told}");
        // A stop withdrew its start.
        let withdrawn = view("aborted", Value::Null, &["submitted", "stopped"]);
        assert_eq!(told_of(&withdrawn, &[]), Ok(()));
    }
}
