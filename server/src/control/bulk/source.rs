//! The jobs that a bulk submission asks for: listed, in a CSV, or the objects under a prefix in S3. Owns reading
//! them into inputs; what a valid input is, is the pipeline's.

use model::BulkSubmit;
use serde_json::{Map, Value};

use crate::control::{Control, Failure, input::patched, pipeline::Pipeline};

/// Pages of a thousand objects looked through at most: the rest of a larger prefix is another operation's.
const PAGES_MAX: usize = 200;
/// Bytes of a CSV at most.
const CSV_BYTES_MAX: usize = 16 << 20;

/// What is submitted, in a few words, and the input of each job with the shared fields in it.
pub(super) async fn inputs(
    control: &Control,
    pipeline: &Pipeline,
    submit: &BulkSubmit,
    items_max: usize,
) -> Result<(String, Vec<Value>), Failure> {
    let shared = submit.fields.clone().unwrap_or_else(|| Map::new().into());
    if !shared.is_object() {
        return Err(Failure::invalid("`fields` must be a JSON object."));
    }
    let (title, inputs) = match (&submit.inputs, &submit.csv, &submit.prefix) {
        (Some(inputs), None, None) => ("a list".to_owned(), inputs.clone()),
        (None, Some(csv), None) => ("a CSV".to_owned(), of_csv(pipeline, csv)?),
        (None, None, Some(prefix)) => {
            let suffix = submit.suffix.as_deref().unwrap_or_default();
            (
                format!("what is under {prefix}"),
                under(control, prefix, suffix, items_max).await?,
            )
        }
        _ => {
            return Err(Failure::invalid(
                "Say what to submit by exactly one of `inputs`, `csv` and `prefix`.",
            ));
        }
    };
    if inputs.is_empty() {
        return Err(Failure::invalid(match &submit.prefix {
            Some(prefix) => format!("No object is under {prefix} whose key ends as asked for."),
            None => "There is nothing to submit.".to_owned(),
        }));
    }
    if inputs.len() > items_max {
        return Err(Failure::invalid(format!(
            "These are {} jobs, more than the {items_max} that one bulk operation takes. Submit them in parts.",
            inputs.len()
        )));
    }
    let inputs = inputs.iter().map(|input| patched(&shared, input)).collect();
    Ok((title, inputs))
}

/// RFC 4180, with the header that it makes optional. Empty cells count as not said.
fn of_csv(pipeline: &Pipeline, text: &str) -> Result<Vec<Value>, Failure> {
    if text.len() > CSV_BYTES_MAX {
        return Err(Failure::invalid(format!(
            "The CSV has more than {CSV_BYTES_MAX} bytes. Submit it in parts."
        )));
    }
    // Spreadsheets begin their UTF-8 with a mark.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let broken = |error: csv::Error| match error.kind() {
        csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => {
            let line = pos.as_ref().map_or(0, |pos| line_of(text, pos.byte()));
            Failure::invalid(format!(
                "Line {line} of the CSV has {len} cells; the header has {expected_len}."
            ))
        }
        _ => Failure::invalid(format!("The CSV cannot be read: {error}.")),
    };
    let header = reader.headers().map_err(broken)?.clone();
    if header.iter().all(str::is_empty) {
        return Err(Failure::invalid(
            "The CSV is empty. Its first line names fields, such as `source,title`; each line after it is a job.",
        ));
    }
    reader
        .records()
        .map(|record| {
            let record = record.map_err(broken)?;
            let texts: Map<String, Value> = header
                .iter()
                .zip(&record)
                .map(|(name, cell)| (name.to_owned(), cell.into()))
                .collect();
            Ok(pipeline.typed(&texts))
        })
        .collect()
}

/// The line of a record that begins at a byte, from 1. The reader's own count is one too few where lines end in CR LF,
/// as a form's do: it comes to the LF with the next record.
fn line_of(text: &str, byte: u64) -> usize {
    let byte = usize::try_from(byte).unwrap_or(usize::MAX);
    let (before, rest) = text.as_bytes().split_at(byte.min(text.len()));
    let line_ends = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    let skipped = rest.iter().take_while(|byte| b"\r\n".contains(byte));
    1 + line_ends(before) + skipped.filter(|byte| **byte == b'\n').count()
}

/// Objects under `s3://BUCKET/PREFIX` as sources, in the order of their keys. Empty ones are folders' marks.
async fn under(
    control: &Control,
    prefix: &str,
    suffix: &str,
    items_max: usize,
) -> Result<Vec<Value>, Failure> {
    let Some((bucket, key)) = prefix
        .strip_prefix("s3://")
        .map(|rest| rest.split_once('/').unwrap_or((rest, "")))
        .filter(|(bucket, _)| !bucket.is_empty())
    else {
        return Err(Failure::invalid(format!(
            "“{prefix}” is no prefix in S3; use s3://bucket/prefix/."
        )));
    };
    let mut inputs = Vec::new();
    let mut token = None;
    for _ in 0..PAGES_MAX {
        let page = control
            .aws
            .bucket
            .list(bucket, key, token.as_deref())
            .await
            .map_err(|error| match error.code.as_deref() {
                Some("NoSuchBucket") => Failure::invalid(format!("There is no bucket “{bucket}”.")),
                Some("AccessDenied") => Failure::invalid(format!(
                    "AWS does not let Gantry list the bucket “{bucket}”."
                )),
                _ => Failure::from(error),
            })?;
        for object in page.objects {
            if object.bytes > 0 && object.key.ends_with(suffix) {
                let source = format!("s3://{bucket}/{}", object.key);
                inputs.push(Map::from_iter([("source".to_owned(), source.into())]).into());
            }
        }
        token = page.next;
        // One more than fits is enough to refuse.
        if token.is_none() || inputs.len() > items_max {
            return Ok(inputs);
        }
    }
    Err(Failure::invalid(format!(
        "{prefix} holds more than {PAGES_MAX},000 objects. Make the prefix narrower."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::pipeline::pipeline;
    use serde_json::json;

    fn read(text: &str) -> Result<Vec<Value>, String> {
        let media = pipeline("media").unwrap_or_else(|_| panic!("media ships"));
        of_csv(media, text).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_csv_has_a_job_a_line() {
        let text = "\u{feff}source,title,max_height\r\nhttps://x.example/a.mp4,\"A, b\",720\r\ns3://in/c.mp4,,\r\n";
        assert_eq!(
            read(text).unwrap(),
            [
                json!({"source": "https://x.example/a.mp4", "title": "A, b", "max_height": 720}),
                json!({"source": "s3://in/c.mp4"}),
            ]
        );
    }

    #[test]
    fn a_broken_csv_is_refused_by_its_line() {
        for (text, line) in [
            ("source,title\nhttps://x.example/a.mp4\n", "Line 2 "),
            ("source,title\r\nhttps://x.example/a.mp4\r\n", "Line 2 "),
            (
                "source,title\r\ns3://in/a.mp4,\"A,\r\nb\"\r\n\r\ns3://in/b.mp4\r\n",
                "Line 5 ",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(line) && error.contains("1 cells"), "{error}");
        }
        assert!(read("").unwrap_err().contains("is empty"));
    }
}
