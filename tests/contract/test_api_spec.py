"""What is written about the API is what the programs do: routes, codes, the words of the error map, fields."""
import json
import os
import pathlib
import re
import subprocess

import pytest

from fake_worker import FakeWorker
from stack import Stack, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = pathlib.Path(os.environ.get("MISORA_BUILD", ROOT / "build" / "release")) / "misora-server"


def printed(flag):
    return subprocess.run([str(SERVER), flag], capture_output=True, text=True, check=True).stdout.splitlines()


def spec_lines():
    return (ROOT / "api-spec" / "openapi.yaml").read_text().splitlines()


def spec_routes():
    """(METHOD, path) of the document: paths stand two blanks in, methods four."""
    found, path, inside = [], None, False
    for line in spec_lines():
        if re.match(r"^\S", line):
            inside = line.startswith("paths:")
        if inside and (m := re.match(r"^  (/\S*):$", line)):
            path = m.group(1)
        if inside and (m := re.match(r"^    (get|post|delete|put|patch):$", line)):
            found.append(f"{m.group(1).upper()} {path}")
    return found


def test_routes_equal_the_openapi_document():
    assert sorted(spec_routes()) == sorted(printed("--routes"))


def test_the_document_has_no_key_that_was_meant_as_text():
    """In {description: a, b} YAML makes b a key with no value; validators call that an unknown key."""
    loose = [line.strip() for line in spec_lines()
             for piece in re.findall(r"description: ([^\"'{}\[\]][^{}]*)\}", line) if "," in piece and ": " not in piece.split(",", 1)[1]]
    assert not loose


def test_errors_md_equals_the_table_of_problems():
    text = (ROOT / "api-spec" / "errors.md").read_text().split("## Failed videos")[0]
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if re.match(r"^\| \d{3} \|", line)]
    written = [f"{r[0]} {r[1]} {r[2]} {r[3] or 0} {r[4] or '-'}" for r in rows]
    assert written == printed("--problems")
    assert all(r[5] for r in rows)


def test_errors_md_knows_every_word_of_the_error_map():
    text = (ROOT / "api-spec" / "errors.md").read_text()
    codes = re.findall(r'X\(\w+,\s+\d+,\s+\w+,\s+"(\w+)"', (ROOT / "common" / "base" / "err.h").read_text())
    assert len(codes) >= 15
    missing = [c for c in codes if not re.search(rf"\b{c}\b", text)]
    assert not missing


def test_the_document_names_every_field_that_an_operation_takes():
    rules = (ROOT / "server" / "validate.c").read_text().split("rules[] = {")[1].split("};")[0]
    names = re.findall(r'^\s*\{"(\w+)", (\w+),', rules, re.M)
    assert len(names) > 30
    text = "\n".join(spec_lines())
    taken = [n for n, fn in names if fn not in ("refuse", "ignore")]
    missing = [n for n in taken if not re.search(rf"\b{n}\b", text)]
    assert not missing


def test_the_document_names_every_key_of_a_video():
    text = "\n".join(spec_lines())
    source = (ROOT / "server" / "video.c").read_text()
    keys = set(re.findall(r'(?:doc_put_\w+|put_time|doc_open_\w+)\((?:&?o), "(\w+)"', source)) - {"code", "message"}
    assert len(keys) > 25
    missing = [k for k in keys if not re.search(rf"\b{k}:", text)]
    assert not missing


EXAMPLES = sorted((ROOT / "api-spec" / "examples").glob("*.json"))
BLANKS = {"<int>": lambda v: type(v) is int, "<text>": lambda v: isinstance(v, str) and v != "",
          "<video_>": lambda v: re.fullmatch("video_[0-9a-f]{32}", v) is not None}


def same(got, want, where="reply"):
    """Equal in keys, their order and values; a blank such as <int> stands for any value of its kind."""
    if isinstance(want, dict):
        assert list(got) == list(want), where
        for key in want:
            same(got[key], want[key], f"{where}.{key}")
    elif isinstance(want, str) and want in BLANKS:
        assert BLANKS[want](got), (where, got)
    else:
        assert got == want, where


@pytest.fixture(scope="module")
def live():
    """With a worker that looks at the queue, as in real life: a create has no warnings."""
    with Stack(servers=1, server_args=["--models-dir", ""]) as s:
        FakeWorker(s).claim()
        until(lambda: s.create()["warnings"] == [], 5)
        yield s


@pytest.mark.parametrize("path", EXAMPLES, ids=[p.stem for p in EXAMPLES])
def test_the_examples_are_what_a_live_server_answers(live, path):
    example = json.loads(path.read_text())
    ask, reply = example["request"], example["reply"]
    got = live.call(ask["method"], ask["path"], ask.get("body"), ask.get("headers"))
    assert got.status == reply["status"], got
    same(got.json(), reply["body"])
