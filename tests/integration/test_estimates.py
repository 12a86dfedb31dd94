"""What a request would take, before it is made: shape of the answer, figures against reality, nothing left behind."""
import pytest

from stack import Stack, call, free_port, until

SMALL = {"prompt": "a red ball", "size": "128x80", "steps": 4}
KEYS = ["object", "operation", "effective", "tokens", "seconds", "memory_bytes", "fits", "cost", "jobs_ahead",
        "measured_jobs", "valid_until", "warnings"]


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def stack(port):
    with Stack(workers=1, server_args=["--price-per-second", "0.01"], worker_args=["--metrics-port", port]) as s:
        yield s


def estimate(stack, **body):
    return stack.json("POST", "/v1/videos/estimates", body)


def test_before_any_job_tokens_are_told_and_seconds_are_not(stack):
    e = estimate(stack, **SMALL)
    assert list(e) == KEYS and e["object"] == "video.estimate" and e["operation"] == "create"
    assert e["seconds"] is None and e["cost"] is None and e["memory_bytes"] is None
    assert e["tokens"]["total"] == e["tokens"]["latent"] * e["tokens"]["steps"] * e["tokens"]["passes"] > 0
    assert any("measured" in w for w in e["warnings"])


def test_after_some_jobs_the_figures_are_near_reality(stack, port):
    for n in (13, 25, 49):
        assert stack.wait_for(stack.create(num_frames=n, steps=4)["id"], 300)["status"] == "completed"
    until(lambda: estimate(stack, **SMALL)["measured_jobs"] == 3, 10, "the last job was learnt from")
    e = estimate(stack, **SMALL, num_frames=37)
    assert e["memory_bytes"] > 50e6 and e["fits"] is True
    assert e["effective"] == {"size": "128x80", "canvas": "128x80", "num_frames": 37, "fps": 12, "seconds": "3"}
    assert e["tokens"] == {"latent": 10 * 8 * 5, "steps": 4, "passes": 2, "total": 3200}
    assert float(e["cost"]["amount"]) > 0 and e["cost"]["currency"] == "USD"
    s = e["seconds"]
    assert 0 < s["compute"] and s["total"] <= s["p90"] and abs(s["queue"] + s["compute"] + s["encode"] - s["total"]) < 1e-6
    real = stack.wait_for(stack.create(num_frames=37, steps=4)["id"], 300)
    print("estimated", s["total"], "took", real["usage"]["compute_seconds"])
    until(lambda: b"misora_estimate_error_ratio" in call(f"http://127.0.0.1:{port}", "GET", "/metrics").body, 5)
    until(lambda: estimate(stack, **SMALL)["measured_jobs"] == 4, 10, "that job was learnt from too")
    once, twice = (estimate(stack, **{**SMALL, "steps": n}, num_frames=37)["seconds"]["compute"] for n in (4, 8))
    assert abs(twice / once - 2) < 1e-6, "twice the steps take twice the time"


def test_every_operation_can_be_asked(stack):
    clip = {"width": 128, "height": 80, "seconds": 4}
    total = {"edit": 48, "extend": 84, "connect": 132, "loop": 84}
    for operation, more in (("edit", {"video": clip}), ("extend", {"video": clip, "seconds": "3"}),
                            ("connect", {"first_video": clip, "second_video": clip, "seconds": "3"}),
                            ("loop", {"video": clip, "seconds": "3"})):
        e = estimate(stack, prompt="x", operation=operation, **more)
        assert e["operation"] == operation and e["effective"]["num_frames"] == total[operation], e
        assert e["effective"]["size"] == "128x80"
    assert estimate(stack, prompt="x", operation="image")["effective"]["num_frames"] == 1
    video = stack.create(num_frames=13, steps=1)["id"]
    stack.wait_for(video, 300)
    e = estimate(stack, prompt="x", operation="extend", video={"id": video}, seconds="2")
    assert e["effective"]["num_frames"] == 13 + 24


def test_nothing_is_queued(stack):
    before = len(stack.json("GET", "/v1/videos?limit=100")["data"])
    estimate(stack, **SMALL)
    assert len(stack.json("GET", "/v1/videos?limit=100")["data"]) == before


@pytest.mark.parametrize("body, status, param", [
    ({"prompt": "x", "operation": "magic"}, 400, "operation"), ({"operation": "create"}, 400, "prompt"),
    ({"prompt": "x", "steps": 999}, 400, "steps"), ({"prompt": "x", "operation": "edit"}, 400, "video"),
    ({"prompt": "x", "operation": "edit", "video": {"id": "video_" + "0" * 32}}, 404, "video[id]"),
    ({"prompt": "x", "operation": "edit", "video": {"seconds": 1000}}, 400, "video[seconds]"),
])
def test_wrong_requests_are_refused_in_words(stack, body, status, param):
    reply = stack.call("POST", "/v1/videos/estimates", body)
    assert (reply.status, reply.json()["error"]["param"]) == (status, param), reply
