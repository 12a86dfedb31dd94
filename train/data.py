"""Clips of the world: reading worldgen's records, and pools of them on disk.

A pool is a folder: clips.u8 (N, T, H, W, 3), meta.jsonl (one line per clip: seed, four captions,
scene) and pool.json (shape, seeds). Seeds below HELD are for training; evaluation uses seeds from
HELD on, so no stage can meet its own test clips.

    python data.py --out DIR --size 128x80 --frames 33 --count 2000 --seed 1
"""
import argparse
import functools
import hashlib
import json
import os
import struct
import subprocess

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
WORLDGEN = os.environ.get("WORLDGEN", os.path.join(HERE, "..", "build", "release", "worldgen"))
HEADER = struct.Struct("<4sIQHHHHfIIIIIIIIIII")
RECORD, WORLD = 3, 3  # versions of the record and of the world: see train/world/world.h
HELD = 1 << 40
CAPTIONS = ("short_en", "long_en", "short_zh", "long_zh")


def read_exactly(f, n):
    b = f.read(n)
    if len(b) != n:
        raise EOFError(f"worldgen gave {len(b)} of {n} bytes")
    return b


def read_record(f):
    h = HEADER.unpack(read_exactly(f, HEADER.size))
    magic, version, seed, w, hh, t, ch, fps = h[:8]
    if magic != b"MWLD" or version != RECORD or h[16] != WORLD:
        raise ValueError(f"not a record of version {RECORD} of world {WORLD}: {magic} {version} {h[16]}")
    lengths = h[8:15]
    rgb = np.frombuffer(read_exactly(f, lengths[0]), np.uint8).reshape(t, hh, w, ch)
    texts = [read_exactly(f, n).decode() for n in lengths[1:6]]
    ids, near, flow = (read_exactly(f, n) for n in (lengths[6], h[17], h[18]))
    tiles = (t, hh // 16, w // 16)
    r = dict(zip(CAPTIONS, texts[:4]), seed=seed, fps=fps, rgb=rgb, scene=json.loads(texts[4]))
    if ids:
        r["ids"] = np.frombuffer(ids, np.uint8).reshape(tiles)
    if near:  # mean of 1 / depth
        r["near"] = np.frombuffer(near, "<f4").reshape(tiles)
    if flow:  # pixels to the right and down until the next frame
        r["flow"] = np.frombuffer(flow, "<f4").reshape(*tiles, 2)
    return r


def records(seed, count, w, h, frames, fps=12, held_out=False, ids=False, hero=None, turn=0.0,
            depth=False, flow=False):
    """Yields `count` records, seeds seed, seed+1, ... in this order."""
    cmd = [WORLDGEN, "--serve", "--seed", str(seed), "--count", str(count), "--size", f"{w}x{h}",
           "--frames", str(frames), "--fps", str(fps)]
    cmd += ["--held-out"] if held_out else []
    cmd += [flag for flag, on in (("--ids", ids), ("--depth", depth), ("--flow", flow)) if on]
    cmd += ["--hero", hero] if hero else []
    cmd += ["--turn", str(turn)] if turn else []
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE)
    try:
        for _ in range(count):
            yield read_record(p.stdout)
    finally:
        p.stdout.close()
        p.terminate()
        p.wait()


@functools.cache
def world_sum():
    """What this worldgen shows and says, in 16 letters: pixels and captions of a few clips."""
    h = hashlib.sha256()
    for seed in (1, 1000, 10_000_000, HELD):
        for r in records(seed, 4, 48, 32, 5):
            h.update(r["rgb"].tobytes())
            h.update("\n".join(r[k] for k in CAPTIONS).encode())
    return h.hexdigest()[:16]


class Pool:
    def __init__(self, path):
        with open(os.path.join(path, "pool.json")) as f:
            self.info = json.load(f)
        i = self.info
        self.clips = np.memmap(os.path.join(path, "clips.u8"), np.uint8, "r",
                               shape=(i["count"], i["frames"], i["h"], i["w"], 3))
        with open(os.path.join(path, "meta.jsonl")) as f:
            self.meta = [json.loads(line) for line in f]

    def __len__(self):
        return self.info["count"]


def write_pool(path, seed, count, w, h, frames, fps, held_out):
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "clips.u8"), "wb") as c, open(os.path.join(path, "meta.jsonl"), "w") as m:
        for r in records(seed, count, w, h, frames, fps, held_out):
            c.write(r.pop("rgb").tobytes())
            m.write(json.dumps(r, ensure_ascii=False) + "\n")
    with open(os.path.join(path, "pool.json"), "w") as f:
        json.dump(dict(seed=seed, count=count, w=w, h=h, frames=frames, fps=fps, held_out=held_out,
                       world=world_sum()), f)


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--out", required=True)
    a.add_argument("--size", default="128x80")
    a.add_argument("--frames", type=int, default=33)
    a.add_argument("--fps", type=int, default=12)
    a.add_argument("--count", type=int, default=1000)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--held-out", action="store_true")
    o = a.parse_args()
    w, h = map(int, o.size.split("x"))
    write_pool(o.out, o.seed, o.count, w, h, o.frames, o.fps, o.held_out)


if __name__ == "__main__":
    main()
