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
            error at /: These fields are required: [StartAt] (add StartAt)
            error at /States/A: These fields are required: [Resource] (add Resource)
            error at /States/A/Resuorce: Field 'Resuorce' is not supported (did you mean Resource?)
            error at /States/B: These fields are required: [Type] (add Type)"#]],
    );
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Tsk", "End": true}}}"#,
        expect![[r#"
            no machine
            error at /States/A/Type: The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] (did you mean Task?)"#]],
    );
    check(
        r#"{"StartAt": "A", "States": {}}"#,
        expect![[r#"
            no machine
            error at /States: there are no states (add at least one state)
            error at /StartAt: Missing 'Next' target: A"#]],
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
            no machine
            error at /: Workflow has no terminal state (give a state End, or add a Succeed or Fail state)"#]],
    );
    check(
        r#"{"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [
            {"StartAt": "X", "States": {"X": {"Type": "Pass", "Next": "P"}}}]}}}"#,
        expect![[r#"
            no machine
            error at /States/P/Branches/0/States/X/Next: Missing 'Next' target: P (a transition cannot leave or enter a Parallel branch or a Map processor)
            error at /States/P/Branches/0: Workflow has no terminal state (give a state End, or add a Succeed or Fail state)"#]],
    );
}

#[test]
fn values() {
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "fn", "TimeoutSeconds": 0, "HeartbeatSeconds": "5",
            "InputPath": "a", "ResultPath": "$.a[*]", "Parameters": {"x.$": "nothing", "y": {"z.$": 5}},
            "Retry": [{"ErrorEquals": ["States.ALL"], "BackoffRate": 0.5}, {"ErrorEquals": []}, {"ErrorEquals": ["E"], "MaxDelaySeconds": 31622401}],
            "Catch": [{"Next": "A"}], "End": true}}}"#,
        expect![[r#"
            no machine
            error at /States/A/InputPath: Value must be a valid JSONPath. (it must begin with $)
            error at /States/A/Resource: Resource must be an ARN (name a function as arn:aws:lambda:<region>:<account>:function:<name>, with :<alias> if any)
            error at /States/A/Retry/0/ErrorEquals: States.ALL must stand alone and in the last place (put it into an entry of its own behind the others)
            error at /States/A/Retry/0/BackoffRate: BackoffRate must be at least 1.0
            error at /States/A/Retry/1/ErrorEquals: ErrorEquals must be an array of at least one error's name (name the errors, or States.ALL for any)
            error at /States/A/Retry/2/MaxDelaySeconds: MaxDelaySeconds must be at most 31622400
            error at /States/A/Catch/0: These fields are required: [ErrorEquals] (add ErrorEquals)
            error at /States/A/ResultPath: Value is not a Reference Path (a reference path must name exactly one place)
            error at /States/A/Parameters/x.$: The value for the field 'x.$' must be a valid JSONPath or a valid intrinsic function call ('nothing' is neither a path (it would begin with $) nor an intrinsic function (States.…))
            error at /States/A/Parameters/y/z.$: The value for the field 'z.$' must be a valid JSONPath or a valid intrinsic function call (the value of a field ending in .$ must be a string, not 5)
            error at /States/A/TimeoutSeconds: TimeoutSeconds must be a whole number from 1 to 99999999, not 0
            error at /States/A/HeartbeatSeconds: HeartbeatSeconds must be a whole number from 1 to 99999999, not a string (remove the quotes)"#]],
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
            error at /States/A/Next: Field 'Next' is not supported (remove it, or move it to where it belongs)"#]],
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
            error at /States/A/ItemReader/ReaderConfig: These fields are required: [CSVHeaders] (add CSVHeaders)
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
        &map(
            r#""QueryLanguage": "JSONata", "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON", "MaxItemsPath": "$.most"}},"#,
        ),
        expect![[r#"
            no machine
            error at /States/A/ItemReader/ReaderConfig/MaxItemsPath: Field 'MaxItemsPath' is not supported (did you mean MaxItems?)"#]],
    );
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Map", "End": true, "Label": "l", "ItemProcessor": {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}}}}}"#,
        expect![[r#"
            no machine
            error at /States/A/Label: Label is only for Map states in DISTRIBUTED mode (remove it, or set Mode to DISTRIBUTED)"#]],
    );
}

#[test]
fn fields_of_the_other_language() {
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Output": {"a": 1}, "End": true}}}"#,
        expect![[r#"
            no machine
            error at /States/A/Output: The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage (remove it, or set QueryLanguage to JSONata)"#]],
    );
    check(
        r#"{"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "ResultPath": "$.a", "End": true}}}"#,
        expect![[r#"
            no machine
            error at /States/A/ResultPath: The QueryLanguage is set to 'JSONata', but field 'ResultPath' is only supported for the 'JSONPath' QueryLanguage (remove it, or set QueryLanguage to JSONPath)"#]],
    );
}

#[test]
fn ways_that_lead_nowhere() {
    // AWS looks no further for states that nothing names.
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"},
            "C": {"Type": "Pass", "Next": "A"}}}"#,
        expect![[r#"
            no machine
            error at /: Workflow has no terminal state (give a state End, or add a Succeed or Fail state)"#]],
    );
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"},
            "C": {"Type": "Succeed"}}}"#,
        expect![[r#"
            no machine
            error at /States/C: State "C" is not reachable. (remove it, or name it in a Next)
            warning at /States/A: Once A is entered, no way leads to an end (give one of the states that follow it a way out, or End)"#]],
    );
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": true, "Next": "B"}], "Default": "E"},
            "B": {"Type": "Pass", "Next": "C"}, "C": {"Type": "Wait", "Seconds": 1, "Next": "B"},
            "D": {"Type": "Pass", "Next": "F"}, "F": {"Type": "Pass", "Next": "D"}, "E": {"Type": "Succeed"}}}"#,
        expect![[r#"
            machine
            warning at /States/D: No way leads from the start to D (remove the states that lead only to each other, or lead to one of them)
            warning at /States/F: No way leads from the start to F (remove the states that lead only to each other, or lead to one of them)
            warning at /States/B: Once B is entered, no way leads to an end (give one of the states that follow it a way out, or End)"#]],
    );
}

#[test]
fn texts_that_look_like_expressions() {
    check(
        r#"{"StartAt": "A", "States": {
            "A": {"Type": "Pass", "Parameters": {"a": "$.x", "b": {"c": ["$.y", {"d": "States.UUID()"}]}, "e.$": "$.z", "f": "$5"}, "Next": "B"},
            "B": {"Type": "Pass", "Result": {"a.$": "$.x"}, "Next": "C"},
            "C": {"Type": "Choice", "Choices": [{"Not": {"Variable": "$.a", "StringEquals": "$.b"}, "Next": "D"}], "Default": "D"},
            "D": {"Type": "Fail", "Cause": "$.why"}}}"#,
        expect![[r#"
            machine
            warning at /States/A/Parameters/a: The value of 'a' looks like an expression, but is taken as it is (call the field a.$ to have it evaluated)
            warning at /States/A/Parameters/b/c/1/d: The value of 'd' looks like an expression, but is taken as it is (call the field d.$ to have it evaluated)
            warning at /States/B/Result: The Result of a Pass state is static: nothing in it is evaluated (use Parameters instead of Result)
            warning at /States/C/Choices/0/Not/StringEquals: The value looks like a path, but is taken as it is (use StringEqualsPath to have it read)
            warning at /States/D/Cause: The value looks like a path, but is taken as it is (use CausePath to have it read)"#]],
    );
}

#[test]
fn names() {
    let long = "x".repeat(81);
    check(
        &r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "P"}, "P": {"Type": "Parallel", "End": true, "Branches": [
            {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}},
            {"StartAt": "LONG", "States": {"LONG": {"Type": "Pass", "End": true}}}]}}}"#
            .replace("LONG", &long),
        expect![[r#"
            no machine
            error at /States/P/Branches/0/States/A: Duplicate State name: A (names are unique in the whole state machine)
            error at /States/P/Branches/1/States/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: The name of a state has 1 to 80 characters (choose another name)"#]],
    );
}

#[test]
fn jsonata() {
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": {"x": "{% 10 + * 2 } %}", "y/z": ["{% $sum($states.input.numbers %}"]}, "Next": "B"},
            "B": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% 10 %", "Next": "C"},
            "C": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": ["10 %}"], "Assign": {"x.$": 1, "states": 2}, "Next": "D"},
            "D": {"Type": "Pass", "Output": "{% $.store.book[?(@.price < 10)].title %}", "QueryLanguage": "JSONata", "End": true}}}"#,
        expect![[r#"
            no machine
            error at /States/A/Output/x: Invalid JSONata expression: S0201: Syntax error: 2 (at character 8)
            error at /States/A/Output/y~1z/0: Invalid JSONata expression: S0203: Expected ")" before end of expression (at character 27)
            error at /States/B/Output: A JSONata expression must begin with '{%' and end with '%}'
            error at /States/C/Assign/x.$: x.$ cannot be the name of a variable (a letter, then letters, digits and _, and not states)
            error at /States/C/Assign/states: states cannot be the name of a variable (a letter, then letters, digits and _, and not states)
            error at /States/C/Output/0: A JSONata expression must begin with '{%' and end with '%}'
            error at /States/D/Output: Invalid JSONata expression: S0211: The symbol "?" cannot be used as a unary operator (at character 14)"#]],
    );
    check(
        r#"{"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": [{"Condition": "yes", "Next": "B"}, {"Next": "B"}, {"Condition": "{% / %}", "Next": "B"}], "Default": "B"},
            "B": {"Type": "Wait", "Seconds": "{% 1 %}", "Timestamp": "{% 2 %}", "Next": "C"}, "C": {"Type": "Wait", "Next": "D"},
            "D": {"Type": "Map", "Items": "all", "MaxConcurrency": "many", "ToleratedFailurePercentage": 101, "ItemProcessor": {"StartAt": "E", "States": {"E": {"Type": "Succeed"}}}, "Next": "F"},
            "F": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "TimeoutSeconds": 0, "Credentials": {"Role": "{% $r %}"}, "Next": "G"},
            "G": {"Type": "Pass", "QueryLanguage": "JSONPath", "End": true}}}"#,
        expect![[r#"
            no machine
            error at /States/A/Choices/0/Condition: Condition must be true, false or a JSONata expression
            error at /States/A/Choices/1: These fields are required: [Condition] (add Condition)
            error at /States/A/Choices/2/Condition: Invalid JSONata expression: S0302: No terminating / in regular expression (at character 2)
            error at /States/B/Timestamp: Seconds and Timestamp exclude each other (keep one of them)
            error at /States/C: the state does not say how long to wait (add one of Seconds, Timestamp)
            error at /States/D/Items: Items must be an array or a JSONata expression that gives one
            error at /States/D/MaxConcurrency: MaxConcurrency must be a whole number from 0 to 99999999, not a string
            error at /States/D/ToleratedFailurePercentage: ToleratedFailurePercentage must be from 0 to 100
            error at /States/F/Credentials: The field 'RoleArn' is required but was missing (add RoleArn)
            error at /States/F/TimeoutSeconds: TimeoutSeconds must be a whole number from 1 to 99999999, not 0
            error at /States/G/QueryLanguage: 'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine (remove it, or set QueryLanguage in the states that use JSONata only)"#]],
    );
    check(
        r#"{"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "Parameters": {}, "InputPath": "$.x", "Result": 1, "Next": "B"},
            "B": {"Type": "Fail", "ErrorPath": "$.x", "Cause": "{% $states.input %}"}}}"#,
        expect![[r#"
            no machine
            error at /States/A/InputPath: The QueryLanguage is set to 'JSONata', but field 'InputPath' is only supported for the 'JSONPath' QueryLanguage (remove it, or set QueryLanguage to JSONPath)
            error at /States/A/Parameters: The QueryLanguage is set to 'JSONata', but field 'Parameters' is only supported for the 'JSONPath' QueryLanguage (remove it, or set QueryLanguage to JSONPath)
            error at /States/A/Result: The QueryLanguage is set to 'JSONata', but field 'Result' is only supported for the 'JSONPath' QueryLanguage (remove it, or set QueryLanguage to JSONPath)
            error at /States/B/ErrorPath: The QueryLanguage is set to 'JSONata', but field 'ErrorPath' is only supported for the 'JSONPath' QueryLanguage (remove it, or set QueryLanguage to JSONPath)"#]],
    );
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Output": "{% 1 %}", "Next": "B"}, "B": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": ["{% $x ?? 1 %}", "{% ($f := function() { $states.result.x }; $f()) %}"], "Next": "C"},
            "C": {"Type": "Task", "QueryLanguage": "JSONata", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": "{% $states.result %}", "Output": "{% $states.errorOutput %}",
                "Assign": {"x": "{% $states.result %}"}, "Catch": [{"ErrorEquals": ["States.ALL"], "Output": ["{% $states.errorOutput %}", "{% $states.result[0] %}"], "Next": "D"}], "Next": "D"},
            "D": {"Type": "Succeed"}}}"#,
        expect![[r#"
            no machine
            error at /States/A/Output: The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage (remove it, or set QueryLanguage to JSONata)
            warning at /States/B/Output/0: AWS supports JSONata 2.0.6, which does not have the operator ??
            error at /States/B/Output/1: $states.result is not accessible in this field
            error at /States/C/Output: $states.errorOutput is not accessible in this field
            error at /States/C/Catch/0/Output/1: $states.result is not accessible in this field
            error at /States/C/Arguments: $states.result is not accessible in this field"#]],
    );
}

#[test]
fn cycles() {
    // B and C never end, nor do E and F; a Catch is a way out of G.
    check(
        r#"{"StartAt": "A", "States": {
            "A": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": true, "Next": "B"}, {"Variable": "$.a", "IsString": true, "Next": "F"}], "Default": "G"},
            "B": {"Type": "Pass", "Next": "C"}, "C": {"Type": "Wait", "Seconds": 1, "Next": "B"},
            "E": {"Type": "Pass", "Next": "F"}, "F": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsString": true, "Next": "E"}], "Default": "F"},
            "G": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "G", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "H"}]},
            "H": {"Type": "Succeed"}}}"#,
        expect![[r#"
            machine
            warning at /States/B: Once B is entered, no way leads to an end (give one of the states that follow it a way out, or End)
            warning at /States/F: Once F is entered, no way leads to an end (give one of the states that follow it a way out, or End)"#]],
    );
    // The start may be one of them.
    check(
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"},
            "C": {"Type": "Pass", "Next": "D"}, "D": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsString": true, "Next": "C"}], "Default": "E"}, "E": {"Type": "Fail"}}}"#,
        expect![[r#"
            machine
            warning at /States/C: No way leads from the start to C (remove the states that lead only to each other, or lead to one of them)
            warning at /States/D: No way leads from the start to D (remove the states that lead only to each other, or lead to one of them)
            warning at /States/E: No way leads from the start to E (remove the states that lead only to each other, or lead to one of them)
            warning at /States/A: Once A is entered, no way leads to an end (give one of the states that follow it a way out, or End)"#]],
    );
}

#[test]
fn wrong_types() {
    check(
        r#"{"StartAt": 1, "Comment": [], "TimeoutSeconds": "60", "States": {"A": {"Type": "pass", "End": true}, "B": {"Type": "Pass", "End": "true"}, "C": []}}"#,
        expect![[r#"
            no machine
            error at /Comment: Comment must be a string, not an array
            error at /TimeoutSeconds: TimeoutSeconds must be a whole number from 1 to 99999999, not a string (remove the quotes)
            error at /StartAt: StartAt must be a string, not a number
            error at /States/A/Type: The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] (did you mean Pass?)
            error at /States/B/End: End must be true or false, not a string (remove the quotes)
            error at /States/C: This must be an object, not an array"#]],
    );
    check(
        r#"{"StartAt": "A", "States": []}"#,
        expect![[r#"
        no machine
        error at /States: States must be an object, not an array"#]],
    );
}

#[test]
fn the_other_language() {
    check(
        r#"{"QueryLanguage": "JSONata", "StartAt": "A", "States": {
            "A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"a.$": "$.x", "b": ["$$.Execution.Id", "States.UUID()"], "c": "$5", "d": "{% $states.input.x[$ > 1] %}"},
                "Output": "{% $.x %}", "Next": "B"},
            "B": {"Type": "Wait", "Seconds": "{% $$.State.x %}", "Next": "C"},
            "C": {"Type": "Succeed", "Output": ["{% $eval('1') %}", "{% name %}", "{% $$ %}", "{% $states.input.{'a': name, 'b': $} %}", "{% $x := 1 %}"]}}}"#,
        expect![[r#"
            machine
            warning at /States/A/Arguments/a.$: The text looks like JSONPath, but the state's QueryLanguage is JSONata: it is taken as it is (write it in JSONata between {% and %}, with $states.input for $ and $states.context for $$)
            warning at /States/A/Arguments/b/0: The text looks like JSONPath, but the state's QueryLanguage is JSONata: it is taken as it is (write it in JSONata between {% and %}, with $states.input for $ and $states.context for $$)
            warning at /States/A/Arguments/b/1: The text looks like JSONPath, but the state's QueryLanguage is JSONata: it is taken as it is (write it in JSONata between {% and %}, with $states.input for $ and $states.context for $$)
            warning at /States/A/Output: The expression begins with $, $$ or the name of a field, which stand for nothing in a state machine (begin with $states.input for the input, with $states.context for the context)
            warning at /States/B/Seconds: The expression begins with $, $$ or the name of a field, which stand for nothing in a state machine (begin with $states.input for the input, with $states.context for the context)
            warning at /States/C/Output/0: AWS leaves $eval out of JSONata (use $parse to read JSON)
            warning at /States/C/Output/1: The expression begins with $, $$ or the name of a field, which stand for nothing in a state machine (begin with $states.input for the input, with $states.context for the context)
            warning at /States/C/Output/2: The expression begins with $, $$ or the name of a field, which stand for nothing in a state machine (begin with $states.input for the input, with $states.context for the context)"#]],
    );
    check(
        r#"{"StartAt": "A", "States": {
            "A": {"Type": "Pass", "Parameters": {"a": "{% $states.input %}", "n.$": "$.list.length()", "m.$": "States.Array($.x[?(length(@.y) > 1)], 'max()')", "o": "$.a.max()"}, "Next": "B"},
            "B": {"Type": "Map", "ItemsPath": "$.x[?(@.y == $.z)]", "ItemProcessor": {"StartAt": "C", "States": {"C": {"Type": "Choice", "Choices": [{"Variable": "$.a.size()", "IsPresent": true, "Next": "D"}], "Default": "D"}, "D": {"Type": "Pass", "Result": "{% 1 %}", "End": true}}}, "End": true}}}"#,
        expect![[r#"
            machine
            warning at /States/A/Parameters/a: The text looks like JSONata, but the state's QueryLanguage is JSONPath: it is taken as it is (set QueryLanguage to JSONata)
            warning at /States/A/Parameters/n.$: Step Functions does not support functions in paths (use an intrinsic function, or set QueryLanguage to JSONata)
            warning at /States/A/Parameters/m.$: Step Functions does not support functions in filters (use an intrinsic function, or set QueryLanguage to JSONata)
            warning at /States/A/Parameters/o: The value of 'o' looks like an expression, but is taken as it is (call the field o.$ to have it evaluated)
            warning at /States/B/ItemsPath: Step Functions does not support other values of the input in filters (use an intrinsic function, or set QueryLanguage to JSONata)
            warning at /States/B/ItemProcessor/States/C/Choices/0/Variable: Step Functions does not support functions in paths (use an intrinsic function, or set QueryLanguage to JSONata)"#]],
    );
}

#[test]
fn variables_that_nothing_assigns() {
    check(
        r#"{"StartAt": "A", "States": {
            "A": {"Type": "Pass", "Assign": {"count.$": "$.n", "list": []}, "Next": "P"},
            "P": {"Type": "Map", "ItemsPath": "$list", "End": true, "ItemProcessor": {"StartAt": "B", "States": {
                "B": {"Type": "Pass", "Parameters": {"n.$": "$cuont", "m.$": "$count"}, "Next": "C"},
                "C": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $map($list, $string) & $elsewhere %}", "End": true}}}}}}"#,
        expect![[r#"
            machine
            warning at /States/P/ItemProcessor/States/B: B reads the variable cuont, which no state assigns (did you mean count?)
            warning at /States/P/ItemProcessor/States/C: C reads the variable elsewhere, which no state assigns (assign it in an earlier state)"#]],
    );
}
