"""The API document is sound by Redocly's rules, and a live server keeps to it: schemathesis makes requests from the
document, good and bad ones, and no answer may be a fault of the server or another than the document says."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from stack import ROOT, Stack

SPEC = ROOT / "api-spec" / "openapi.yaml"
SCHEMATHESIS = pathlib.Path(sys.executable).with_name("schemathesis")
NODE_PATH = pathlib.Path(os.environ.get("NODE_PATH", ROOT / "build" / "node" / "node_modules"))
# Streams have no end; a picture waits for a worker, and there is none here.
LEFT_OUT = "(/events|/images/generations)$"


@pytest.mark.skipif(not (NODE_PATH / "@redocly").exists() or not shutil.which("node"), reason="Redocly is not installed (tools/install.sh test)")
def test_the_document_is_sound():
    p = subprocess.run(["node", str(ROOT / "tools" / "lint" / "openapi.mjs"), str(SPEC)], capture_output=True, text=True, timeout=60,
                       env={**os.environ, "NODE_PATH": str(NODE_PATH)})
    assert p.returncode == 0 and "0 findings" in p.stdout, p.stdout + p.stderr


@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="schemathesis is not installed (tools/install.sh test)")
def test_a_live_server_keeps_to_the_document():
    with Stack(servers=1, nginx=True) as s:
        s.redis("HSET", "{misora}:meta", "max_live", 100000, "max_lane", 100000)
        # Nobody works here, so whoever waits does so in vain: not long.
        (s.dir / "schemathesis.toml").write_text('[parameters]\n"query.wait" = 1\n"header.Prefer" = "wait=1"\n')
        checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
        p = subprocess.run(
            [str(SCHEMATHESIS), "run", str(SPEC), "--url", s.url, "--checks", checks, "--phases", "examples,coverage,fuzzing",
             "--max-examples", "5", "--generation-deterministic", "--suppress-health-check", "all", "--request-timeout", "20",
             "--rate-limit", "90/s", "--exclude-path-regex", LEFT_OUT, "--no-color"],
            capture_output=True, text=True, timeout=150, cwd=s.dir)
        assert p.returncode == 0, p.stdout[-6000:] + p.stderr[-2000:]
        assert "internal_error" not in p.stdout
