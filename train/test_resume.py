"""A run that is killed at random moments ends with the very bits of one that is not.

    python -m pytest test_resume.py          (renders a few clips; needs worldgen)
"""
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = int(os.environ.get("KILL_SEED", random.randrange(1 << 30)))
STEPS = 60


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    import data
    path = tmp_path_factory.mktemp("pool")
    for i, name in enumerate(("a", "b")):
        data.write_pool(str(path / name), 1 + 100 * i, 6, 32, 32, 5, 12, False)
    return path


def command(pools, out, *more, pool="a"):
    return [sys.executable, os.path.join(HERE, "train_vae.py"), "--pools", str(pools / pool), "--out", str(out), "--config",
            str(pools / "vae.json"), "--workers", "1", "--steps", str(STEPS), "--every", "5", *more]


def start(*args):
    return subprocess.Popen(command(*args), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, "OMP_NUM_THREADS": "1"})


def log_of(out):
    path = out / "vae.log"
    return path.read_text() if path.exists() else ""


@pytest.fixture(scope="module")
def undisturbed(pools, tmp_path_factory):
    import json

    from train_vae import SMOKE
    (pools / "vae.json").write_text(json.dumps({**SMOKE, "z_dim": 8, "base_dim": 8, "decoder_base_dim": 8}))
    out = tmp_path_factory.mktemp("whole")
    text, _ = (p := start(pools, out)).communicate()
    assert p.returncode == 0, text
    return torch.load(out / "vae.pt")


def test_killed_runs_end_with_the_same_bits(pools, undisturbed, tmp_path):
    dice, kills = random.Random(SEED), 0
    while True:
        p, before = start(pools, tmp_path), log_of(tmp_path).count("vae.test")
        limit = time.time() + 300
        while p.poll() is None and kills < 4 and time.time() < limit:
            if log_of(tmp_path).count("vae.test") > before:  # it got somewhere; now at any moment
                time.sleep(dice.uniform(0, 0.3))
                p.send_signal(signal.SIGKILL)
                kills += p.wait() == -signal.SIGKILL
                break
            time.sleep(0.02)
        text, _ = p.communicate()
        if p.returncode == 0:
            break
        assert p.returncode == -signal.SIGKILL, text
    got = torch.load(tmp_path / "vae.pt")
    assert kills > 0 and got["step"] == undisturbed["step"] == STEPS
    for part in ("model", "ema", "opt"):
        for n, v in undisturbed[part].items():
            assert torch.equal(got[part][n], v), f"{part} {n} differs after {kills} kills, KILL_SEED={SEED}"


def test_other_data_are_refused_in_words(pools, undisturbed, tmp_path):
    def words_of(*more, pool="a"):
        r = subprocess.run(command(pools, tmp_path, *more, pool=pool), capture_output=True, text=True)
        return r.returncode, r.stderr
    torch.save(undisturbed, tmp_path / "vae.pt")
    assert words_of("--seed", "2")[0] == 1 and "was trained with seed 1, and here seed is 2" in words_of("--seed", "2")[1]
    assert "was trained with pools" in words_of(pool="b")[1]
    torch.save({**undisturbed, "order": {**undisturbed["order"], "world": "another"}}, tmp_path / "vae.pt")
    assert "was trained with world another, and here world is" in words_of()[1]


def test_a_folder_has_one_run_at_a_time(pools, undisturbed, tmp_path):
    p = start(pools, tmp_path)
    while "vae.start" not in log_of(tmp_path):
        time.sleep(0.02)
    r = subprocess.run(command(pools, tmp_path), capture_output=True, text=True)
    p.kill()
    p.wait()
    assert r.returncode == 1 and f"another process trains in {tmp_path}" in r.stderr
