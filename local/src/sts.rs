//! STS: who the caller is, which many clients ask before anything else.
//!
//! Owns the one operation, in STS's query protocol: a form in, XML out. Everybody is the one account's user.
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use uuid::Uuid;

use crate::wire::ACCOUNT;

/// Most bytes of a request.
const FORM_BYTES_MAX: usize = 64 << 10;

/// Whether a request speaks the query protocol, which of the services here only STS does.
pub fn owns(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let form = "application/x-www-form-urlencoded";
    request.method() == Method::POST
        && request.uri().path() == "/"
        && kind.is_some_and(|kind| kind.as_bytes().starts_with(form.as_bytes()))
}

/// Answers one request.
pub async fn answer(request: Request) -> Response<Body> {
    let form = axum::body::to_bytes(request.into_body(), FORM_BYTES_MAX).await;
    let form = form.unwrap_or_default();
    let asked = form
        .split(|byte| *byte == b'&')
        .any(|pair| pair == b"Action=GetCallerIdentity");
    let id = Uuid::new_v4();
    let space = "https://sts.amazonaws.com/doc/2011-06-15/";
    let (status, body) = if asked {
        let who = format!(
            "<Arn>arn:aws:iam::{ACCOUNT}:user/local</Arn><UserId>AIDALOCAL</UserId><Account>{ACCOUNT}</Account>"
        );
        let body = format!(
            "<GetCallerIdentityResponse xmlns=\"{space}\"><GetCallerIdentityResult>{who}</GetCallerIdentityResult><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
        );
        (StatusCode::OK, body)
    } else {
        let why = "<Type>Sender</Type><Code>InvalidAction</Code><Message>local plays STS GetCallerIdentity; use AWS itself for the rest.</Message>";
        let body = format!(
            "<ErrorResponse xmlns=\"{space}\"><Error>{why}</Error><RequestId>{id}</RequestId></ErrorResponse>"
        );
        (StatusCode::BAD_REQUEST, body)
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let xml = HeaderValue::from_static("text/xml");
    response.headers_mut().insert(header::CONTENT_TYPE, xml);
    response
}
