//! A job outlives the death of everything that works on it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::demo;
use crate::jobs::{self, Jobs, Source};
use crate::product::Product;
use crate::step::output;

/// How long the job may take in all.
const ENDS_WITHIN: Duration = Duration::from_secs(300);

/// Kills a worker, then `local`, then the server, each while the job is at work on renditions, and wants it to succeed.
pub fn check(product: &mut Product, data: &Path) -> anyhow::Result<()> {
    let clip = data.join("survivor.mp4");
    demo::clip(&clip, "testsrc2=size=1280x720:rate=25:duration=20", 20)?;
    let jobs = Jobs::new(product.address());
    let id = match jobs.submit(&Source::File(clip))? {
        Ok(id) => id,
        Err(refusal) => bail!("the clip was refused: {}", refusal.0),
    };
    at_work(product, &jobs, &id)?;
    kill_process(rendition_worker(product)?, Signal::KILL).context("no worker to kill")?;

    at_work(product, &jobs, &id)?;
    kill(product, "local")?;
    product.start_local()?;

    at_work(product, &jobs, &id)?;
    kill(product, "server")?;
    product.start_server()?;

    let view = until(product, &jobs, &id, jobs::has_ended)?;
    ensure!(
        view["job"]["status"] == "succeeded",
        "the job did not survive: {}",
        jobs::line(&view)
    );
    let wanted = view["artifacts"].as_array().map_or(0, Vec::len);
    ensure!(wanted > 8, "the job succeeded with {wanted} artifacts only");
    Ok(())
}

fn kill(product: &Product, name: &str) -> anyhow::Result<()> {
    product.children.signal(name, Signal::KILL)?;
    let ended = product
        .children
        .ended()
        .context("a killed program does not end")?;
    ensure!(ended.name == name, "{} ended instead of {name}", ended.name);
    Ok(())
}

/// Waits until a rendition is being made; a job that has ended already is no test.
fn at_work(product: &Product, jobs: &Jobs, id: &str) -> anyhow::Result<()> {
    let view = until(product, jobs, id, |view| {
        rendering(view) || jobs::has_ended(view)
    })?;
    ensure!(
        rendering(&view),
        "the job ended before everything could be killed: {}",
        jobs::line(&view)
    );
    Ok(())
}

/// Looks at the job until a condition holds; gives the view in which it does.
fn until(
    product: &Product,
    jobs: &Jobs,
    id: &str,
    condition: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let deadline = Instant::now() + ENDS_WITHIN;
    loop {
        let view = jobs.view(id)?;
        if condition(&view) {
            return Ok(view);
        }
        if Instant::now() > deadline {
            bail!("the job hangs: {view}");
        }
        product.children.pause(Duration::from_millis(200))?;
    }
}

/// Whether a rendition is being made now.
fn rendering(view: &Value) -> bool {
    view["execution"]["states"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|state| state["name"] == "Rendition" && state["status"] == "running")
}

/// A sandbox of the rendition function: a child of `local` with that command line.
fn rendition_worker(product: &Product) -> anyhow::Result<Pid> {
    let folder = product.data().join("aws").display().to_string();
    let list = output(Command::new("ps").args(["-eo", "pid=,args="]))?;
    list.lines()
        .filter(|line| {
            line.contains(&folder) && line.contains("/worker") && line.ends_with(" rendition")
        })
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .find_map(Pid::from_raw)
        .context("no sandbox of the rendition function runs")
}
