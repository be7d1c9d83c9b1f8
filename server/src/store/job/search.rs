//! Jobs in whose title or source a text stands, newest first. What is common is found near the page's begin, what is
//! rare by the index of every three characters; so that neither a common text with a rare status nor a rare text
//! costs more than a page.

use model::{JobFilter, JobId, JobSummary};
use sqlx::{FromRow, any::AnyRow};

use super::{
    JobRecord, SummaryRow,
    list::{Listing, by_id, first_id},
};
use crate::store::{Backend, Store, StoreError};

/// Jobs that are looked at one by one before the index is asked: about as many as take a millisecond.
const NEARBY_MAX: u32 = 500;
/// And once more, where there were some among those but no page of them: some ten milliseconds.
const FARTHER_MAX: u32 = 10_000;
/// How many places a job may be away from where its id says: of those that crowd it is their coming that counts.
const APART_MAX: u32 = 16;
/// How many of a text's trigrams are looked up; the text itself is compared with what is found.
const TRIGRAMS_MAX: usize = 16;

/// A row that knows its id.
pub(super) trait Listed: for<'r> FromRow<'r, AnyRow> + Send + Unpin {
    /// What is read of a job: each column of each row costs.
    const COLUMNS: &str;

    fn summary(&self) -> &JobSummary;

    fn id(&self) -> JobId {
        self.summary().id
    }
}

impl Listed for SummaryRow {
    const COLUMNS: &str = "job.id, job.pipeline, job.title, job.source, job.status, job.submitted_at_ms, \
         job.started_at_ms, job.ended_at_ms, job.error, job.failed_state, job.rerun_count, job.adopted";

    fn summary(&self) -> &JobSummary {
        &self.0
    }
}

impl Listed for JobRecord {
    const COLUMNS: &str = "job.*";

    fn summary(&self) -> &JobSummary {
        &self.summary
    }
}

/// So many jobs that the rest of a filter admits, before an id where there is one.
#[derive(Debug, Clone, Copy)]
struct Near<'a> {
    end: Option<&'a str>,
    jobs: u32,
}

impl Near<'_> {
    fn listing(self, filter: &JobFilter) -> Listing {
        let mut listing = Listing::of(filter);
        if let Some(end) = self.end {
            listing.and("job.id < ", end.to_owned(), "");
        }
        listing
    }
}

/// How many more jobs to look at one by one, when so many of the first are wanted and `left` more are: enough if the
/// others are as those. None where the index will have less to do.
fn farther(left: u32, found: usize) -> Option<u32> {
    let found = u32::try_from(found).ok().filter(|found| *found > 0)?;
    Some(left * NEARBY_MAX / found * 3 / 2).filter(|more| *more <= FARTHER_MAX)
}

/// How many of a page are still to be found.
fn left_of<T>(limit: u32, found: &[T]) -> u32 {
    limit.saturating_sub(u32::try_from(found.len()).unwrap_or(limit))
}

/// Whether a filter leaves out jobs of a time that it admits.
fn is_narrowed(filter: &JobFilter) -> bool {
    filter.status.is_some()
        || filter.pipeline.is_some()
        || filter.error.is_some()
        || filter.failed_state.is_some()
}

impl Store {
    /// At most `limit` jobs, newest first, that the filter admits and in which the text stands.
    pub(super) async fn found<T: Listed>(
        &self,
        filter: &JobFilter,
        wanted: &str,
        limit: u32,
    ) -> Result<Vec<T>, StoreError> {
        let mut found: Vec<T> = Vec::new();
        let mut end = None;
        let mut window = self.looks_nearby(filter, wanted).then_some(NEARBY_MAX);
        while let Some(jobs) = window {
            let near = Near {
                end: end.as_deref(),
                jobs,
            };
            let left = left_of(limit, &found);
            found.extend(self.nearby::<T>(filter, wanted, near, left).await?);
            if found.len() >= limit as usize {
                return Ok(found);
            }
            let listing = near.listing(filter);
            let last = format!("{} OFFSET {}", by_id(1), jobs - 1);
            let text = listing.text("SELECT job.id FROM job", &last);
            let last: Vec<(String,)> = listing.fetch(self, text).await?;
            let Some((last,)) = last.into_iter().next() else {
                // That was all that the rest of the filter admits.
                return Ok(found);
            };
            let is_first = end.is_none();
            end = Some(last);
            window = farther(left_of(limit, &found), found.len()).filter(|_| is_first);
        }
        let left = left_of(limit, &found);
        let mut further = match self.backend {
            Backend::Sqlite => self.further_in_sqlite(filter, wanted, end, left).await?,
            Backend::Postgres => self.further_in_postgres(filter, wanted, end, left).await?,
        };
        further.sort_unstable_by_key(|job: &T| std::cmp::Reverse(job.id()));
        further.truncate(left as usize);
        found.extend(further);
        Ok(found)
    }

    /// SQLite's index gives what it finds newest first and as it is asked for, so that only a filter beside the text
    /// can make it search for long. Its LIKE knows the case of ASCII's letters only.
    fn looks_nearby(&self, filter: &JobFilter, wanted: &str) -> bool {
        match self.backend {
            Backend::Sqlite => is_narrowed(filter) && wanted.is_ascii(),
            Backend::Postgres => true,
        }
    }

    /// Looks at the next jobs of the page one by one.
    async fn nearby<T: Listed>(
        &self,
        filter: &JobFilter,
        wanted: &str,
        near: Near<'_>,
        limit: u32,
    ) -> Result<Vec<T>, StoreError> {
        let mut listing = near.listing(filter);
        // Of the many that are looked at no more is read than that takes.
        let near = listing.text(
            "SELECT job.id, job.title, job.source FROM job",
            &by_id(near.jobs),
        );
        let holds = listing.holds(self.backend, wanted);
        let end = by_id(limit);
        let text = format!(
            "SELECT {} FROM job WHERE job.id IN (SELECT job.id FROM ({near}) AS job WHERE {holds}{end}){end}",
            T::COLUMNS
        );
        listing.fetch(self, text).await
    }

    /// By the index, in the order that the index itself has, so that it ends with the page.
    async fn further_in_sqlite<T: Listed>(
        &self,
        filter: &JobFilter,
        wanted: &str,
        end: Option<String>,
        limit: u32,
    ) -> Result<Vec<T>, StoreError> {
        let before = filter.before.map(|id| id.to_string());
        let until = filter.until_ms.map(first_id);
        let mut end = [end, before, until].into_iter().flatten().min();
        let mut found = Vec::new();
        loop {
            let (some, last) = self.hits_in_sqlite(filter, wanted, end, limit).await?;
            found.extend(some);
            if last.is_none() || found.len() >= limit as usize {
                return Ok(found);
            }
            end = last;
        }
    }

    /// The newest jobs before an id in which a text stands; when there may be more of them, the id of the last one
    /// looked at.
    async fn hits_in_sqlite<T: Listed>(
        &self,
        filter: &JobFilter,
        wanted: &str,
        end: Option<String>,
        limit: u32,
    ) -> Result<(Vec<T>, Option<String>), StoreError> {
        let mut listing = Listing::of(filter);
        listing.and("job_text MATCH ", trigrams(wanted), "");
        // Each three characters of a text may stand where the text itself does not.
        if wanted.is_ascii() {
            let holds = listing.holds(self.backend, wanted);
            listing.require(holds);
        }
        // The index has each job's place with a minus: the newest come first.
        if let Some(end) = end {
            listing.and("job.id < ", end.clone(), "");
            let after = format!(" ORDER BY id LIMIT 1), {}) - {APART_MAX}", i64::MIN / 2);
            let place = "job_text.rowid > COALESCE((SELECT -place FROM job WHERE id >= ";
            listing.and(place, end, &after);
        }
        if let Some(since_ms) = filter.since_ms {
            let after = format!(" ORDER BY id DESC LIMIT 1), 0) + {APART_MAX}");
            let place = "job_text.rowid < COALESCE((SELECT -place FROM job WHERE id < ";
            listing.and(place, first_id(since_ms), &after);
        }
        let hits = listing.text(
            // CROSS keeps the order of the two (https://www.sqlite.org/lang_select.html#crossjoin).
            "SELECT job.id FROM job_text CROSS JOIN job ON job.place = -job_text.rowid",
            &format!(" ORDER BY job_text.rowid LIMIT {}", limit + APART_MAX),
        );
        let text = format!(
            "SELECT {} FROM job WHERE job.id IN ({hits}){}",
            T::COLUMNS,
            by_id(limit)
        );
        let mut found: Vec<T> = listing.fetch(self, text).await?;
        let last = found.last().map(|job| job.id().to_string());
        let last = last.filter(|_| found.len() >= limit as usize);
        // What LIKE could not compare is compared here.
        if !wanted.is_ascii() {
            let wanted = wanted.to_lowercase();
            let holds = |text: &str| text.to_lowercase().contains(&wanted);
            found.retain(|job| holds(&job.summary().title) || holds(&job.summary().source));
        }
        Ok((found, last))
    }

    /// By the index, whatever the planner thinks of how common the text is: what is common was nearby.
    async fn further_in_postgres<T: Listed>(
        &self,
        filter: &JobFilter,
        wanted: &str,
        end: Option<String>,
        limit: u32,
    ) -> Result<Vec<T>, StoreError> {
        let mut listing = Listing::of(filter);
        let holds = listing.holds(self.backend, wanted);
        listing.require(holds);
        if let Some(end) = end {
            listing.and("job.id < ", end, "");
        }
        let hits = listing.text("SELECT job.id FROM job", "");
        let text = format!(
            "WITH hit AS MATERIALIZED ({hits}), page AS MATERIALIZED (SELECT id FROM hit ORDER BY id DESC LIMIT {limit})
             SELECT {} FROM page JOIN job ON job.id = page.id",
            T::COLUMNS
        );
        listing.fetch(self, text).await
    }
}

impl Listing {
    /// The condition that a text stands in a job.
    fn holds(&mut self, backend: Backend, wanted: &str) -> String {
        let like = self.bind(pattern(wanted));
        match backend {
            Backend::Sqlite => {
                format!(r"(job.title LIKE {like} ESCAPE '\' OR job.source LIKE {like} ESCAPE '\')")
            }
            Backend::Postgres => format!("(job.title || ' ' || job.source) ILIKE {like}"),
        }
    }
}

/// A query for what has a text's trigrams: strings, in which nothing is an operator
/// (<https://www.sqlite.org/fts5.html#fts5_strings>).
fn trigrams(wanted: &str) -> String {
    let characters: Vec<char> = wanted.chars().collect();
    // Side by side: those that overlap would narrow little and cost as much.
    let beside = characters.windows(3).step_by(3);
    let strings: Vec<String> = beside
        .chain(characters.windows(3).last())
        .take(TRIGRAMS_MAX)
        .map(|three| format!("\"{}\"", String::from_iter(three).replace('"', "\"\"")))
        .collect();
    strings.join(" AND ")
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
mod tests {
    use model::{JobId, JobStatus};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::store::testing::{on_each_database, store};

    on_each_database!(
        what_is_not_near_is_found_further_on,
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
        let ids = jobs(&store, u64::from(NEARBY_MAX) + 205).await;
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
        jobs_from(&store, 100, u64::from(NEARBY_MAX) + 1).await;
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
}
