"""Between the stages: renders clips, encodes them, keeps the latents.

    python encode.py --vae RUN/vae.pt --out DIR --seed 10000000 --count 6000

Shards lat-SEED.pt appear whole: {"z": f16 (n, z, L, h, w), "captions": [n dicts with labels], "seed"}.
stats.json holds mean and std per channel, measured once on other seeds.
"""
import argparse
import json
import os
import shutil

import numpy as np
import torch

from common import save_atomic
from data import CAPTIONS, records
from train_vae import to_tensor
from vae import VAE

# (share, width, height, frames): what the model will be asked for.
KINDS = [(0.20, 128, 80, 17), (0.30, 128, 80, 33), (0.10, 128, 80, 49), (0.06, 80, 128, 17), (0.10, 80, 128, 33),
         (0.04, 80, 128, 49), (0.06, 96, 96, 17), (0.10, 96, 96, 33), (0.04, 96, 96, 49)]
SHARD = 100


class Latents:
    """Shards of a folder, normalised, grouped by shape. New shards are seen at refresh()."""

    def __init__(self, path):
        self.path, self.names, self.groups = path, set(), {}
        with open(os.path.join(path, "stats.json")) as f:
            self.stats = json.load(f)
        self.mean = torch.tensor(self.stats["mean"]).view(-1, 1, 1, 1)
        self.std = torch.tensor(self.stats["std"]).view(-1, 1, 1, 1)
        self.refresh()

    def refresh(self):
        fresh = sorted(n for n in os.listdir(self.path) if n.endswith(".pt") and n not in self.names)
        for n in fresh:
            s = torch.load(os.path.join(self.path, n))
            z = ((s["z"].float() - self.mean) / self.std).half()
            group = self.groups.setdefault(tuple(z.shape[2:]), {"z": [], "captions": []})
            group["z"].extend(z.unbind(0))
            group["captions"].extend(s["captions"])
            self.names.add(n)

    def __len__(self):
        return sum(len(g["z"]) for g in self.groups.values())

    def draw(self, rng, length, budget):
        """Clips of one shape with `length` latent frames, together about `budget` tokens."""
        keys = sorted(k for k in self.groups if k[0] == length) or sorted(self.groups)
        if length == 1:
            keys = sorted(self.groups)
        n = np.array([len(self.groups[k]["z"]) for k in keys], float)
        key = keys[rng.choice(len(keys), p=n / n.sum())]
        g, b = self.groups[key], max(1, budget // (min(length, key[0]) * key[1] * key[2]))
        rows = rng.integers(0, len(g["z"]), min(b, 48))
        z = torch.stack([g["z"][i][:, :length] for i in rows]).float()
        return z, [g["captions"][i] for i in rows]


def load_vae(path):
    s = torch.load(path)
    m = VAE(s["cfg"])
    m.load_state_dict(s["ema"])
    return m.eval(), s["cfg"]


@torch.no_grad()
def encode(model, clips, batch=4):
    out = []
    for i in range(0, len(clips), batch):
        with torch.autocast("cpu", torch.bfloat16):
            out.append(model.encode(to_tensor(np.stack(clips[i:i + batch])))[0].float())
    return torch.cat(out)


def labels(scene):
    """What a judge may be asked about a clip."""
    hero, cam = (scene["entities"] or [None])[0], scene["camera"]
    side = {-1: "-", 0: "", 1: "+"}
    other = scene["entities"][1] if len(scene["entities"]) > 1 else None
    return {"env": scene["env"], "camera": cam["kind"] + side[cam["dir"]],
            "time": scene["time"], "weather": scene["weather"], "style": scene["style"], "loop": scene["loop"],
            "views": scene["views"], "moves": [m["kind"] for m in scene["moves"]],
            "second": other["class"] if other else "none", "relation": other["relation"] if other else "none",
            "object": hero["class"] if hero else "none", "colour": hero["colour"] if hero else "none",
            "motion": hero["action"] + side[hero["dir"]] if hero else "none"}


def write_shard(model, path, seed, kind, held_out):
    _, w, h, frames = kind
    clips, captions = [], []
    for r in records(seed, SHARD, w, h, frames, held_out=held_out):
        clips.append(r["rgb"])
        captions.append({**{k: r[k] for k in CAPTIONS}, "labels": labels(r["scene"])})
    z = encode(model, clips)
    save_atomic({"z": z.half(), "captions": captions, "seed": seed}, os.path.join(path, f"lat-{seed:012d}.pt"))


def write_stats(model, path, seed, count=90):
    z = []
    for w, h in ((128, 80), (80, 128), (96, 96)):
        for _, ww, hh, frames in [k for k in KINDS if (k[1], k[2]) == (w, h)]:
            clips = [r["rgb"] for r in records(seed + 500000, count // 9 + 1, ww, hh, frames)]
            z.append(encode(model, clips).transpose(0, 1).flatten(1))
    z = torch.cat(z, 1)
    with open(os.path.join(path, "stats.json"), "w") as f:
        json.dump({"mean": z.mean(1).tolist(), "std": z.std(1).tolist(), "values": z.shape[1]}, f)


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--vae", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--seed", type=int, default=10_000_000)
    a.add_argument("--count", type=int, default=6000)
    a.add_argument("--held-out", action="store_true")
    a.add_argument("--stats", help="the training set's stats.json, for a test set")
    o = a.parse_args()
    os.makedirs(o.out, exist_ok=True)
    torch.set_num_threads(1)
    model, _ = load_vae(o.vae)
    if o.stats:
        shutil.copyfile(o.stats, os.path.join(o.out, "stats.json"))
    if not os.path.exists(os.path.join(o.out, "stats.json")):
        write_stats(model, o.out, o.seed)
    p = np.array([k[0] for k in KINDS])
    order = np.random.default_rng(5).choice(len(KINDS), o.count // SHARD, p=p / p.sum())
    for i, k in enumerate(order):
        seed = o.seed + i * SHARD
        if not os.path.exists(os.path.join(o.out, f"lat-{seed:012d}.pt")):
            write_shard(model, o.out, seed, KINDS[k], o.held_out)
            print("shard", seed, KINDS[k], flush=True)


if __name__ == "__main__":
    main()
