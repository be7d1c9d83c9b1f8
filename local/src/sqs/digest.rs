//! The MD5 sums by which clients check that a message went over the wire unharmed.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::{Map, Value};

/// The sum of a body, in hexadecimal.
pub fn of_body(body: &str) -> String {
    hex(&Md5::digest(body.as_bytes()))
}

/// The sum of message attributes as on the wire (`{name: {DataType, StringValue | BinaryValue}}`), in
/// hexadecimal; `None` when there are none.
pub fn of_attributes(attributes: &Map<String, Value>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut names: Vec<&String> = attributes.keys().collect();
    names.sort();
    let mut sum = Md5::new();
    for name in names {
        let attribute = &attributes[name];
        part(&mut sum, name.as_bytes());
        part(
            &mut sum,
            attribute["DataType"]
                .as_str()
                .unwrap_or_default()
                .as_bytes(),
        );
        match attribute["BinaryValue"].as_str() {
            Some(binary) => {
                sum.update([2]);
                part(&mut sum, &STANDARD.decode(binary).unwrap_or_default());
            }
            None => {
                sum.update([1]);
                let text = attribute["StringValue"].as_str().unwrap_or_default();
                part(&mut sum, text.as_bytes());
            }
        }
    }
    Some(hex(&sum.finalize()))
}

/// A length-prefixed part, as the algorithm wants it.
fn part(sum: &mut Md5, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    sum.update(length.to_be_bytes());
    sum.update(bytes);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_has_the_sum_that_md5sum_prints() {
        assert_eq!(of_body("hello"), "5d41402abc4b2a76b9719d911017c592");
    }

    #[test]
    fn attributes_are_summed_in_the_order_of_their_names() {
        let one = json!({"b": {"DataType": "String", "StringValue": "x"}, "a": {"DataType": "Binary", "BinaryValue": "AAE="}});
        let other = json!({"a": {"DataType": "Binary", "BinaryValue": "AAE="}, "b": {"DataType": "String", "StringValue": "x"}});
        let (one, other) = (one.as_object().unwrap(), other.as_object().unwrap());
        assert_eq!(of_attributes(one), of_attributes(other));
        let text = json!({"a": {"DataType": "Binary", "StringValue": "AAE="}, "b": {"DataType": "String", "StringValue": "x"}});
        assert_ne!(of_attributes(one), of_attributes(text.as_object().unwrap()));
        assert_eq!(of_attributes(&Map::new()), None);
    }

    #[test]
    fn the_sum_is_the_one_a_client_computes() {
        // As the AWS documentation's algorithm gives for the attribute `k` = String `v`.
        let bytes = b"\0\0\0\x01k\0\0\0\x06String\x01\0\0\0\x01v";
        let attributes = json!({"k": {"DataType": "String", "StringValue": "v"}});
        assert_eq!(
            of_attributes(attributes.as_object().unwrap()),
            Some(hex(&Md5::digest(bytes)))
        );
    }
}
