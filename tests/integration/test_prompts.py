"""Prompts in better words: the built-in rewriter, a chat endpoint, and the fall back when that is slow or wrong."""
import http.server
import json
import threading
import time

import pytest

from stack import Stack

PROMPT = "a red ball"


class Chat:
    """An OpenAI-compatible chat endpoint that answers as the test says, and keeps what it was asked."""

    def __init__(self):
        self.asked, self.answer, self.status, self.delay = [], "A red rubber ball on wet grass.", 200, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append((dict(self.headers), body))
                time.sleep(outer.delay)
                reply = outer.answer if isinstance(outer.answer, bytes) else json.dumps(
                    {"choices": [{"message": {"role": "assistant", "content": outer.answer}}],
                     "usage": {"prompt_tokens": 11, "completion_tokens": 7}}).encode()
                try:
                    self.send_response(outer.status)
                    self.send_header("content-length", str(len(reply)))
                    self.end_headers()
                    self.wfile.write(reply)
                except OSError:
                    pass  # the other end did not wait

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/chat/completions"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def plain():
    with Stack() as s:
        yield s


@pytest.fixture(scope="module")
def chat():
    c = Chat()
    with Stack(server_args=["--chat-url", c.url, "--chat-model", "writer", "--chat-timeout", "1s"],
               env={"MISORA_CHAT_KEY": "secret"}) as s:
        c.stack = s
        yield c
    c.server.shutdown()


def preview(stack, **body):
    return stack.json("POST", "/v1/prompts/upsample", {"prompt": PROMPT, **body})


def test_the_built_in_rewriter_says_more_and_the_same_each_time(plain):
    one, two, other = preview(plain, seed=1), preview(plain, seed=1), preview(plain, seed=9)
    assert one["object"] == "prompt.upsampled" and one["original_prompt"] == PROMPT
    assert one["prompt"] == two["prompt"] and len(one["prompt"]) > 3 * len(PROMPT) and "red" in one["prompt"]
    assert one["model"] == "built-in" and one["latency_ms"] >= 0 and other["prompt"] != one["prompt"]
    assert preview(plain, task="image")["prompt"]


def test_unknown_words_are_named_and_an_unknown_prompt_stays(plain):
    assert "zorblax" in preview(plain, prompt="a red ball and a zorblax")["warnings"][0]
    lost = preview(plain, prompt="zorblax quux")
    assert lost["prompt"] == "zorblax quux" and "stays as it is" in lost["warnings"][0]


def test_a_job_keeps_both_texts(plain):
    video = plain.create(PROMPT, prompt_upsampling="on", seed=1)
    assert video["prompt"] == PROMPT and len(video["revised_prompt"]) > len(PROMPT)
    assert video["revised_prompt"] == preview(plain, seed=1)["prompt"]
    assert plain.create(PROMPT)["revised_prompt"] is None
    spec = json.loads(plain.redis("GET", "{misora}:spec:" + video["id"]))
    assert spec["revised_prompt"] == video["revised_prompt"] and spec["prompt"] == PROMPT


def test_equal_requests_stay_equal(plain):
    head = {"idempotency-key": "k1"}
    body = {"prompt": PROMPT, "prompt_upsampling": "on"}
    one, two = (plain.call("POST", "/v1/videos", body, head) for _ in range(2))
    assert one.json()["id"] == two.json()["id"] and two.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("body, param, code", [
    ({}, "prompt", "missing_required_parameter"), ({"prompt": " "}, "prompt", "invalid_value"),
    ({"prompt": "x", "task": "song"}, "task", "invalid_value"), ({"prompt": "x", "n": 2}, "n", "unknown_parameter"),
    ({"prompt": "x" * 32001}, "prompt", "invalid_value"), ({"prompt": "x", "seed": -1}, "seed", "invalid_value"),
])
def test_wrong_requests_are_refused_in_words(plain, body, param, code):
    reply = plain.call("POST", "/v1/prompts/upsample", body)
    assert reply.status == 400 and (reply.json()["error"]["param"], reply.json()["error"]["code"]) == (param, code)


def test_the_endpoint_gets_the_brief_and_its_words_are_taken(chat):
    chat.answer, chat.status, chat.delay = "  A red rubber ball on wet grass. ", 200, 0
    got = preview(chat.stack, style="noir")
    assert got["prompt"] == "A red rubber ball on wet grass." and got["model"] == "writer" and got["warnings"] == []
    assert got["usage"] == {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
    headers, body = chat.asked[-1]
    assert {k.lower(): v for k, v in headers.items()}["authorization"] == "Bearer secret" and body["model"] == "writer"
    system, user = body["messages"]
    assert all(f"{part}:" in system["content"] for part in
               ("Context", "Persona", "Goal", "Constraints", "Steps", "Example", "Template"))
    assert user == {"role": "user", "content": "a red ball, noir"}
    assert chat.stack.create(PROMPT, prompt_upsampling="on")["revised_prompt"] == got["prompt"]


@pytest.mark.parametrize("answer, status, delay", [
    ("x", 500, 0), ("x", 200, 3), ("", 200, 0), (b"not json", 200, 0), (b"{}", 200, 0), (b'{"choices":[]}', 200, 0),
    ("x" * 5000, 200, 0), (b'{"choices":[{"message":{"content":7}}]}', 200, 0), (b"[" * 100000, 200, 0), ("x", 302, 0),
])
def test_whatever_is_wrong_with_it_the_built_in_rewriter_answers(chat, answer, status, delay):
    chat.answer, chat.status, chat.delay = answer, status, delay
    start = time.monotonic()
    got = preview(chat.stack)
    assert got["model"] == "built-in" and len(got["prompt"]) > len(PROMPT) and time.monotonic() - start < 10
    assert "built-in rewriter" in got["warnings"][0]
    video = chat.stack.create(PROMPT, prompt_upsampling="on") if not delay else None
    assert video is None or any("built-in" in w for w in video["warnings"])
