//! Made-up states of an execution of the media pipeline.

use model::{BranchView, IterationView, Progress, StateKind, StateStatus, StateView, TimestampMs};

fn progress(unit: &str, done: u64, total: u64) -> Option<Progress> {
    Some(Progress {
        unit: unit.to_owned(),
        done,
        total: Some(total),
    })
}

/// The states of the pipeline, in its order, and how far each is: by `at` from 0 (nothing) to 100 (all).
pub fn states(at: u32, started: TimestampMs, part_count: u32) -> Vec<StateView> {
    // From where to where a state's work goes.
    let plan: [(&str, StateKind, u32, u32); 14] = [
        ("Inspect", StateKind::Task, 0, 5),
        ("Transfer", StateKind::Map, 5, 30),
        ("TransferPart", StateKind::Task, 5, 30),
        ("Assemble", StateKind::Task, 30, 35),
        ("Process", StateKind::Parallel, 35, 95),
        ("Probe", StateKind::Task, 35, 38),
        ("Poster", StateKind::Task, 35, 50),
        ("Ladder", StateKind::Task, 35, 37),
        ("Renditions", StateKind::Map, 37, 92),
        ("Rendition", StateKind::Task, 37, 92),
        ("Package", StateKind::Task, 92, 95),
        ("Audio", StateKind::Task, 35, 60),
        ("Publish", StateKind::Task, 95, 100),
        ("Abort", StateKind::Task, 200, 201),
    ];
    let moment = |at: u32| TimestampMs(started.0 + i64::from(at) * 900);
    let status = |from: u32, to: u32| match at {
        at if at < from => StateStatus::Idle,
        at if at < to => StateStatus::Running,
        _ => StateStatus::Succeeded,
    };
    let mut states: Vec<StateView> = plan
        .into_iter()
        .map(|(name, kind, from, to)| {
            let status = status(from, to);
            let entered = status != StateStatus::Idle;
            let share = u64::from(at.clamp(from, to) - from) * 100 / u64::from(to - from);
            let iterations = match name {
                "Transfer" => part_count,
                "Renditions" => 4,
                _ => 0,
            };
            let iterations: Vec<_> = (0..iterations)
                .map(|index| {
                    let first = share as u32 * iterations / 100;
                    let status = match index {
                        index if index < first => StateStatus::Succeeded,
                        index if index < first + 4 && status == StateStatus::Running => {
                            StateStatus::Running
                        }
                        _ => StateStatus::Idle,
                    };
                    let done = match status {
                        StateStatus::Succeeded => 100,
                        StateStatus::Running => 20 + u64::from(index * 37 % 70),
                        _ => 0,
                    };
                    IterationView {
                        index,
                        status,
                        label: Some(match name {
                            "Transfer" => format!("part {}", index + 1),
                            _ => ["1080p", "720p", "480p", "360p"][index as usize].to_owned(),
                        }),
                        state: (status != StateStatus::Idle).then(|| match name {
                            "Transfer" => "TransferPart".to_owned(),
                            _ => "Rendition".to_owned(),
                        }),
                        progress: match name {
                            "Transfer" => progress("bytes", done * 83_886, 8_388_608),
                            _ => progress("ms", done * 300, 30_000),
                        },
                        started_at_ms: (status != StateStatus::Idle).then(|| moment(from)),
                        ended_at_ms: (status == StateStatus::Succeeded).then(|| moment(from + 3)),
                        error: None,
                    }
                })
                .collect();
            let branches = match name {
                "Process" => [
                    ("Probe", 35, 38, 1),
                    ("Poster", 35, 50, 1),
                    ("Ladder", 35, 95, 3),
                    ("Audio", 35, 60, 1),
                ]
                .into_iter()
                .enumerate()
                .map(|(index, (name, from, to, total))| {
                    let status = match at {
                        at if at < from => StateStatus::Idle,
                        at if at < to => StateStatus::Running,
                        _ => StateStatus::Succeeded,
                    };
                    BranchView {
                        index: index as u32,
                        name: name.to_owned(),
                        status,
                        state: Some(if name == "Ladder" {
                            "Renditions".to_owned()
                        } else {
                            name.to_owned()
                        }),
                        states_done: if status == StateStatus::Succeeded {
                            total
                        } else {
                            total / 2
                        },
                        states_total: total,
                        progress: (name == "Audio")
                            .then(|| progress("ms", 12_000, 30_000))
                            .flatten(),
                        started_at_ms: Some(moment(from)),
                        ended_at_ms: (status == StateStatus::Succeeded).then(|| moment(to)),
                    }
                })
                .collect(),
                _ => Vec::new(),
            };
            let many = match name {
                "TransferPart" => part_count,
                "Rendition" => 4,
                _ => 1,
            };
            StateView {
                name: name.to_owned(),
                kind,
                status,
                visit_count: if entered { many } else { 0 },
                succeeded_count: if status == StateStatus::Succeeded {
                    many
                } else {
                    many * share as u32 / 100
                },
                failed_count: 0,
                retry_count: u32::from(name == "Transfer" && entered),
                started_at_ms: entered.then(|| moment(from)),
                ended_at_ms: (status == StateStatus::Succeeded).then(|| moment(to)),
                error: None,
                cause: None,
                progress: match name {
                    "Transfer" if entered => progress("bytes", share * 3_000_000, 300_000_000),
                    "Renditions" | "Rendition" if entered => progress("ms", share * 1_200, 120_000),
                    "Poster" | "Audio" if entered => progress("ms", share * 300, 30_000),
                    _ => None,
                },
                iteration_count: (!iterations.is_empty()).then_some(iterations.len() as u32),
                iterations,
                branches,
            }
        })
        .collect();
    let fail = |name: &str| StateView {
        name: name.to_owned(),
        kind: StateKind::Fail,
        status: StateStatus::Idle,
        visit_count: 0,
        succeeded_count: 0,
        failed_count: 0,
        retry_count: 0,
        started_at_ms: None,
        ended_at_ms: None,
        error: None,
        cause: None,
        progress: None,
        iterations: Vec::new(),
        iteration_count: None,
        branches: Vec::new(),
    };
    states.extend(
        [
            "Failed",
            "PartFailed",
            "ProbeFailed",
            "PosterFailed",
            "RenditionFailed",
            "LadderFailed",
            "AudioFailed",
        ]
        .map(fail),
    );
    states
}
