"""Reads an execution with boto3 and compares it with what Gantry's API shows of it.

Called by `cargo xtask e2e` with the execution's ARN and the address of the job in Gantry's API.
"""

import json
import sys
import urllib.request

import boto3


def main(arn: str, job_url: str) -> None:
    states = boto3.client("stepfunctions")
    pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
    events = [event for page in pages for event in page["events"]]
    with urllib.request.urlopen(job_url) as answer:
        execution = json.load(answer)["execution"]

    described = states.describe_execution(executionArn=arn)
    assert described["status"] == execution["status"] == "SUCCEEDED", (described["status"], execution["status"])
    assert execution["event_count"] == len(events), (execution["event_count"], len(events))
    assert [event["id"] for event in events] == list(range(1, len(events) + 1)), "ids count up from 1"
    assert all(0 <= event["previousEventId"] < event["id"] for event in events), "each follows an earlier one"
    assert events[0]["type"] == "ExecutionStarted" and events[-1]["type"] == "ExecutionSucceeded"

    # Newest first is the same history.
    newest = states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=5)["events"]
    assert [event["id"] for event in newest] == [event["id"] for event in reversed(events)][:5]

    entered: dict[str, int] = {}
    exited: dict[str, int] = {}
    for event in events:
        if "stateEnteredEventDetails" in event:
            name = event["stateEnteredEventDetails"]["name"]
            entered[name] = entered.get(name, 0) + 1
        if "stateExitedEventDetails" in event:
            name = event["stateExitedEventDetails"]["name"]
            exited[name] = exited.get(name, 0) + 1
    for state in execution["states"]:
        name = state["name"]
        assert state["visit_count"] == entered.get(name, 0), (name, state["visit_count"], entered.get(name))
        assert state["succeeded_count"] == exited.get(name, 0), (name, state["succeeded_count"], exited.get(name))
    print(f"{len(events)} events, {len(entered)} states: the same to boto3 and to Gantry")


if __name__ == "__main__":
    main(*sys.argv[1:])
