//! Every page as the server renders it: what a person without script gets. Uses the preview's made-up views.

use std::sync::{Arc, Once};

use app::backend::{ActionFailure, PageStatus, SharedBackend, SubmitFailure};
use axum::{body::Body, http::Request};
use leptos::prelude::{LeptosOptions, provide_context};
use model::{ApiError, ErrorCode, FieldError};

use backend::{Preview, Shown};

#[path = "../examples/preview/backend.rs"]
mod backend;
#[path = "../examples/preview/bulks.rs"]
mod bulks;
#[path = "../examples/preview/deploy.rs"]
mod deploy;
#[path = "../examples/preview/health.rs"]
mod health;
#[path = "../examples/preview/jobs.rs"]
#[allow(dead_code, reason = "only the preview moves")]
mod jobs;
#[path = "../examples/preview/states.rs"]
mod states;

const FAILED: &str = "/jobs/0198c0de-0000-7000-8000-00000000003d";
const RUNNING: &str = "/jobs/0198c0de-0000-7000-8000-00000000003f";
const SUCCEEDED: &str = "/jobs/0198c0de-0000-7000-8000-00000000003c";

/// A page's status and HTML.
async fn get(address: &str, shown: Shown) -> (u16, String) {
    get_told(address, shown, None, None).await
}

async fn get_told(
    address: &str,
    shown: Shown,
    submit: Option<SubmitFailure>,
    action: Option<ActionFailure>,
) -> (u16, String) {
    static READY: Once = Once::new();
    let options = LeptosOptions::builder().output_name("app").build();
    READY.call_once(|| {
        let options = options.clone();
        leptos_axum::generate_route_list(move || app::shell(options.clone()));
    });
    let status = PageStatus::new();
    let read = status.clone();
    let handler = leptos_axum::render_app_async_with_context(
        move || {
            provide_context::<SharedBackend>(Arc::new(Preview(shown)));
            provide_context(status.clone());
            if let Some(failure) = submit.clone() {
                provide_context(failure);
            }
            if let Some(failure) = action.clone() {
                provide_context(failure);
            }
        },
        move || app::shell(options.clone()),
    );
    let request = Request::get(address)
        .body(Body::empty())
        .expect("the address is valid");
    let response = handler(request).await;
    let body = axum::body::to_bytes(response.into_body(), 16 << 20)
        .await
        .expect("the page ends");
    let html = String::from_utf8(body.to_vec()).expect("pages are UTF-8");
    (read.get(), html)
}

/// The text that a browser shows for the piece between two marks.
fn between<'a>(html: &'a str, from: &str, to: &str) -> &'a str {
    let start = html
        .find(from)
        .unwrap_or_else(|| panic!("no {from} in {html}"));
    let rest = &html[start..];
    &rest[..rest.find(to).unwrap_or(rest.len())]
}

#[tokio::test]
async fn the_list_has_a_row_a_job_and_leads_on() {
    let (status, html) = get("/jobs", Shown::Full).await;
    assert_eq!(status, 200);
    assert!(html.contains("<title>Jobs · Gantry</title>"));
    assert_eq!(html.matches("data-testid=\"job-row\"").count(), 25);
    assert!(html.contains(&format!("href=\"{FAILED}\"")));
    assert!(html.contains("Source.NotMedia"));
    assert!(html.contains("href=\"/jobs?before="));
    assert!(html.contains("href=\"/jobs?status=failed\""));
}

#[tokio::test]
async fn a_filter_is_kept_from_page_to_page() {
    let (status, html) = get("/jobs?status=succeeded", Shown::Full).await;
    assert_eq!(status, 200);
    assert!(html.contains("href=\"/jobs?status=succeeded&amp;before="));
    assert!(!html.contains("Source.NotMedia"));
}

#[tokio::test]
async fn an_empty_list_says_how_to_begin() {
    let (status, html) = get("/jobs", Shown::Empty).await;
    assert_eq!(status, 200);
    assert!(html.contains("No jobs yet"));
    assert!(html.contains("Submit the first job"));
}

#[tokio::test]
async fn what_does_not_exist_is_a_404_and_nonsense_a_400() {
    for address in [
        "/nowhere",
        "/jobs/not-an-id",
        "/jobs/0198c0de-0000-7000-8000-0000000000ff",
    ] {
        let (status, html) = get(address, Shown::Full).await;
        assert_eq!(status, 404, "{address}");
        assert!(
            html.contains("<title>Not found · Gantry</title>"),
            "{address}"
        );
    }
    let (status, _) = get(&format!("{FAILED}?state=Nonsense"), Shown::Full).await;
    assert_eq!(status, 404);
    let (status, html) = get("/jobs?status=odd", Shown::Full).await;
    assert_eq!(status, 400);
    assert!(html.contains("timed_out"), "says which words there are");
}

#[tokio::test]
async fn without_aws_a_page_is_a_503_with_the_request_to_quote() {
    for address in ["/jobs", RUNNING, "/jobs/new", "/images", "/cold-starts"] {
        let (status, html) = get(address, Shown::Away).await;
        assert_eq!(status, 503, "{address}");
        assert!(
            html.contains("0198c0de-aaaa-7bbb-8ccc-123456789abc"),
            "{address}"
        );
    }
}

#[tokio::test]
async fn a_failed_job_says_why_and_offers_the_redrive() {
    let (status, html) = get(FAILED, Shown::Full).await;
    assert_eq!(status, 200);
    let panel = between(&html, "data-testid=\"job-error\"", "</section>");
    assert!(panel.contains("Source.NotMedia"));
    assert!(panel.contains("?state=Inspect#detail"));
    assert!(panel.contains("answered with text/html"));
    assert!(panel.contains("Rerun: redrive from Inspect"));
    assert!(panel.contains(&format!("action=\"{FAILED}/rerun\"")));
    // The state it failed in is the one that is shown.
    let detail = between(&html, "data-testid=\"state-detail\"", "</section>");
    assert!(detail.contains("Inspect"));
    assert!(detail.contains("Attempts"));
    assert!(!html.contains("Stop execution"));
}

#[tokio::test]
async fn a_running_job_is_a_graph_of_links_without_script() {
    let (status, html) = get(RUNNING, Shown::Full).await;
    assert_eq!(status, 200);
    let graph = between(&html, "<svg viewBox", "</section>");
    for (state, status) in [
        ("Inspect", "succeeded"),
        ("Process", "running"),
        ("Publish", "idle"),
    ] {
        let node = between(graph, &format!("data-state=\"{state}\""), ">");
        assert!(
            node.contains(&format!("data-status=\"{status}\"")),
            "{node}"
        );
    }
    assert!(graph.contains(&format!("href=\"{RUNNING}?state=Publish#detail\"")));
    assert!(html.contains("Stop execution"));
    assert!(!html.contains("data-testid=\"job-error\""));
}

#[tokio::test]
async fn error_handling_is_drawn_when_asked_for_or_entered() {
    let (_, html) = get(RUNNING, Shown::Full).await;
    assert!(!html.contains("data-state=\"Abort\""));
    let (_, html) = get(&format!("{RUNNING}?all=1"), Shown::Full).await;
    assert!(html.contains("data-state=\"Abort\""));
    let (_, html) = get(&format!("{RUNNING}?state=Abort"), Shown::Full).await;
    assert!(html.contains("data-state=\"Abort\""));
    // Failed in Rendition: the execution was led to Abort and Failed.
    let (_, html) = get("/jobs/0198c0de-0000-7000-8000-000000000038", Shown::Full).await;
    assert!(html.contains("data-state=\"Abort\""));
    assert!(!html.contains("data-state=\"ProbeFailed\""));
}

#[tokio::test]
async fn a_succeeded_job_shows_every_artifact() {
    let (status, html) = get(SUCCEEDED, Shown::Full).await;
    assert_eq!(status, 200);
    assert_eq!(html.matches("data-testid=\"artifact\"").count(), 11);
    assert!(html.contains(&format!("src=\"{SUCCEEDED}/artifacts/hls/1080p.mp4\"")));
    assert!(html.contains(&format!("poster=\"{SUCCEEDED}/artifacts/poster.jpg\"")));
    assert!(html.contains("Rerun as a new execution"));
}

#[tokio::test]
async fn a_refused_rerun_is_told_above_the_job() {
    let refused = ActionFailure(ApiError::new(ErrorCode::Conflict, "It is running already."));
    let (status, html) = get_told(RUNNING, Shown::Full, None, Some(refused)).await;
    assert_eq!(status, 409);
    assert!(html.contains("It is running already."));
}

#[tokio::test]
async fn the_form_follows_the_schema() {
    let (status, html) = get("/jobs/new", Shown::Full).await;
    assert_eq!(status, 200);
    let form = between(&html, "<form", "</form>");
    assert!(form.contains("enctype=\"multipart/form-data\""));
    let height = between(form, "name=\"max_height\"", "</select>");
    assert_eq!(height.matches("<option").count(), 4);
    let segment = between(form, "name=\"segment_seconds\"", ">");
    assert!(segment.contains("min=\"2\"") && segment.contains("max=\"10\""));
    assert!(segment.contains("value=\"4\""));
    // A file may stand in for the source, so the browser must not insist on it.
    assert!(!between(form, "name=\"source\"", ">").contains("required"));
    assert!(form.contains("type=\"file\""));
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_typed_and_says_where_it_is_wrong() {
    let refused = SubmitFailure {
        pipeline: "media".to_owned(),
        input: serde_json::json!({"source": "ftp://x/\"y", "segment_seconds": "12"}),
        error: ApiError {
            fields: vec![FieldError {
                pointer: "/segment_seconds".to_owned(),
                message: "12 is more than 10.".to_owned(),
            }],
            ..ApiError::new(ErrorCode::Invalid, "One field is not valid.")
        },
    };
    let (status, html) = get_told("/jobs/new", Shown::Full, Some(refused), None).await;
    assert_eq!(status, 400);
    assert!(html.contains("value=\"ftp://x/&quot;y\""));
    let segment = between(&html, "name=\"segment_seconds\"", ">");
    assert!(segment.contains("value=\"12\""));
    assert!(segment.contains("aria-invalid=\"true\""));
    assert!(segment.contains("aria-describedby=\"error-segment_seconds"));
    let error = between(&html, "id=\"error-segment_seconds\"", "</p>");
    assert!(error.contains("12 is more than 10."));
}

#[tokio::test]
async fn images_say_which_one_is_live() {
    let (status, html) = get("/images", Shown::Full).await;
    assert_eq!(status, 200);
    assert_eq!(html.matches("data-testid=\"image\"").count(), 3);
    assert_eq!(html.matches("panel image live").count(), 1);
    assert!(!html.contains("AWS does not answer"));
    let (_, html) = get("/images", Shown::Empty).await;
    assert!(html.contains("No images"));
    let (status, html) = get("/images", Shown::Stale).await;
    assert_eq!(status, 200);
    assert!(html.contains("AWS does not answer"));
    assert_eq!(html.matches("data-testid=\"image\"").count(), 3);
}

#[tokio::test]
async fn cold_starts_are_compared_in_words() {
    let (status, html) = get("/cold-starts", Shown::Full).await;
    assert_eq!(status, 200);
    assert_eq!(html.matches("data-testid=\"cold-start-row\"").count(), 12);
    assert!(html.contains("The candidate starts 12 % slower at p50 (n = 240 against 240)."));
    let (_, html) = get("/cold-starts", Shown::Empty).await;
    assert!(html.contains("No cold starts yet"));
}

#[tokio::test]
async fn every_page_loads_the_browser_half_under_its_real_name() {
    let (_, html) = get("/jobs", Shown::Full).await;
    // With another name the page would stay dead and silent.
    assert!(html.contains("\"app_bg\""));
    assert!(html.contains("/pkg/app_bg.wasm"));
    assert!(html.contains("<leptos-island"));
}

#[tokio::test]
async fn every_page_has_one_main_one_heading_and_a_way_past_the_navigation() {
    for address in [
        "/jobs",
        FAILED,
        SUCCEEDED,
        "/jobs/new",
        "/images",
        "/cold-starts",
        "/no",
    ] {
        let (_, html) = get(address, Shown::Full).await;
        assert_eq!(html.matches("<h1").count(), 1, "{address}");
        assert_eq!(html.matches("<main").count(), 1, "{address}");
        assert!(html.contains("href=\"#main\""), "{address}");
        assert!(html.contains("<html lang=\"en\""), "{address}");
        assert!(!html.contains(" style="), "inline style on {address}");
    }
}

#[tokio::test]
async fn health_says_what_is_wrong_and_every_page_has_its_mark() {
    let (status, html) = get("/health", Shown::Full).await;
    assert_eq!(status, 200);
    let verdict = between(&html, "data-testid=\"verdict\"", "</section>");
    assert!(verdict.contains("asks to call less often"), "{verdict}");
    assert!(
        verdict.contains("href=\"/jobs?status=queued\""),
        "{verdict}"
    );
    // The operation in trouble comes first.
    let first = between(&html, "data-testid=\"api\"", "</tr>");
    assert!(
        first.contains("StartExecution") && first.contains("ThrottlingException"),
        "{first}"
    );
    let (_, jobs) = get("/jobs", Shown::Full).await;
    let mark = between(&jobs, "id=\"health-mark\"", "</li>");
    assert!(mark.contains("asks to call less often"), "{mark}");
}

#[tokio::test]
async fn health_that_is_good_has_no_mark_and_nothing_to_press() {
    let (_, html) = get("/health", Shown::Empty).await;
    assert!(html.contains("Everything works."));
    assert!(!html.contains("Look again"));
    let mark = between(&html, "id=\"health-mark\"", "</li>");
    assert!(!mark.contains("<svg"), "{mark}");
}

#[tokio::test]
async fn a_bulk_operations_page_says_what_it_would_do_and_what_it_did() {
    let (status, html) = get("/bulks", Shown::Full).await;
    assert_eq!(status, 200);
    assert_eq!(html.matches("class=\"row-link\"").count(), 5);
    let (_, html) = get("/bulks", Shown::Empty).await;
    assert!(html.contains("No bulk operations yet"));
    let draft = "/bulks/0198c0de-0000-7000-9000-000000000001";
    let (_, html) = get(draft, Shown::Full).await;
    assert!(html.contains("Nothing has happened yet."), "{html}");
    assert!(html.contains("Rerun 121 jobs"));
    let paused = "/bulks/0198c0de-0000-7000-9000-000000000000";
    let (_, html) = get(paused, Shown::Full).await;
    assert!(html.contains("failed again with Source.NotMedia in Inspect"));
    assert!(html.contains("Go on") && html.contains("Cancel the rest"));
    assert!(
        !html.contains("http-equiv=\"refresh\""),
        "it waits for a person"
    );
    let running = "/bulks/0198c0de-0000-7000-9000-000000000002";
    let (_, html) = get(running, Shown::Full).await;
    assert!(html.contains("Look again"), "{html}");
    let (status, _) = get("/bulks/nonesuch", Shown::Full).await;
    assert_eq!(status, 404);
    let (status, html) = get("/bulks/new?kind=rerun&status=failed", Shown::Full).await;
    assert_eq!(status, 200);
    assert!(html.contains("Rerun failed jobs"));
    let (status, _) = get("/bulks/new?kind=explode", Shown::Full).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_search_keeps_what_narrows_the_list_and_offers_what_may_be_done_to_all() {
    let (_, html) = get(
        "/jobs?status=failed&error=Source.NotMedia&text=talk",
        Shown::Full,
    )
    .await;
    assert!(
        html.contains("/bulks/new?kind=rerun&amp;status=failed&amp;text=talk"),
        "{html}"
    );
    assert!(html.contains("Source.NotMedia"));
    let (_, html) = get("/jobs", Shown::Full).await;
    assert!(!html.contains("bulk-actions"), "not for everything at once");
}
