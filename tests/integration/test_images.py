"""/v1/images/generations: pictures while the connection waits."""
import base64
import json
import struct

import pytest

from operations import load
from stack import Stack, call

SMALL = {"prompt": "a red ball in a green meadow", "size": "128x80", "steps": 1, "seed": 5}


@pytest.fixture(scope="module")
def stack():
    with Stack(workers=1, nginx=True) as s:
        yield s


def make(stack, **more):
    return stack.json("POST", "/v1/images/generations", {**SMALL, **more}, timeout=600)


def png_size(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


def test_a_picture_comes_with_the_answer(stack):
    reply = make(stack)
    assert list(reply) == ["created", "data", "size", "output_format", "quality", "background", "usage"]
    assert png_size(base64.b64decode(reply["data"][0]["b64_json"])) == (128, 80)
    assert reply["size"] == "128x80" and reply["output_format"] == "png" and list(reply["data"][0]) == ["b64_json"]


def test_the_example_gives_its_size(stack):
    path, body = load("still", {})
    reply = stack.json("POST", path, {**body, "steps": 1}, timeout=600)
    assert png_size(base64.b64decode(reply["data"][0]["b64_json"])) == (256, 256)


def test_several_pictures_differ_and_a_seed_repeats_them(stack):
    one, two = make(stack, n=2), make(stack, n=2)
    images = [d["b64_json"] for d in one["data"]]
    assert len(set(images)) == 2 and images == [d["b64_json"] for d in two["data"]]
    assert make(stack, seed=6)["data"][0]["b64_json"] == images[1], "seeds follow each other"


def test_a_link_leads_to_the_picture_and_the_list_of_videos_stays_clean(stack):
    url = make(stack, response_format="url", output_format="webp")["data"][0]["url"]
    assert url.startswith(stack.url + "/v1/videos/video_")
    got = call(stack.url, "GET", url[len(stack.url):])
    assert got.status == 200 and got.headers["content-type"] == "image/webp" and got.body[8:12] == b"WEBP"
    assert got.headers["content-disposition"].endswith('.webp"')
    job = url.split("/")[-2]
    assert stack.json("GET", f"/v1/videos/{job}")["operation"] == "image"
    assert job not in [v["id"] for v in stack.json("GET", "/v1/videos?limit=100")["data"]]
    assert stack.call("GET", f"/v1/videos/{job}/content?variant=spritesheet").status == 404
    assert stack.call("GET", f"/v1/videos/{job}/content?variant=thumbnail").status == 200


def test_a_list_is_not_cut_by_pictures(stack):
    video = stack.create(steps=1, num_frames=1)["id"]
    stack.wait_for(video)
    make(stack, n=3)
    page = stack.json("GET", "/v1/videos?limit=1")
    assert [v["id"] for v in page["data"]] == [video]


def test_a_stream_ends_with_the_pictures(stack):
    reply = stack.call("POST", "/v1/images/generations", {**SMALL, "n": 2, "stream": True}, timeout=600)
    assert reply.status == 200 and reply.headers["content-type"] == "text/event-stream"
    blocks = reply.body.decode().strip().split("\n\n")
    assert len(blocks) == 2
    for block in blocks:
        kind, data = block.split("\n")
        event = json.loads(data[6:])
        assert kind == "event: image_generation.completed" and event["type"] == "image_generation.completed"
        assert png_size(base64.b64decode(event["b64_json"])) == (128, 80) and "usage" in event


def test_better_words_come_back(stack):
    assert "red" in make(stack, prompt_upsampling="on")["data"][0]["revised_prompt"]


def test_an_idempotency_key_covers_all_pictures(stack):
    head = {"idempotency-key": "pictures"}
    one, two = (stack.call("POST", "/v1/images/generations", {**SMALL, "n": 2}, head, timeout=600).json() for _ in range(2))
    assert one["data"] == two["data"]
    again = stack.call("POST", "/v1/images/generations", {**SMALL, "n": 2, "seed": 99}, head)
    assert again.status == 422


def test_a_picture_that_fails_is_told_in_words(stack):
    reply = stack.call("POST", "/v1/images/generations", {**SMALL, "deadline_seconds": 1, "n": 10, "steps": 200}, timeout=600)
    assert reply.status == 400 and "deadline_exceeded" in reply.json()["error"]["message"], reply


@pytest.mark.parametrize("body, param, code", [
    ({"prompt": ""}, "prompt", "invalid_value"), ({"n": 11}, "n", "invalid_value"), ({"n": 0}, "n", "invalid_value"),
    ({"size": "7x7"}, "size", "invalid_value"), ({"size": "large"}, "size", "invalid_value"),
    ({"response_format": "x"}, "response_format", "invalid_value"), ({"output_format": "gif"}, "output_format", "invalid_value"),
    ({"output_format": "mp4"}, "output_format", "invalid_value"), ({"output_format": "jpeg"}, "output_format", "unsupported_operation"),
    ({"background": "transparent"}, "background", "unsupported_operation"), ({"seconds": "4"}, "seconds", "unknown_parameter"),
    ({"webhook_url": "https://example.com"}, "webhook_url", "unknown_parameter"), ({"stream": "yes"}, "stream", "invalid_type"),
])
def test_wrong_requests_are_refused_in_words(stack, body, param, code):
    reply = stack.call("POST", "/v1/images/generations", {**SMALL, **body})
    assert reply.status == 400 and (reply.json()["error"]["param"], reply.json()["error"]["code"]) == (param, code), reply
