//! Functions, versions, aliases, and the processes that run them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::aws::{Aws, answer, eventually, fifo, lives, open_to_write, read_all, refused};
use crate::image::push;

#[tokio::test]
async fn a_process_finds_lambdas_environment_and_is_used_again() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    push(&aws, "1", "").await;
    aws.function(
        "look",
        json!({"Environment": {"Variables": {"OVERRIDDEN": "function"}}, "MemorySize": 256}),
    )
    .await;
    let (seen, error) = aws.invoke("look", json!({"act": "look"})).await;
    assert_eq!(error, None);
    let environment = &seen["environment"];
    let expected = [
        ("FROM_IMAGE", "yes"),
        ("OVERRIDDEN", "function"),
        ("AWS_LAMBDA_FUNCTION_NAME", "look"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/look"),
        ("_HANDLER", "work"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", aws.endpoint.as_str()),
    ];
    for (name, value) in expected {
        assert_eq!(environment[name], value, "{name}");
    }
    assert!(
        environment["AWS_LAMBDA_LOG_STREAM_NAME"]
            .as_str()
            .unwrap()
            .contains("/[$LATEST]")
    );
    assert!(std::path::Path::new(environment["TMPDIR"].as_str().unwrap()).starts_with(data.path()));
    assert_eq!(seen["arguments"], json!(["work"]));
    assert_eq!(
        seen["arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:look"
    );
    let (again, _) = aws.invoke("look", json!({"act": "look"})).await;
    assert_eq!(again["pid"], seen["pid"], "a warm process is used again");

    let pid = seen["pid"].to_string();
    assert!(lives(&pid));
    aws.server.shutdown().await;
    assert!(!lives(&pid), "stopping ends every sandbox");
}

#[tokio::test]
async fn a_caller_may_have_the_end_of_the_log() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    push(&aws, "1", "").await;
    aws.function("look", json!({})).await;
    aws.invoke("look", json!({"act": "look"})).await;
    let url = format!("{}/2015-03-31/functions/look/invocations", aws.endpoint);
    let asked = aws.client.post(url).header("X-Amz-Log-Type", "Tail");
    let response = asked.body(r#"{"act": "look"}"#).send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let log = STANDARD.decode(header("x-amz-log-result")).unwrap();
    let log = String::from_utf8(log).unwrap();
    let request_id = header("x-amzn-requestid");
    let (first, last) = (log.lines().next().unwrap(), log.lines().last().unwrap());
    assert!(
        first.contains(&request_id) && first.contains("platform.start"),
        "{log}"
    );
    assert!(
        last.contains(&request_id) && last.contains("platform.report"),
        "{log}"
    );
    aws.server.shutdown().await;
}

#[tokio::test]
async fn an_alias_that_moves_means_another_process_and_another_digest() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    let first = push(&aws, "1", "first").await;
    let second = push(&aws, "2", "second").await;
    aws.function("moving", json!({})).await;
    let publish = || aws.lambda(Method::POST, "/moving/versions", json!({}));
    assert_eq!(publish().await.unwrap()["Version"], "1");
    assert_eq!(
        publish().await.unwrap()["Version"],
        "1",
        "nothing changed, nothing is published"
    );
    let live = json!({"Name": "live", "FunctionVersion": "1"});
    aws.lambda(Method::POST, "/moving/aliases", live.clone())
        .await
        .unwrap();
    assert_eq!(
        refused(aws.lambda(Method::POST, "/moving/aliases", live).await).1,
        "ResourceConflictException"
    );
    let (before, _) = aws.invoke("moving:live", json!({"act": "look"})).await;

    let host = aws.endpoint.strip_prefix("http://").unwrap();
    let code = json!({"ImageUri": format!("{host}/gantry:2")});
    aws.lambda(Method::PUT, "/moving/code", code).await.unwrap();
    let (still, _) = aws.invoke("moving:live", json!({"act": "look"})).await;
    assert_eq!(
        still["pid"], before["pid"],
        "the alias still points to version 1"
    );
    assert_eq!(publish().await.unwrap()["Version"], "2");
    aws.lambda(
        Method::PUT,
        "/moving/aliases/live",
        json!({"FunctionVersion": "2"}),
    )
    .await
    .unwrap();
    let (after, _) = aws.invoke("moving:live", json!({"act": "look"})).await;
    assert_ne!(after["pid"], before["pid"]);
    assert_eq!(after["environment"]["AWS_LAMBDA_FUNCTION_VERSION"], "2");

    for (qualifier, digest) in [("1", &first), ("2", &second), ("live", &second)] {
        let got = aws
            .lambda(
                Method::GET,
                &format!("/moving?Qualifier={qualifier}"),
                Value::Null,
            )
            .await
            .unwrap();
        let uri = got["Code"]["ResolvedImageUri"].as_str().unwrap();
        assert_eq!(uri, format!("{host}/gantry@{digest}"), "{qualifier}");
    }
    let versions = aws
        .lambda(Method::GET, "/moving/versions", Value::Null)
        .await
        .unwrap();
    let versions: Vec<&str> = versions["Versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["Version"].as_str().unwrap())
        .collect();
    assert_eq!(versions, ["$LATEST", "1", "2"]);
    aws.server.shutdown().await;
}

#[tokio::test]
async fn failures_carry_lambdas_names_and_words() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    push(&aws, "1", "").await;
    aws.function("failing", json!({})).await;
    aws.function(
        "unable",
        json!({"ImageConfig": {"Command": ["cannot-start"]}}),
    )
    .await;
    aws.function("early", json!({"ImageConfig": {"Command": ["dies-early"]}}))
        .await;
    aws.function(
        "absent",
        json!({"ImageConfig": {"EntryPoint": ["/usr/bin/absent"]}}),
    )
    .await;
    let cases = [
        ("failing", "fail", "Media.Broken", "no frames"),
        (
            "failing",
            "exit",
            "Runtime.ExitError",
            "Error: Runtime exited with error: exit status 3",
        ),
        (
            "failing",
            "die",
            "Runtime.ExitError",
            "Error: Runtime exited with error: signal: killed",
        ),
        ("unable", "any", "Settings.Missing", "BUCKET is not set"),
        (
            "early",
            "any",
            "Runtime.ExitError",
            "Error: Runtime exited with error: exit status 7",
        ),
        (
            "absent",
            "any",
            "Runtime.InvalidEntrypoint",
            "Error: fork/exec /usr/bin/absent: no such file or directory",
        ),
    ];
    for (function, act, kind, message) in cases {
        let (payload, error) = aws.invoke(function, json!({"act": act})).await;
        assert_eq!(error.as_deref(), Some("Unhandled"), "{function} {act}");
        assert_eq!(payload["errorType"], kind, "{function} {act}");
        assert!(
            payload["errorMessage"].as_str().unwrap().ends_with(message),
            "{payload}"
        );
    }
    let (payload, error) = aws.invoke("failing", json!({"act": "look"})).await;
    assert!(
        error.is_none() && payload["pid"].is_u64(),
        "the next invocation gets a new process"
    );

    for path in ["/none", "/failing?Qualifier=9", "/failing?Qualifier=live"] {
        let (status, kind, _) = refused(aws.lambda(Method::GET, path, Value::Null).await);
        assert_eq!(
            (status, kind.as_str()),
            (404, "ResourceNotFoundException"),
            "{path}"
        );
    }
    let not_json = aws
        .client
        .post(format!(
            "{}/2015-03-31/functions/failing/invocations",
            aws.endpoint
        ))
        .body("{");
    let (status, kind, _) = refused(answer(not_json.send().await.unwrap()).await);
    assert_eq!(
        (status, kind.as_str()),
        (400, "InvalidRequestContentException")
    );
    let reserved = json!({"Environment": {"Variables": {"AWS_REGION": "mars"}}});
    let (_, kind, message) = refused(
        aws.lambda(Method::PUT, "/failing/configuration", reserved)
            .await,
    );
    assert!(
        kind == "InvalidParameterValueException" && message.contains("AWS_REGION"),
        "{message}"
    );
    aws.server.shutdown().await;
}

#[tokio::test]
async fn a_timeout_ends_the_process_and_what_it_started() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    push(&aws, "1", "").await;
    aws.function("hanging", json!({"Timeout": 1})).await;
    let child = fifo(data.path(), "child");
    let event = json!({"act": "hang", "fifo": child});
    let ((payload, error), child) = tokio::join!(aws.invoke("hanging", event), read_all(&child));
    assert_eq!(error.as_deref(), Some("Unhandled"));
    assert_eq!(payload["errorType"], "Sandbox.Timedout");
    let message = payload["errorMessage"].as_str().unwrap();
    assert!(
        message.starts_with("RequestId: ")
            && message.ends_with("Error: Task timed out after 1.00 seconds"),
        "{message}"
    );
    eventually("the child's end", || async {
        (!lives(&child)).then_some(())
    })
    .await;
    aws.server.shutdown().await;
}

#[tokio::test]
async fn invocations_at_once_get_processes_of_their_own_up_to_the_limit() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start_with(data.path(), |config| config.sandboxes_max = 2).await;
    push(&aws, "1", "").await;
    aws.function("busy", json!({})).await;
    let (first, second) = (fifo(data.path(), "first"), fifo(data.path(), "second"));
    let wait = |fifo: &str| json!({"act": "wait", "fifo": fifo});
    let both = async {
        tokio::join!(
            aws.invoke("busy", wait(&first)),
            aws.invoke("busy", wait(&second))
        )
    };
    let third = async {
        // Both are running once somebody reads both pipes.
        let (first, second) = tokio::join!(open_to_write(&first), open_to_write(&second));
        let refused = aws.send_event("busy", &json!({"act": "look"})).await;
        drop((first, second));
        refused
    };
    let (((one, _), (two, _)), refused) = tokio::join!(both, third);
    assert_ne!(one["pid"], two["pid"]);
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let (_, body) = answer(refused).await.unwrap_err();
    assert_eq!(
        (&body["__type"], &body["Reason"]),
        (
            &json!("TooManyRequestsException"),
            &json!("ConcurrentInvocationLimitExceeded")
        )
    );

    // With no room left, an idle process of another function makes way.
    aws.function("other", json!({})).await;
    let (other, error) = aws.invoke("other", json!({"act": "look"})).await;
    assert_eq!(
        (error, &other["environment"]["AWS_LAMBDA_FUNCTION_NAME"]),
        (None, &json!("other"))
    );
    aws.server.shutdown().await;
}

#[tokio::test]
async fn an_idle_process_ends_and_one_that_left_is_replaced() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start_with(data.path(), |config| config.sandbox_idle = Duration::ZERO).await;
    push(&aws, "1", "").await;
    aws.function("idle", json!({})).await;
    let (seen, _) = aws.invoke("idle", json!({"act": "look"})).await;
    let pid = seen["pid"].to_string();
    eventually("the end of the idle process", || async {
        (!lives(&pid)).then_some(())
    })
    .await;

    // Whether its end was noticed or not when the next event comes: the event is not lost.
    let mut pids = Vec::new();
    for _ in 0..5 {
        let (seen, error) = aws.invoke("idle", json!({"act": "retire"})).await;
        assert_eq!(error, None);
        pids.push(seen["pid"].as_u64().unwrap());
    }
    pids.dedup();
    assert_eq!(pids.len(), 5);
    aws.server.shutdown().await;
}

#[tokio::test]
async fn functions_survive_a_restart_and_end_when_deleted() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    push(&aws, "1", "").await;
    aws.function("lasting", json!({"Publish": true})).await;
    aws.server.shutdown().await;

    let aws = Aws::start(data.path()).await;
    let (_, error) = aws.invoke("lasting:1", json!({"act": "look"})).await;
    assert_eq!(error, None);
    aws.lambda(Method::DELETE, "/lasting", Value::Null)
        .await
        .unwrap();
    let gone = aws.send_event("lasting", &json!({"act": "look"})).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    aws.server.shutdown().await;
}

#[tokio::test]
async fn another_lambda_takes_the_invocations_of_the_other_services_when_one_is_given() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let elsewhere = Aws::start(there.path()).await;
    push(&elsewhere, "1", "").await;
    elsewhere.function("remote", json!({})).await;
    let endpoint = elsewhere.endpoint.clone();
    let aws = Aws::start_with(here.path(), |config| {
        config.lambda_endpoint = Some(endpoint)
    })
    .await;
    let invoke = |act: &str| {
        let event = json!({"act": act}).to_string();
        let lambda = aws.server.services().lambda.clone();
        async move { lambda.invoke("remote:$LATEST", event.into()).await }
    };
    let seen: Value = serde_json::from_slice(&invoke("look").await.unwrap().payload).unwrap();
    assert_eq!(
        seen["environment"]["AWS_ENDPOINT_URL"],
        elsewhere.endpoint.as_str()
    );
    assert_eq!(
        invoke("fail").await.unwrap().function_error.as_deref(),
        Some("Unhandled")
    );
    elsewhere
        .lambda(Method::DELETE, "/remote", Value::Null)
        .await
        .unwrap();
    assert_eq!(
        invoke("look").await.unwrap_err().code,
        "ResourceNotFoundException"
    );
    aws.server.shutdown().await;
    elsewhere.server.shutdown().await;
}
