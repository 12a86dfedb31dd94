"""sse.py - reads an event stream of one job."""
import http.client
import json


def read_events(stack, job, headers=None, url=None, seconds=10, stop=None):
    """Events as (id, type, data) until the stream ends or `stop` says so."""
    url = url or stack.url
    conn = http.client.HTTPConnection(url[7:], timeout=seconds)
    conn.request("GET", f"/v1/videos/{job}/events", headers=headers or {})
    reply = conn.getresponse()
    assert reply.status == 200 and reply.getheader("content-type") == "text/event-stream"
    if url in stack.urls:  # nginx obeys it and takes it out
        assert reply.getheader("x-accel-buffering") == "no"
    events, block = [], {}
    for line in iter(reply.readline, b""):
        line = line.decode().rstrip("\n")
        if line == "":
            if "data" in block:
                events.append((block["id"], block["event"], json.loads(block["data"])))
                if stop and stop(events):
                    break
            block = {}
        elif not line.startswith(":"):
            key, _, value = line.partition(": ")
            block[key] = value
    conn.close()
    return events
