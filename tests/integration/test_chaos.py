"""kill -9 of each process in the middle of jobs, five times each: no job is lost, none has two
results. Recovery times are printed (pytest -rP shows them)."""
import json
import os
import signal
import time

import pytest

from stack import Stack, until

ROUNDS = 5


@pytest.fixture()
def stack():
    with Stack(servers=1, workers=1) as s:
        yield s


def long_job(s, i):
    """A job of some seconds, so that a kill lands in its middle."""
    return s.create(f"a red ball bounces in a green meadow {i}", seconds="4", steps=100)["id"]


def running(s, job):
    def look():
        video = s.json("GET", f"/v1/videos/{job}")
        assert video["status"] != "completed", "the job was over before it was seen at work"
        return video if video["status"] == "in_progress" and video["phase"] == "denoise" else None
    return until(look, 60, f"{job} was computed")


def results(s, job):
    """Objects in the store that belong to a job: one video per completed job."""
    return [p for p in (s.dir / "store").rglob("*.mp4") if job in str(p)]


def check_end(s, jobs):
    for job in jobs:
        video = s.wait_for(job, 240)
        assert video["status"] == "completed", video
        ended = [e for e in s.redis("XRANGE", "{misora}:ev:" + job, "-", "+") or []
                 if any(w in ("succeeded", "completed") for w in e[1])]
        assert len(ended) <= 1, ended
    until(lambda: all(len(results(s, job)) == 1 for job in jobs), 60, "one object a job was left")
    audit = s.admin("audit")
    assert audit.returncode == 0, audit.stdout


def report(name, times):
    print(f"{name}: recovery s " + " ".join(f"{t:.2f}" for t in times) + f", max {max(times):.2f}")


def test_a_killed_compute_child_costs_two_seconds(stack):
    jobs, times = [], []
    for i in range(ROUNDS):
        jobs.append(long_job(stack, i))
        running(stack, jobs[-1])
        child = stack.children("worker0")
        start = time.monotonic()
        for pid in child:
            os.kill(pid, signal.SIGKILL)
        until(lambda: stack.redis("HGET", "{misora}:job:" + jobs[-1], "crash") not in (None, "0"), 10,
              "the loss was seen")
        times.append(time.monotonic() - start)
        assert times[-1] <= 2.5
        stack.wait_for(jobs[-1], 240)
    check_end(stack, jobs)
    report("compute child", times)


def test_a_killed_supervisor_takes_its_child_along_and_the_job_goes_on(stack):
    jobs, times = [], []
    for i in range(ROUNDS):
        jobs.append(long_job(stack, i))
        running(stack, jobs[-1])
        children = stack.children("worker0")
        start = time.monotonic()
        stack.kill("worker0")
        until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), 2, "the child died")
        stack.start_worker(0)
        until(lambda: stack.redis("HGET", "{misora}:job:" + jobs[-1], "lease") and
              stack.redis("HGET", "{misora}:job:" + jobs[-1], "epoch") == "2", 60, "the job was claimed again")
        times.append(time.monotonic() - start)
        stack.wait_for(jobs[-1], 240)
    check_end(stack, jobs)
    report("supervisor", times)


def test_a_killed_server_forgets_nothing(stack):
    jobs, times = [], []
    for i in range(ROUNDS):
        jobs.append(long_job(stack, i))
        start = time.monotonic()
        stack.kill("server0")
        stack.start_server(0)
        assert stack.json("GET", f"/v1/videos/{jobs[-1]}")["id"] == jobs[-1]
        times.append(time.monotonic() - start)
    check_end(stack, jobs)
    report("server", times)


def test_a_killed_redis_loses_no_accepted_job(stack):
    jobs, times = [], []
    for i in range(ROUNDS):
        jobs.append(long_job(stack, i))
        running(stack, jobs[-1])
        jobs.append(long_job(stack, 100 + i))
        start = time.monotonic()
        stack.kill("redis")
        assert stack.call("GET", f"/v1/videos/{jobs[-1]}").status == 503
        stack.start_redis()
        until(lambda: stack.call("GET", f"/v1/videos/{jobs[-1]}").status == 200, 10, "the server was back")
        times.append(time.monotonic() - start)
    check_end(stack, jobs)
    epochs = [int(stack.redis("HGET", "{misora}:job:" + job, "epoch")) for job in jobs]
    print("attempts per job:", json.dumps(epochs))
    report("redis-server", times)
