//! Map Runs: the children of Map states in DISTRIBUTED mode.
//!
//! Owns when children are started, how many run at once, and when a Map Run has failed. Each Map Run is a task
//! of its own that can begin anew at any time: what it needs to know is in the store ([`record`]), so that after
//! a crash it goes on where it was. [`items`] reads and batches, [`results`] writes, [`api`] describes.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-examine-map-run.html>

pub(super) mod api;
mod csv;
mod items;
mod record;
mod results;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use asl::{Input, MapRun, TaskId};
use tokio::sync::mpsc;

use super::Sfn;
use super::driver::{Driver, lock};
use super::integration::Fault;
use super::running::Running;
use crate::wire::AwsError;

use record::{Child, Row};
pub(super) use record::{ChildOf, TABLES};

/// How long to wait before going on after the store failed.
const RETRY: Duration = Duration::from_secs(1);

/// What a Map Run begins with.
#[derive(Clone)]
pub enum Begin {
    /// A plan of its own.
    New(Box<MapRun>),
    /// One that has ended, by its ARN.
    Again(String),
}

/// What a Map Run is told.
enum Told {
    /// A child ended.
    Ended { number: i64, succeeded: bool },
    /// UpdateMapRun.
    Changed,
}

/// The Map Runs that run.
#[derive(Default)]
pub struct MapRuns {
    running: Mutex<HashMap<i64, mpsc::UnboundedSender<Told>>>,
}

impl MapRuns {
    /// A child of a Map Run ended.
    pub fn ended(&self, child: ChildOf, succeeded: bool) {
        let number = child.number;
        self.tell(child.map_run, Told::Ended { number, succeeded });
    }

    fn tell(&self, map_run: i64, told: Told) {
        if let Some(teller) = lock(&self.running).get(&map_run) {
            // One that has just ended needs to know nothing.
            let _ = teller.send(told);
        }
    }

    fn listen(&self, map_run: i64) -> mpsc::UnboundedReceiver<Told> {
        let (teller, told) = mpsc::unbounded_channel();
        lock(&self.running).insert(map_run, teller);
        told
    }
}

/// What a Map Run still has to do.
struct Progress {
    pending: VecDeque<Child>,
    /// How many items each child has that runs.
    running: HashMap<i64, i64>,
    failed_items: i64,
    total_items: i64,
}

impl Progress {
    fn of(row: &Row, children: Vec<Child>) -> Progress {
        let mut progress = Progress {
            pending: VecDeque::new(),
            running: HashMap::new(),
            failed_items: 0,
            total_items: 0,
        };
        for child in children {
            progress.total_items += child.items;
            match child.status.as_deref() {
                None => progress.pending.push_back(child),
                Some("RUNNING") => {
                    progress.running.insert(child.number, child.items);
                }
                Some("SUCCEEDED") => {}
                Some(_) if child.redriven < row.redrive_count => progress.pending.push_back(child),
                Some(_) => progress.failed_items += child.items,
            }
        }
        progress
    }

    fn exceeds(&self, row: &Row) -> bool {
        let (failed, total) = (self.failed_items as f64, self.total_items as f64);
        match (row.tolerated_count, row.tolerated_percentage) {
            (None, None) => self.failed_items > 0,
            (count, percentage) => {
                count.is_some_and(|most| self.failed_items > most)
                    || percentage.is_some_and(|most| failed * 100.0 > most * total)
            }
        }
    }
}

impl Driver {
    /// Lets Map Runs go on, now that their children can be found.
    pub fn ready(&self) {
        self.ready.send_replace(true);
    }

    /// Takes a Map Run up, as a task of its execution.
    pub(super) fn begin_map_run(
        self: &Arc<Self>,
        id: i64,
        running: &mut Running,
        task: TaskId,
        begin: Begin,
    ) {
        let driver = self.clone();
        let work = tokio::spawn(async move { driver.run_map(id, task, begin).await });
        running.tasks.insert(task.0, work.abort_handle());
        running.map_runs.insert(task.0);
    }

    /// Runs a Map Run to its end and tells its execution. Begun again after a crash, it goes on.
    pub(super) async fn run_map(self: &Arc<Self>, parent: i64, task: TaskId, begin: Begin) {
        loop {
            match self.try_map(parent, task, &begin).await {
                Ok(Some(input)) => return self.apply(parent, input),
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "a Map Run waits for the store");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn try_map(
        self: &Arc<Self>,
        parent: i64,
        task: TaskId,
        begin: &Begin,
    ) -> Result<Option<Input>, AwsError> {
        // Its children must be there to be found.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
        let Some(sfn) = self.peers.sfn.get().and_then(Weak::upgrade) else {
            return Ok(None);
        };
        let mut row = sfn.open_map_run(parent, task, begin).await?;
        if let Begin::New(_) = begin {
            let map_run_arn = row.arn.clone();
            self.apply(parent, Input::MapRunStarted { task, map_run_arn });
        }
        if row.status == "RUNNING" {
            if !row.filled
                && let Err((error, cause)) = self.fill(&sfn, &row, parent, task).await?
            {
                sfn.end_map_run(&mut row, Some((error, cause))).await?;
            } else {
                let failure = self.run_children(&sfn, &mut row).await?;
                let written = results::write(&sfn, &row).await?;
                sfn.end_map_run(&mut row, failure.or(written.err())).await?;
            }
        }
        lock(&self.map_runs.running).remove(&row.id);
        Ok(Some(match (row.error.take(), row.cause.take()) {
            (Some(error), cause) => Input::MapRunFailed {
                task,
                error,
                cause: cause.unwrap_or_default(),
            },
            (None, _) => Input::MapRunSucceeded {
                task,
                output: results::output(&sfn, &row).await?,
            },
        }))
    }

    /// Reads the items and keeps what the children are to be given.
    async fn fill(
        self: &Arc<Self>,
        sfn: &Sfn,
        row: &Row,
        parent: i64,
        task: TaskId,
    ) -> Result<Result<(), Fault>, AwsError> {
        let plan = &row.plan;
        let items = match items::read(&self.peers.s3, &plan.items).await {
            Ok(items) => items,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut given = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            if !plan.selects {
                given.push(item);
                continue;
            }
            let Some(running) = self.find(parent) else {
                return Ok(Err((
                    "States.Runtime".into(),
                    "The execution is over.".into(),
                )));
            };
            let selected = lock(&running).execution.map_item(task, index, &item);
            match selected {
                Ok(item) => given.push(item),
                Err(fault) => return Ok(Err(fault)),
            }
        }
        match items::batches(given, plan.batch.as_ref()) {
            Ok(batches) => sfn.fill_map_run(row, &batches).await.map(Ok),
            Err(fault) => Ok(Err(fault)),
        }
    }

    /// Has every child run; tells why the Map Run failed, if it did.
    async fn run_children(
        self: &Arc<Self>,
        sfn: &Arc<Sfn>,
        row: &mut Row,
    ) -> Result<Option<Fault>, AwsError> {
        // Listening first: a child that ends while the others are counted is not missed.
        let mut told = self.map_runs.listen(row.id);
        let children = sfn.children_of(row.id).await?;
        let mut progress = Progress::of(row, children);
        let family = sfn.family_of(row).await?;
        loop {
            if progress.exceeds(row) {
                self.stop_children(sfn, row.id).await?;
                return Ok(Some((
                    "States.ExceedToleratedFailureThreshold".into(),
                    "The specified tolerated failure threshold was exceeded".into(),
                )));
            }
            while progress.running.len() < row.limit()
                && let Some(child) = progress.pending.pop_front()
            {
                if sfn.run_child(row, &family, &child).await? {
                    progress.running.insert(child.number, child.items);
                } else {
                    progress.failed_items += child.items;
                }
            }
            if progress.running.is_empty() && progress.pending.is_empty() && !progress.exceeds(row)
            {
                return Ok(None);
            }
            if progress.exceeds(row) {
                continue;
            }
            match told.recv().await {
                Some(Told::Ended { number, succeeded }) => {
                    if let Some(items) = progress.running.remove(&number)
                        && !succeeded
                    {
                        progress.failed_items += items;
                    }
                }
                Some(Told::Changed) => sfn.reload_map_run(row).await?,
                None => return Ok(None),
            }
        }
    }

    /// Stops the children that run, and waits until that is written.
    async fn stop_children(self: &Arc<Self>, sfn: &Sfn, map_run: i64) -> Result<(), AwsError> {
        // Those that were started just now are found once they are written.
        self.written().await;
        for child in sfn.running_children(map_run).await? {
            let (error, cause) = (None, None);
            self.tell(child, |_| Some(Input::Stop { error, cause }))
                .await;
        }
        self.written().await;
        Ok(())
    }

    /// Stops a Map Run that nobody waits for any more.
    pub(super) fn abort_map_run(self: &Arc<Self>, parent: i64, task: TaskId) {
        let driver = self.clone();
        tokio::spawn(async move {
            let Some(sfn) = driver.peers.sfn.get().and_then(Weak::upgrade) else {
                return;
            };
            let aborted = async {
                if let Some(map_run) = sfn.abort_map_run(parent, task).await? {
                    lock(&driver.map_runs.running).remove(&map_run);
                    driver.stop_children(&sfn, map_run).await?;
                }
                Ok::<(), AwsError>(())
            };
            if let Err(error) = aborted.await {
                tracing::error!(%error, "the children of a Map Run go on");
            }
        });
    }
}
