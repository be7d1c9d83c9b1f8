//! The Rerun and Stop buttons: forms that say exactly what they will do.

use leptos::prelude::*;
use model::{JobId, JobStatus, JobView, RerunOffer};

/// What the button says and what the line beside it explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RerunText {
    /// None when there is nothing to press.
    pub button: Option<String>,
    pub explanation: String,
}

/// The offer in words.
pub fn rerun_text(offer: &RerunOffer) -> RerunText {
    match offer {
        RerunOffer::Redrive { from_state } => RerunText {
            button: Some(format!("Rerun: redrive from {from_state}")),
            explanation: format!(
                "The same execution goes on from {from_state}; what has succeeded is kept."
            ),
        },
        RerunOffer::Restart { reason } => RerunText {
            button: Some("Rerun as a new execution".to_owned()),
            explanation: reason.clone(),
        },
        RerunOffer::Unavailable { reason } => RerunText {
            button: None,
            explanation: reason.clone(),
        },
    }
}

/// The rerun that is offered; beside a redrive also the choice to start anew, and to do that with another input.
pub fn rerun(view: &JobView) -> AnyView {
    let id = view.job.id;
    let text = rerun_text(&view.rerun);
    let restart = matches!(view.rerun, RerunOffer::Redrive { .. });
    // What was cut cannot be edited; a program sends the difference alone.
    let edit = (text.button.is_some() && !view.input_cut).then(|| edit(id, &view.input));
    view! {
        <div class="rerun">
            <form method="post" action=format!("/jobs/{id}/rerun") class="actions">
                {text
                    .button
                    .map(|button| view! { <button type="submit" class="button primary">{button}</button> })}
                {restart
                    .then(|| {
                        view! {
                            <button type="submit" class="button" name="mode" value="restart">
                                "Start a new execution instead"
                            </button>
                        }
                    })}
                <label class="sr" for="rerun-reason">
                    "Why"
                </label>
                <input
                    id="rerun-reason"
                    name="reason"
                    type="text"
                    maxlength="500"
                    placeholder="Why (optional)"
                />
            </form>
            <p class="hint">{text.explanation}</p>
            {edit}
        </div>
    }
    .into_any()
}

/// A new execution with another input: a preview that shows the difference comes first.
fn edit(id: JobId, input: &serde_json::Value) -> AnyView {
    let text = serde_json::to_string_pretty(input).unwrap_or_default();
    view! {
        <details class="edit-input">
            <summary>"Start a new execution with another input…"</summary>
            <form method="post" action="/bulks" class="form">
                <input type="hidden" name="kind" value="rerun" />
                <input type="hidden" name="job" value=id.to_string() />
                <input type="hidden" name="mode" value="restart" />
                <label for="edit-input">"Input (JSON)"</label>
                <textarea id="edit-input" name="input" rows="10" spellcheck="false">
                    {text}
                </textarea>
                <div class="actions">
                    <button type="submit" class="button">
                        "Preview the difference"
                    </button>
                </div>
            </form>
        </details>
    }
    .into_any()
}

/// The Stop button, while there is something to stop.
pub fn stop(id: JobId, status: JobStatus) -> AnyView {
    (!status.is_final())
        .then(|| {
            view! {
                <form method="post" action=format!("/jobs/{id}/stop")>
                    <button type="submit" class="button danger">"Stop execution"</button>
                </form>
            }
        })
        .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_says_what_it_will_do() {
        let redrive = rerun_text(&RerunOffer::Redrive {
            from_state: "Inspect".to_owned(),
        });
        assert_eq!(
            redrive.button.as_deref(),
            Some("Rerun: redrive from Inspect")
        );
        assert!(redrive.explanation.contains("what has succeeded is kept"));

        let restart = rerun_text(&RerunOffer::Restart {
            reason: "The execution ended in a Fail state.".to_owned(),
        });
        assert_eq!(restart.button.as_deref(), Some("Rerun as a new execution"));
        assert_eq!(restart.explanation, "The execution ended in a Fail state.");

        let unavailable = rerun_text(&RerunOffer::Unavailable {
            reason: "It is running.".to_owned(),
        });
        assert_eq!(unavailable.button, None);
    }
}
