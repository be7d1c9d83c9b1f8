#!/usr/bin/env python3
"""A function for the tests: speaks the Lambda Runtime API and does what its event says."""
import json, os, signal, subprocess, sys, urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/"


def post(path, value):
    request = urllib.request.Request(api + path, data=json.dumps(value).encode(), method="POST")
    opener.open(request).read()


if sys.argv[1:] == ["cannot-start"]:
    post("init/error", {"errorType": "Settings.Missing", "errorMessage": "BUCKET is not set"})
    sys.exit(1)
if sys.argv[1:] == ["dies-early"]:
    sys.exit(7)
while True:
    work = opener.open(api + "invocation/next")
    request = work.headers["Lambda-Runtime-Aws-Request-Id"]
    event = json.loads(work.read())
    print(json.dumps({"type": "progress", "requestId": request, "act": event["act"]}), flush=True)
    act, answer = event["act"], f"invocation/{request}/response"
    if act == "look":
        post(answer, {
            "pid": os.getpid(),
            "arguments": sys.argv[1:],
            "environment": dict(os.environ),
            "deadline": int(work.headers["Lambda-Runtime-Deadline-Ms"]),
            "arn": work.headers["Lambda-Runtime-Invoked-Function-Arn"],
        })
    elif act == "fail":
        post(f"invocation/{request}/error", {"errorType": "Media.Broken", "errorMessage": "no frames"})
    elif act == "exit":
        sys.exit(3)
    elif act == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif act == "wait":
        # Blocks until somebody opens the other end, and again until that is closed.
        with open(event["fifo"]) as fifo:
            fifo.read()
        post(answer, {"pid": os.getpid()})
    elif act == "hang":
        child = subprocess.Popen(["tail", "-f", "/dev/null"])
        with open(event["fifo"], "w") as fifo:
            fifo.write(str(child.pid))
        child.wait()
    elif act == "retire":
        # Answers, and is gone before the next event.
        post(answer, {"pid": os.getpid()})
        sys.exit(0)
