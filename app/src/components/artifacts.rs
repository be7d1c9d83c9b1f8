//! What a job made: something to look at and to play first, then every file with its size and checksum.

use leptos::prelude::*;
use model::{Artifact, ArtifactKind, JobId, percent_encoded, time::bytes_text};

use super::copy::copy_button;
use crate::clock::Clock;

/// The address under which the server gives the file; `name` is the key below the job's prefix.
pub fn artifact_url(id: JobId, artifact: &Artifact) -> String {
    let prefix = format!("jobs/{id}/");
    let name = artifact.key.strip_prefix(&prefix).unwrap_or(&artifact.key);
    let name = name
        .split('/')
        .map(percent_encoded)
        .collect::<Vec<_>>()
        .join("/");
    format!("/jobs/{id}/artifacts/{name}")
}

fn of(artifacts: &[Artifact], kind: ArtifactKind) -> Option<&Artifact> {
    artifacts.iter().find(|artifact| artifact.kind == kind)
}

fn name(artifact: &Artifact) -> String {
    match (artifact.width, artifact.height) {
        (Some(width), Some(height)) => format!("{} ({width}×{height})", artifact.label),
        _ => artifact.label.clone(),
    }
}

/// A kind as in JSON: `sprite_index`.
fn kind_name(kind: ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::Source => "source",
        ArtifactKind::Probe => "probe",
        ArtifactKind::Poster => "poster",
        ArtifactKind::Sprite => "sprite",
        ArtifactKind::SpriteIndex => "sprite_index",
        ArtifactKind::MasterPlaylist => "master_playlist",
        ArtifactKind::Playlist => "playlist",
        ArtifactKind::Rendition => "rendition",
        ArtifactKind::Waveform => "waveform",
        ArtifactKind::Loudness => "loudness",
        ArtifactKind::Manifest => "manifest",
    }
}

/// Player, pictures and the table of files; `playing` is the index of the rendition in the player.
pub fn artifacts(
    id: JobId,
    artifacts: &[Artifact],
    playing: RwSignal<usize>,
    clock: Clock,
) -> AnyView {
    if artifacts.is_empty() {
        return ().into_any();
    }
    view! {
        <section class="artifacts" aria-labelledby="artifacts-title">
            <h2 id="artifacts-title">"Artifacts"</h2>
            <div class="gallery">
                {player(id, artifacts, playing)} {picture(id, artifacts, ArtifactKind::Poster, "Poster")}
                {picture(id, artifacts, ArtifactKind::Sprite, "Sprite sheet")}
                {picture(id, artifacts, ArtifactKind::Waveform, "Waveform")}
            </div>
            {table(id, artifacts, clock)}
        </section>
    }
    .into_any()
}

fn player(id: JobId, artifacts: &[Artifact], playing: RwSignal<usize>) -> AnyView {
    let renditions: Vec<(String, String)> = artifacts
        .iter()
        .filter(|artifact| artifact.kind == ArtifactKind::Rendition)
        .map(|artifact| (artifact_url(id, artifact), name(artifact)))
        .collect();
    if renditions.is_empty() {
        return ().into_any();
    }
    let poster = of(artifacts, ArtifactKind::Poster).map(|poster| artifact_url(id, poster));
    let urls: Vec<String> = renditions.iter().map(|(url, _)| url.clone()).collect();
    let choices: Vec<_> = renditions
        .into_iter()
        .enumerate()
        .map(|(at, (url, name))| {
            view! {
                <a
                    class="button small"
                    href=url
                    aria-current=move || (playing.get() == at).then_some("true")
                    on:click=move |event| {
                        event.prevent_default();
                        playing.set(at);
                    }
                >
                    {name}
                </a>
            }
        })
        .collect();
    view! {
        <figure class="player">
            <video
                controls
                preload="metadata"
                poster=poster
                src=move || urls.get(playing.get()).cloned().unwrap_or_default()
            >
                "Your browser plays no video; the links below are the files."
            </video>
            <figcaption>"Rendition: " {choices}</figcaption>
        </figure>
    }
    .into_any()
}

fn picture(id: JobId, artifacts: &[Artifact], kind: ArtifactKind, title: &'static str) -> AnyView {
    of(artifacts, kind)
        .map(|artifact| {
            let url = artifact_url(id, artifact);
            view! {
                <figure class=format!("picture {}", title.to_lowercase().replace(' ', "-"))>
                    <a href=url.clone()>
                        <img src=url.clone() alt=format!("{title}, full size") loading="lazy" />
                    </a>
                    <figcaption>{title}</figcaption>
                </figure>
            }
        })
        .into_any()
}

fn table(id: JobId, artifacts: &[Artifact], clock: Clock) -> AnyView {
    let rows: Vec<_> = artifacts
        .iter()
        .map(|artifact| {
            let url = artifact_url(id, artifact);
            let file = artifact
                .key
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned();
            view! {
                <tr data-testid="artifact" data-kind=kind_name(artifact.kind)>
                    <th scope="row">
                        <a href=url.clone()>{name(artifact)}</a>
                    </th>
                    <td class="narrow-hide">{artifact.content_type.clone()}</td>
                    <td class="number">{bytes_text(artifact.bytes)}</td>
                    <td class="checksum">
                        <code title=artifact.sha256.clone()>
                            {artifact.sha256.chars().take(12).collect::<String>()}
                        </code>
                        {copy_button(artifact.sha256.clone(), format!("SHA-256 of {}", artifact.label), clock.alive_signal())}
                    </td>
                    <td>
                        <a href=url download=file aria-label=format!("Download {}", artifact.label)>
                            "Download"
                        </a>
                    </td>
                </tr>
            }
        })
        .collect();
    let total: u64 = artifacts.iter().map(|artifact| artifact.bytes).sum();
    view! {
        <table class="files">
            <caption>
                {format!("{} files, {}", artifacts.len(), bytes_text(total))}
            </caption>
            <thead>
                <tr>
                    <th scope="col">"File"</th>
                    <th scope="col" class="narrow-hide">
                        "Type"
                    </th>
                    <th scope="col" class="number">
                        "Size"
                    </th>
                    <th scope="col" class="checksum">
                        "SHA-256"
                    </th>
                    <th scope="col">
                        <span class="sr">"Download"</span>
                    </th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_the_folders_below_the_prefix() {
        let id = JobId(uuid::Uuid::nil());
        let artifact = Artifact {
            kind: ArtifactKind::Rendition,
            key: format!("jobs/{id}/hls/720p 1.mp4"),
            label: "720p".to_owned(),
            content_type: "video/mp4".to_owned(),
            bytes: 1,
            sha256: String::new(),
            width: None,
            height: None,
        };
        assert_eq!(
            artifact_url(id, &artifact),
            format!("/jobs/{id}/artifacts/hls/720p%201.mp4")
        );
    }
}
