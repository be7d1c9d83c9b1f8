//! Tests of diagnostics.

use super::parse;
use expect_test::{Expect, expect};

fn check(definition: &str, expected: Expect) {
    let parsed = parse(definition);
    let said: Vec<String> = parsed.diagnostics.iter().map(ToString::to_string).collect();
    let machine = if parsed.machine.is_some() {
        "machine"
    } else {
        "no machine"
    };
    expected.assert_eq(&format!("{machine}\n{}", said.join("\n")));
}

#[test]
fn fine() {
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}}}"#,
        expect![["machine\n"]],
    );
}

#[test]
fn not_json() {
    check(
        "{",
        expect![[r#"
        no machine
        error at /: the definition is not JSON: EOF while parsing an object at line 1 column 1"#]],
    );
    check(
        "[]",
        expect![[r#"
            no machine
            error at /: Definition must be a valid JSON object"#]],
    );
}

#[test]
fn missing_and_unknown() {
    check(
        r#"{"States": {"A": {"Type": "Task", "Resuorce": "arn:x", "End": true}, "B": {"Tpye": "Pass"}}}"#,
        expect![[r#"
            no machine
            error at /: The field 'StartAt' is required but was missing
            error at /States/A: The field 'Resource' is required but was missing
            error at /States/A/Resuorce: Resuorce is not a field of this (did you mean Resource?)
            error at /States/B: The field 'Type' is required but was missing"#]],
    );
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Tsk", "End": true}}}"#,
        expect![[r#"
            no machine
            error at /States/A/Type: The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map]"#]],
    );
    check(
        r#"{"StartAt": "A", "States": {}}"#,
        expect![[r#"
            no machine
            error at /States: there are no states (add at least one state)
            error at /StartAt: Missing 'StartAt' target: A"#]],
    );
}

#[test]
fn duplicates() {
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true, "Result": {"x/y": [1, {"z": 1, "z": 2}]}}}}"#,
        expect![[r#"
            no machine
            error at /States/A/Result/x~1y/1/z: this field is there more than once (remove all but one)"#]],
    );
}

#[test]
fn transitions() {
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "Bb"}, "B": {"Type": "Pass", "End": true, "Next": "A"}, "C": {"Type": "Wait", "Seconds": 1}}}"#,
        expect![[r#"
            no machine
            error at /States/A/Next: Missing 'Next' target: Bb (did you mean B?)
            error at /States/B/End: Next and End exclude each other (keep one of them)
            error at /States/C: the state goes nowhere (add Next, or End: true)"#]],
    );
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}, "B": {"Type": "Pass", "Next": "A"}}}"#,
        expect![[r#"
            no machine
            error at /States/B: State "B" is not reachable. (remove it, or name it in a Next)"#]],
    );
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}}"#,
        expect![[r#"
            machine
            warning at /: no state ends this (give a state End, or add a Succeed or Fail state)"#]],
    );
    check(
        r#"{"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [
            {"StartAt": "X", "States": {"X": {"Type": "Pass", "Next": "P"}}}]}}}"#,
        expect![[r#"
            no machine
            error at /States/P/Branches/0/States/X/Next: Missing 'Next' target: P (a transition cannot leave or enter a Parallel branch or a Map processor)"#]],
    );
}

#[test]
fn values() {
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "fn", "TimeoutSeconds": 0, "HeartbeatSeconds": "5",
            "InputPath": "a", "ResultPath": "$.a[*]", "Parameters": {"x.$": "nothing", "y": {"z.$": 5}},
            "Retry": [{"ErrorEquals": ["States.ALL"], "BackoffRate": 0.5}, {"ErrorEquals": []}],
            "Catch": [{"Next": "A"}], "End": true}}}"#,
        expect![[r#"
            no machine
            error at /States/A/InputPath: 'a' is not a valid path: it must begin with $
            error at /States/A/Resource: Resource must be an ARN (name a function as arn:aws:lambda:<region>:<account>:function:<name>, with :<alias> if any)
            error at /States/A/Retry/0/ErrorEquals: States.ALL must stand alone and in the last place
            error at /States/A/Retry/0/BackoffRate: BackoffRate must be at least 1.0
            error at /States/A/Retry/1/ErrorEquals: ErrorEquals must be an array of at least one error's name
            error at /States/A/Catch/0: The field 'ErrorEquals' is required but was missing
            error at /States/A/ResultPath: '$.a[*]' is not a valid path: a reference path must name exactly one place
            error at /States/A/Parameters/x.$: 'nothing' is neither a path (it would begin with $) nor an intrinsic function (States.…)
            error at /States/A/Parameters/y/z.$: the value of a field ending in .$ must be a string, not 5
            error at /States/A/TimeoutSeconds: TimeoutSeconds must be a whole number from 1 to 99999999, not 0
            error at /States/A/HeartbeatSeconds: HeartbeatSeconds must be a whole number from 1 to 99999999, not a string"#]],
    );
}

#[test]
fn rules() {
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": [
            {"Variable": "$.a", "NumericEqual": 1, "Next": "B"},
            {"Variable": "$.a", "StringEquals": 1, "Next": "B"},
            {"And": [{"Variable": "$.a", "IsNull": true, "Next": "B"}], "Next": "B"},
            {"Variable": "$.a", "IsNull": true, "IsPresent": true, "Next": "B"},
            {"Not": {"Variable": "$.a", "TimestampEquals": "yesterday"}, "Next": "C"}
        ], "Default": "B", "Next": "B"}, "B": {"Type": "Succeed"}}}"#,
        expect![[r#"
            no machine
            error at /States/A/Choices/0: the rule has no comparison (did you mean NumericEquals?)
            error at /States/A/Choices/1/StringEquals: StringEquals must be a string
            error at /States/A/Choices/2/And/0/Next: only the outermost rule has a Next
            error at /States/A/Choices/3: the rule has more than one comparison (put them into And or Or)
            error at /States/A/Choices/4/Next: Missing 'Next' target: C (did you mean A?)
            error at /States/A/Choices/4/Not/TimestampEquals: TimestampEquals must be an RFC 3339 timestamp such as 2016-03-14T01:59:00Z
            error at /States/A/Next: Next is not a field of this (remove it, or move it to where it belongs)"#]],
    );
}

#[test]
fn distributed() {
    let map = |more: &str| {
        format!(
            r#"{{"StartAt": "A", "States": {{"A": {{"Type": "Map", "End": true, {more} "ItemProcessor": {{"ProcessorConfig": {{"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}},
            "StartAt": "B", "States": {{"B": {{"Type": "Pass", "End": true}}}}}}}}}}}}"#
        )
    };
    check(
        &map(
            r#""Label": "a b", "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "GIVEN"}}, "ItemBatcher": {},"#,
        ),
        expect![[r#"
            no machine
            error at /States/A/Label: a label has 1 to 40 characters, and no spaces, brackets, wildcards or special ones
            error at /States/A/ItemReader/ReaderConfig: The field 'CSVHeaders' is required but was missing
            error at /States/A/ItemBatcher: the batcher does not say how large a batch is (add MaxItemsPerBatch or MaxInputBytesPerBatch)"#]],
    );
    check(
        &map(
            r#""ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "PARQUET"}}, "ResultWriter": {},"#,
        ),
        expect![[r#"
            no machine
            error at /States/A/ItemReader/ReaderConfig/InputType: not supported yet: InputType PARQUET
            error at /States/A/ResultWriter: the writer does not say what to do with the results (add Resource and Parameters, or WriterConfig)"#]],
    );
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Map", "End": true, "Label": "l", "ItemProcessor": {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}}}}}"#,
        expect![[r#"
            no machine
            error at /States/A/Label: Label is only for Map states in DISTRIBUTED mode (remove it, or set Mode to DISTRIBUTED)"#]],
    );
}

#[test]
fn unsupported() {
    check(
        r#"{"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "Output": "{% 1 %}", "End": true}}}"#,
        expect![[r#"
            machine
            error at /QueryLanguage: not supported yet: QueryLanguage JSONata"#]],
    );
}
