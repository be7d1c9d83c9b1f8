//! The document around every page: head, navigation, routes.

use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::{
    components::{FlatRoutes, Route, Router},
    hooks::use_location,
    path,
};

use model::{HealthLevel, Verdict};

use crate::{
    backend::SharedBackend,
    components::status::icon,
    pages::{
        bulk::BulkPage,
        bulks::BulksPage,
        cold_starts::ColdStartsPage,
        health::{HealthPage, level_tone},
        images::ImagesPage,
        job::JobPage,
        jobs::JobsPage,
        new_bulk::NewBulkPage,
        new_job::NewJobPage,
        not_found::NotFoundPage,
        pipeline::PipelinePage,
    },
};

/// The whole document. Wants a [`crate::backend::SharedBackend`] and a [`crate::backend::PageStatus`] in context.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    provide_meta_context();
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <link rel="icon" href="/favicon.svg" />
                <link rel="stylesheet" href="/style.css" />
                <HydrationScripts options islands=true />
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

#[component]
fn App() -> impl IntoView {
    view! {
        <Title formatter=|title: String| format!("{title} · Gantry") />
        <Router>
            <a class="skip" href="#main">
                "Skip to content"
            </a>
            <Navigation />
            <main id="main" tabindex="-1">
                <FlatRoutes fallback=NotFoundPage>
                    <Route path=path!("/jobs") view=JobsPage />
                    <Route path=path!("/jobs/new") view=NewJobPage />
                    <Route path=path!("/jobs/:id") view=JobPage />
                    <Route path=path!("/bulks") view=BulksPage />
                    <Route path=path!("/bulks/new") view=NewBulkPage />
                    <Route path=path!("/bulks/:id") view=BulkPage />
                    <Route path=path!("/pipelines/:name") view=PipelinePage />
                    <Route path=path!("/images") view=ImagesPage />
                    <Route path=path!("/cold-starts") view=ColdStartsPage />
                    <Route path=path!("/health") view=HealthPage />
                </FlatRoutes>
            </main>
        </Router>
    }
}

/// The mark beside Health: there when something is wrong, with the sentence for whoever hovers or listens.
fn mark(verdict: &Verdict) -> AnyView {
    if verdict.level == HealthLevel::Good {
        return view! { <span id="health-mark" class="mark"></span> }.into_any();
    }
    let tone = level_tone(verdict.level);
    view! {
        <span id="health-mark" class=format!("mark {}", tone.class()) title=verdict.sentence.clone()>
            {icon(tone)}
            <span class="sr">": " {verdict.sentence.clone()}</span>
        </span>
    }
    .into_any()
}

#[component]
fn Navigation() -> impl IntoView {
    let path = use_location().pathname.get_untracked();
    let entry = |href: &'static str, label: &'static str| {
        let current = if path == href {
            Some("page")
        } else {
            path.strip_prefix(href)
                .is_some_and(|rest| rest.starts_with('/') && path != "/jobs/new")
                .then_some("true")
        };
        view! {
            <li>
                <a href=href aria-current=current>
                    {label}
                </a>
            </li>
        }
    };
    // None while the server only lists its routes.
    let verdict = use_context::<SharedBackend>().map(|backend| backend.verdict());
    let health = view! {
        <li>
            <a href="/health" aria-current=(path == "/health").then_some("page")>
                "Health" {verdict.as_ref().map(mark)}
            </a>
        </li>
    };
    view! {
        <header class="top">
            <a class="brand" href="/jobs">
                <svg viewBox="0 0 32 32" aria-hidden="true">
                    <path d="M5 27V9h22v18M5 9l6-5h10l6 5M16 9v7M12 16h8v6h-8z" />
                </svg>
                "Gantry"
            </a>
            <nav aria-label="Pages">
                <ul>
                    {entry("/jobs", "Jobs")} {entry("/bulks", "Bulk")} {entry("/images", "Images")}
                    {entry("/cold-starts", "Cold starts")} {health}
                </ul>
            </nav>
            <a
                class="button primary"
                href="/jobs/new"
                aria-current=(path == "/jobs/new").then_some("page")
            >
                "New job"
            </a>
        </header>
    }
}
