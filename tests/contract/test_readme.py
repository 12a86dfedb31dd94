"""Every example of README.md runs as it is written: each curl line answers 2xx, and the Python block ends
with a file. A worker without a model stands in, so that it takes seconds."""
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import pytest

from fake_worker import FakeWorker
from stack import ROOT, Stack

VIDEO = b"\x00\x00\x00\x20ftypisom" + bytes(5000)
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


class Worker:
    """Makes every job in half a second, with progress on the way."""

    def __init__(self, stack):
        self.stack, self.stop = stack, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stop.is_set():
            w = FakeWorker(self.stack)
            if w.claim() is None:
                time.sleep(0.1)
                continue
            for progress in (20, 50, 80):
                time.sleep(0.15)
                w.beat(progress)
            w.complete(VIDEO, b"RIFFxxxxWEBP", b"\xff\xd8\xff")


@pytest.fixture(scope="module")
def stack():
    with Stack(servers=1) as s:
        worker = Worker(s)
        yield s
        worker.stop.set()
        worker.thread.join()


def test_readme_has_examples_of_both_kinds():
    assert len(blocks("sh")) >= 1 and len(blocks("python")) >= 1


def test_every_curl_line_answers(stack, tmp_path):
    """URL, KEY and ID are what a reader has at hand; curl only learns to fail when the answer is a refusal."""
    env = {**os.environ, "URL": stack.url, "KEY": "mis_any", "ID": stack.create()["id"], "no_proxy": "*"}
    for block in blocks("sh"):
        script = 'set -eu\ncurl() { command curl -sS --fail-with-body --max-time 30 "$@"; echo; }\n' + block
        p = subprocess.run(["bash", "-c", script], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=90)
        assert p.returncode == 0, (block, p.stdout, p.stderr)
        n_curls = len(re.findall(r"^curl ", block, re.M))
        assert n_curls and p.stdout.count(env["ID"]) >= 3, p.stdout
        assert "event: video.completed" in p.stdout
    assert (tmp_path / "clip.mp4").read_bytes() == VIDEO


def test_the_python_block_makes_a_file(stack, tmp_path):
    for block in blocks("python"):
        assert "http://127.0.0.1:8080/v1" in block
        (tmp_path / "example.py").write_text(block.replace("http://127.0.0.1:8080", stack.url))
        p = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, timeout=90,
                           env={**os.environ, "no_proxy": "*"})
        assert p.returncode == 0, p.stderr
    assert (tmp_path / "clip.mp4").read_bytes() == VIDEO


def test_every_page_that_readme_points_to_exists():
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)#:]+)\)", README)
    assert len(links) > 5
    assert not [link for link in links if not (ROOT / pathlib.Path(link)).exists()]
