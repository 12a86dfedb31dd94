"""Between the stages: renders clips, encodes them, keeps the latents.

    python encode.py --vae RUN/vae.pt --out DIR --seed 10000000 --count 6000

Shards lat-SEED.pt appear whole: {"z": f16 (n, z, L, h, w), "captions": [n dicts with labels], "seed"}.
stats.json holds mean and std per channel, measured once on other seeds, and what the latents are latents
of: the world's sum and the encoder's. A folder keeps to one of each.
"""
import argparse
import hashlib
import json
import os
import shutil

import numpy as np
import torch

import fused
from common import save_atomic, short_sum
from data import CAPTIONS, records, world_sum
from train_vae import to_tensor
from vae import VAE

# (share, width, height, frames): what the model will be asked for.
KINDS = [(0.20, 128, 80, 17), (0.30, 128, 80, 33), (0.10, 128, 80, 49), (0.06, 80, 128, 17), (0.10, 80, 128, 33),
         (0.04, 80, 128, 49), (0.06, 96, 96, 17), (0.10, 96, 96, 33), (0.04, 96, 96, 49)]
SHARD, MOST_CLIPS = 100, 75


class Latents:
    """Shards of a folder, normalised, grouped by shape; `names`, or all that are there now.

    order: what the clips are a function of; equal orders give equal draws."""

    def __init__(self, path, names=None):
        self.path, self.groups = path, {}
        with open(os.path.join(path, "stats.json")) as f:
            self.stats = json.load(f)
        self.mean = torch.tensor(self.stats["mean"]).view(-1, 1, 1, 1)
        self.std = torch.tensor(self.stats["std"]).view(-1, 1, 1, 1)
        self.names = sorted(n for n in os.listdir(path) if n.endswith(".pt")) if names is None else names
        for n in self.names:
            self.add(n)
        sizes = [os.path.getsize(os.path.join(path, n)) for n in self.names]
        self.order = {"shards": short_sum([self.names, sizes]),
                      **{k: self.stats[k] for k in ("world", "vae") if k in self.stats}}

    def add(self, name):
        if not os.path.exists(os.path.join(self.path, name)):
            raise SystemExit(f"{self.path} has no {name}, which this run has trained on")
        s = torch.load(os.path.join(self.path, name))
        z = ((s["z"].float() - self.mean) / self.std).half()
        group = self.groups.setdefault(tuple(z.shape[2:]), {"z": [], "captions": []})
        group["z"].extend(z.unbind(0))
        group["captions"].extend(s["captions"])

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
        rows = rng.integers(0, len(g["z"]), min(b, MOST_CLIPS))
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


def write_shard(model, path, seed, kind, held_out, count):
    _, w, h, frames = kind
    clips, captions = [], []
    for r in records(seed, count, w, h, frames, held_out=held_out):
        clips.append(r["rgb"])
        captions.append({**{k: r[k] for k in CAPTIONS}, "labels": labels(r["scene"])})
    z = encode(model, clips)
    save_atomic({"z": z.half(), "captions": captions, "seed": seed}, os.path.join(path, f"lat-{seed:012d}.pt"))


def source_of(model):
    h = hashlib.sha256()
    for _, p in sorted(model.encoder.named_parameters()):
        h.update(p.detach().contiguous().numpy().tobytes())
    return {"world": world_sum(), "vae": h.hexdigest()[:16]}


def measure(model, kinds, seed, count):
    """Mean and std per channel over about `count` clips of all kinds."""
    z = []
    for _, w, h, frames in kinds:
        clips = [r["rgb"] for r in records(seed, count // len(kinds) + 1, w, h, frames)]
        z.append(encode(model, clips).transpose(0, 1).flatten(1))
    z = torch.cat(z, 1)
    return {"mean": z.mean(1).tolist(), "std": z.std(1).tolist(), "values": z.shape[1]}


def write_stats(model, path, seed, kinds=None, count=90):
    with open(os.path.join(path, "stats.json.part"), "w") as f:
        json.dump({**measure(model, kinds or KINDS, seed + 500000, count), **source_of(model)}, f)
    os.replace(os.path.join(path, "stats.json.part"), os.path.join(path, "stats.json"))


def check_source(path, model):
    with open(os.path.join(path, "stats.json")) as f:
        have = json.load(f)
    for k, v in source_of(model).items():
        if have.get(k, v) != v:
            raise SystemExit(f"{path} holds latents of {k} {have[k]}, these would be of {k} {v}: use another --out")


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--vae", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--seed", type=int, default=10_000_000)
    a.add_argument("--count", type=int, default=6000)
    a.add_argument("--held-out", action="store_true")
    a.add_argument("--kinds", help="WxHxF,... in equal shares instead of the usual ones")
    a.add_argument("--shard", type=int, default=SHARD, help="clips in a file")
    a.add_argument("--measure", type=int, default=90, help="clips that mean and std are taken over")
    a.add_argument("--stats", help="the training set's stats.json, for a test set")
    o = a.parse_args()
    os.makedirs(o.out, exist_ok=True)
    torch.set_num_threads(1)
    fused.use()
    model, _ = load_vae(o.vae)
    if o.stats:
        shutil.copyfile(o.stats, os.path.join(o.out, "stats.json"))
    kinds = [(1.0, *map(int, k.split("x"))) for k in o.kinds.split(",")] if o.kinds else KINDS
    if not os.path.exists(os.path.join(o.out, "stats.json")):
        write_stats(model, o.out, o.seed, kinds, o.measure)
    check_source(o.out, model)
    p = np.array([k[0] for k in kinds])
    order = np.random.default_rng(5).choice(len(kinds), o.count // o.shard, p=p / p.sum())
    for i, k in enumerate(order):
        seed = o.seed + i * o.shard
        if not os.path.exists(os.path.join(o.out, f"lat-{seed:012d}.pt")):
            write_shard(model, o.out, seed, kinds[k], o.held_out, o.shard)
            print("shard", seed, kinds[k], flush=True)


if __name__ == "__main__":
    main()
