//! Jobs in whose title or source a text stands, newest first: by [`crate::store::text_index`]. Beside a filter that the
//! index cannot tell, what that admits and what the index finds are both tried and the better goes on, so that neither a
//! common text with a rare status nor a rare text costs much more than the shorter way.

use std::{
    collections::{BTreeSet, VecDeque},
    str::FromStr,
};

use model::{JobFilter, JobId, JobSummary, StatusCounts};
use sqlx::{Any, pool::PoolConnection};

use super::{
    counts,
    list::{COLUMNS, Listing, by_id, first_id, first_job_id},
};
use crate::store::{
    Backend, During, Store, StoreError,
    text_index::{
        Gram, Sets,
        find::{Hit, Hits},
        folded, wanted_terms,
    },
};

/// Jobs that the index is asked for before anything else: a rare text ends here.
const LOOKS_FIRST: u32 = 64;
/// Jobs that are looked at next at most, by whichever way.
const LOOKS_NEXT: u32 = 500;
/// And how many times as many each further time.
const LOOKS_GROWTH: u32 = 2;
/// Fewer of the index's are not worth a further time.
const LOOKS_MIN: u32 = 12;
/// More than are wanted, as what comes next may yield less than what came before.
const LOOKS_MARGIN: f64 = 1.1;
/// Jobs that are looked at at once where there is no index, at most.
const WALKED_MAX: u32 = 8_192;
/// Jobs that the index is asked for at once, at most.
const HITS_MAX: u32 = 2_000;
/// And how many times as many at most as the time before.
const HITS_GROWTH: u32 = 4;

/// What one way of searching came to.
#[derive(Debug, Clone, Copy, Default)]
struct Way {
    looked: u32,
    found: u32,
}

impl Way {
    /// Jobs found to each that was looked at.
    fn yields(&self) -> f64 {
        f64::from(self.found + 1) / f64::from(self.looked + 1)
    }

    /// How many to look at that so many more are found, if the next are as those before.
    fn looks_for(&self, wanted: u32) -> u32 {
        (f64::from(wanted) * LOOKS_MARGIN / self.yields()).ceil() as u32
    }
}

/// A search under way.
struct Search<'a> {
    /// One for all statements: to take and to give back another for each costs more than a small one.
    connection: PoolConnection<Any>,
    backend: Backend,
    sets: &'a Sets,
    filter: &'a JobFilter,
    wanted: &'a str,
    /// In small letters.
    folded: String,
    limit: usize,
    found: Vec<JobSummary>,
    /// What is newer was looked at, or is not to be.
    end: Option<JobId>,
    /// What the index is asked for beside the text. None where it cannot tell all that the filter asks for: then
    /// it is asked for the text alone.
    terms: Option<Vec<Gram>>,
    /// In how many of so many jobs the index has the text.
    guess: Way,
    /// As they were when the index was asked at last.
    counts: StatusCounts,
}

impl Store {
    /// At most `limit` jobs, newest first, that the filter admits and in which the text stands, and the counts of all.
    pub(super) async fn found(
        &self,
        filter: &JobFilter,
        wanted: &str,
        limit: u32,
    ) -> Result<(Vec<JobSummary>, StatusCounts), StoreError> {
        let until = filter.until_ms.map(first_job_id);
        let mut search = Search {
            connection: self.read.acquire().await.during("search jobs")?,
            backend: self.backend,
            sets: &self.text_sets,
            filter,
            wanted,
            folded: folded(wanted),
            limit: limit as usize,
            found: Vec::new(),
            end: [filter.before, until].into_iter().flatten().min(),
            terms: wanted_terms(filter),
            guess: Way::default(),
            counts: StatusCounts::default(),
        };
        search.run().await?;
        Ok((search.found, search.counts))
    }
}

impl Search<'_> {
    async fn run(&mut self) -> Result<(), StoreError> {
        if self.terms.is_some() {
            return self.by_index(u32::MAX).await.map(|_| ());
        }
        if self.by_index(LOOKS_FIRST).await? {
            return Ok(());
        }
        // Which of the two is shorter nobody knows before: what the filter admits, or where the text stands. For all
        // that is known the text is as common in what the filter admits as in everything.
        let mut filter = self.guess;
        let mut index = Way {
            looked: LOOKS_FIRST,
            found: self.count(),
        };
        let mut looks = LOOKS_NEXT;
        loop {
            let before = self.count();
            let is_filter = filter.yields() > index.yields();
            let way = if is_filter { &mut filter } else { &mut index };
            let jobs = way.looks_for(self.left()).min(looks);
            let is_done = match is_filter {
                true => self.by_filter(jobs).await?,
                false => self.by_index(jobs).await?,
            };
            if is_done {
                return Ok(());
            }
            way.looked += jobs;
            way.found += self.count() - before;
            looks = looks.saturating_mul(LOOKS_GROWTH);
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.found.len()).unwrap_or(u32::MAX)
    }

    /// How many are still to be found.
    fn left(&self) -> u32 {
        u32::try_from(self.limit.saturating_sub(self.found.len())).unwrap_or(u32::MAX)
    }

    /// What a filter admits of the jobs that were not looked at.
    fn listing(&self) -> Listing {
        let mut listing = Listing::of(self.filter);
        if let Some(end) = self.end {
            listing.and("job.id < ", end.to_string(), "");
        }
        listing
    }

    /// What a filter admits of jobs that are as old as is wanted.
    fn of_any_time(&self) -> Listing {
        Listing::of(&JobFilter {
            before: None,
            until_ms: None,
            ..self.filter.clone()
        })
    }

    fn holds(&self, job: &JobSummary) -> bool {
        let holds = |text: &str| folded(text).contains(&self.folded);
        holds(&job.title) || holds(&job.source)
    }

    /// Looks at the next jobs that the rest of the filter admits. True when there is nothing left to do.
    async fn by_filter(&mut self, jobs: u32) -> Result<bool, StoreError> {
        // Of the many that are looked at no more is read than that takes.
        let mut listing = self.listing();
        let near = listing.text(
            "SELECT job.id, job.title, job.source FROM job",
            &by_id(jobs),
        );
        let mut found = match listing.holds(self.backend, self.wanted) {
            Some(holds) => {
                let (columns, end) = (COLUMNS.join(", "), by_id(self.left()));
                let text = format!(
                    "SELECT {columns} FROM job WHERE job.id IN (SELECT job.id FROM ({near}) AS job WHERE {holds}{end}){end}"
                );
                listing.summaries_of(&mut self.connection, text).await?
            }
            None => {
                let end = by_id(jobs);
                listing.summaries(&mut self.connection, &end).await?
            }
        };
        found.retain(|job| self.holds(job));
        found.truncate(self.left() as usize);
        let last = self.listing();
        self.found.extend(found);
        if self.left() == 0 {
            return Ok(true);
        }
        let text = last.text(
            "SELECT job.id FROM job",
            &format!("{} OFFSET {}", by_id(1), jobs - 1),
        );
        let last: Vec<(String,)> = last.fetch(&mut self.connection, text).await?;
        // Without one that was all that the rest of the filter admits.
        self.end = match last.into_iter().next() {
            Some((last,)) => Some(JobId::from_str(&last).map_err(|_| StoreError::Unreadable {
                what: "job id",
                text: last,
            })?),
            None => return Ok(true),
        };
        Ok(false)
    }

    /// Looks at every job that the rest of the filter admits: what there is without an index. A common text's page ends
    /// soon all the same, and a rare one's takes no more memory.
    async fn by_walk(&mut self) -> Result<(), StoreError> {
        let mut jobs = LOOKS_NEXT;
        while !self.by_filter(jobs).await? {
            jobs = (jobs * LOOKS_GROWTH).min(WALKED_MAX);
        }
        Ok(())
    }

    /// Looks at the next jobs in which the index has the text, about so many of them. True when there is nothing left
    /// to do.
    async fn by_index(&mut self, jobs: u32) -> Result<bool, StoreError> {
        let since = self.filter.since_ms.map(first_id);
        let terms = self.terms.as_deref().unwrap_or_default();
        let beside = counts::expression(self.backend);
        let hits = Hits::begin(
            &mut self.connection,
            self.sets.clone(),
            self.wanted,
            terms,
            since.clone(),
            self.end,
            &beside,
        );
        let (hits, counts) = hits.await?;
        self.counts = counts::read(&counts)?;
        let Some((mut hits, waiting)) = hits else {
            return self.by_walk().await.map(|()| true);
        };
        let mut waiting: VecDeque<JobSummary> = self.waiting(&waiting).await?.into();
        // What the index finds is mostly what is wanted. Where it is not, so many more are asked for as are missing, as
        // far as the last ones tell.
        let mut way = Way::default();
        let mut page = self.left();
        let admitted = self.of_any_time();
        loop {
            let asked = match self.terms {
                Some(_) => way.looks_for(self.left()).max(LOOKS_MIN).min(page),
                None => jobs,
            };
            let asked = asked.min(HITS_MAX);
            page = page.saturating_mul(HITS_GROWTH);
            let next = hits.next(&mut self.connection, asked as usize, &admitted);
            let next = next.await?;
            // No surer than a page: what the filter admits may be otherwise.
            self.guess = Way {
                looked: LOOKS_FIRST,
                found: (hits.density() * f64::from(LOOKS_FIRST)) as u32,
            };
            let Some(last) = next.last().map(|hit| hit.id) else {
                self.take(waiting);
                return Ok(true);
            };
            way.looked += u32::try_from(next.len()).unwrap_or(u32::MAX);
            let jobs_found = next.into_iter().filter_map(|Hit { job, .. }| job);
            let mut found: Vec<JobSummary> = jobs_found.filter(|job| self.holds(job)).collect();
            way.found += u32::try_from(found.len()).unwrap_or(u32::MAX);
            let newer = waiting.iter().take_while(|job| job.id >= last).count();
            found.extend(waiting.drain(..newer));
            self.take(found);
            self.end = Some(last);
            let is_over = since
                .as_ref()
                .is_some_and(|since| last.to_string() < *since);
            if is_over || self.left() == 0 {
                return Ok(true);
            }
            if way.looked >= jobs {
                return Ok(false);
            }
        }
    }

    /// The next of those that were found, in any order and perhaps twice.
    fn take(&mut self, found: impl IntoIterator<Item = JobSummary>) {
        let mut found: Vec<JobSummary> = found.into_iter().collect();
        found.sort_unstable_by_key(|job| std::cmp::Reverse(job.id));
        found.dedup_by_key(|job| job.id);
        found.truncate(self.left() as usize);
        self.found.extend(found);
    }

    /// Jobs of these in which the text stands, newest first: a page of them at most.
    async fn waiting(&mut self, queue: &BTreeSet<JobId>) -> Result<Vec<JobSummary>, StoreError> {
        if queue.is_empty() {
            return Ok(Vec::new());
        }
        let mut listing = self.of_any_time();
        listing.among(self.backend, queue.iter().map(ToString::to_string));
        let holds = listing.holds(self.backend, self.wanted);
        let limit = match holds {
            Some(holds) => {
                listing.require(holds);
                self.left()
            }
            None => u32::MAX,
        };
        let end = by_id(limit);
        let mut waiting = listing.summaries(&mut self.connection, &end).await?;
        waiting.retain(|job| self.holds(job));
        Ok(waiting)
    }
}

impl Listing {
    /// The condition that a text stands in a job. None for letters whose case only some databases know: what they
    /// find is compared in any case.
    fn holds(&mut self, backend: Backend, wanted: &str) -> Option<String> {
        if !wanted.is_ascii() {
            return None;
        }
        let like = self.bind(pattern(wanted));
        Some(match backend {
            Backend::Sqlite => {
                format!(r"(job.title LIKE {like} ESCAPE '\' OR job.source LIKE {like} ESCAPE '\')")
            }
            Backend::Postgres => format!("(job.title ILIKE {like} OR job.source ILIKE {like})"),
        })
    }
}

/// Text as LIKE's pattern for what holds it.
fn pattern(wanted: &str) -> String {
    let escaped = wanted
        .replace('\\', r"\\")
        .replace('%', r"\%")
        .replace('_', r"\_");
    format!("%{escaped}%")
}

#[cfg(test)]
mod tests;
