//! `/images`: the repository's images and which Lambda functions run them now.

use leptos::prelude::*;
use leptos_meta::Title;
use model::{Image, ImageView, TimestampMs, time::bytes_text};

use super::failed;
use crate::{
    backend::SharedBackend,
    components::{
        digest::{image_anchor, short_digest},
        moment::{age_text, moment, rfc3339, utc_text},
        status::{Tone, badge},
    },
    islands::copy::CopyButton,
};

/// The alias that the pipeline's definition calls.
const LIVE_ALIAS: &str = "live";

/// Whether jobs that start now run this image.
fn is_live(image: &Image) -> bool {
    image
        .uses
        .iter()
        .any(|one| one.aliases.iter().any(|alias| alias == LIVE_ALIAS))
}

/// `1 layer`, `3 layers`.
fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// The images.
#[component]
pub fn ImagesPage() -> impl IntoView {
    let backend = expect_context::<SharedBackend>();
    Suspend::new(async move {
        match backend.images().await {
            Ok(view) => images(&view),
            Err(error) => failed(&error),
        }
    })
}

fn images(view: &ImageView) -> AnyView {
    let body = if view.images.is_empty() {
        view! {
            <div class="empty">
                <h2>"No images"</h2>
                <p>"Nothing has been pushed to the repository yet. Deploy once, and the image appears here."</p>
            </div>
        }
        .into_any()
    } else {
        view.images
            .iter()
            .map(|one| image(one, view.as_of_ms))
            .collect::<Vec<_>>()
            .into_any()
    };
    view! {
        <Title text="Images" />
        <div class="title-line">
            <h1>"Images"</h1>
            <p class="hint">"Read from ECR at " {moment(view.as_of_ms)}</p>
        </div>
        {view
            .is_stale
            .then(|| {
                view! {
                    <p class="banner" role="status">
                        "AWS does not answer. This is what it said at " {moment(view.as_of_ms)}
                        "; reload to ask again."
                    </p>
                }
            })}
        {body}
    }
    .into_any()
}

fn image(image: &Image, now: TimestampMs) -> AnyView {
    let live = is_live(image);
    let title = if image.tags.is_empty() {
        "untagged".to_owned()
    } else {
        image.tags.join(", ")
    };
    view! {
        <article
            class=if live { "panel image live" } else { "panel image" }
            id=image_anchor(&image.digest)
            data-testid="image"
            data-digest=image.digest.clone()
        >
            <div class="title-line">
                <h2>{title}</h2>
                {live.then(|| badge(Tone::Succeeded, "Live"))}
            </div>
            <dl class="facts">
                <div>
                    <dt>"Digest"</dt>
                    <dd>
                        <code title=image.digest.clone()>{short_digest(&image.digest)}</code>
                        <CopyButton text=image.digest.clone() what="digest".to_owned() />
                    </dd>
                </div>
                <div>
                    <dt>"Pushed"</dt>
                    <dd>{image
                            .pushed_at_ms
                            .map(|at| {
                                view! {
                                    <time datetime=rfc3339(at) title=utc_text(at)>
                                        {age_text(at, now)}
                                    </time>
                                }
                            })}</dd>
                </div>
                <div>
                    <dt>"Size"</dt>
                    <dd>{bytes_text(image.bytes)}</dd>
                </div>
                <div>
                    <dt>"Repository"</dt>
                    <dd>{image.repository.clone()}</dd>
                </div>
            </dl>
            {uses(image)} {layers(image)} {labels(image)}
        </article>
    }
    .into_any()
}

fn uses(image: &Image) -> AnyView {
    if image.uses.is_empty() {
        return view! { <p class="hint">"No function runs this image now."</p> }.into_any();
    }
    let rows: Vec<_> = image
        .uses
        .iter()
        .map(|one| {
            let aliases = one
                .aliases
                .iter()
                .map(|alias| {
                    let class = if alias == LIVE_ALIAS {
                        "chip live"
                    } else {
                        "chip"
                    };
                    view! { <span class=class>{alias.clone()}</span> }
                })
                .collect_view();
            view! {
                <tr>
                    <th scope="row">{one.function.clone()}</th>
                    <td>{one.version.clone()}</td>
                    <td>{aliases}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <details open=is_live(image)>
            <summary>{format!("Run by {}", counted(image.uses.len(), "function version"))}</summary>
            <table>
                <caption class="sr">"Function versions that run this image"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Function"</th>
                        <th scope="col">"Version"</th>
                        <th scope="col">"Aliases"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </details>
    }
    .into_any()
}

fn layers(image: &Image) -> AnyView {
    let rows: Vec<_> = image
        .layers
        .iter()
        .map(|layer| {
            view! {
                <tr>
                    <th scope="row">
                        <code title=layer.digest.clone()>{short_digest(&layer.digest)}</code>
                    </th>
                    <td class="number">{bytes_text(layer.bytes)}</td>
                    <td class="break">{layer.created_by.clone()}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <details>
            <summary>{counted(image.layers.len(), "layer")}</summary>
            <table>
                <caption class="sr">"Layers, base first"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Digest"</th>
                        <th scope="col" class="number">
                            "Compressed"
                        </th>
                        <th scope="col">"Made by"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </details>
    }
    .into_any()
}

fn labels(image: &Image) -> AnyView {
    if image.labels.is_empty() {
        return ().into_any();
    }
    let rows: Vec<_> = image
        .labels
        .iter()
        .map(|(name, value)| {
            view! {
                <div class="wide">
                    <dt>{name.clone()}</dt>
                    <dd class="break">{value.clone()}</dd>
                </div>
            }
        })
        .collect();
    view! {
        <details>
            <summary>{counted(image.labels.len(), "label")}</summary>
            <dl class="facts">{rows}</dl>
        </details>
    }
    .into_any()
}
