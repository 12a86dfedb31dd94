"""bench_http.py - creates and gets a second at eight connections, on a Redis of its own whose every write is
synced to disk. One JSON object a line.

usage: bench_http.py [SECONDS]   programs are taken from $MISORA_BUILD, else build/release
The clients are eight processes, so that Python's lock is not what is measured; they share the machine with
the server, so the figures are a lower bound."""
import http.client
import json
import multiprocessing
import pathlib
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from stack import Stack  # noqa: E402

CONNECTIONS = 8
BODY = json.dumps({"prompt": "a red ball bounces in a green meadow"}).encode()


def client(url, method, path, body, seconds, out):
    """Sends one request after the other on one connection; puts each one's time in ms."""
    conn = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=30)
    headers = {"content-type": "application/json"} if body else {}
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        conn.request(method, path, body, headers)
        reply = conn.getresponse()
        reply.read()
        assert reply.status == 200, reply.status
        times.append((time.monotonic() - start) * 1000)
    conn.close()
    out.put(times)


def measure(name, url, method, path, body, seconds):
    out = multiprocessing.Queue()
    clients = [multiprocessing.Process(target=client, args=(url, method, path, body, seconds, out))
               for _ in range(CONNECTIONS)]
    [c.start() for c in clients]
    times = sorted(t for _ in clients for t in out.get(timeout=seconds + 30))
    [c.join() for c in clients]
    for bench, value, unit in ((name, len(times) / seconds, "1/s"), (name + ".p50", times[len(times) // 2], "ms"),
                               (name + ".p99", times[len(times) * 99 // 100], "ms")):
        print(json.dumps({"bench": bench, "value": round(value, 2), "unit": unit}), flush=True)


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4
    with Stack(servers=1, server_args=["--log-level", "warn"], redis_args=["--appendfsync", "always"]) as s:
        s.redis("HSET", "{misora}:meta", "max_live", 10000000, "max_lane", 10000000)
        job = s.create()["id"]
        measure("http_health", s.url, "GET", "/healthz", None, seconds)
        measure("http_get", s.url, "GET", "/v1/videos/" + job, None, seconds)
        measure("http_create", s.url, "POST", "/v1/videos", BODY, seconds)


if __name__ == "__main__":
    main()
