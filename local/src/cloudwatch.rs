//! CloudWatch metrics, of which `local` has those of its functions.
//!
//! Owns the `cw_data` table and three ways of reading it. Refuses custom metrics and alarms.
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html>

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::Row;
use tokio::sync::mpsc;

use crate::store::Store;
use crate::wire::{AwsError, epoch_seconds, now_ms};

const OPERATIONS: &[&str] = &["GetMetricData", "GetMetricStatistics", "ListMetrics"];
const NAMESPACE: &str = "AWS/Lambda";
const METRICS: &[&str] = &["Invocations", "Errors", "Throttles", "Duration"];

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS cw_data (
  id INTEGER PRIMARY KEY, function TEXT NOT NULL, metric TEXT NOT NULL, at_ms INTEGER NOT NULL, value REAL NOT NULL);
CREATE INDEX IF NOT EXISTS cw_data_of_metric ON cw_data (metric, function, at_ms);
";

/// Data that may wait for the writer.
const QUEUE: usize = 4096;

struct Datum {
    function: String,
    metric: &'static str,
    at_ms: i64,
    value: f64,
}

/// The metrics.
pub struct CloudWatch {
    store: Store,
    queue: mpsc::Sender<Datum>,
}

impl CloudWatch {
    /// Opens the metrics in the store.
    pub async fn open(store: Store) -> Result<CloudWatch, AwsError> {
        sqlx::raw_sql(SCHEMA).execute(&store.db).await?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(write(store.clone(), waiting));
        Ok(CloudWatch { store, queue })
    }

    /// An invocation ended. Like on AWS, its metrics appear a little later.
    pub async fn invoked(&self, function: &str, at_ms: i64, duration_ms: f64, failed: bool) {
        let errors = if failed { 1.0 } else { 0.0 };
        for (metric, value) in [
            ("Invocations", 1.0),
            ("Errors", errors),
            ("Duration", duration_ms),
        ] {
            self.put(function, metric, at_ms, value).await;
        }
    }

    /// An invocation found no room.
    pub async fn throttled(&self, function: &str, at_ms: i64) {
        self.put(function, "Throttles", at_ms, 1.0).await;
    }

    async fn put(&self, function: &str, metric: &'static str, at_ms: i64, value: f64) {
        // The writer ends with the process only.
        let _ = self
            .queue
            .send(Datum {
                function: function.to_owned(),
                metric,
                at_ms,
                value,
            })
            .await;
    }

    /// Answers one operation of the API.
    pub async fn call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        match operation {
            "GetMetricData" => self.metric_data(&input).await,
            "GetMetricStatistics" => self.metric_statistics(&input).await,
            "ListMetrics" => self.list_metrics(&input).await,
            _ => Err(AwsError::unknown_operation(
                "CloudWatch",
                operation,
                OPERATIONS,
            )),
        }
    }

    async fn metric_data(&self, input: &Value) -> Result<Value, AwsError> {
        let (from, to) = (instant(&input["StartTime"])?, instant(&input["EndTime"])?);
        let mut results = Vec::new();
        for query in input["MetricDataQueries"].as_array().into_iter().flatten() {
            let stat = &query["MetricStat"];
            if !stat.is_object() {
                return Err(invalid("local answers MetricStat queries, not expressions"));
            }
            if query["ReturnData"] == json!(false) {
                continue;
            }
            let metric = &stat["Metric"];
            let name = metric["MetricName"].as_str().unwrap_or_default();
            let buckets = self.buckets(metric, from, to, period(stat)?).await?;
            let wanted = stat["Stat"].as_str().unwrap_or("Average");
            let mut points = Vec::new();
            for (at, values) in &buckets {
                points.push((*at, statistic(wanted, values)?));
            }
            if input["ScanBy"].as_str() != Some("TimestampAscending") {
                points.reverse();
            }
            results.push(json!({
                "Id": query["Id"],
                "Label": query["Label"].as_str().unwrap_or(name),
                "Timestamps": points.iter().map(|(at, _)| epoch_seconds(*at)).collect::<Vec<_>>(),
                "Values": points.iter().map(|(_, value)| value).collect::<Vec<_>>(),
                "StatusCode": "Complete",
            }));
        }
        Ok(json!({"MetricDataResults": results, "Messages": []}))
    }

    async fn metric_statistics(&self, input: &Value) -> Result<Value, AwsError> {
        let (from, to) = (instant(&input["StartTime"])?, instant(&input["EndTime"])?);
        let buckets = self.buckets(input, from, to, period(input)?).await?;
        let unit = unit(input["MetricName"].as_str().unwrap_or_default());
        let mut points = Vec::new();
        for (at, values) in &buckets {
            let mut point = json!({"Timestamp": epoch_seconds(*at), "Unit": unit});
            for name in input["Statistics"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                point[name] = json!(statistic(name, values)?);
            }
            let mut extended = json!({});
            for name in input["ExtendedStatistics"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                extended[name] = json!(statistic(name, values)?);
            }
            if extended
                .as_object()
                .is_some_and(|extended| !extended.is_empty())
            {
                point["ExtendedStatistics"] = extended;
            }
            points.push(point);
        }
        Ok(json!({"Label": input["MetricName"], "Datapoints": points}))
    }

    async fn list_metrics(&self, input: &Value) -> Result<Value, AwsError> {
        let wanted = function_of(input);
        let rows =
            sqlx::query("SELECT DISTINCT metric, function FROM cw_data ORDER BY metric, function")
                .fetch_all(&self.store.db)
                .await?;
        let metrics: Vec<Value> = rows
            .into_iter()
            .map(|row| {
                (
                    row.get::<String, _>("metric"),
                    row.get::<String, _>("function"),
                )
            })
            .filter(|(metric, function)| {
                input["Namespace"]
                    .as_str()
                    .is_none_or(|namespace| namespace == NAMESPACE)
                    && input["MetricName"]
                        .as_str()
                        .is_none_or(|name| name == metric)
                    && wanted.is_none_or(|wanted| wanted == function)
            })
            .map(|(metric, function)| {
                json!({
                    "Namespace": NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": [{"Name": "FunctionName", "Value": function}],
                })
            })
            .collect();
        Ok(json!({"Metrics": metrics}))
    }

    /// The values of a metric by period, oldest first.
    async fn buckets(
        &self,
        metric: &Value,
        from_ms: i64,
        to_ms: i64,
        period_ms: i64,
    ) -> Result<BTreeMap<i64, Vec<f64>>, AwsError> {
        let name = metric["MetricName"].as_str().unwrap_or_default();
        if metric["Namespace"].as_str() != Some(NAMESPACE) || !METRICS.contains(&name) {
            return Ok(BTreeMap::new());
        }
        let rows = sqlx::query(
            "SELECT at_ms, value FROM cw_data WHERE metric = ?1 AND (?2 IS NULL OR function = ?2)
             AND at_ms >= ?3 AND at_ms < ?4",
        )
        .bind(name)
        .bind(function_of(metric))
        .bind(from_ms)
        .bind(to_ms)
        .fetch_all(&self.store.db)
        .await?;
        let mut buckets: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for row in rows {
            let at: i64 = row.get("at_ms");
            buckets
                .entry(at - at.rem_euclid(period_ms))
                .or_default()
                .push(row.get("value"));
        }
        Ok(buckets)
    }
}

/// Writes what has gathered in one transaction: no invocation waits for the disk.
async fn write(store: Store, mut waiting: mpsc::Receiver<Datum>) {
    let mut data = Vec::new();
    while waiting.recv_many(&mut data, QUEUE).await > 0 {
        if let Err(error) = commit(&store, &data).await {
            tracing::warn!(%error, count = data.len(), "metrics were lost");
        }
        data.clear();
    }
}

async fn commit(store: &Store, data: &[Datum]) -> Result<(), sqlx::Error> {
    let mut transaction = store.begin().await?;
    for datum in data {
        sqlx::query("INSERT INTO cw_data (function, metric, at_ms, value) VALUES (?, ?, ?, ?)")
            .bind(&datum.function)
            .bind(datum.metric)
            .bind(datum.at_ms)
            .bind(datum.value)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

fn function_of(metric: &Value) -> Option<&str> {
    let dimensions = metric["Dimensions"].as_array()?;
    dimensions
        .iter()
        .find(|dimension| dimension["Name"] == "FunctionName")?["Value"]
        .as_str()
}

fn unit(metric: &str) -> &'static str {
    if metric == "Duration" {
        "Milliseconds"
    } else {
        "Count"
    }
}

fn period(input: &Value) -> Result<i64, AwsError> {
    match input["Period"].as_i64() {
        Some(seconds) if seconds > 0 => Ok(seconds * 1000),
        _ => Err(invalid("Period must be a positive number of seconds")),
    }
}

/// A moment, which JSON clients send as epoch seconds and others as RFC 3339.
fn instant(value: &Value) -> Result<i64, AwsError> {
    match value {
        Value::Number(seconds) => Ok((seconds.as_f64().unwrap_or(0.0) * 1000.0) as i64),
        Value::String(text) => text
            .parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
            .map_err(|error| invalid(&format!("{text:?} is not a time: {error}"))),
        Value::Null => Ok(now_ms()),
        _ => Err(invalid("StartTime and EndTime must be times")),
    }
}

/// A statistic of at least one value.
fn statistic(name: &str, values: &[f64]) -> Result<f64, AwsError> {
    let sum: f64 = values.iter().sum();
    Ok(match name {
        "Sum" => sum,
        "SampleCount" => values.len() as f64,
        "Average" => sum / values.len() as f64,
        "Minimum" => values.iter().copied().fold(f64::INFINITY, f64::min),
        "Maximum" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        percentile => {
            let percent: Option<f64> = percentile
                .strip_prefix('p')
                .and_then(|percent| percent.parse().ok());
            let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
            let percent = percent
                .ok_or_else(|| invalid(&format!("local does not compute the statistic {name}")))?;
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            let place = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
            sorted[place.clamp(1, sorted.len()) - 1]
        }
    })
}

fn invalid(message: &str) -> AwsError {
    AwsError::bad_request("InvalidParameterValue", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_of_the_values() {
        let values = [4.0, 1.0, 3.0, 2.0];
        let of = |name| statistic(name, &values).unwrap();
        assert_eq!(
            (of("Sum"), of("Average"), of("Minimum"), of("Maximum")),
            (10.0, 2.5, 1.0, 4.0)
        );
        assert_eq!(
            (of("SampleCount"), of("p50"), of("p99"), of("p0")),
            (4.0, 2.0, 4.0, 1.0)
        );
        assert!(statistic("tm90", &values).is_err());
    }
}
