"""`misora job` against a server: every action, files and ids, JSON without a terminal and a bar on one."""
import json
import os
import pathlib
import pty
import subprocess

import pytest

from picture import png
from stack import BUILD, Stack

SMALL = ["--size", "128x80", "--seconds", "1", "--steps", "2"]


@pytest.fixture(scope="module")
def stack():
    with Stack(servers=1, workers=1, auth=True) as s:
        yield s


def job(stack, *words, key=None, **more):
    env = {**os.environ, "MISORA_URL": stack.url, "MISORA_API_KEY": stack.key if key is None else key}
    return subprocess.run([str(BUILD / "misora"), "job", *map(str, words)], env=env, capture_output=True, text=True, timeout=120, **more)


def answer(stack, *words):
    p = job(stack, *words)
    assert p.returncode == 0, p.stderr
    return json.loads(p.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def clip(stack, tmp_path_factory):
    """A finished video and its file, made by one command."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    video = answer(stack, "submit", "--prompt", "a red ball", *SMALL, "--output", path)
    assert video["status"] == "completed" and video["progress"] == 100
    assert path.read_bytes() == stack.call("GET", f"/v1/videos/{video['id']}/content").body
    assert not pathlib.Path(f"{path}.part").exists()
    return video, path


def test_watching_prints_a_line_of_json_an_answer(stack):
    p = job(stack, "submit", "create", "--prompt", "a red ball", *SMALL, "--watch")
    lines = [json.loads(line) for line in p.stdout.splitlines()]
    assert p.returncode == 0 and lines[-1]["status"] == "completed" and len({v["id"] for v in lines}) == 1
    assert [v["progress"] for v in lines] == sorted(v["progress"] for v in lines)


def test_a_terminal_gets_a_bar(stack):
    master, slave = pty.openpty()
    p = subprocess.Popen([str(BUILD / "misora"), "job", "submit", "--prompt", "a red ball", *SMALL, "--watch"], stdout=slave, stderr=slave,
                         env={**os.environ, "MISORA_URL": stack.url, "MISORA_API_KEY": stack.key})
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:
        pass
    assert p.wait(60) == 0
    assert "█".encode() in shown and b"100 %" in shown and b"\r" in shown and b"{" not in shown


def test_operations_take_ids_and_files(stack, clip, tmp_path):
    video, path = clip
    (tmp_path / "frame.png").write_bytes(png())
    rows = [
        ("edit", ["--video", video["id"], "--prompt", "a blue ball", "--strength", "0.5"], "edit"),
        ("extend", ["--video", path, "--prompt", "a red ball", "--seconds", "1", "--direction", "both"], "extend"),
        ("connect", ["--first-video", video["id"], "--second-video", path, "--seconds", "1"], "connect"),
        ("loop", ["--video", video["id"], "--seconds", "1"], "loop"),
        ("create", ["--image", tmp_path / "frame.png", "--prompt", "it moves", *SMALL, "--set", 'metadata={"a":"b"}'], "create"),
    ]
    for operation, words, name in rows:
        made = answer(stack, "submit", operation, *words)
        assert made["operation"] == name and made["id"].startswith("video_"), made
        if operation == "create":
            assert made["metadata"] == {"a": "b"}
        answer(stack, "cancel", made["id"])


def test_the_other_actions(stack, clip, tmp_path):
    video, _ = clip
    assert answer(stack, "get", video["id"])["id"] == video["id"]
    assert answer(stack, "watch", video["id"])["status"] == "completed"
    page = answer(stack, "list", "--limit", "1")
    assert len(page["data"]) == 1 and page["has_more"]
    assert answer(stack, "list", "--limit", "1", "--after", page["last_id"])["data"][0]["id"] != page["last_id"]
    thumb = tmp_path / "thumb.webp"
    assert job(stack, "download", video["id"], "--output", thumb, "--variant", "thumbnail").returncode == 0
    assert thumb.read_bytes()[8:12] == b"WEBP"
    made = answer(stack, "submit", "--prompt", "a red ball", *SMALL)
    assert answer(stack, "cancel", made["id"])["id"] == made["id"]
    assert answer(stack, "delete", made["id"])["deleted"] is True


@pytest.mark.parametrize("words, code, say", [
    (["submit", "fly", "--prompt", "x"], 64, 'no operation "fly"'),
    (["submit", "--prompt", "x", "--steps", "many"], 64, '--steps is "many"; it must be a number'),
    (["submit", "--prompt", "x", "--stitch", "maybe"], 64, '--stitch is "maybe"; it must be true or false'),
    (["submit", "edit", "--prompt", "x", "--video", "/no/such/clip"], 64, "/no/such/clip is no file and no id of a video"),
    (["submit", "--prompt", "x", "--set", "novalue"], 64, "write NAME=VALUE"),
    (["submit", "--prompt", "x", "--size", "127x80"], 1, "127x80"),
    (["submit", "--prompt", "x", "--set", "nothing=1"], 1, "nothing"),
    (["get"], 64, "get needs the id of a video"),
    (["get", "../x"], 64, "is no id"),
    (["get", "video_" + "0" * 32], 1, "404: there is no video with this id"),
    (["list", "--limit", "1000"], 64, "it must be from 1 to 100"),
    (["download", "video_" + "0" * 32], 64, "download needs --output FILE"),
    (["dance"], 64, 'no action "dance"'),
    (["get", "video_x", "--nonsense"], 64, 'unknown argument "--nonsense"'),
])
def test_a_refusal_says_what_to_change(stack, words, code, say):
    p = job(stack, *words)
    assert p.returncode == code and say in p.stderr and not p.stdout, (p.returncode, p.stderr, p.stdout)


def test_a_failed_download_leaves_nothing(stack, tmp_path):
    p = job(stack, "download", "video_" + "0" * 32, "--output", tmp_path / "x.mp4")
    assert p.returncode == 1 and list(tmp_path.iterdir()) == []


def test_without_a_server_it_says_so(stack):
    p = job(stack, "list", "--url", "http://127.0.0.1:1")
    assert p.returncode not in (0, 64) and p.stderr
