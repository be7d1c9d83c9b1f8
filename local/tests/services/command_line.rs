//! The program itself: what it says when it cannot start, and what is left when it is killed.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::aws::{Aws, eventually, fifo, lives, read_all};
use crate::image::push;

fn local(port: &str, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command
        .args(["--port", port, "--data"])
        .arg(data)
        .stdin(Stdio::null());
    command
}

/// Starts the program on a free port and gives its URL.
fn start(data: &Path) -> (Child, String) {
    let mut child = local("0", data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let url = line
        .trim()
        .strip_prefix("local is ready at ")
        .unwrap_or_else(|| panic!("{line:?}"));
    (child, url.to_owned())
}

fn refusal(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[tokio::test]
async fn what_stands_in_the_way_is_said_in_one_sentence() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, said) = refusal(&mut local(&port, data.path()));
    assert_eq!(code, Some(2));
    assert!(
        said.contains(&format!("cannot listen on 127.0.0.1:{port}")) && said.lines().count() == 1,
        "{said}"
    );

    let file = data.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (code, said) = refusal(&mut local("0", &file.join("below")));
    assert!(
        code == Some(2) && said.contains("cannot write to the data directory"),
        "{said}"
    );

    let aws = Aws::start(data.path()).await;
    let (code, said) = refusal(&mut local("0", data.path()));
    assert!(
        code == Some(2) && said.contains("another local is already using"),
        "{said}"
    );
    aws.server.shutdown().await;
}

#[tokio::test]
async fn killing_local_kills_every_sandbox_and_loses_nothing() {
    let data = tempfile::tempdir().unwrap();
    let aws = Aws::start(data.path()).await;
    push(&aws, "1", "").await;
    aws.function("hanging", json!({})).await;
    aws.server.shutdown().await;

    let (mut program, url) = start(data.path());
    let pipe = fifo(data.path(), "child");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let invoke = |event: serde_json::Value| {
        let invoke = format!("{url}/2015-03-31/functions/hanging/invocations");
        client.post(invoke).body(event.to_string()).send()
    };
    let event = json!({"act": "hang", "fifo": pipe});
    let (cut, child) = tokio::join!(invoke(event), async {
        let child = read_all(&pipe).await;
        assert!(lives(&child));
        program.kill().unwrap();
        child
    });
    assert!(cut.is_err());
    program.wait().unwrap();
    eventually("the end of the sandbox's own child", || async {
        (!lives(&child)).then_some(())
    })
    .await;

    let aws = Aws::start(data.path()).await;
    let (_, error) = aws.invoke("hanging", json!({"act": "look"})).await;
    assert_eq!(error, None);
    aws.server.shutdown().await;
}
