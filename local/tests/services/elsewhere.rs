//! A Lambda that does what the test says: every invocation waits until the test answers it.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::aws::PATIENCE;

/// One invocation.
pub struct Asked {
    pub function: String,
    pub event: Value,
    answer: oneshot::Sender<Response>,
}

pub struct Elsewhere {
    pub url: String,
    asked: mpsc::UnboundedReceiver<Asked>,
}

impl Elsewhere {
    pub async fn start() -> Elsewhere {
        let (send, asked) = mpsc::unbounded_channel();
        let app = Router::new()
            .route("/2015-03-31/functions/{function}/invocations", post(invoke))
            .with_state(send);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Elsewhere { url, asked }
    }

    /// The next invocation.
    pub async fn next(&mut self) -> Asked {
        let asked = tokio::time::timeout(PATIENCE, self.asked.recv()).await;
        asked
            .expect("an invocation comes")
            .expect("the server lives")
    }
}

impl Elsewhere {
    /// Whether nobody invoked anything that was not looked at.
    pub fn nothing(&mut self) -> bool {
        self.asked.try_recv().is_err()
    }

    /// Forgets invocations that nobody looked at.
    pub fn forget(&mut self) {
        while self.asked.try_recv().is_ok() {}
    }
}

impl Asked {
    pub fn succeed(self, output: Value) {
        let _ = self.answer.send(output.to_string().into_response());
    }

    pub fn fail(self, error: &str, message: &str) {
        let body = json!({"errorType": error, "errorMessage": message}).to_string();
        let answer = ([("x-amz-function-error", "Unhandled")], body);
        let _ = self.answer.send(answer.into_response());
    }

    /// Lambda itself refuses.
    pub fn refuse(self, status: u16, error: &'static str) {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = (status, [("x-amzn-errortype", error)], "{}");
        let _ = self.answer.send(answer.into_response());
    }
}

async fn invoke(
    State(asked): State<mpsc::UnboundedSender<Asked>>,
    Path(function): Path<String>,
    event: Bytes,
) -> Response {
    let (answer, answered) = oneshot::channel();
    let event = serde_json::from_slice(&event).unwrap();
    let name = function.rsplit(':').next().unwrap_or_default().to_owned();
    let _ = asked.send(Asked {
        function: name,
        event,
        answer,
    });
    answered
        .await
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
