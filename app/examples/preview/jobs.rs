//! Made-up jobs: one of each status with its execution, and many more for the list.

use std::{
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use model::{
    Artifact, ArtifactKind, Attempt, Execution, ExecutionStatus, InputChange, InvocationView,
    JobFilter, JobId, JobPage, JobStatus, JobSummary, JobView, LineageEvent, LineageKind,
    RerunOffer, StateDetail, StateKind, StateStatus, StateView, StatusCounts, TimestampMs,
    VisitView,
};
use uuid::Uuid;

use super::states::states;

/// Rows on one page.
const PAGE_SIZE: usize = 25;

pub fn now() -> TimestampMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    TimestampMs(since.as_millis() as i64)
}

fn id(number: usize) -> JobId {
    JobId(Uuid::from_u128(
        0x0198_c0de_0000_7000_8000_0000_0000_0000 + number as u128,
    ))
}

/// 64 jobs, newest first.
pub fn all() -> Vec<JobSummary> {
    static START: OnceLock<TimestampMs> = OnceLock::new();
    let start = START.get_or_init(now).0;
    (0..64_usize)
        .map(|number| {
            let status = match number {
                0 => JobStatus::Queued,
                1 | 2 => JobStatus::Running,
                3 => JobStatus::Failed,
                4 | 6 => JobStatus::Succeeded,
                5 => JobStatus::Aborted,
                7 => JobStatus::TimedOut,
                8 => JobStatus::Failed,
                number if number % 9 == 0 => JobStatus::Failed,
                _ => JobStatus::Succeeded,
            };
            let titles = [
                "Opening keynote",
                "big-buck-bunny-1080p.mp4",
                "A very long title that somebody pasted from a content management system, with every word of the working title of the third season's making-of",
                "talk.mp4",
                "Interview with the harbour master",
            ];
            let submitted = start - (number as i64).pow(2) * 47_000 - 9_000;
            let (error, failed_state) = match (status, number) {
                (JobStatus::Failed, 8) => (Some("States.Timeout"), Some("Rendition")),
                (JobStatus::Failed, _) => (Some("Source.NotMedia"), Some("Inspect")),
                (JobStatus::TimedOut, _) => (Some("States.Timeout"), Some("Transfer")),
                _ => (None, None),
            };
            JobSummary {
                id: id(64 - number),
                pipeline: "media".to_owned(),
                title: titles[number % titles.len()].to_owned(),
                source: match number % 3 {
                    0 => format!("https://media.example/archive/2026/{number}/talk.mp4"),
                    1 => "s3://gantry-media/uploads/0198c0de/big-buck-bunny-1080p.mp4".to_owned(),
                    _ => "https://storage.example/very/long/path/that/does/not/want/to/end/with-a-file-name-without-any-place-to-break-a-line-in-it.mov".to_owned(),
                },
                status,
                submitted_at_ms: TimestampMs(submitted),
                started_at_ms: (status != JobStatus::Queued).then_some(TimestampMs(submitted + 900)),
                ended_at_ms: status
                    .is_final()
                    .then_some(TimestampMs(submitted + 900 + 31_000 + number as i64 * 977)),
                error: error.map(str::to_owned),
                failed_state: failed_state.map(str::to_owned),
                rerun_count: u32::from(number == 4),
                adopted: number == 6,
            }
        })
        .collect()
}

pub fn page(jobs: &[JobSummary], filter: JobFilter) -> JobPage {
    let mut counts = StatusCounts::default();
    for job in jobs {
        *match job.status {
            JobStatus::Queued => &mut counts.queued,
            JobStatus::Running => &mut counts.running,
            JobStatus::Succeeded => &mut counts.succeeded,
            JobStatus::Failed => &mut counts.failed,
            JobStatus::TimedOut => &mut counts.timed_out,
            JobStatus::Aborted => &mut counts.aborted,
        } += 1;
    }
    let mut rows: Vec<_> = jobs
        .iter()
        .filter(|job| filter.status.is_none_or(|status| job.status == status))
        .filter(|job| filter.before.is_none_or(|before| job.id < before))
        .cloned()
        .collect();
    let next = (rows.len() > PAGE_SIZE).then(|| rows[PAGE_SIZE - 1].id);
    rows.truncate(PAGE_SIZE);
    JobPage {
        jobs: rows,
        counts,
        next,
        as_of_ms: now(),
    }
}

const NOT_MEDIA: &str = "https://media.example/archive/2026/3/talk.mp4 answered with text/html (48 KiB), not with video or audio. Open it in a browser: it may be a page that links to the file.";

pub fn view(id: JobId) -> Option<JobView> {
    let job = all().into_iter().find(|job| job.id == id)?;
    let started = job.started_at_ms.unwrap_or(job.submitted_at_ms);
    let (at, part_count) = match (job.status, job.title.len() % 2) {
        (JobStatus::Succeeded, _) => (100, 7),
        (JobStatus::Running, 0) => (58, 7),
        (JobStatus::Running, _) => (18, 40),
        _ => (3, 7),
    };
    let mut states = states(at, started, part_count);
    let cause = match job.error.as_deref() {
        Some("Source.NotMedia") => Some(NOT_MEDIA.to_owned()),
        Some("States.Timeout") => Some("The state ran longer than its 900 seconds.".to_owned()),
        _ => None,
    };
    let set = |states: &mut Vec<StateView>, name: &str, status| {
        if let Some(state) = states.iter_mut().find(|state| state.name == name) {
            state.status = status;
            state.visit_count = state.visit_count.max(1);
            if status == StateStatus::Failed || status == StateStatus::Caught {
                state.failed_count = 1;
                state.error = job.error.clone();
                state.cause = cause.clone();
            }
        }
    };
    match (job.status, job.failed_state.as_deref()) {
        (JobStatus::Failed, Some("Rendition")) => {
            states = self::states(70, started, 7);
            for name in ["Rendition", "RenditionFailed"] {
                set(&mut states, name, StateStatus::Failed);
            }
            set(&mut states, "Renditions", StateStatus::Caught);
            set(&mut states, "Process", StateStatus::Caught);
            set(&mut states, "Abort", StateStatus::Succeeded);
            set(&mut states, "Failed", StateStatus::Failed);
            if let Some(map) = states.iter_mut().find(|state| state.name == "Renditions") {
                map.iterations[2].status = StateStatus::Failed;
                map.iterations[2].error = Some("States.Timeout".to_owned());
                map.iterations[3].status = StateStatus::Aborted;
            }
        }
        (JobStatus::Failed, _) => set(&mut states, "Inspect", StateStatus::Failed),
        (JobStatus::Aborted, _) => set(&mut states, "Inspect", StateStatus::Aborted),
        _ => {}
    }
    let execution = (job.status != JobStatus::Queued).then(|| Execution {
        arn: format!("arn:aws:states:us-east-1:000000000000:execution:gantry-media:{id}"),
        name: id.to_string(),
        status: match job.status {
            JobStatus::Succeeded => ExecutionStatus::Succeeded,
            JobStatus::Failed => ExecutionStatus::Failed,
            JobStatus::TimedOut => ExecutionStatus::TimedOut,
            JobStatus::Aborted => ExecutionStatus::Aborted,
            _ => ExecutionStatus::Running,
        },
        started_at_ms: started,
        ended_at_ms: job.ended_at_ms,
        redrive_count: job.rerun_count,
        error: job.error.clone(),
        cause,
        failed_state: job.failed_state.clone(),
        event_count: 214,
        states,
    });
    let rerun = match (job.status, job.failed_state.as_deref()) {
        (JobStatus::Failed, Some("Rendition")) => RerunOffer::Restart {
            reason: "The execution was led to its Fail state by a Catch; a redrive would only enter that Fail state again.".to_owned(),
        },
        (JobStatus::Failed | JobStatus::TimedOut, Some(state)) => RerunOffer::Redrive {
            from_state: state.to_owned(),
        },
        (JobStatus::Aborted, _) => RerunOffer::Redrive {
            from_state: "Inspect".to_owned(),
        },
        (JobStatus::Succeeded, _) => RerunOffer::Restart {
            reason: "It succeeded: running it again makes every artifact anew.".to_owned(),
        },
        _ => RerunOffer::Unavailable {
            reason: "It is still running.".to_owned(),
        },
    };
    let artifacts = if job.status == JobStatus::Succeeded {
        artifacts(id)
    } else {
        Vec::new()
    };
    let mut lineage = lineage(&job);
    if job.rerun_count == 0 {
        lineage.truncate(1);
        lineage[0].reason = "the archive of 2026".to_owned();
        lineage[0].status = Some(format!("{:?}", job.status).to_uppercase());
        lineage[0].error = job.error.clone();
    }
    Some(JobView {
        input_cut: false,
        input: serde_json::json!({
            "source": job.source, "title": job.title, "max_height": 1080, "segment_seconds": 4, "part_mib": 8
        }),
        job,
        execution,
        artifacts,
        rerun,
        lineage,
        as_of_ms: now(),
    })
}

/// Submitted, then started anew with another input.
fn lineage(job: &JobSummary) -> Vec<LineageEvent> {
    let event = |kind, actor: &str, ago_ms: i64, error: Option<&str>| LineageEvent {
        at_ms: TimestampMs(job.submitted_at_ms.0 + ago_ms),
        kind,
        actor: actor.to_owned(),
        reason: String::new(),
        bulk: None,
        execution_arn: Some(format!(
            "arn:aws:states:us-east-1:000000000000:execution:gantry-media:{}",
            job.id
        )),
        status: Some("FAILED".to_owned()),
        error: error.map(str::to_owned),
        changes: Vec::new(),
        digests: Vec::new(),
    };
    vec![
        event(
            LineageKind::Submitted,
            "nightly import",
            0,
            Some("Source.Dropped"),
        ),
        LineageEvent {
            reason: "the host is back".to_owned(),
            changes: vec![InputChange {
                pointer: "/max_height".to_owned(),
                before: Some(1080.into()),
                after: Some(720.into()),
            }],
            digests: vec![
                "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
                    .to_owned(),
            ],
            ..event(
                LineageKind::Restarted,
                "a page",
                61_000,
                Some("Source.NotMedia"),
            )
        },
    ]
}

fn artifacts(id: JobId) -> Vec<Artifact> {
    [
        (
            ArtifactKind::Source,
            "source",
            "source",
            "video/mp4",
            22_700_000,
            None,
        ),
        (
            ArtifactKind::Probe,
            "probe.json",
            "probe",
            "application/json",
            4_800,
            None,
        ),
        (
            ArtifactKind::Poster,
            "poster.jpg",
            "poster",
            "image/jpeg",
            182_000,
            Some((1920, 1080)),
        ),
        (
            ArtifactKind::Sprite,
            "sprite.jpg",
            "sprite",
            "image/jpeg",
            310_000,
            Some((1600, 900)),
        ),
        (
            ArtifactKind::SpriteIndex,
            "sprite.vtt",
            "sprite index",
            "text/vtt",
            1_900,
            None,
        ),
        (
            ArtifactKind::MasterPlaylist,
            "hls/master.m3u8",
            "master playlist",
            "application/vnd.apple.mpegurl",
            512,
            None,
        ),
        (
            ArtifactKind::Rendition,
            "hls/1080p.mp4",
            "1080p",
            "video/mp4",
            15_300_000,
            Some((1920, 1080)),
        ),
        (
            ArtifactKind::Rendition,
            "hls/720p.mp4",
            "720p",
            "video/mp4",
            8_120_000,
            Some((1280, 720)),
        ),
        (
            ArtifactKind::Rendition,
            "hls/480p.mp4",
            "480p",
            "video/mp4",
            3_400_000,
            Some((854, 480)),
        ),
        (
            ArtifactKind::Waveform,
            "waveform.png",
            "waveform",
            "image/png",
            21_000,
            Some((1200, 200)),
        ),
        (
            ArtifactKind::Loudness,
            "loudness.json",
            "loudness",
            "application/json",
            640,
            None,
        ),
    ]
    .into_iter()
    .map(|(kind, name, label, content_type, bytes, size)| Artifact {
        kind,
        key: format!("jobs/{id}/{name}"),
        label: label.to_owned(),
        content_type: content_type.to_owned(),
        bytes,
        sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
    })
    .collect()
}

pub fn detail(id: JobId, state: &str, visit: Option<i64>) -> Option<StateDetail> {
    let view = view(id)?;
    let execution = view.execution?;
    let state = execution.states.into_iter().find(|one| one.name == state)?;
    let visits: Vec<_> = (0..state.visit_count)
        .map(|number| VisitView {
            entered_event_id: 7 + i64::from(number) * 6,
            iteration: (state.visit_count > 1).then_some(number),
            label: (state.visit_count > 1).then(|| format!("part {}", number + 1)),
            status: state.status,
        })
        .collect();
    let chosen = visits
        .iter()
        .find(|one| Some(one.entered_event_id) == visit)
        .or(visits.last())
        .cloned();
    let at = state.started_at_ms.unwrap_or(execution.started_at_ms);
    let attempts = match (&chosen, state.kind) {
        (Some(chosen), StateKind::Task) => vec![
            Attempt {
                number: 1,
                status: StateStatus::Failed,
                scheduled_at_ms: at,
                started_at_ms: Some(TimestampMs(at.0 + 8)),
                ended_at_ms: Some(TimestampMs(at.0 + 1_208)),
                error: Some("Source.Unreachable".to_owned()),
                cause: Some("media.example did not answer within 10 s.".to_owned()),
            },
            Attempt {
                number: 2,
                status: chosen.status,
                scheduled_at_ms: TimestampMs(at.0 + 2_200),
                started_at_ms: Some(TimestampMs(at.0 + 2_208)),
                ended_at_ms: state.ended_at_ms,
                error: state.error.clone(),
                cause: state.cause.clone(),
            },
        ],
        _ => Vec::new(),
    };
    let input = serde_json::json!({
        "source": view.input["source"],
        "job": {"id": id, "bucket": "gantry-media", "prefix": format!("jobs/{id}/")},
        "parts": (0..60).map(|part| serde_json::json!({"number": part, "first": part * 8_388_608})).collect::<Vec<_>>(),
    });
    Some(StateDetail {
        name: state.name.clone(),
        kind: state.kind,
        visits,
        input: chosen.as_ref().map(|_| input.to_string()),
        output: (state.status == StateStatus::Succeeded).then(|| {
            r#"{"etag":"\"d41d8cd98f00b204e9800998ecf8427e\"","bytes":8388608}"#.to_owned()
        }),
        visit: chosen,
        error: state.error,
        cause: state.cause,
        started_at_ms: state.started_at_ms,
        ended_at_ms: state.ended_at_ms,
        invocations: invocations(&attempts, &state.name),
        attempts,
        resource: (state.kind == StateKind::Task).then(|| {
            format!(
                "arn:aws:lambda:us-east-1:000000000000:function:gantry-{}:live",
                state.name.to_lowercase()
            )
        }),
    })
}

/// The first attempt on a cold sandbox, the others on a warm one.
fn invocations(attempts: &[Attempt], state: &str) -> Vec<InvocationView> {
    attempts
        .iter()
        .map(|attempt| InvocationView {
            request_id: format!("5f3c7c1a-0000-4000-8000-{:012}", attempt.number),
            function: format!("gantry-{}", state.to_lowercase()),
            version: "7".to_owned(),
            digest: Some(format!("sha256:{}", "ab12".repeat(16))),
            attempt: Some(attempt.number),
            status: attempt.ended_at_ms.map(|_| "success".to_owned()),
            init_ms: (attempt.number == 1).then_some(412.3),
            duration_ms: attempt.ended_at_ms.map(|_| 3_214.0),
            max_memory_mib: attempt.ended_at_ms.map(|_| 118),
            at_ms: attempt.ended_at_ms.unwrap_or(attempt.scheduled_at_ms),
        })
        .collect()
}

/// What the stream of a running job sends at the given second.
pub fn advance(view: &mut JobView, tick: u64) {
    view.as_of_ms = now();
    if view.job.status != JobStatus::Running {
        return;
    }
    let started = view.job.started_at_ms.unwrap_or(view.job.submitted_at_ms);
    let at = 5 + (tick as u32 * 2);
    if let Some(execution) = &mut view.execution {
        let part_count = execution
            .states
            .iter()
            .find_map(|state| state.iteration_count)
            .unwrap_or(7);
        execution.states = states(at.min(100), started, part_count);
        if at >= 100 {
            execution.status = ExecutionStatus::Succeeded;
            execution.ended_at_ms = Some(view.as_of_ms);
            view.job.status = JobStatus::Succeeded;
            view.job.ended_at_ms = Some(view.as_of_ms);
            view.artifacts = artifacts(view.job.id);
            view.rerun = RerunOffer::Restart {
                reason: "It succeeded: running it again makes every artifact anew.".to_owned(),
            };
        }
    }
}
