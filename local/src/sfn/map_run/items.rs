//! The items of Map Runs: where they come from, and how they are put into batches.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html>
//! <https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itembatcher.html>

use std::io::Read as _;

use asl::machine::distributed::Format;
use asl::step::{Batch, Items};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::csv;
use crate::s3::Storage;
use crate::sfn::integration::Fault;
use crate::wire::AwsError;

/// Most bytes of an object that items are read from, and of what it is when it is unpacked.
const OBJECT_BYTES_MAX: u64 = 512 << 20;
/// Most items that `local` has in one Map Run.
const ITEMS_MAX: usize = 1_000_000;
/// Most bytes of a child's input.
const INPUT_BYTES_MAX: usize = 262_144;

/// The items that a plan names.
pub async fn read(s3: &Storage, items: &Items) -> Result<Vec<Value>, Fault> {
    let (parameters, format, items_max) = match items {
        Items::Given(items) => return Ok(items.clone()),
        Items::Read {
            parameters,
            format,
            items_max,
            ..
        } => (parameters, format, items_max),
    };
    let most = match items_max {
        None => usize::MAX,
        Some(most) if *most < 1 => return Err(failed("field MaxItems must be positive")),
        Some(most) => usize::try_from(*most).unwrap_or(usize::MAX),
    };
    let bucket = parameters["Bucket"].as_str().unwrap_or_default();
    let items = if *format == Format::Objects {
        objects(s3, parameters, most.min(ITEMS_MAX + 1)).await?
    } else {
        let key = parameters["Key"].as_str().unwrap_or_default();
        let body = s3
            .read(bucket, key, OBJECT_BYTES_MAX)
            .await
            .map_err(refused)?;
        match format {
            Format::Manifest => manifest(s3, &body, most.min(ITEMS_MAX + 1)).await?,
            format => parse(&body, format, most)?,
        }
    };
    if items.len() > ITEMS_MAX {
        return Err(failed(format!(
            "local runs Map Runs of at most {ITEMS_MAX} items."
        )));
    }
    Ok(items)
}

fn parse(body: &Bytes, format: &Format, most: usize) -> Result<Vec<Value>, Fault> {
    let text = std::str::from_utf8(body)
        .map_err(|error| failed(format!("The object is not UTF-8: {error}")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Json => match serde_json::from_str(text) {
            Ok(Value::Array(mut items)) => {
                items.truncate(most);
                Ok(items)
            }
            Ok(_) => Err(failed("Attempting to map over non-iterable node.")),
            Err(error) => Err(failed(format!("The object is not JSON: {error}"))),
        },
        Format::JsonLines => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .take(most)
            .map(|line| {
                serde_json::from_str(line)
                    .map_err(|error| failed(format!("A line of the object is not JSON: {error}")))
            })
            .collect(),
        Format::Csv { delimiter, headers } => {
            csv::items(text, *delimiter, headers.as_deref(), most)
        }
        Format::Objects | Format::Manifest => Ok(Vec::new()),
    }
}

/// Every object of a bucket, or those with a prefix.
async fn objects(s3: &Storage, parameters: &Value, most: usize) -> Result<Vec<Value>, Fault> {
    let mut ask = parameters.clone();
    let mut items = Vec::new();
    while items.len() < most {
        let page = s3.call("listObjectsV2", &ask).await.map_err(refused)?;
        for object in page["Contents"].as_array().into_iter().flatten() {
            let modified = object["LastModified"].as_str().unwrap_or_default();
            let modified = modified
                .parse()
                .map(jiff::Timestamp::as_second)
                .unwrap_or(0);
            items.push(json!({
                "Etag": object["ETag"],
                "Key": object["Key"],
                "LastModified": modified,
                "Size": object["Size"],
                "StorageClass": object["StorageClass"],
            }));
        }
        match &page["NextContinuationToken"] {
            Value::String(token) => ask["ContinuationToken"] = json!(token),
            _ => break,
        }
    }
    items.truncate(most);
    Ok(items)
}

/// The objects that a manifest of S3 Inventory lists, by the files that it names.
async fn manifest(s3: &Storage, body: &Bytes, most: usize) -> Result<Vec<Value>, Fault> {
    let manifest: Value = serde_json::from_slice(body)
        .map_err(|error| failed(format!("The manifest is not JSON: {error}")))?;
    if manifest["fileFormat"] != "CSV" {
        return Err(failed("The manifest's fileFormat must be CSV."));
    }
    let columns = manifest["fileSchema"].as_str().unwrap_or_default();
    let columns: Vec<String> = columns
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect();
    let bucket = manifest["destinationBucket"].as_str().unwrap_or_default();
    let bucket = bucket.rsplit(':').next().unwrap_or_default();
    let mut items = Vec::new();
    for file in manifest["files"].as_array().into_iter().flatten() {
        let key = file["key"].as_str().unwrap_or_default();
        let packed = s3
            .read(bucket, key, OBJECT_BYTES_MAX)
            .await
            .map_err(refused)?;
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(&packed[..])
            .take(OBJECT_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| failed(format!("{key} is not a gzip file of text: {error}")))?;
        items.extend(csv::items(&text, b',', Some(&columns), most - items.len())?);
        if items.len() >= most {
            break;
        }
    }
    Ok(items)
}

/// What the children are given, each with how many items are in it.
pub fn batches(items: Vec<Value>, batch: Option<&Batch>) -> Result<Vec<(i64, String)>, Fault> {
    let too_large = || {
        let cause =
            "The size of an item or a batch exceeds the maximum number of bytes service limit.";
        ("States.DataLimitExceeded".to_owned(), cause.to_owned())
    };
    let Some(batch) = batch else {
        return items
            .into_iter()
            .map(|item| {
                Some((1, item.to_string())).filter(|(_, text)| text.len() <= INPUT_BYTES_MAX)
            })
            .map(|input| input.ok_or_else(too_large))
            .collect();
    };
    let mut frame = Map::new();
    if let Some(input) = &batch.input {
        frame.insert("BatchInput".into(), input.clone());
    }
    frame.insert("Items".into(), json!([]));
    let frame = Value::Object(frame).to_string();
    // All but the items and the end: `…"Items":[`.
    let head = &frame[..frame.len() - 2];
    let most = batch.items_max.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    });
    let bytes_max = batch
        .bytes_max
        .map_or(INPUT_BYTES_MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        })
        .min(INPUT_BYTES_MAX);
    let mut batches = Vec::new();
    let (mut text, mut count) = (head.to_owned(), 0);
    for item in items {
        let item = item.to_string();
        let full = count == most || text.len() + 1 + item.len() + 2 > bytes_max;
        if full && count > 0 {
            text.push_str("]}");
            batches.push((count as i64, std::mem::replace(&mut text, head.to_owned())));
            count = 0;
        }
        if head.len() + item.len() + 2 > bytes_max {
            return Err(too_large());
        }
        if count > 0 {
            text.push(',');
        }
        text.push_str(&item);
        count += 1;
    }
    if count > 0 {
        text.push_str("]}");
        batches.push((count as i64, text));
    }
    Ok(batches)
}

fn failed(cause: impl Into<String>) -> Fault {
    ("States.ItemReaderFailed".into(), cause.into())
}

fn refused(error: AwsError) -> Fault {
    failed(format!(
        "{} (Service: Amazon S3; Status Code: {}; Error Code: {}; Request ID: {}; Proxy: null)",
        error.message,
        error.status,
        error.code,
        uuid::Uuid::new_v4()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(items: Value, items_max: Option<u64>, bytes_max: Option<u64>) -> Vec<String> {
        let Value::Array(items) = items else {
            panic!("items are an array");
        };
        let batch = Batch {
            items_max,
            bytes_max,
            input: Some(json!({"k": 1})),
        };
        let batches = batches(items, Some(&batch)).unwrap();
        batches.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn batches_have_so_many_items_and_bytes() {
        assert_eq!(
            texts(json!([1, 2, 3]), Some(2), None),
            [
                r#"{"BatchInput":{"k":1},"Items":[1,2]}"#,
                r#"{"BatchInput":{"k":1},"Items":[3]}"#
            ]
        );
        let bytes_max = r#"{"BatchInput":{"k":1},"Items":["aa"]}"#.len() as u64;
        assert_eq!(texts(json!(["aa", "b", 1]), None, Some(bytes_max)).len(), 3);
        assert_eq!(texts(json!(["aa", 1, 2]), None, Some(bytes_max)).len(), 2);
        let single = batches(vec![json!({"a": 1})], None).unwrap();
        assert_eq!(single, [(1, r#"{"a":1}"#.to_owned())]);
    }

    #[test]
    fn formats() {
        let json = Bytes::from("[1,2,3]");
        assert_eq!(
            parse(&json, &Format::Json, 2).unwrap(),
            [json!(1), json!(2)]
        );
        let lines = Bytes::from("{\"a\":1}\n\n2\n");
        assert_eq!(
            parse(&lines, &Format::JsonLines, 9).unwrap(),
            [json!({"a": 1}), json!(2)]
        );
        let (error, cause) = parse(&Bytes::from("{}"), &Format::Json, 1).unwrap_err();
        assert_eq!(error, "States.ItemReaderFailed");
        assert_eq!(cause, "Attempting to map over non-iterable node.");
    }
}
