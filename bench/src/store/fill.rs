//! Fills a database with jobs and executions that have ended, in the tables that the server has made. Owns what they
//! look like: what is common and what is rare.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};
use uuid::Uuid;

use crate::database;

/// Rows of one statement.
const BATCH: u64 = 2_000;
/// With so many texts that wait the server makes blocks of them.
const INDEXED_FROM: i64 = 512;
/// The first job was submitted then, ms since 1970; each further one so much later that all fit into thirty days.
const FIRST_MS: u64 = 1_790_000_000_000;
pub const SPAN_MS: u64 = 30 * 86_400_000;
/// In the title of every third job, of every 64th, of every hundred thousandth, of none. In every source there is
/// `clip`.
pub const COMMON: &str = "harbour";
pub const MIDDLING: &str = "crane noon";
pub const RARE: &str = "zeppelin";
pub const ABSENT: &str = "quetzalcoatl";
const RARE_EVERY: u64 = 100_000;
/// Two of them follow each other in each title, all pairs alike often.
pub const WORDS: [&str; 8] = [
    "crane", "dusk", "noon", "ferry", "market", "river", "tower", "street",
];
const ERRORS: [&str; 4] = [
    "Source.NotMedia",
    "Source.Dropped",
    "Storage.Unavailable",
    "Encode.Failed",
];
pub const ERROR: &str = ERRORS[0];
const STATES: [&str; 4] = ["Inspect", "Transfer", "Assemble", "Rendition"];
pub const STATE: &str = STATES[1];

/// A job's id: version 7, of its moment (RFC 9562, section 5.7), with its number in the rest.
pub fn id(number: u64, jobs: u64) -> Uuid {
    let at_ms = moment(number, jobs);
    let mixed = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
    Uuid::from_u128(
        u128::from(at_ms) << 80 | 7 << 76 | u128::from(number & 0xfff) << 64 | 2 << 62 | mixed,
    )
}

/// When a job was submitted, ms since 1970.
pub fn moment(number: u64, jobs: u64) -> u64 {
    FIRST_MS + (u128::from(number) * u128::from(SPAN_MS) / u128::from(jobs.max(1))) as u64
}

/// Makes jobs until there are so many; those that are there already stay.
pub async fn fill(url: &str, jobs: u64) -> anyhow::Result<()> {
    let mut connection = database::connect(url).await?;
    let is_postgres = connection.backend_name() == "PostgreSQL";
    let setup = match is_postgres {
        true => "SET synchronous_commit = off",
        false => {
            "PRAGMA busy_timeout = 60000; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000"
        }
    };
    connection.execute(setup).await?;
    let (there,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM job")
        .fetch_one(&mut connection)
        .await?;
    let mut at = u64::try_from(there)?;
    while at < jobs {
        let end = jobs.min(at + BATCH);
        batch(&mut connection, at, end, jobs).await?;
        if at % (BATCH * 100) == 0 {
            eprintln!("  {at} jobs");
        }
        at = end;
    }
    let began = Instant::now();
    while is_indexing(&mut connection).await? {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eprintln!(
        "all texts were indexed, and nothing left to clear away, {:.1} s later",
        began.elapsed().as_secs_f64()
    );
    // What time does by itself: autovacuum on PostgreSQL, a checkpoint on SQLite.
    let settle = match is_postgres {
        true => "VACUUM ANALYZE",
        false => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    connection.execute(settle).await?;
    connection.close().await?;
    Ok(())
}

/// Whether the server is still at the index of texts, or about to be.
async fn is_indexing(connection: &mut AnyConnection) -> anyhow::Result<bool> {
    let (waiting, leases, leaving): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM text_queue), (SELECT COUNT(*) FROM lease WHERE name = 'text index'),
             (SELECT COUNT(*) FROM text_block WHERE state <> 'current')",
    )
    .fetch_one(connection)
    .await?;
    Ok(waiting >= INDEXED_FROM || leases > 0 || leaving > 0)
}

async fn batch(
    connection: &mut AnyConnection,
    from: u64,
    to: u64,
    jobs: u64,
) -> anyhow::Result<()> {
    let rows: Vec<Value> = (from..to).map(|number| row(number, jobs)).collect();
    let rows = Value::from(rows).to_string();
    let mut transaction = connection.begin().await?;
    let column = |name: &str| format!("value ->> '{name}'");
    let integer = |name: &str| format!("CAST(value ->> '{name}' AS BIGINT)");
    let texts = [
        "id",
        "title",
        "source",
        "input",
        "status",
        "error",
        "failed_state",
        "arn",
    ];
    let texts: Vec<String> = texts.iter().map(|name| column(name)).collect();
    let job = format!(
        "INSERT INTO job (id, title, source, input, status, error, failed_state, execution_arn, pipeline,
             submitted_at_ms, started_at_ms, ended_at_ms)
         SELECT {}, 'media', {at}, {at} + 200, {at} + 60000 FROM json_each($1) ORDER BY value ->> 'id' DESC",
        texts.join(", "),
        at = integer("at_ms"),
    );
    let execution = format!(
        "INSERT INTO execution (arn, job_id, name, number, status, started_at_ms, ended_at_ms, error, redrive_status,
             heard_at_ms, history_complete, artifacts_read)
         SELECT {}, {id}, {id}, 1, {}, {at} + 200, {at} + 60000, {}, {}, {at} + 60000, 1, 1 FROM json_each($1)",
        column("arn"),
        column("execution_status"),
        column("error"),
        column("redrive_status"),
        id = column("id"),
        at = integer("at_ms"),
    );
    let lineage = format!(
        "INSERT INTO lineage (job_id, at_ms, kind, actor, reason, number)
         SELECT {}, {}, 'submitted', 'API', '', 1 FROM json_each($1)",
        column("id"),
        integer("at_ms"),
    );
    for text in [job, execution, lineage] {
        sqlx::query(AssertSqlSafe(text))
            .bind(&rows)
            .execute(&mut *transaction)
            .await
            .context("a batch of jobs")?;
    }
    transaction.commit().await?;
    Ok(())
}

fn row(number: u64, jobs: u64) -> Value {
    let word = |at: u64| WORDS[(number / at % 8) as usize];
    let mut title = format!("{} {} {number}", word(1), word(8));
    if number.is_multiple_of(3) {
        title = format!("{COMMON} {title}");
    }
    if number % RARE_EVERY == 7 {
        title = format!("{RARE} {title}");
    }
    let source = format!("https://media.example/2026/{}/clip-{number}.mp4", word(64));
    let (status, failed) = match number % 50 {
        0..=2 => ("FAILED", true),
        3 => ("TIMED_OUT", true),
        4 => ("ABORTED", false),
        _ => ("SUCCEEDED", false),
    };
    let of = |list: [&'static str; 4]| failed.then(|| list[(number / 50 % 4) as usize]);
    let id = id(number, jobs).to_string();
    json!({
        "title": title, "status": status.to_lowercase(), "execution_status": status,
        "error": of(ERRORS), "failed_state": of(STATES),
        "redrive_status": (status != "SUCCEEDED").then_some("NOT_REDRIVABLE"),
        "input": json!({"source": source, "title": title, "max_height": 1080, "segment_seconds": 4, "part_mib": 8}).to_string(),
        "source": source, "at_ms": moment(number, jobs),
        "arn": format!("arn:aws:states:us-east-1:000000000000:execution:gantry-media:{id}"),
        "id": id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_jobs_numbers() {
        let ids: Vec<Uuid> = [0, 1, 2, 999].map(|number| id(number, 1_000)).to_vec();
        assert!(ids.is_sorted());
        assert_eq!(ids[1].get_version_num(), 7);
    }
}
