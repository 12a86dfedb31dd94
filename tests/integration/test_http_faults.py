"""The server when something is wrong around it: Redis away, SIGTERM, lost replies, nginx in front."""
import http.client
import json
import signal
import socket
import struct
import threading
import time

import pytest

from fake_worker import FakeWorker
from picture import png
from rawhttp import form, send_raw
from sse import read_events
from stack import Stack, call, free_port, until

ARGS = ["--models-dir", ""]


def n_parked(s):
    """Long polls and streams that wait on server 0."""
    text = call(s.metrics_urls[0], "GET", "/metrics").body.decode()
    return int(float(text.split("\nmisora_http_parked ")[1].split()[0]))


def test_without_redis_answers_are_503_and_quick_and_it_recovers():
    with Stack(servers=1, server_args=ARGS) as s:
        job = s.create()["id"]
        s.kill("redis")
        slowest = 0
        for method, path, body in (("POST", "/v1/videos", {"prompt": "a"}), ("GET", "/v1/videos", None),
                                   ("GET", "/v1/videos/" + job, None), ("GET", f"/v1/videos/{job}?wait=30", None),
                                   ("GET", f"/v1/videos/{job}/content", None), ("DELETE", "/v1/videos/" + job, None)):
            start = time.monotonic()
            reply = s.call(method, path, body)
            slowest = max(slowest, time.monotonic() - start)
            assert reply.status == 503 and reply.json()["error"]["code"] == "unavailable", (path, reply)
            assert 1 <= int(reply.headers["retry-after"]) <= 5
        assert slowest < 3, slowest
        assert s.call("GET", "/healthz").status == 200 and s.call("GET", "/readyz").status == 503
        s.start_redis()
        until(lambda: s.call("GET", "/v1/videos/" + job).status == 200, 5, "the server found Redis again")


def test_a_long_poll_survives_a_restart_of_redis():
    with Stack(servers=1, server_args=ARGS) as s:
        job, box = s.create()["id"], {}
        thread = threading.Thread(target=lambda: box.update(r=s.call("GET", f"/v1/videos/{job}?wait=20")))
        thread.start()
        time.sleep(0.5)
        s.kill("redis", signal.SIGTERM)
        s.start_redis()
        w = FakeWorker(s)
        until(w.claim, 10)
        w.complete(b"x" * 100)
        thread.join(15)
        assert box["r"].status in (200, 503)


def test_a_stopped_redis_costs_nobody_more_than_three_seconds():
    """Sixty-four clients at once on eight threads: nobody queues behind the others' deadlines."""
    with Stack(servers=1, server_args=ARGS) as s:
        job, took = s.create()["id"], []

        def get():
            start = time.monotonic()
            reply = s.call("GET", "/v1/videos/" + job)
            took.append((time.monotonic() - start, reply.status))
        s.procs["redis"].send_signal(signal.SIGSTOP)
        try:
            threads = [threading.Thread(target=get) for _ in range(64)]
            [t.start() for t in threads]
            [t.join() for t in threads]
            assert {status for _, status in took} == {503} and max(took)[0] < 3, max(took)
            print(f"slowest {max(took)[0]:.2f} s")
            start = time.monotonic()
            assert s.call("GET", "/healthz").status == 200 and time.monotonic() - start < 0.5
        finally:
            s.procs["redis"].send_signal(signal.SIGCONT)
        until(lambda: s.call("GET", "/v1/videos").status == 200, 5)


def test_sigterm_answers_what_waits_and_leaves_with_zero():
    with Stack(servers=2, server_args=ARGS) as s:
        job, box = s.create()["id"], {}

        def poll():
            box["poll"] = call(s.urls[0], "GET", f"/v1/videos/{job}?wait=60")

        def stream():
            conn = http.client.HTTPConnection(s.urls[0][7:], timeout=30)
            conn.request("GET", f"/v1/videos/{job}/events")
            box["stream"] = conn.getresponse().read()
        threads = [threading.Thread(target=f) for f in (poll, stream)]
        [t.start() for t in threads]
        until(lambda: n_parked(s) == 2, 5, "both were parked")
        start = time.monotonic()
        s.kill("server0", signal.SIGTERM)
        assert s.procs["server0"].returncode == 0 and time.monotonic() - start < 8
        [t.join(5) for t in threads]
        assert box["poll"].status == 200 and box["poll"].json()["status"] == "queued"
        assert b"event: video.queued" in box["stream"]
        assert call(s.urls[1], "GET", "/v1/videos/" + job).status == 200
        with pytest.raises(OSError):
            call(s.urls[0], "GET", "/healthz")


def test_a_rolling_restart_of_both_servers_fails_no_request():
    """Eight clients through nginx create, look and list while each server is stopped and started."""
    args = ARGS + ["--drain-notice", "400ms"]
    with Stack(servers=2, nginx=True, server_args=args) as s:
        s.redis("HSET", "{misora}:meta", "max_live", 100000)
        bad, n_done, over = [], [0] * 8, threading.Event()

        def client(me):
            while not over.is_set():
                try:
                    made = s.call("POST", "/v1/videos", {"prompt": f"{me}"})
                    seen = s.call("GET", made.headers.get("location", "/v1/videos"))
                    replies = [made, seen, s.call("GET", "/v1/videos?limit=3")]
                    bad.extend(r for r in replies if r.status != 200)
                    n_done[me] += 3
                except OSError as e:
                    bad.append(e)
                time.sleep(0.2)
        threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
        [t.start() for t in threads]
        for _ in range(2):
            for name, i in (("server0", 0), ("server1", 1)):
                s.kill(name, signal.SIGTERM)
                assert s.procs[name].returncode == 0
                s.start_server(i)
                time.sleep(2.3)  # nginx looks at a server that was down again after fail_timeout
        over.set()
        [t.join(10) for t in threads]
        print(f"{sum(n_done)} requests over 4 restarts, {len(bad)} failed")
        assert not bad, bad[:5]
        assert sum(n_done) >= 200


def test_who_connected_before_the_port_closed_is_served():
    """Connections that wait in the kernel's queue at SIGTERM are answered, not reset."""
    with Stack(servers=1, server_args=ARGS) as s:
        host, port = s.urls[0][7:].split(":")
        clients = [socket.create_connection((host, int(port)), timeout=10) for _ in range(100)]
        for c in clients:
            c.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        s.procs["server0"].send_signal(signal.SIGTERM)
        assert [c.recv(15) for c in clients] == [b"HTTP/1.1 200 OK"] * 100
        [c.close() for c in clients]
        assert s.procs["server0"].wait(timeout=12) == 0


def test_an_event_stream_opened_while_leaving_gets_a_snapshot_and_an_end():
    """A browser comes back after an end, but never after a refusal."""
    with Stack(servers=1, server_args=ARGS + ["--drain-notice", "0ms", "--drain", "3s"]) as s:
        job = s.create()["id"]
        conn = http.client.HTTPConnection(s.urls[0][7:], timeout=10)
        conn.connect()
        s.procs["server0"].send_signal(signal.SIGTERM)
        time.sleep(0.1)
        conn.request("GET", f"/v1/videos/{job}/events")
        reply = conn.getresponse()
        assert reply.status == 200 and reply.getheader("connection") == "close"
        assert b"event: video.queued" in reply.read()
        conn.close()
        assert s.procs["server0"].wait(timeout=12) == 0


def test_clients_that_leave_free_their_place_within_seconds():
    """A long poll of a minute and a stream: their clients are gone, so their places are, too."""
    with Stack(servers=1, nginx=True, server_args=ARGS) as s:
        job = s.create()["id"]
        for url in (s.urls[0], s.nginx_url):
            host, port = url[7:].split(":")
            clients = []
            for path in ("?wait=60", "?wait=60&after_progress=5", "/events"):
                clients.append(socket.create_connection((host, int(port)), timeout=5))
                clients[-1].sendall(f"GET /v1/videos/{job}{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            until(lambda: n_parked(s) == 3, 5, "three were parked")
            [c.close() for c in clients]
            until(lambda: n_parked(s) == 0, 5, "their places were free")


def test_an_upload_in_the_middle_of_sigterm_is_finished():
    with Stack(servers=1, server_args=ARGS) as s:
        body = form(("prompt", "a"), ("input_reference", png(64, 64), "a.png"))
        host, port = s.urls[0][7:].split(":")
        with socket.create_connection((host, int(port)), timeout=10) as c:
            c.sendall(b"POST /v1/videos HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=XYZ\r\n"
                      b"Content-Length: %d\r\n\r\n" % len(body) + body[:100])
            time.sleep(0.3)
            s.procs["server0"].send_signal(signal.SIGTERM)
            time.sleep(0.5)
            c.sendall(body[100:])
            assert c.recv(100).startswith(b"HTTP/1.1 200")
        assert s.procs["server0"].wait(timeout=12) == 0


def test_a_retry_after_a_lost_reply_gets_the_same_job():
    """The client hangs up before the reply: the SDK's next try must not make a second job."""
    with Stack(servers=2, server_args=ARGS) as s:
        body = json.dumps({"prompt": "lost"}).encode()
        head = (b"POST /v1/videos HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nPrefer: wait=3\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body))
        host, port = s.urls[0][7:].split(":")
        c = socket.create_connection((host, int(port)))
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.sendall(head + body)
        until(lambda: s.json("GET", "/v1/videos")["data"], 5)
        c.close()  # a reset
        first = s.json("GET", "/v1/videos")["data"][0]["id"]
        retry = {"x-stainless-retry-count": "1"}
        until(lambda: any("{misora}:und:" in k for k in s.redis("KEYS", "*und:*")), 8, "the lost reply was noted")
        reply = s.call("POST", "/v1/videos", {"prompt": "lost"}, retry, url=s.urls[1])
        assert reply.json()["id"] == first and reply.headers["idempotency-replayed"] == "true"
        assert s.call("POST", "/v1/videos", {"prompt": "lost"}, retry).json()["id"] != first  # once only


class Creators:
    """Clients that create with a key each and repeat until the answer is 200, as a careful client does."""

    def __init__(self, stack, n=4):
        self.stack, self.acknowledged, self.refused, self.stop = stack, {}, 0, threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(n)]
        stack.redis("HSET", "{misora}:meta", "max_live", 100000)
        [t.start() for t in self.threads]

    def post(self, key, url):
        try:
            return self.stack.call("POST", "/v1/videos", {"prompt": key}, {"idempotency-key": key}, url=url)
        except (OSError, http.client.HTTPException):
            return None

    def run(self, me):
        n = 0
        while not self.stop.is_set():
            n += 1
            self.create(f"{me}-{n}", n)

    def create(self, key, n):
        while True:
            n += 1
            reply = self.post(key, self.stack.urls[n % len(self.stack.urls)])
            with self.lock:
                if reply is not None and reply.status == 200:
                    self.acknowledged[key] = reply.json()["id"]
                    return
                self.refused += 1
            assert reply is None or reply.status == 503, reply
            time.sleep(0.05)

    def end(self):
        """All jobs that exist; what was acknowledged must be exactly these."""
        self.stop.set()
        [t.join(10) for t in self.threads]
        ids, after = [], ""
        while True:
            page = self.stack.json("GET", "/v1/videos?limit=100" + after, url=self.stack.urls[-1])
            ids += [v["id"] for v in page["data"]]
            if not page["has_more"]:
                break
            after = "&after=" + page["last_id"]
        print(f"{len(self.acknowledged)} acknowledged, {self.refused} tries refused or cut")
        assert set(self.acknowledged.values()) == set(ids) and len(ids) == len(self.acknowledged)
        assert self.stack.admin("audit").returncode == 0


def test_kill_9_of_redis_loses_no_acknowledged_job_and_keys_make_one_job_each():
    with Stack(servers=2, server_args=ARGS) as s:
        creators = Creators(s)
        for _ in range(5):
            time.sleep(0.5)
            s.kill("redis")
            time.sleep(0.2)
            s.start_redis()
        time.sleep(0.5)
        creators.end()


def test_kill_9_of_a_server_loses_no_acknowledged_job_and_keys_make_one_job_each():
    with Stack(servers=2, server_args=ARGS) as s:
        creators = Creators(s)
        for _ in range(5):
            time.sleep(0.4)
            s.kill("server0")
            time.sleep(0.1)
            s.start_server(0)
        time.sleep(0.4)
        creators.end()


def test_without_room_only_files_are_refused():
    with Stack(servers=1, server_args=ARGS + ["--min-free-bytes", "900000G"]) as s:
        job = s.create()["id"]
        reply = s.call("POST", "/v1/videos", form(("prompt", "a"), ("input_reference", png(), "a.png")),
                       {"content-type": "multipart/form-data; boundary=XYZ"})
        assert reply.status == 503 and reply.headers["retry-after"] and "room" in reply.json()["error"]["message"]
        assert s.call("GET", "/v1/videos/" + job).status == 200


def test_many_clients_that_vanish_leave_nothing_behind():
    with Stack(servers=1, server_args=ARGS + ["--max-parked", "400"]) as s:
        job = s.create()["id"]
        fds = f"/proc/{s.procs['server0'].pid}/fd"
        import os
        before = len(os.listdir(fds))
        host, port = s.urls[0][7:].split(":")
        clients = []
        for _ in range(150):
            c = socket.create_connection((host, int(port)))
            c.sendall(f"GET /v1/videos/{job}?wait=3 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            clients.append(c)
        time.sleep(0.5)
        assert len(os.listdir(fds)) >= before + 150
        for c in clients[::2]:
            c.close()
        until(lambda: len(os.listdir(fds)) <= before + 75 + 8, 12, "half of them were gone")
        for c in clients[1::2]:
            c.close()
        until(lambda: len(os.listdir(fds)) <= before + 8, 12, "all of them were gone")


# ---- behind nginx ----

@pytest.fixture(scope="module")
def proxied():
    with Stack(servers=2, nginx=True, server_args=ARGS) as s:
        yield s


GET = b"GET /v1/videos HTTP/1.1\r\n"
POST = b"POST /v1/videos HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
MALFORMED = [
    ("H1 both framings", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", (400,)),
    ("H2 two lengths", POST + b"Content-Length: 14\r\nContent-Length: 15\r\n\r\n", (400,)),
    ("H4 gzip, chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", (400, 501)),
    ("H5 +5", POST + b"Content-Length: +5\r\n\r\nabcde", (400,)),
    ("H5 -1", POST + b"Content-Length: -1\r\n\r\n", (400,)),
    ("H5 0x5", POST + b"Content-Length: 0x5\r\n\r\nabcde", (400,)),
    ("H5 1e3", POST + b"Content-Length: 1e3\r\n\r\n", (400,)),
    ("H6 10^30", POST + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n", (400, 413)),
    ("H6 too large", POST + b"Content-Length: 9000000000\r\n\r\n", (413,)),
    ("H8 bad chunk size", POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n", (400,)),
    ("H12 NUL in a header", GET + b"Host: x\r\nX: a\0b\r\n\r\n", (400,)),
    ("H14 no Host", GET + b"\r\n", (400,)),
    ("H14 two Hosts", GET + b"Host: x\r\nHost: y\r\n\r\n", (400,)),
    ("H15 HTTP/0.9", b"GET /v1/videos\r\n\r\n", (0, 505)),
    ("H15 TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,)),
    ("H16 20 KB header", GET + b"Host: x\r\nX: " + b"y" * 20000 + b"\r\n\r\n", (400, 431)),
    ("H16 40 KB address", b"GET /" + b"y" * 40000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (414, 431)),
]


@pytest.mark.parametrize("row", MALFORMED, ids=[r[0] for r in MALFORMED])
def test_nginx_refuses_what_is_malformed(proxied, row):
    _, data, statuses = row
    reply = send_raw(proxied.url, data, close="0.9" in row[0])
    assert reply.status in statuses and reply.n_answers <= 1, reply
    if reply.status in (400, 413, 431) and reply.body:
        assert b'"error"' in reply.body, reply


def test_both_servers_behind_nginx_serve_the_same_jobs(proxied):
    ids = [proxied.create()["id"] for _ in range(6)]
    for job in ids:
        assert all(proxied.call("GET", "/v1/videos/" + job, url=u).status == 200 for u in proxied.urls)
    used = [proxied.call("GET", "/metrics", url=u).body.decode() for u in proxied.metrics_urls]
    assert all('route="videos.create",code="2xx"} 0' not in text for text in used), "one server got all"


def test_early_refusals_of_large_bodies_arrive_behind_nginx(proxied):
    body = b'{"prompt":"' + b"a" * (20 << 20) + b'"}'
    for _ in range(5):
        reply = proxied.call("POST", "/v1/videos", body, {"content-type": "application/json"})
        assert reply.status == 413 and reply.json()["error"]["code"] == "payload_too_large", reply


@pytest.mark.parametrize("size_mib", [33, 40, 100])
def test_bodies_over_the_limit_are_413_in_json_behind_nginx(proxied, size_mib):
    body = form(("prompt", "a"), ("input_reference", png(16, 16) + bytes(size_mib << 20), "a.png"))
    for _ in range(3):
        reply = send_raw(proxied.url, b"POST /v1/videos HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; "
                         b"boundary=XYZ\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert reply.status == 413 and reply.error()["code"] == "payload_too_large", reply


def test_events_come_through_nginx_at_once(proxied):
    job = proxied.create()["id"]
    conn = http.client.HTTPConnection(proxied.url[7:], timeout=5)
    start = time.monotonic()
    conn.request("GET", f"/v1/videos/{job}/events")
    reply = conn.getresponse()
    lines = [reply.readline() for _ in range(4)]
    assert time.monotonic() - start < 1 and any(b"video.queued" in line for line in lines)
    conn.close()


def test_a_stream_cut_again_and_again_behind_nginx_has_no_gap_and_no_repeat(proxied):
    """The client hangs up after every third event and resumes; one server is restarted meanwhile."""
    job, w = proxied.create()["id"], FakeWorker(proxied)
    while w.claim() and w.id != job:
        w.fail()

    def work():
        for step in range(1, 25):
            assert w.beat(step * 4, step=step, steps=24) == "OK"
            time.sleep(0.08)
        w.complete(b"x" * 100)
    thread = threading.Thread(target=work)
    thread.start()
    events, n_streams = [], 0
    while not events or events[-1][1] != "video.completed":
        last = {"last-event-id": events[-1][0]} if events else {}
        events += read_events(proxied, job, last, stop=lambda new: len(new) == 3)
        n_streams += 1
        assert n_streams < 60
        if n_streams == 3:
            proxied.kill("server0", signal.SIGTERM)
            proxied.start_server(0)
    thread.join()
    ids = [e[0] for e in events]
    assert len(set(ids)) == len(ids) and ids == sorted(ids, key=lambda i: [int(n) for n in i.split("-")])
    steps = [e[2]["step"] for e in events if e[1] == "video.progress"]
    first = steps[0]
    assert steps == list(range(first, 25)) and first <= 2, steps
    print(f"{len(events)} events over {n_streams} streams")


def test_a_long_poll_behind_nginx_answers_when_it_moves(proxied):
    job, w, box = proxied.create()["id"], FakeWorker(proxied), {}
    while w.claim() and w.id != job:
        w.fail()

    def poll():
        start = time.monotonic()
        box["r"] = proxied.json("GET", f"/v1/videos/{job}?wait=20&after_progress=5"), time.monotonic() - start
    thread = threading.Thread(target=poll)
    thread.start()
    time.sleep(0.5)
    w.beat(30)
    thread.join(5)
    assert box["r"][0]["progress"] == 30 and box["r"][1] < 3


def test_a_killed_server_is_skipped_by_nginx(proxied):
    job = proxied.create()["id"]
    proxied.kill("server0")
    statuses = [proxied.call("GET", "/v1/videos/" + job).status for _ in range(20)]
    assert statuses == [200] * 20
    proxied.start_server(0)
