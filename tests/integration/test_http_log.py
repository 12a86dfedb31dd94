"""The server's log as the person on call reads it: every failure is there with its request id, nothing repeats
without news, and no word of a client's that is secret or private."""
import concurrent.futures
import re
import time

import pytest

from picture import png
from rawhttp import form, send_raw
from stack import Stack, until

FORM = {"content-type": "multipart/form-data; boundary=XYZ"}
# What must never be read in a log, at no level; each stands in a request of test_no_canary_is_in_any_log.
CANARIES = {name: f"canary{i}q7x" for i, name in enumerate(
    ("prompt", "negative", "metadata", "hook", "idempotency", "wrong_key", "query", "form", "file_name", "unknown"))}


@pytest.fixture(scope="module")
def stack():
    with Stack(servers=1, auth=True, server_args=["--models-dir", "", "--log-level", "debug"]) as s:
        yield s


def lines_of(stack, request_id):
    """The lines of one request; the last one comes a moment after its reply."""
    def look():
        lines = [line for line in stack.log("server0").splitlines() if request_id in line]
        return lines if any(" http.done " in line for line in lines) else None
    return until(look, 5, "the request was in the log")


def test_no_canary_is_in_any_log(stack):
    c = CANARIES
    made = stack.call("POST", "/v1/videos", {
        "prompt": c["prompt"], "negative_prompt": c["negative"], "metadata": {"a": c["metadata"]},
        "webhook_url": "https://hooks.example.org/" + c["hook"]}, {"idempotency-key": c["idempotency"]})
    assert made.status == 200, made
    stack.call("POST", "/v1/videos", {"prompt": c["prompt"] * 4000})
    stack.call("POST", "/v1/videos", {"prompt": c["prompt"], "seed": c["unknown"]})
    stack.call("POST", "/v1/videos", form(("prompt", c["form"]), ("input_reference", png(16, 16), c["file_name"])), FORM)
    stack.call("GET", "/v1/videos?after=" + c["query"])
    stack.call("GET", "/v1/videos", headers={"authorization": f"Bearer mis_live_{c['wrong_key']}_{'0' * 40}"})
    stack.json("GET", f"/v1/videos/{made.json()['id']}?wait=1")
    text = "".join(stack.log(name) for name in ("server0", "redis"))
    assert [name for name, word in c.items() if word in text] == []
    assert stack.key not in text and stack.key.split("_")[3] not in text


def test_every_line_is_one_line_of_the_known_shape(stack):
    send_raw(stack.url, b"G\x07\x1b[31mET / HTTP/1.1\r\nHost: x\r\n\r\n")
    send_raw(stack.url, b"GET /a\x1b[2Jb HTTP/1.1\r\nHost: x\r\n\r\n")
    stack.call("GET", "/v1/nothing%0a%1b%22")
    stack.call("GET", "/healthz", headers={"x-client-request-id": 'a" id=forged \x7f'})
    for line in stack.log("server0").splitlines():
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warn|error) [a-z]+\.[a-z_]+( [a-z_]+=.*)*", line), line
        assert line.isprintable(), line


def test_a_minute_of_probes_says_nothing_at_the_usual_level():
    with Stack(servers=1, server_args=["--models-dir", ""]) as s:
        for _ in range(60):
            s.call("GET", "/readyz"), s.call("GET", "/healthz")
        call_lines = [line for line in s.log("server0").splitlines() if "http.done" in line]
        assert call_lines == []
        s.call("GET", "/v1/videos")
        until(lambda: "path=/v1/videos status=200" in s.log("server0"), 5)


def test_an_outage_is_seen_with_its_reason_and_told_once_by_the_event_thread():
    with Stack(servers=1, server_args=["--models-dir", ""]) as s:
        s.kill("redis")
        reply = s.call("POST", "/v1/videos", {"prompt": "a"})
        assert reply.status == 503
        mine = lines_of(s, reply.headers["x-request-id"])
        assert any(" error request.failed " in line and "why=" in line for line in mine), mine
        assert any(" warn http.done " in line and "status=503" in line for line in mine), mine
        assert s.call("GET", "/readyz").status == 503
        until(lambda: "path=/readyz status=503" in s.log("server0"), 5)
        time.sleep(2.5)
        assert s.log("server0").count("hub.away") == 1
        s.start_redis()
        until(lambda: s.call("GET", "/v1/videos").status == 200, 5)


def test_a_store_that_fails_is_seen_with_its_reason():
    with Stack(servers=1, server_args=["--models-dir", ""]) as s:
        tmp = s.dir / "store" / "tmp"
        tmp.rename(s.dir / "away")
        (s.dir / "away").rmdir()
        body = form(("prompt", "a"), ("input_reference", png(16, 16), "a.png"))
        reply = s.call("POST", "/v1/videos", body, FORM)
        assert reply.status == 503, reply
        assert "upload.failed" in s.log("server0") and lines_of(s, reply.headers["x-request-id"])
        assert s.json("POST", "/v1/videos", {"prompt": "a"})["status"] == "queued"


def test_debug_costs_no_privacy_when_many_talk_at_once(stack):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda i: stack.call("POST", "/v1/videos", {"prompt": f"{CANARIES['prompt']} {i}"}).headers["x-request-id"], range(24)))
    assert all(sum(" http.done " in line for line in lines_of(stack, i)) == 1 for i in ids)
    assert CANARIES["prompt"] not in stack.log("server0")
