"""API keys: who gets in, how fast, how often, and that nobody sees another's jobs."""
import concurrent.futures
import subprocess
import time

import pytest

from fake_worker import FakeWorker
from stack import BUILD, ROOT, Stack, free_port, until


@pytest.fixture(scope="module")
def stack():
    with Stack(servers=1, auth=True, server_args=["--models-dir", "", "--rate-per-second", "50", "--rate-burst", "200"]) as s:
        s.other = s.add_key("other")
        yield s


def status(stack, header):
    headers = {"authorization": header} if header is not None else {"authorization": ""}
    return stack.call("GET", "/v1/videos", headers=headers)


def forget_failures(stack):
    for key in stack.redis("KEYS", "*authfail*") or []:
        stack.redis("DEL", key)


def wrong_secret(key):
    """The same key id with another secret and a right checksum cannot be made here: only a wrong one."""
    return key[:-10] + ("0" if key[-10] != "0" else "1") + key[-9:]


def test_who_gets_in(stack):
    good = stack.key
    rows = [(None, 401), ("Basic eDp5", 401), ("Bearer", 401), ("Bearer  ", 401), (good, 401), ("Bearer " + good + "x", 401),
            ("Bearer " + wrong_secret(good), 401), ("Bearer " + "a" * 10000, 401), ("Bearer mis_x", 401),
            ("Bearer " + good, 200), ("bearer  " + good, 200)]
    for header, want in rows:
        forget_failures(stack)
        reply = status(stack, header)
        assert reply.status == want, (header and header[:40], reply)
        if want == 401:
            assert reply.json()["error"]["code"] == "invalid_api_key" and reply.headers["www-authenticate"] == "Bearer"
    assert stack.call("GET", "/healthz", headers={"authorization": ""}).status == 200
    assert stack.call("GET", "/readyz", headers={"authorization": ""}).status == 200
    forget_failures(stack)


def test_guessing_is_slowed_down_and_forgotten(stack):
    forget_failures(stack)
    replies = [status(stack, "Bearer wrong") for _ in range(14)]
    assert [r.status for r in replies].count(401) == 10 and replies[-1].status == 429
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 60
    assert status(stack, "Bearer " + stack.key).status == 200  # a right key is never slowed by others' failures
    forget_failures(stack)


def test_every_route_hides_the_jobs_of_another_key(stack):
    job = stack.create()["id"]
    theirs = {"authorization": "Bearer " + stack.other}
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/content"), ("GET", "/events"), ("GET", "?wait=1")):
        reply = stack.call(method, f"/v1/videos/{job}{path}", headers=theirs)
        assert reply.status == 404 and reply.json()["error"]["code"] == "video_not_found", (method, path, reply)
    assert stack.call("GET", "/v1/videos", headers=theirs).json()["data"] == []
    assert stack.json("GET", "/v1/videos/" + job)["status"] == "queued"


def test_an_idempotency_key_counts_per_tenant(stack):
    headers = {"idempotency-key": "same"}
    mine = stack.call("POST", "/v1/videos", {"prompt": "a"}, headers).json()["id"]
    theirs = stack.call("POST", "/v1/videos", {"prompt": "b"}, {**headers, "authorization": "Bearer " + stack.other})
    assert theirs.status == 200 and theirs.json()["id"] != mine


def test_a_revoked_key_is_out_within_thirty_seconds_and_never_came_in_uncached(stack):
    key = stack.add_key("leaver")
    kid = key.split("_")[2]
    stack.admin("keys", "revoke", kid)
    assert status(stack, "Bearer " + key).status == 401
    forget_failures(stack)


def test_the_rate_of_a_key_is_held_and_told(stack):
    key = stack.add_key("slow", "--rate", "5", "--burst", "5")
    replies = [status(stack, "Bearer " + key) for _ in range(12)]
    assert [r.status for r in replies].count(200) in (5, 6), [r.status for r in replies]
    last = next(r for r in replies if r.status == 429)
    assert last.json()["error"]["code"] == "rate_limit_exceeded" and last.headers["retry-after"] == "1"
    ok = replies[0].headers
    assert ok["x-ratelimit-limit-requests"] == "5" and ok["ratelimit-policy"] == '"requests";q=5;w=1'
    assert ok["ratelimit"].startswith('"requests";r=4')


def test_live_jobs_of_a_tenant_are_limited(stack):
    key = stack.add_key("small")
    stack.redis("HSET", "{misora}:quota:small", "max_live", 2)
    headers = {"authorization": "Bearer " + key}
    replies = [stack.call("POST", "/v1/videos", {"prompt": "a"}, headers) for _ in range(3)]
    assert [r.status for r in replies] == [200, 200, 429]
    assert replies[2].json()["error"]["code"] == "too_many_jobs" and int(replies[2].headers["retry-after"]) <= 60


def test_a_full_lane_is_told(stack):
    stack.redis("HSET", "{misora}:meta", "max_lane", 1)
    try:
        reply = stack.call("POST", "/v1/videos", {"prompt": "a"})
        assert reply.status == 429 and reply.json()["error"]["code"] == "queue_full"
    finally:
        stack.redis("HDEL", "{misora}:meta", "max_lane")


def test_no_secret_reaches_the_log(stack):
    secret = stack.key.split("_")[3]
    assert secret not in stack.log("server0") and secret not in stack.log("redis")
    assert "a red ball" not in stack.log("server0")


def start(*args, **env):
    return subprocess.run([str(BUILD / "misora-server"), *map(str, args)], capture_output=True, text=True, timeout=20,
                          cwd=ROOT, env={"PATH": "/usr/bin:/bin", **env})


@pytest.mark.parametrize("args,text", [
    (["--no-auth", "--bind", "0.0.0.0"], "no_auth needs bind on loopback"),
    (["--bind", "0.0.0.0"], "behind_proxy"),
    (["--bind", "host.example", "--behind-proxy"], "not an IP address"),
    (["--max-parked", "3000"], "max_parked"),
    (["--log-level", "loud!"], "log_level"),
    (["--port", "65536"], "65535"),
    (["--models-dir", "/nonexistent"], "models_dir"),
    (["--models-dir", "", "--model-aliases", "a"], "name=model"),
    (["--store-dir", "/proc/nope"], "/proc/nope"),
], ids=lambda v: v if isinstance(v, str) else None)
def test_a_wrong_configuration_does_not_start(args, text, tmp_path):
    base = ["--store-dir", tmp_path] if "--store-dir" not in args else []
    models = ["--models-dir", ""] if "--models-dir" not in args else []
    out = start(*base, *models, *args)
    assert out.returncode in (64, 78) and text in out.stderr, out


def test_check_config_gives_the_same_verdict(tmp_path):
    assert start("--check-config").returncode == 0
    assert start("--check-config", "--no-auth", "--bind", "0.0.0.0").returncode == 78
    assert start("--check-config", "--nonsense").returncode == 64
