//! Histories as short lines, folded.

use super::*;

/// One event in a line: id, previous id, type, and `name`, `@state`, `#index`, `!error` or `=length`.
fn events(lines: &str) -> Vec<HistoryEvent> {
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let id: i64 = words.next().expect("id").parse().expect("id");
        let previous = words
            .next()
            .expect("previous id")
            .parse()
            .expect("previous id");
        let mut event = HistoryEvent {
            id,
            previous_event_id: previous,
            timestamp_ms: id * 10,
            kind: words.next().expect("type").parse().expect("type"),
            details: Default::default(),
        };
        for word in words {
            if let Some(state) = word.strip_prefix('@') {
                event.details.state = Some(state.to_owned());
                continue;
            }
            match (
                word.strip_prefix('#'),
                word.strip_prefix('!'),
                word.strip_prefix('='),
            ) {
                (Some(index), ..) => event.details.index = index.parse().ok(),
                (_, Some(error), _) => event.details.error = Some(error.to_owned()),
                (.., Some(length)) => event.details.length = length.parse().ok(),
                _ => event.details.name = Some(word.to_owned()),
            }
        }
        event
    };
    lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(parse)
        .collect()
}

fn text(fold: &Fold) -> String {
    let mut lines: Vec<String> = fold
        .visits()
        .iter()
        .map(|visit| {
            let parent = visit
                .parent
                .map(|parent| format!(" in {} {:?}", parent.entered_event_id, parent.kind));
            let iterations: Vec<_> = visit
                .iterations
                .iter()
                .map(|iteration| format!("{}{:?}", iteration.index, iteration.status))
                .collect();
            format!(
                "{} {} {:?}{} attempts={} {}",
                visit.entered_event_id,
                visit.state,
                visit.status,
                parent.unwrap_or_default(),
                visit.attempts.len(),
                iterations.join(" ")
            )
            .trim_end()
            .to_owned()
        })
        .collect();
    let ending = fold
        .outcome()
        .map(|ending| format!("{:?} {:?}", ending.status, ending.error));
    lines.push(format!(
        "{} failed in {:?}, fail state {:?}",
        ending.unwrap_or("running".to_owned()),
        fold.failed_state(),
        fold.ended_in_fail_state()
    ));
    lines.join("\n")
}

fn check(lines: &str, expected: expect_test::Expect) {
    let events = events(lines);
    let mut fold = Fold::new(None);
    for event in &events {
        fold.apply(event);
    }
    let once = text(&fold);
    for event in &events {
        fold.apply(event);
    }
    assert_eq!(once, text(&fold), "applying twice changes nothing");
    expected.assert_eq(&once);
}

#[test]
fn a_retry_that_succeeds_leaves_no_error() {
    check(
        "1 0 ExecutionStarted
         2 0 TaskStateEntered A
         3 2 LambdaFunctionScheduled
         4 3 LambdaFunctionStarted
         5 4 LambdaFunctionFailed !Boom
         6 5 LambdaFunctionScheduled
         7 6 LambdaFunctionStarted
         8 7 LambdaFunctionSucceeded
         9 8 TaskStateExited A
         10 9 ExecutionSucceeded",
        expect_test::expect![[r#"
            2 A Succeeded attempts=2
            Succeeded None failed in None, fail state None"#]],
    );
}

#[test]
fn between_attempts_a_visit_is_retrying() {
    check(
        "1 0 ExecutionStarted
         2 0 TaskStateEntered A
         3 2 LambdaFunctionScheduled
         4 3 LambdaFunctionFailed !Boom",
        expect_test::expect![[r#"
            2 A Retrying attempts=1
            running failed in None, fail state None"#]],
    );
}

#[test]
fn a_failure_in_a_map_is_blamed_on_the_task_and_not_on_the_fail_state() {
    check(
        "1 0 ExecutionStarted
         2 0 MapStateEntered Transfer
         3 2 MapStateStarted =3
         4 3 MapIterationStarted Transfer #0
         5 4 TaskStateEntered Part
         6 3 MapIterationStarted Transfer #1
         7 6 TaskStateEntered Part
         8 5 LambdaFunctionScheduled
         9 7 LambdaFunctionScheduled
         10 9 LambdaFunctionFailed !Source.Dropped
         11 10 MapIterationFailed Transfer #1
         12 11 MapStateFailed
         13 12 MapStateExited Transfer
         14 13 TaskStateEntered Abort
         15 14 LambdaFunctionScheduled
         16 15 LambdaFunctionSucceeded
         17 16 TaskStateExited Abort
         18 17 FailStateEntered Failed
         19 18 ExecutionFailed !Source.Dropped",
        expect_test::expect![[r#"
            2 Transfer Caught attempts=0 0Aborted 1Failed
            5 Part Aborted in 2 Iteration(0) attempts=1
            7 Part Failed in 2 Iteration(1) attempts=1
            14 Abort Succeeded attempts=1
            18 Failed Failed attempts=0
            Failed Some("Source.Dropped") failed in Some("Part"), fail state Some("Failed")"#]],
    );
}

#[test]
fn branches_are_told_apart_and_nested_containers_end_in_order() {
    check(
        "1 0 ExecutionStarted
         2 0 ParallelStateEntered Process
         3 2 ParallelStateStarted
         4 3 PassStateEntered A
         5 3 MapStateEntered M
         6 5 MapStateStarted =1
         7 6 MapIterationStarted M #0
         8 7 PassStateEntered Inner
         9 4 PassStateExited A
         10 8 PassStateExited Inner
         11 10 MapIterationSucceeded M #0
         12 11 MapStateSucceeded
         13 12 MapStateExited M
         14 13 ParallelStateSucceeded
         15 14 ParallelStateExited Process
         16 15 ExecutionSucceeded",
        expect_test::expect![[r#"
            2 Process Succeeded attempts=0
            4 A Succeeded in 2 Branch(0) attempts=0
            5 M Succeeded in 2 Branch(1) attempts=0 0Succeeded
            8 Inner Succeeded in 5 Iteration(0) attempts=0
            Succeeded None failed in None, fail state None"#]],
    );
}

#[test]
fn a_redrive_resumes_the_visit_that_had_failed() {
    check(
        "1 0 ExecutionStarted
         2 0 TaskStateEntered Inspect
         3 2 LambdaFunctionScheduled
         4 3 LambdaFunctionFailed !Source.NotMedia
         5 4 ExecutionFailed !Source.NotMedia
         6 5 ExecutionRedriven
         7 6 LambdaFunctionScheduled
         8 7 LambdaFunctionStarted
         9 8 LambdaFunctionSucceeded
         10 9 TaskStateExited Inspect
         11 10 ExecutionSucceeded",
        expect_test::expect![[r#"
            2 Inspect Succeeded attempts=2
            Succeeded None failed in None, fail state None"#]],
    );
}

#[test]
fn an_abort_ends_what_was_open() {
    check(
        "1 0 ExecutionStarted
         2 0 ParallelStateEntered P
         3 2 ParallelStateStarted
         4 3 TaskStateEntered A
         5 4 LambdaFunctionScheduled
         6 0 ExecutionAborted !Operator",
        expect_test::expect![[r#"
            2 P Aborted attempts=0
            4 A Aborted in 2 Branch(0) attempts=1
            Aborted Some("Operator") failed in None, fail state None"#]],
    );
}

#[test]
fn a_gap_loses_no_later_event() {
    let mut fold = Fold::new(None);
    for event in events("9 8 TaskStateEntered B\n1 0 ExecutionStarted\n2 0 TaskStateEntered A") {
        fold.apply(&event);
    }
    let names: Vec<_> = fold
        .visits()
        .iter()
        .map(|visit| visit.state.as_str())
        .collect();
    assert_eq!(names, ["A", "B"]);
    assert_eq!(fold.last_event_id(), 9);
}

#[test]
fn an_evaluation_that_fails_on_the_way_in_belongs_to_the_state_it_names() {
    check(
        "1 0 ExecutionStarted
         2 0 PassStateEntered A
         3 2 PassStateExited A
         4 3 PassStateEntered B
         5 3 EvaluationFailed @B !States.QueryEvaluationError
         6 5 ExecutionFailed !States.QueryEvaluationError
         7 6 ExecutionRedriven
         8 5 EvaluationFailed @B !States.QueryEvaluationError
         9 8 ExecutionFailed !States.QueryEvaluationError",
        expect_test::expect![[r#"
            2 A Succeeded attempts=0
            4 B Failed attempts=0
            Failed Some("States.QueryEvaluationError") failed in Some("B"), fail state None"#]],
    );
}

#[test]
fn a_map_run_that_fails_fails_its_own_state_only() {
    check(
        "1 0 ExecutionStarted
         2 0 MapStateEntered Outer
         3 2 MapStateStarted =2
         4 3 MapIterationStarted Outer #0
         5 3 MapIterationStarted Outer #1
         6 4 MapStateEntered Inner
         7 6 MapStateStarted =1
         8 7 MapRunStarted
         9 5 MapStateEntered Inner
         10 9 MapStateStarted =1
         11 10 MapRunStarted
         12 8 MapRunFailed !E1
         13 12 MapStateFailed
         14 13 MapStateExited Inner
         15 14 MapIterationSucceeded Outer #0
         16 11 MapRunFailed !E2
         17 16 MapStateFailed
         18 17 MapIterationFailed Outer #1
         19 17 MapStateFailed
         20 19 ExecutionFailed !E2
         21 20 ExecutionRedriven
         22 17 MapRunRedriven
         23 22 MapRunFailed !E2",
        expect_test::expect![[r#"
            2 Outer Running attempts=0 0Succeeded 1Failed
            6 Inner Caught in 2 Iteration(0) attempts=0
            9 Inner Retrying in 2 Iteration(1) attempts=0
            running failed in None, fail state None"#]],
    );
}
