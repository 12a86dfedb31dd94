"""A first judge: does a clip show what its caption says? Trained on renders, never on generated clips.

    python judge.py train --latents DIR --out judge.pt --seconds 180
    python judge.py score --judge judge.pt --model ../models/tiny --vae RUN/vae.pt --count 96

A small network reads a clip through the frozen autoencoder (pixels -> latents -> answers) and names
environment, object, colour, motion and camera. Scores are given for renders of held-out seeds (the
ceiling), for the same clips after encode and decode, and for clips generated from their captions.
"""
import argparse
import json
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from common import Optimiser, rng_for, save_atomic
from data import HELD, records
from encode import Latents, encode, labels, load_vae
from sample import Model, sheet

SLOTS = ("env", "object", "colour", "motion", "camera")


class Judge(nn.Module):
    def __init__(self, z, names, width=96):
        super().__init__()
        self.names = names
        self.convs = nn.ModuleList([
            nn.Conv3d(z + 3, width, 3, padding=1), nn.Conv3d(width, width, 3, padding=1),
            nn.Conv3d(width, 128, 3, (1, 2, 2), padding=1), nn.Conv3d(128, 128, 3, padding=1)])
        self.norms = nn.ModuleList([nn.GroupNorm(8, c.out_channels) for c in self.convs])
        self.heads = nn.ModuleDict({s: nn.Linear(256, len(names[s])) for s in SLOTS})

    def forward(self, z):
        b, _, t, h, w = z.shape
        place = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in (t, h, w)), indexing="ij")
        x = torch.cat([z, torch.stack(place)[None].expand(b, -1, -1, -1, -1)], 1)
        for conv, norm in zip(self.convs, self.norms):
            x = F.gelu(norm(conv(x)))
        x = torch.cat([x.mean((2, 3, 4)), x.amax((2, 3, 4))], 1)
        return {s: head(x.float()) for s, head in self.heads.items()}


def train(o):
    torch.set_num_threads(o.threads)
    shards = Latents(o.latents)
    names = {s: sorted({c["labels"][s] for g in shards.groups.values() for c in g["captions"]}) for s in SLOTS}
    model = Judge(len(shards.stats["mean"]), names)
    opt = Optimiser(model, lambda n, p: p.ndim >= 4)
    start, step, seen = time.time(), 0, []
    while (left := 1 - (time.time() - start) / o.seconds) > 0:
        rng = rng_for(9, step)
        z, rows = shards.draw(rng, (5, 9, 9, 13)[rng.integers(4)], 9000)
        z = z + torch.from_numpy(rng.standard_normal(z.shape, np.float32)) * float(rng.uniform(0, 0.3))
        want = {s: torch.tensor([names[s].index(r["labels"][s]) for r in rows]) for s in SLOTS}
        with torch.autocast("cpu", torch.bfloat16):
            got = model(z)
        loss = sum(F.cross_entropy(got[s], want[s], label_smoothing=0.05) for s in SLOTS)
        loss.backward()
        opt.step(2e-3 * min(1, left / 0.6), step)
        seen.append([float((got[s].argmax(1) == want[s]).float().mean()) for s in SLOTS])
        step += 1
        if step % 50 == 0:
            print(step, f"{loss.item():.3f}", dict(zip(SLOTS, np.mean(seen, 0).round(3))), flush=True)
            seen = []
    save_atomic({"model": model.state_dict(), "names": names, "stats": shards.stats}, o.out)


def answers(judge, vae, clips):
    """clips (B, T, H, W, 3) bytes -> predicted names per slot."""
    s = judge.stats
    z = (encode(vae, list(clips)) - torch.tensor(s["mean"]).view(-1, 1, 1, 1)) / torch.tensor(s["std"]).view(-1, 1, 1, 1)
    with torch.no_grad():
        return {k: [judge.names[k][i] for i in v.argmax(1)] for k, v in judge(z).items()}


def right(got, want):
    return {s: float(np.mean([g == w[s] for g, w in zip(got[s], want)])) for s in SLOTS}


def load_judge(path):
    s = torch.load(path)
    judge = Judge(len(s["stats"]["mean"]), s["names"]).eval()
    judge.load_state_dict(s["model"])
    judge.stats = s["stats"]
    return judge


@torch.no_grad()
def score(o):
    torch.set_num_threads(o.threads)
    judge, (vae, _), model = load_judge(o.judge), load_vae(o.vae), Model(o.model)
    tests = list(records(HELD + 5000, o.count, 128, 80, 33, held_out=o.held_out))
    want, rgb = [labels(r["scene"]) for r in tests], np.stack([r["rgb"] for r in tests])
    table = {}

    def note(name, clips):
        table[name] = right(answers(judge, vae, clips), want)
        print(f"| {name} | " + " | ".join(f"{table[name][s]:.2f}" for s in SLOTS) + " |", flush=True)

    note("renders", rgb)
    back = np.concatenate([model.decode((encode(vae, [c]) - model.mean) / model.std) for c in rgb])
    note("renders, encoded and decoded", back)
    for kind in o.captions.split(","):
        made = []
        for i in range(0, o.count, 8):
            prompts = [r[kind] for r in tests[i:i + 8]]
            made.append(model.decode(model.latents(prompts, 128, 80, 33, o.steps, o.cfg, o.shift, 100 + i)))
        made = np.concatenate(made)
        note("generated, " + kind, made)
        np.save(f"/tmp/made-{kind}.npy", made[:12]) if o.keep else None
    print(json.dumps({"count": o.count, "steps": o.steps, "cfg": o.cfg, "shift": o.shift, **table}))


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("what", choices=["train", "score"])
    a.add_argument("--latents")
    a.add_argument("--out")
    a.add_argument("--seconds", type=float, default=180)
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--judge")
    a.add_argument("--model")
    a.add_argument("--vae")
    a.add_argument("--count", type=int, default=96)
    a.add_argument("--captions", default="long_en,short_en")
    a.add_argument("--held-out", action="store_true")
    a.add_argument("--keep", action="store_true")
    a.add_argument("--steps", type=int, default=20)
    a.add_argument("--cfg", type=float, default=4.0)
    a.add_argument("--shift", type=float, default=3.0)
    o = a.parse_args()
    train(o) if o.what == "train" else score(o)


if __name__ == "__main__":
    main()
