"""Which size is worth the hours? Trains several sizes for the same time on the same data, one after the other.

    python probe.py --latents DIR --test-latents DIR --spiece spiece.model --out DIR --minutes 30 [--sizes S SM M]

Prints, for each size, the held-out loss at its checkpoints against wall time and FLOP, as a table for RUNS.md, and
which size was best at equal time. The rate is constant but for the last fifth of each run, so the earlier rows are
comparable among themselves and the last row is what an annealed run of that length gives. Going on is possible: the
same command resumes; more --minutes do not, because the decay is planned.
"""
import argparse
import os
import re
import subprocess
import sys

import torch
from torch.utils.flop_counter import FlopCounterMode

from encode import Latents
from text import CONFIG as TEXT_CONFIG
from train_dit import LENGTHS, Both, sized

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = 60  # ids of an average caption


def flop_per_token(size, shards):
    """Forward and backward, words included, over the lengths of a usual step."""
    z, share, total = len(shards.stats["mean"]), 0.0, 0.0
    m = Both({"dit": sized(size, z), "text": TEXT_CONFIG})
    for weight, length in LENGTHS:
        keys = [k for k in shards.groups if k[0] == length] or [max(shards.groups)]
        frames, h, w = length, *keys[0][1:]
        with FlopCounterMode(display=False) as f:
            rows, real = m.text(torch.ones(1, WORDS, dtype=torch.long))
            m.dit(torch.randn(1, z, frames, h, w), torch.full((1, frames), 500.0), rows, real).sum().backward()
        total, share = total + weight * f.get_total_flops() / (frames * h * w), share + weight
    return total / share


def rows_of(log, per_token, o):
    """(seconds, FLOP, held-out loss) of each checkpoint; every step has o.tokens tokens, nearly."""
    with open(log) as f:
        for line in f:
            m = re.search(r"dit.test step=(\d+) spent=([0-9.e+]+) loss=([0-9.]+)", line)
            if m:
                yield float(m[2]), int(m[1]) * o.tokens * per_token, float(m[3])


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--latents", required=True)
    a.add_argument("--test-latents", required=True)
    a.add_argument("--spiece", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--minutes", type=float, default=30)
    a.add_argument("--sizes", nargs="+", default=["S", "SM", "M"])
    a.add_argument("--tokens", type=int, default=3000)
    a.add_argument("--rest", nargs=argparse.REMAINDER, default=[], help="more arguments for train_dit.py, last")
    o = a.parse_args()
    shards, last = Latents(o.latents), {}
    print("| size | minutes | FLOP | held-out loss |\n|---|---|---|---|", flush=True)
    for size in o.sizes:
        out, seconds = os.path.join(o.out, size), o.minutes * 60
        subprocess.run([sys.executable, os.path.join(HERE, "train_dit.py"), "--latents", o.latents, "--test-latents",
                        o.test_latents, "--spiece", o.spiece, "--out", out, "--size", size, "--seconds", str(seconds),
                        "--decay", "0.2", "--every", str(max(seconds / 8, 5)), "--warm-steps", "300", "--tokens",
                        str(o.tokens), *o.rest], check=True, stdout=subprocess.DEVNULL)
        for spent, flop, loss in rows_of(os.path.join(out, "dit.log"), flop_per_token(size, shards), o):
            print(f"| {size} | {spent / 60:.1f} | {flop:.2e} | {loss:.4f} |", flush=True)
            last[size] = loss
    print("best at equal time: " + min(last, key=last.get))


if __name__ == "__main__":
    main()
