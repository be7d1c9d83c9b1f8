//! The router as a whole, in process, without AWS.

use std::collections::BTreeSet;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, Response, StatusCode, header},
};
use serde_json::{Value, json};
use tower::ServiceExt;
use utoipa::OpenApi;

use super::{Edge, openapi, route, router};
use crate::control::{Control, testing::control};
use crate::store::testing::on_each_database;

on_each_database!(
    every_route_refuses_a_host_that_is_not_this_server,
    every_route_that_changes_something_refuses_other_sites_pages,
    every_page_of_the_app_is_in_the_table,
    a_job_is_accepted_with_its_address,
    what_is_wrong_with_a_job_is_told_field_by_field,
    what_cannot_be_read_or_found_is_an_error_in_json,
    a_form_without_script_makes_a_job_and_goes_to_its_page,
    a_form_that_is_wrong_comes_back_with_what_was_typed,
    a_program_that_sends_a_form_is_told_in_json,
    an_action_that_cannot_be_is_told_on_the_jobs_page,
    pages_say_what_browsers_may_do_with_them,
    only_what_a_job_made_is_served,
    a_repeated_request_is_answered_with_the_first_job,
    a_bulk_operation_is_made_looked_at_and_begun,
    what_a_form_is_refused_is_told_where_it_was_asked_for,
);

const HOST: &str = "127.0.0.1:8080";

struct Site {
    _folder: tempfile::TempDir,
    control: Control,
    edge: Edge,
    router: Router,
}

async fn site() -> Site {
    let (folder, control) = control().await;
    let edge = Edge::new(control.clone(), 8080);
    Site {
        _folder: folder,
        control,
        router: router(edge.clone()),
        edge,
    }
}

impl Site {
    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, address: &str) -> Response<Body> {
        self.send(to(Method::GET, address, Body::empty())).await
    }

    async fn submit(&self, body: Value) -> Response<Body> {
        self.post("/api/v1/jobs", &body, &[]).await
    }

    async fn post(
        &self,
        address: &str,
        body: &Value,
        headers: &[(&'static str, &str)],
    ) -> Response<Body> {
        let mut request = to(Method::POST, address, Body::from(body.to_string()));
        for (name, value) in [("content-type", "application/json")].iter().chain(headers) {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        self.send(request).await
    }

    async fn post_form(&self, address: &str, fields: &[(&str, &str)]) -> Response<Body> {
        let mut body = String::new();
        for (name, value) in fields {
            body += &format!(
                "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        body += "--b--\r\n";
        let mut request = to(Method::POST, address, Body::from(body));
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            "multipart/form-data; boundary=b".parse().unwrap(),
        );
        self.send(request).await
    }
}

fn to(method: Method, address: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(address)
        .header(header::HOST, HOST)
        .body(body)
        .unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn json_of(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

/// An address of a route, with something in each of its parameters.
fn address_of(path: &str) -> String {
    path.replace("{id}", "01890a5d-ac96-774b-bcce-b302099a8057")
        .replace("{name}", "Inspect")
        .replace("{*name}", "hls/master.m3u8")
        .replace("{*file}", "app.js")
}

async fn every_route_refuses_a_host_that_is_not_this_server() {
    let site = site().await;
    for route in route::table() {
        for host in ["evil.example", "evil.example:8080", "127.0.0.1:9999", ""] {
            let mut request = to(route.method.clone(), &address_of(route.path), Body::empty());
            request
                .headers_mut()
                .insert(header::HOST, host.parse().unwrap());
            let response = site.send(request).await;
            assert_eq!(
                response.status(),
                StatusCode::FORBIDDEN,
                "{} {} for host {host:?}",
                route.method,
                route.path
            );
        }
    }
}

async fn every_route_that_changes_something_refuses_other_sites_pages() {
    let site = site().await;
    let changing: Vec<_> = route::table()
        .into_iter()
        .filter(route::Route::changes)
        .collect();
    assert!(
        changing.len() >= 6,
        "submit, rerun and stop, as form and API"
    );
    for route in changing {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
        ] {
            let mut request = to(route.method.clone(), &address_of(route.path), Body::empty());
            request.headers_mut().insert(name, value.parse().unwrap());
            let response = site.send(request).await;
            assert_eq!(
                response.status(),
                StatusCode::FORBIDDEN,
                "{} {} with {name}: {value}",
                route.method,
                route.path
            );
        }
    }
}

#[tokio::test]
async fn no_route_is_anyones_but_probes() {
    let open: Vec<_> = route::table()
        .into_iter()
        .filter(|route| route.access == route::Access::Anyone)
        .map(|route| route.path)
        .collect();
    assert_eq!(open, ["/healthz", "/readyz", "/metrics"]);
}

async fn every_page_of_the_app_is_in_the_table() {
    let site = site().await;
    let table: BTreeSet<_> = route::table()
        .into_iter()
        .filter(|route| route.method == Method::GET)
        .map(|route| route.path)
        .collect();
    let pages = site.edge.pages.routes.as_ref();
    assert!(pages.iter().any(|path| path == "/jobs"), "{pages:?}");
    for path in pages {
        assert!(table.contains(path.as_str()), "{path} is not in {table:?}");
    }
}

#[tokio::test]
async fn the_api_is_described_whole() {
    let document = serde_json::to_value(openapi::Api::openapi()).unwrap();
    for route in route::table() {
        if route.path.starts_with("/api/") || route.access == route::Access::Anyone {
            let method = route.method.as_str().to_ascii_lowercase();
            assert!(
                document["paths"][route.path][&method].is_object(),
                "{method} {} is not described",
                route.path
            );
        }
    }
    insta::assert_json_snapshot!(document);
}

async fn a_job_is_accepted_with_its_address() {
    let site = site().await;
    let input = json!({"source": "https://x.example/clip.mp4?sig=secret"});
    let response = site
        .submit(json!({"pipeline": "media", "input": input}))
        .await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let location = response.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned();
    let job = json_of(response).await;
    assert_eq!(job["status"], "queued");
    assert_eq!(job["source"], "https://x.example/clip.mp4");
    let view = json_of(site.get(&location).await).await;
    assert_eq!(view["input"]["max_height"], 1080);
    assert_eq!(view["execution"], Value::Null);
    assert_eq!(view["rerun"]["kind"], "unavailable");
}

async fn what_is_wrong_with_a_job_is_told_field_by_field() {
    let site = site().await;
    let response = site
        .submit(json!({"pipeline": "media", "input": {"source": "gs://b/k", "part_mib": 1}}))
        .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let mut error = json_of(response).await;
    assert!(error["request_id"].is_string());
    error["request_id"] = "…".into();
    insta::assert_json_snapshot!(error);
}

async fn what_cannot_be_read_or_found_is_an_error_in_json() {
    let site = site().await;
    for (response, status) in [
        (site.submit(json!({"pipeline": "media"})).await, 400),
        (
            site.submit(json!({"pipeline": "nonesuch", "input": {}}))
                .await,
            404,
        ),
        (site.get("/api/v1/jobs/no-id").await, 404),
        (site.get("/api/v1/jobs?status=nonesuch").await, 400),
        (site.get("/api/v1/nothing").await, 404),
        (
            site.send(to(Method::DELETE, "/api/v1/jobs", Body::empty()))
                .await,
            405,
        ),
    ] {
        assert_eq!(response.status().as_u16(), status);
        let error = json_of(response).await;
        assert!(error["code"].is_string() && error["message"].is_string());
    }
}

async fn a_form_without_script_makes_a_job_and_goes_to_its_page() {
    let site = site().await;
    let fields = [
        ("source", "https://x.example/clip.mp4"),
        ("title", ""),
        ("max_height", "720"),
    ];
    let response = site.post_form("/jobs", &fields).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let address = response.headers()[header::LOCATION].to_str().unwrap();
    let id = address.strip_prefix("/jobs/").unwrap().parse().unwrap();
    let job = site.control.store.job(id).await.unwrap().unwrap();
    assert_eq!(job.input["max_height"], 720);
    assert_eq!(job.summary.title, "clip.mp4");
}

async fn a_form_that_is_wrong_comes_back_with_what_was_typed() {
    let site = site().await;
    let fields = [("source", "gs://bucket/clip.mp4"), ("title", "My talk")];
    let response = site.post_form("/jobs", &fields).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let page = text(response).await;
    for part in ["gs://bucket/clip.mp4", "My talk", "not supported yet"] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

async fn a_program_that_sends_a_form_is_told_in_json() {
    let site = site().await;
    let mut request = to(Method::POST, "/jobs", Body::from("--b--\r\n"));
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, "application/json".parse().unwrap());
    let kind = "multipart/form-data; boundary=b".parse().unwrap();
    headers.insert(header::CONTENT_TYPE, kind);
    let response = site.send(request).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json_of(response).await["fields"][0]["pointer"], "/source");
}

async fn an_action_that_cannot_be_is_told_on_the_jobs_page() {
    let site = site().await;
    let job = crate::store::testing_submit(&site.control.store, 1).await;
    let address = format!("/jobs/{job}/rerun");
    let response = site.send(to(Method::POST, &address, Body::empty())).await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    let page = text(response).await;
    assert!(page.contains("waits for its start"), "{page}");
    let response = site
        .send(to(
            Method::POST,
            &format!("/jobs/{job}/stop"),
            Body::empty(),
        ))
        .await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

async fn pages_say_what_browsers_may_do_with_them() {
    let site = site().await;
    let response = site.get("/jobs").await;
    assert_eq!(response.status(), StatusCode::OK);
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap()
        .to_owned();
    let nonce = policy
        .split("'nonce-")
        .nth(1)
        .and_then(|rest| rest.split('\'').next())
        .unwrap()
        .to_owned();
    assert!(nonce.len() >= 16, "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let page = text(response).await;
    for script in page.split("<script").skip(1) {
        let tag = script.split('>').next().unwrap();
        assert!(tag.contains(&nonce), "a script without the nonce: {tag}");
    }
    let missing = site.get("/nothing/here").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    let job = "/jobs/01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(site.get(job).await.status(), StatusCode::NOT_FOUND);
}

async fn only_what_a_job_made_is_served() {
    let site = site().await;
    let job = crate::store::testing_submit(&site.control.store, 1).await;
    for name in [
        "poster.jpg",
        "../../uploads/x/secret.mp4",
        "manifest.json",
        "%2e%2e/other",
    ] {
        let response = site.get(&format!("/jobs/{job}/artifacts/{name}")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{name}");
    }
}

#[tokio::test]
async fn the_server_is_ready_without_aws_and_not_without_its_store() {
    let site = site().await;
    let ready = site.get("/readyz").await;
    assert_eq!(ready.status(), StatusCode::OK);
    site.control.store.close().await;
    let response = site.get("/readyz").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let readiness = json_of(response).await;
    assert_eq!(readiness["ready"], false);
    assert!(readiness["reason"].as_str().unwrap().contains("database"));
    assert_eq!(site.get("/healthz").await.status(), StatusCode::OK);
    // The Health page is there to tell it.
    let health = json_of(site.get("/api/v1/health").await).await;
    assert_eq!(health["verdict"]["level"], "broken");
    assert_eq!(site.get("/health").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_streams_while_they_are_open() {
    let site = site().await;
    site.get("/jobs/01890a5d-ac96-774b-bcce-b302099a8057?x=secret")
        .await;
    site.get("/nothing/at/all").await;
    let seat = site.control.live.seat();
    let text_now = async || text(site.get("/metrics").await).await;
    let metrics = text_now().await;
    for line in [
        "gantry_http_requests_total{method=\"GET\",route=\"/jobs/{id}\",status=\"404\"} 1",
        "gantry_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1",
        "gantry_sse_clients 1",
    ] {
        assert!(
            metrics.lines().any(|other| other == line),
            "{line} in {metrics}"
        );
    }
    assert!(!metrics.contains("secret") && !metrics.contains("01890a5d"));
    drop(seat);
    assert!(text_now().await.contains("\ngantry_sse_clients 0\n"));
}

async fn a_repeated_request_is_answered_with_the_first_job() {
    let site = site().await;
    let body = json!({"pipeline": "media", "input": {"source": "https://x.example/a.mp4"}});
    let with_key = async |body: &Value, key| {
        let headers = [("idempotency-key", key), ("gantry-actor", "nightly import")];
        site.post("/api/v1/jobs", body, &headers).await
    };
    let first = json_of(with_key(&body, "k-1").await).await;
    let again = with_key(&body, "k-1").await;
    assert_eq!(again.status(), StatusCode::ACCEPTED);
    assert_eq!(json_of(again).await["id"], first["id"]);
    let other = json!({"pipeline": "media", "input": {"source": "https://x.example/b.mp4"}});
    let refused = with_key(&other, "k-1").await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let error = json_of(refused).await;
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(first["id"].as_str().unwrap()), "{message}");
    assert_eq!(with_key(&body, " ").await.status(), StatusCode::BAD_REQUEST);
    // Derived from what is asked for, fields in any order.
    let once = json!({"pipeline": "media", "once": true, "input": {"source": "https://x.example/c.mp4", "title": "C"}});
    let turned = json!({"once": true, "input": {"title": "C", "source": "https://x.example/c.mp4"}, "pipeline": "media"});
    let ids = [&once, &turned].map(async |body| json_of(site.submit(body.clone()).await).await);
    let [one, two] = ids;
    assert_eq!(one.await["id"], two.await["id"]);
    let address = format!("/api/v1/jobs/{}", first["id"].as_str().unwrap());
    let view = json_of(site.get(&address).await).await;
    assert_eq!(view["lineage"][0]["actor"], "nightly import");
}

async fn a_bulk_operation_is_made_looked_at_and_begun() {
    let site = site().await;
    let wrong = json!({"what": {"kind": "sumbit"}});
    let refused = site.post("/api/v1/bulks", &wrong, &[]).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let message = json_of(refused).await["message"].to_string();
    assert!(message.contains("sumbit"), "{message}");
    let submit = json!({"what": {"kind": "submit", "pipeline": "media", "inputs": [
        {"source": "https://x.example/a.mp4"}, {"source": "clip.mp4"}]}});
    let made = site.post("/api/v1/bulks", &submit, &[]).await;
    assert_eq!(made.status(), StatusCode::ACCEPTED);
    let address = made.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(json_of(made).await["state"], "draft");
    let view = json_of(site.get(&address).await).await;
    assert_eq!(view["items"][1]["state"], "refused");
    let page = text(site.get(address.trim_start_matches("/api/v1")).await).await;
    assert!(page.contains("Submit 1 job"), "{page}");
    let begun = site
        .post(&format!("{address}/start"), &json!({}), &[])
        .await;
    assert_eq!(begun.status(), StatusCode::ACCEPTED);
    let again = site
        .post(&format!("{address}/start"), &json!({}), &[])
        .await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    let nothing = site
        .post(&format!("{address}/explode"), &json!({}), &[])
        .await;
    assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
}

async fn what_a_form_is_refused_is_told_where_it_was_asked_for() {
    let site = site().await;
    let job = crate::store::testing_submit(&site.control.store, 1).await;
    let post = async |address: &str, body: String| {
        let response = site.send(to(Method::POST, address, Body::from(body))).await;
        let status = response.status();
        (status, text(response).await)
    };
    // An edit of one job must not come back as a form about all of them.
    let edit = format!("kind=rerun&job={job}&mode=restart&input=%7Bbroken");
    let (status, page) = post("/bulks", edit).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(page.contains("That was not done") && page.contains("is not JSON"));
    assert!(page.contains("clip 1") && !page.contains("Any that is over"));
    let (status, page) = post("/bulks/nonesuch/pause", String::new()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("nonesuch"), "{page}");
    let (status, page) = post("/jobs/nonesuch/stop", String::new()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("nonesuch"), "{page}");
}
