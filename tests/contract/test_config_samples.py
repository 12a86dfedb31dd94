"""The sample files in config/ are what the programs print from their option tables."""
import subprocess

import pytest

from stack import BUILD, ROOT


@pytest.mark.parametrize("name", ["server", "worker"])
def test_the_sample_file_equals_the_table(name):
    out = subprocess.run([str(BUILD / f"misora-{name}"), "--sample-config"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert (ROOT / "config" / f"{name}.conf").read_text() == out.stdout


@pytest.mark.parametrize("name", ["server", "worker"])
def test_the_sample_file_is_accepted(name):
    out = subprocess.run([str(BUILD / f"misora-{name}"), "--config", str(ROOT / "config" / f"{name}.conf"),
                          "--check-config"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
