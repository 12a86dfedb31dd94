"""The API over HTTP with a worker that has no model: every answer a client may rely on."""
import base64
import http.client
import json
import socket
import threading
import time

import pytest

from fake_worker import FakeWorker
from picture import png
from rawhttp import form, send_raw
from sse import read_events
from stack import Stack, until

FORM = {"content-type": "multipart/form-data; boundary=XYZ"}
CORE = ["id", "object", "model", "status", "progress", "created_at", "completed_at", "expires_at", "prompt", "size",
        "seconds", "remixed_from_video_id", "error"]
VIDEO = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def stack():
    with Stack(servers=2, server_args=["--models-dir", ""]) as s:
        yield s


@pytest.fixture()
def worker(stack):
    return FakeWorker(stack)


def claim_own(worker, job_id):
    """Claims jobs until it is this one; what others left in the queue ends as failed."""
    while True:
        spec = worker.claim()
        assert spec is not None, "the job was not in the queue"
        if worker.id == job_id:
            return spec
        worker.fail()


@pytest.fixture(scope="module")
def finished(stack):
    job = stack.create(prompt="done", metadata={"z": "1", "a": "2"})
    w = FakeWorker(stack)
    claim_own(w, job["id"])
    w.complete(VIDEO, b"RIFFxxxxWEBP-thumb", b"\xff\xd8\xff-sheet", warnings=["small canvas"])
    return stack.json("GET", "/v1/videos/" + job["id"])


# ---- create ----

def test_create_answers_the_thirteen_keys_in_order_and_a_location(stack):
    reply = stack.call("POST", "/v1/videos", {"prompt": "a cat"})
    video = reply.json()
    assert list(video)[:13] == CORE
    assert video["object"] == "video" and video["status"] == "queued" and video["progress"] == 0
    assert video["size"] == "720x1280" and video["seconds"] == "4" and video["error"] is None
    assert reply.headers["location"] == "/v1/videos/" + video["id"]
    assert reply.headers["openai-poll-after-ms"] == "1000" and reply.headers["cache-control"] == "no-store"
    assert video["id"].startswith("video_") and len(video["id"]) == 38
    assert 0 <= video["seed"] < 2 ** 32


def test_json_and_form_make_the_same_canonical_request(stack, worker):
    fields = {"prompt": "pair", "seed": 7, "steps": 9, "guidance_scale": 4.5, "size": "640x400", "seconds": "5", "fps": 16,
              "negative_prompt": "blur", "priority": "high", "metadata": {"b": "2", "a": "1"},
              "webhook_events": ["video.completed"], "deadline_seconds": 90, "output": {"crf": 20}}
    parts = [("prompt", "pair"), ("num_inference_steps", "9"), ("guidance_scale", "4.5"), ("width", "640"), ("height", "400"),
             ("seconds", "5"), ("fps", "16"), ("negative_prompt", "blur"), ("service_tier", "fast"),
             ("metadata[a]", "1"), ("metadata[b]", "2"), ("webhook_events[]", "completed"), ("deadline_seconds", "90"),
             ("output", '{"crf":20}'), ("extra_body", '{"seed":7}'), ("user", "me"), ("model", "")]
    one = stack.json("POST", "/v1/videos", fields)["id"]
    two = stack.json("POST", "/v1/videos", form(*parts), headers=FORM)["id"]
    specs = []
    for job in (one, two):
        specs.append(claim_own(worker, job))
        worker.fail()
    assert specs[0] == specs[1]
    assert specs[0] == {"operation": "create", "model": "misora-tiny", "asked_model": "misora-tiny", "prompt": "pair",
                        "negative_prompt": "blur", "size": "640x400", "seconds": "5", "fps": 16, "steps": 9,
                        "guidance_scale": 4.5, "seed": 7, "priority": "high", "webhook_events": ["completed"],
                        "deadline_seconds": 90, "expires_after_seconds": 86400, "output": {"crf": 20},
                        "metadata": {"a": "1", "b": "2"}}


def test_texts_come_back_unchanged(stack):
    for prompt in ("a\nb\x1b[31m", "%n%s", "${jndi:x}", "</script>\"'\\", "a\r\nX-A: b", "\u202eRTL", "👩‍👩‍👧", "\ue000",
                   "e\u0301" * 50, "花" * 1000):
        assert stack.create(prompt=prompt)["prompt"] == prompt


@pytest.mark.parametrize("sign", ["a", "ä", "花", "🦊"])
def test_a_form_holds_a_full_prompt_of_any_script(stack, sign):
    prompt = sign * 32000
    assert stack.json("POST", "/v1/videos", form(("prompt", prompt)), headers=FORM)["prompt"] == prompt
    reply = stack.call("POST", "/v1/videos", form(("prompt", prompt + sign)), FORM)
    assert reply.status == 400 and reply.json()["error"]["param"] == "prompt", reply
    assert "32001 characters" in reply.json()["error"]["message"]


def test_json_is_capped_by_bytes_and_points_to_the_form(stack):
    assert stack.json("POST", "/v1/videos", {"prompt": "a" * 32000})["prompt"] == "a" * 32000
    body = json.dumps({"prompt": "花" * 32000}, ensure_ascii=False).encode()
    reply = stack.call("POST", "/v1/videos", body, {"content-type": "application/json"})
    assert reply.status == 413 and "multipart" in reply.json()["error"]["message"]


def test_numbers_for_seconds_are_taken_and_come_back_as_text(stack):
    assert stack.create(seconds=8)["seconds"] == "8"


def test_aliases_of_models_are_echoed(stack):
    assert stack.create(model="sora-2")["model"] == "sora-2"
    assert {m["id"] for m in stack.json("GET", "/v1/models")["data"]} == {"misora-tiny", "sora-2", "sora-2-pro"}
    assert stack.json("GET", "/v1/models/sora-2")["object"] == "model"


def test_lenient_handling_turns_unknown_fields_into_warnings(stack):
    video = stack.json("POST", "/v1/videos", {"prompt": "a", "sparkles": 1}, headers={"prefer": "handling=lenient"})
    assert any("sparkles" in w for w in video["warnings"])


@pytest.mark.parametrize("name", ['a.png', '../../x', '/etc/passwd', 'con.', 'b\\"c.png', 'x' * 4000, ''])
def test_file_names_mean_nothing(stack, name):
    body = form(("prompt", "a"), ("input_reference", png(16, 16), name))
    assert stack.call("POST", "/v1/videos", body, FORM).status == 200


def test_the_same_picture_is_stored_once_however_it_came(stack, worker):
    picture = png(24, 24)
    url = "data:image/jpeg;base64," + base64.b64encode(picture).decode()
    bodies = [(form(("prompt", "p"), ("input_reference", picture, "x.bin")), FORM),
              (form(("prompt", "p"), ("input_reference[image_url]", url)), FORM),
              (form(("prompt", "p"), ("input_reference", json.dumps({"image_url": url}))), FORM),
              (json.dumps({"prompt": "p", "input_reference": {"image_url": url}}).encode(), {"content-type": "application/json"}),
              (json.dumps({"prompt": "p", "reference_url": url}).encode(), {"content-type": "application/json; charset=UTF-8"})]
    before = set((stack.dir / "store" / "obj" / "u").iterdir())
    references = []
    for body, headers in bodies:
        job = stack.json("POST", "/v1/videos", body, headers=headers)["id"]
        references.append(claim_own(worker, job)["input_reference"])
        worker.fail()
    assert all(r == references[0] for r in references)
    assert references[0]["type"] == "image/png" and references[0]["bytes"] == len(picture)
    new = set((stack.dir / "store" / "obj" / "u").iterdir()) - before
    assert [p.name for p in new] == [references[0]["sha256"] + ".png"]
    assert new.pop().read_bytes() == picture


def test_chunked_uploads_without_a_length_work(stack):
    conn = http.client.HTTPConnection(stack.url[7:], timeout=10)
    body = form(("prompt", "a"), ("input_reference", png(64, 64), "x.png"))
    conn.request("POST", "/v1/videos", body=(body[i:i + 777] for i in range(0, len(body), 777)), headers=FORM, encode_chunked=True)
    assert conn.getresponse().status == 200
    conn.close()


def test_a_request_may_come_byte_by_byte(stack):
    body = b'{"prompt":"slow"}'
    head = (b"POST /v1/videos HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Long: " + b"y" * 1500 +
            b"\r\nContent-Length: %d\r\n\r\n" % len(body))
    assert send_raw(stack.url, head + body, pieces=1).status == 200


def test_pipelined_requests_are_answered_in_order(stack):
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    two = b"GET /v1/models/nope HTTP/1.1\r\nHost: x\r\n\r\n"
    reply = send_raw(stack.url, (one + two) * 50, silence=2)
    statuses = [words[:3] for words in reply.data.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404"] * 50


# ---- idempotency ----

def test_one_key_makes_one_job_even_from_fifty_threads(stack):
    ids, lock = [], threading.Lock()

    def post(i):
        r = stack.call("POST", "/v1/videos", {"prompt": "same"}, {"idempotency-key": '"k1"' if i % 2 else "k1"},
                       url=stack.urls[i % 2])
        with lock:
            ids.append((r.status, r.json().get("id"), r.headers.get("idempotency-replayed")))
    threads = [threading.Thread(target=post, args=(i,)) for i in range(50)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert {s for s, _, _ in ids} == {200} and len({i for _, i, _ in ids}) == 1
    assert sum(r == "true" for _, _, r in ids) == 49


def test_a_key_with_another_body_is_refused(stack):
    headers = {"idempotency-key": "k2"}
    first = stack.json("POST", "/v1/videos", {"prompt": "one", "metadata": {"a": "1", "b": "2"}}, headers=headers)
    again = stack.json("POST", "/v1/videos", {"metadata": {"b": "2", "a": "1"}, "prompt": "one"}, headers=headers)
    assert first["id"] == again["id"] and first["seed"] == again["seed"]
    reply = stack.call("POST", "/v1/videos", {"prompt": "two"}, headers)
    assert reply.status == 422 and reply.json()["error"]["code"] == "idempotency_key_reused"


def test_without_a_key_equal_requests_make_two_jobs(stack):
    assert stack.create()["id"] != stack.create()["id"]


# ---- list, delete, cancel ----

def test_lists_page_both_ways_without_gap_or_repeat(stack):
    made = [stack.create(prompt=f"p{i}")["id"] for i in range(5)]
    for order in ("desc", "asc"):
        seen, after = [], None
        while True:
            page = stack.json("GET", f"/v1/videos?limit=2&order={order}" + (f"&after={after}" if after else ""))
            assert page["object"] == "list" and len(page["data"]) <= 2
            seen += [v["id"] for v in page["data"]]
            if not page["has_more"]:
                break
            assert page["first_id"] == page["data"][0]["id"] and page["last_id"] == page["data"][-1]["id"]
            after = page["last_id"]
        assert len(seen) == len(set(seen)) and set(made) <= set(seen)
        assert seen == sorted(seen, reverse=order == "desc")


def test_deleted_is_gone_everywhere_and_may_be_a_cursor(stack):
    job = stack.create()["id"]
    assert stack.json("DELETE", "/v1/videos/" + job) == {"id": job, "object": "video.deleted", "deleted": True}
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/content"), ("GET", "/events")):
        assert stack.call(method, f"/v1/videos/{job}{path}", url=stack.urls[1]).status == 404
    assert stack.call("GET", "/v1/videos?after=" + job).status == 200


def test_cancel_of_a_waiting_job_ends_it_as_failed_with_a_code(stack):
    job = stack.create()["id"]
    for _ in range(2):
        video = stack.json("POST", f"/v1/videos/{job}/cancel")
        assert video["status"] == "failed" and video["error"]["code"] == "cancelled" and video["cancelled_at"]


def test_cancel_of_a_running_job_is_told_to_its_worker(stack, worker):
    job = stack.create()["id"]
    claim_own(worker, job)
    video = stack.json("POST", f"/v1/videos/{job}/cancel")
    assert video["status"] == "in_progress" and video["cancel_requested_at"]
    assert worker.beat(10) == "CANCEL"
    worker.fail(why="cancelled")
    assert stack.json("GET", "/v1/videos/" + job)["error"]["code"] == "cancelled"


def test_a_job_of_another_state_is_told_as_openai_tells_it(stack, worker):
    job = stack.create()["id"]
    claim_own(worker, job)
    worker.beat(42, step=4)
    video = stack.json("GET", "/v1/videos/" + job, url=stack.urls[1])
    assert (video["status"], video["progress"], video["phase"], video["step"], video["total_steps"]) == \
        ("in_progress", 42, "denoise", 4, 10)
    assert video["eta_seconds"] == 1 and video["started_at"]
    worker.fail("out_of_memory", "no room")
    video = stack.json("GET", "/v1/videos/" + job)
    assert video["status"] == "failed" and video["error"] == {"code": "out_of_memory", "message": "no room"}
    assert stack.call("GET", "/v1/videos/" + job).headers.get("openai-poll-after-ms") is None


def test_an_endless_body_nobody_asked_for_is_cut(stack):
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    for head in (b"GET /v1/videos", b"POST /v1/videos/" + b"video_" + b"0" * 32 + b"/cancel"):
        data = head + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        reply = send_raw(stack.url, data + chunk * 8 + b"0\r\n\r\n")
        assert reply.status == 413 and reply.error()["code"] == "payload_too_large"
        assert send_raw(stack.url, data + chunk * 4000).status in (0, 413)  # 64 MiB: cut off


def test_a_finished_job_shows_what_was_made(stack, finished):
    timing = stack.call("GET", "/v1/videos/" + finished["id"]).headers["server-timing"]
    assert timing.startswith("queue;dur=") and "compute;dur=" in timing
    assert finished["status"] == "completed" and finished["progress"] == 100 and finished["phase"] == "done"
    assert finished["completed_at"] >= finished["created_at"] and finished["expires_at"] > finished["completed_at"]
    assert finished["num_frames"] == 17 and finished["fps"] == 16 and finished["usage"] == {"compute_seconds": 1.5}
    assert finished["warnings"] == ["small canvas"] and finished["metadata"] == {"a": "2", "z": "1"}


# ---- content ----

def content(stack, finished, headers=None, method="GET", variant=None, url=None):
    return stack.call(method, f"/v1/videos/{finished['id']}/content" + (f"?variant={variant}" if variant else ""),
                      headers=headers, url=url)


def test_content_is_whole_and_typed(stack, finished):
    reply = content(stack, finished, {"accept": "application/binary"}, url=stack.urls[1])
    assert reply.status == 200 and reply.body == VIDEO and reply.headers["content-type"] == "video/mp4"
    assert reply.headers["accept-ranges"] == "bytes" and reply.headers["x-content-type-options"] == "nosniff"
    assert finished["id"] in reply.headers["content-disposition"] and len(reply.headers["etag"]) == 66
    assert content(stack, finished, variant="thumbnail").headers["content-type"] == "image/webp"
    assert content(stack, finished, variant="spritesheet").body == b"\xff\xd8\xff-sheet"


N = len(VIDEO)
RANGES = [
    ("bytes=0-0", 206, (0, 0)), ("bytes=5-9", 206, (5, 9)), ("bytes=100-", 206, (100, N - 1)), ("bytes=-500", 206, (N - 500, N - 1)),
    (f"bytes=0-{N * 2}", 206, (0, N - 1)), (f"bytes=-{N * 2}", 206, (0, N - 1)), ("Bytes=1-2", 206, (1, 2)),
    (f"bytes={N}-", 416, None), ("bytes=-0", 416, None), (f"bytes={N + 5}-{N + 9}", 416, None),
    ("bytes=5-2", 200, None), ("lines=0-1", 200, None), ("bytes=0-1,4-5", 200, None), ("bytes=a-b", 200, None), ("bytes=", 200, None),
    ("bytes=" + ",".join(f"{i}-{i}" for i in range(0, 400, 2)), 200, None),
]


@pytest.mark.parametrize("header,status,span", RANGES, ids=[r[0][:20] for r in RANGES])
def test_ranges(stack, finished, header, status, span):
    reply = content(stack, finished, {"range": header})
    assert reply.status == status
    if status == 206:
        assert reply.body == VIDEO[span[0]:span[1] + 1]
        assert reply.headers["content-range"] == f"bytes {span[0]}-{span[1]}/{N}"
    elif status == 416:
        assert reply.headers["content-range"] == f"bytes */{N}"
        assert reply.json()["error"]["code"] == "range_not_satisfiable"
    else:
        assert reply.body == VIDEO


def test_conditional_requests(stack, finished):
    tag = content(stack, finished, method="HEAD").headers["etag"]
    for value, status in ((tag, 304), ("*", 304), ("W/" + tag, 304), (f'"x", {tag}', 304), ('"x"', 200),
                          (", ".join(f'"{i}"' for i in range(1500)), 200)):
        reply = content(stack, finished, {"if-none-match": value})
        assert reply.status == status and reply.headers["etag"] == tag
        assert len(reply.body) == (0 if status == 304 else N)
    for value, status in ((tag, 206), ('"x"', 200), ("W/" + tag, 200), ("Sun, 22 Nov 2026 15:00:00 GMT", 200)):
        assert content(stack, finished, {"range": "bytes=0-9", "if-range": value}).status == status


def test_head_has_the_headers_and_no_body(stack, finished):
    reply = content(stack, finished, method="HEAD")
    assert reply.status == 200 and reply.body == b"" and reply.headers["content-length"] == str(N)
    reply = content(stack, finished, {"range": "bytes=0-9"}, "HEAD")
    assert reply.status == 200 and reply.headers["content-length"] == str(N)  # a range is for GET
    for path in ("/v1/videos", "/v1/models", "/healthz", "/v1/videos/" + finished["id"], "/v1/nothing"):
        get, head = stack.call("GET", path), stack.call("HEAD", path)
        assert head.status == get.status and head.body == b"" and head.headers["content-length"] == get.headers["content-length"]


def test_head_of_a_stream_is_a_head_and_nothing_else(stack):
    job = stack.create()["id"]
    reply = send_raw(stack.url, f"HEAD /v1/videos/{job}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 2)
    assert reply.status == 200 and reply.headers["content-type"] == "text/event-stream" and reply.body == b"", reply
    assert reply.ending == "closed" and reply.n_answers == 1


def test_content_too_early_never_made_and_expired(stack, worker):
    job = stack.create()["id"]
    reply = stack.call("GET", f"/v1/videos/{job}/content")
    assert reply.status == 404 and reply.json()["error"]["code"] == "video_not_ready" and reply.headers["retry-after"]
    claim_own(worker, job)
    worker.complete(VIDEO)
    assert stack.call("GET", f"/v1/videos/{job}/content?variant=thumbnail").json()["error"]["code"] == "not_found"
    for path in (stack.dir / "store" / "obj" / "t" / job).iterdir():
        path.unlink()
    reply = stack.call("GET", f"/v1/videos/{job}/content")
    assert reply.status == 410 and reply.json()["error"]["code"] == "video_expired"
    failed = stack.create()["id"]
    stack.call("POST", f"/v1/videos/{failed}/cancel")
    reply = stack.call("GET", f"/v1/videos/{failed}/content")
    assert reply.status == 404 and "cancelled" in reply.json()["error"]["message"]


# ---- waiting ----

def test_a_long_poll_returns_when_something_happens_on_another_server(stack, worker):
    job = stack.create()["id"]
    claim_own(worker, job)
    got = {}

    def poll(name, path, url):
        start = time.monotonic()
        got[name] = (stack.json("GET", f"/v1/videos/{job}{path}", url=url), time.monotonic() - start)
    threads = [threading.Thread(target=poll, args=a) for a in
               (("progress", "?wait=20&after_progress=10", stack.urls[0]), ("end", "?wait=20", stack.urls[1]))]
    [t.start() for t in threads]
    time.sleep(0.4)
    worker.beat(5)
    time.sleep(0.3)
    assert not got
    worker.beat(11)
    threads[0].join(3)
    assert got["progress"][0]["progress"] == 11
    worker.complete(VIDEO)
    threads[1].join(3)
    assert got["end"][0]["status"] == "completed" and got["end"][1] < 5


def test_a_long_poll_ends_in_time_and_says_what_it_applied(stack):
    job = stack.create()["id"]
    start = time.monotonic()
    reply = stack.call("GET", "/v1/videos/" + job, headers={"prefer": "respond-async, wait=1"})
    assert reply.json()["status"] == "queued" and reply.headers["preference-applied"] == "wait=1"
    assert 0.9 < time.monotonic() - start < 3.5
    for value in ("wait=-1", "wait=x", "handling=???"):
        assert stack.call("GET", "/v1/videos/" + job, headers={"prefer": value}).status == 200


def test_create_may_wait_for_the_end(stack):
    box = {}

    def post():
        box["reply"] = stack.call("POST", "/v1/videos", {"prompt": "waits"}, {"prefer": "wait=20"})
    thread = threading.Thread(target=post)
    thread.start()
    w = FakeWorker(stack)
    until(lambda: (w.claim() or {}).get("prompt") == "waits", 5)
    w.complete(VIDEO)
    thread.join(5)
    assert box["reply"].json()["status"] == "completed" and box["reply"].headers["location"]


def test_events_tell_the_whole_story_and_resume_without_gap_or_repeat(stack, worker):
    job = stack.create()["id"]
    box = {}
    thread = threading.Thread(target=lambda: box.update(all=read_events(stack, job, url=stack.urls[1])))
    thread.start()
    time.sleep(0.4)
    claim_own(worker, job)
    for step in range(1, 6):
        worker.beat(step * 10, step=step)
        time.sleep(0.05)
    worker.complete(VIDEO)
    thread.join(8)
    events = box["all"]
    types = [t for _, t, _ in events]
    assert types[0] == "video.queued" and "video.in_progress" in types and types[-1] == "video.completed"
    assert types.count("video.progress") == 5 and types.count("video.completed") == 1
    assert events[0][2]["video"]["id"] == job and events[-1][2]["video"]["progress"] == 100
    assert [e[2]["progress"] for e in events if e[1] == "video.progress"] == [10, 20, 30, 40, 50]
    for i in range(len(events)):
        rest = read_events(stack, job, {"last-event-id": events[i][0]})
        assert [e[0] for e in rest] == [e[0] for e in events[i + 1:]], i


@pytest.mark.parametrize("last", ["garbage", "99999999999999-0", "1-1-1", "-5-0", "0x1-0"])
def test_a_strange_last_event_id_gives_a_snapshot(stack, finished, last):
    events = read_events(stack, finished["id"], {"last-event-id": last})
    assert [e[1] for e in events] == ["video.completed"] and events[0][2]["video"]["id"] == finished["id"]


def test_one_key_may_hold_twenty_streams(stack):
    job = stack.create()["id"]
    request = f"GET /v1/videos/{job}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    open_streams = []
    try:
        for _ in range(20):
            s = socket.create_connection(("127.0.0.1", int(stack.urls[0].rsplit(":", 1)[1])), timeout=5)
            s.sendall(request)
            assert b"200" in s.recv(20)
            open_streams.append(s)
        assert stack.call("GET", f"/v1/videos/{job}/events").status == 429
    finally:
        for s in open_streams:
            s.close()


# ---- the rest ----

def test_a_create_says_when_no_worker_is_there():
    with Stack(servers=1, server_args=["--models-dir", ""]) as s:
        video = s.json("POST", "/v1/videos", {"prompt": "a", "sparkles": 1}, headers={"prefer": "handling=lenient"})
        assert len(video["warnings"]) == 2 and "no worker" in video["warnings"][0], video["warnings"]
        assert s.json("GET", "/v1/videos/" + video["id"])["warnings"] == []
        FakeWorker(s).claim()
        until(lambda: s.create()["warnings"] == [], 4, "the worker was seen")
        until(lambda: s.json("GET", "/readyz")["workers"] == 1, 4)


def test_the_queue_is_told_by_priority():
    with Stack(servers=1, server_args=["--models-dir", ""]) as s:
        assert s.json("GET", "/v1/queue")["lanes"] == []
        for priority in ("low", "high", "high"):
            s.create(priority=priority)
        w = FakeWorker(s)
        w.claim()
        queue = s.json("GET", "/v1/queue")
        lane = queue["lanes"][0]
        assert (queue["object"], queue["running"], queue["scheduled"], queue["workers"]) == ("queue", 1, 0, 1)
        assert (lane["lane"], lane["queued"], lane["priority"], lane["workers"]) == \
            ("default", 2, {"low": 1, "normal": 0, "high": 1}, 1)
        assert 0 <= lane["oldest_age_seconds"] < 30


def test_a_page_of_the_longest_prompts_comes_whole():
    with Stack(servers=1, server_args=["--models-dir", ""]) as s:
        body = form(("prompt", "\x01" * 31900), ("negative_prompt", "x"))
        made = [s.json("POST", "/v1/videos", body, headers=FORM)["id"] for _ in range(60)]
        page = s.json("GET", "/v1/videos?limit=100&order=asc")
        assert [v["id"] for v in page["data"]] == made and page["data"][0]["prompt"] == "\x01" * 31900


def test_one_damaged_record_does_not_hide_the_others(stack):
    good, bad = stack.create()["id"], stack.create()["id"]
    stack.redis("SET", "{misora}:spec:" + bad, "{")
    seen = [v["id"] for v in stack.json("GET", "/v1/videos?limit=2")["data"]]
    assert good in seen and bad not in seen
    reply = stack.call("GET", "/v1/videos/" + bad)
    assert reply.status == 500 and reply.json()["error"]["code"] == "internal_error"
    lines = [line for line in stack.log("server0").splitlines() if reply.headers["x-request-id"] in line]
    assert any("request.failed" in line and "why=" in line for line in lines), lines
    assert stack.call("DELETE", "/v1/videos/" + bad).status == 200

def test_health_queue_metrics_and_root(stack):
    assert stack.json("GET", "/healthz") == {"status": "ok"} == stack.json("GET", "/health")
    assert stack.json("GET", "/readyz")["status"] == "ok"
    assert stack.json("GET", "/v1/queue")["lanes"][0]["lane"] == "default"
    assert stack.call("GET", "/").headers["content-type"] == "text/html; charset=utf-8"
    assert stack.call("GET", "/metrics").status == 404
    text = stack.call("GET", "/metrics", url=stack.metrics_urls[0]).body.decode()
    assert 'misora_http_requests_total{method="POST",route="videos.create",code="2xx"}' in text
    assert "misora_redis_up 1" in text and 'misora_queue_depth{priority="normal"}' in text
    assert stack.call("GET", "/v1/videos", url=stack.metrics_urls[0]).status == 404


def test_cors_names_what_a_browser_client_sends(stack):
    reply = stack.call("OPTIONS", "/v1/videos", headers={
        "origin": "https://a.example", "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, x-stainless-lang"})
    assert reply.status == 204 and reply.headers["access-control-allow-origin"] == "*"
    assert "x-stainless-lang" in reply.headers["access-control-allow-headers"]
    assert "idempotency-key" in reply.headers["access-control-allow-headers"] and "POST" in reply.headers["allow"]
    reply = stack.call("GET", "/v1/videos", headers={"origin": "https://a.example"})
    assert reply.headers["access-control-allow-origin"] == "*" and "x-request-id" in reply.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in reply.headers


def test_every_answer_has_its_own_request_id(stack):
    ids = [stack.call("GET", path).headers["x-request-id"] for path in ("/healthz", "/v1/videos", "/nothing", "/v1/videos?limit=0")]
    assert len(set(ids)) == 4 and all(len(i) == 36 and i.startswith("req_") for i in ids)
