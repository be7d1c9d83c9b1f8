//! `sqs:sendMessage`.
//! <https://docs.aws.amazon.com/step-functions/latest/dg/connect-sqs.html>

use serde_json::Value;

use super::{Fault, exception, refused, with_metadata};
use crate::sqs::Sqs;

/// Sends a message; a body that is no text is sent as JSON.
pub async fn send(sqs: &Sqs, mut parameters: Value) -> Result<Value, Fault> {
    let url = parameters["QueueUrl"].as_str().unwrap_or_default();
    if let Some(host) = nowhere(url) {
        let cause = format!("Unable to execute HTTP request: {host}: Name or service not known");
        return Err(("SQS.SdkClientException".into(), cause));
    }
    let body = &mut parameters["MessageBody"];
    if !body.is_string() && !body.is_null() {
        *body = Value::String(body.to_string());
    }
    match sqs.call("SendMessage", parameters).await {
        Ok(answer) => Ok(with_metadata(answer)),
        Err(error) => {
            let class = match error.code.as_str() {
                "InvalidParameterValue" | "MissingParameter" => "AmazonSQSException".to_owned(),
                code => exception(code),
            };
            Err(refused("SQS", "AmazonSQS", &class, &error))
        }
    }
}

/// The host of a URL that names no queue at it.
fn nowhere(url: &str) -> Option<&str> {
    let rest = url
        .strip_prefix("http://")
        .or(url.strip_prefix("https://"))?;
    (!rest.trim_end_matches('/').contains('/')).then_some(rest.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_queue_leads_nowhere() {
        assert_eq!(nowhere("http://somewhere"), Some("somewhere"));
        assert_eq!(nowhere("http://127.0.0.1:1/000000000000/q"), None);
        assert_eq!(nowhere("q"), None);
    }
}
