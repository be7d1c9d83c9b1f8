//! How a status looks: one tone, one icon, one word, the same in lists, badges and the graph.
//! No meaning is carried by colour alone.

use leptos::prelude::*;
use model::{JobStatus, StateStatus};

/// The looks a status may have; each is a class in the style sheet and an icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Idle,
    Queued,
    Running,
    Retrying,
    Succeeded,
    Caught,
    Failed,
    Stopped,
}

impl Tone {
    /// Class that sets the colours.
    pub fn class(self) -> &'static str {
        match self {
            Tone::Idle => "tone-idle",
            Tone::Queued => "tone-queued",
            Tone::Running => "tone-running",
            Tone::Retrying => "tone-retrying",
            Tone::Succeeded => "tone-succeeded",
            Tone::Caught => "tone-caught",
            Tone::Failed => "tone-failed",
            Tone::Stopped => "tone-stopped",
        }
    }

    /// Path data of the icon, drawn as a line in a box of 16 by 16.
    pub fn icon(self) -> &'static str {
        match self {
            Tone::Idle => "M8 4a4 4 0 1 0 0 8a4 4 0 0 0 0-8z",
            Tone::Queued => "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11zM8 5v3.3l2.2 1.4",
            Tone::Running => "M5.5 3.5l6.5 4.5l-6.5 4.5z",
            Tone::Retrying => "M13 2.8v3.4h-3.4M12.7 6.2A5.2 5.2 0 1 0 13 9.6",
            Tone::Succeeded => "M3 8.6l3.4 3.4L13 4.6",
            Tone::Caught => "M2.5 4.5h6.3a3 3 0 0 1 0 6H4M6.5 7.8L3.8 10.5l2.7 2.7",
            Tone::Failed => "M4 4l8 8M12 4l-8 8",
            Tone::Stopped => "M4.5 4.5h7v7h-7z",
        }
    }
}

/// The look of a job's status.
pub fn job_tone(status: JobStatus) -> Tone {
    match status {
        JobStatus::Queued => Tone::Queued,
        JobStatus::Running => Tone::Running,
        JobStatus::Succeeded => Tone::Succeeded,
        JobStatus::Failed | JobStatus::TimedOut => Tone::Failed,
        JobStatus::Aborted => Tone::Stopped,
    }
}

/// The look of a state's status.
pub fn state_tone(status: StateStatus) -> Tone {
    match status {
        StateStatus::Idle => Tone::Idle,
        StateStatus::Running => Tone::Running,
        StateStatus::Retrying => Tone::Retrying,
        StateStatus::Succeeded => Tone::Succeeded,
        StateStatus::Caught => Tone::Caught,
        StateStatus::Failed => Tone::Failed,
        StateStatus::Aborted => Tone::Stopped,
    }
}

/// A state's status for people.
pub fn state_label(status: StateStatus) -> &'static str {
    match status {
        StateStatus::Idle => "Not entered",
        StateStatus::Running => "Running",
        StateStatus::Retrying => "Waiting to retry",
        StateStatus::Succeeded => "Succeeded",
        StateStatus::Caught => "Failed, caught",
        StateStatus::Failed => "Failed",
        StateStatus::Aborted => "Stopped",
    }
}

/// A state's status as in JSON: `succeeded`.
pub fn state_name(status: StateStatus) -> &'static str {
    match status {
        StateStatus::Idle => "idle",
        StateStatus::Running => "running",
        StateStatus::Retrying => "retrying",
        StateStatus::Succeeded => "succeeded",
        StateStatus::Caught => "caught",
        StateStatus::Failed => "failed",
        StateStatus::Aborted => "aborted",
    }
}

/// The icon alone; the word must stand beside it.
pub fn icon(tone: Tone) -> AnyView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
            <path d=tone.icon() />
        </svg>
    }
    .into_any()
}

/// Icon and word in a pill.
pub fn badge(tone: Tone, label: &'static str) -> AnyView {
    view! { <span class=format!("badge {}", tone.class())>{icon(tone)} <span>{label}</span></span> }
        .into_any()
}

/// A job's status as a pill.
pub fn job_badge(status: JobStatus) -> AnyView {
    badge(job_tone(status), status.label())
}

/// A state's status as a pill.
pub fn state_badge(status: StateStatus) -> AnyView {
    badge(state_tone(status), state_label(status))
}
