"""Stage 2: trains the transformer and the text encoder together on latent shards.

    python train_dit.py --latents DIR --spiece spiece.model --out RUN --seconds 4500 [--size M]

Flow matching: x_t = (1 - t) x0 + t eps, the target is eps - x0, t per latent frame. One network
learns every task because the noise level of each latent frame is drawn by PATTERNS. Captions are
drawn anew at each use: language, length, and 10 % empty for guidance. Resumes from RUN/dit.pt.
"""
import argparse
import json
import os

import numpy as np
import torch

from common import Stage, arguments, load_json, normal, rng_for, run
from dit import CONFIG as DIT_CONFIG, DiT
from encode import Latents
from text import CONFIG as TEXT_CONFIG, TextEncoder
from tokens import Tokens

# What a clip's noise levels look like. Known frames have level 0 and carry no loss.
PATTERNS = [(0.50, "one"), (0.20, "each"), (0.08, "first"), (0.08, "prefix"), (0.04, "suffix"), (0.05, "both"),
            (0.05, "worn")]
LENGTHS = [(0.06, 1), (0.34, 5), (0.46, 9), (0.14, 13)]       # share of steps per latent length
WARM_LENGTHS = [(0.15, 1), (0.85, 5)]                         # the first --warm-steps steps
CHINESE, EMPTY = 0.30, 0.10                                   # shares of captions
MANY_TOKENS, SHIFT, WORN = 1000, 2.0, 0.2
MAX_TOKENS = 128
# heads, width of the feed-forward, layers; heads are 64 wide.
SIZES = {"S": (3, 768, 8), "SM": (4, 1024, 8), "M": (5, 1280, 10)}


def sized(size, z):
    heads, inner, layers = SIZES[size]
    return {**DIT_CONFIG, "in_channels": z, "out_channels": z, "num_attention_heads": heads, "ffn_dim": inner,
            "num_layers": layers}


def smoke_config(z):
    text = {**TEXT_CONFIG, "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 1}
    dit = {**DIT_CONFIG, "in_channels": z, "out_channels": z, "num_attention_heads": 2, "attention_head_dim": 32,
           "ffn_dim": 128, "num_layers": 2, "text_dim": 64}
    return {"dit": dit, "text": text}


def pick(rng, table):
    p = np.array([r[0] for r in table])
    return table[rng.choice(len(table), p=p / p.sum())][1]


def one_level(rng, tokens=0):
    """sigmoid(N(0, 1)), for one in ten U(0, 1); more noise for clips of many tokens, which hide it better."""
    t = rng.random() if rng.random() < 0.1 else 1 / (1 + np.exp(-rng.standard_normal()))
    return SHIFT * t / (1 + (SHIFT - 1) * t) if tokens >= MANY_TOKENS else t


def known_ends(t, kind, k):
    """Level 0 for k frames of the ends that `kind` knows; something is always left to make."""
    n = len(t)
    if kind == "both":
        k = min(k, (n - 1) // 2)
    if kind in ("prefix", "both"):
        t[:k] = 0
    if kind in ("suffix", "both"):
        t[n - k:] = 0


def draw_levels(rng, frames, tokens=0, kind=None):
    """Noise level of each latent frame, 0 = known; `tokens` of the whole clip."""
    t, kind = np.full(frames, one_level(rng, tokens)), kind or pick(rng, PATTERNS)
    if frames == 1 or kind == "one":
        return t
    k = int(rng.integers(1, frames // 2 + 1))
    if kind == "each":
        t = np.array([one_level(rng, tokens) for _ in t])
    if kind == "first":
        t[0] = 0
    known_ends(t, kind, k)
    if kind == "worn":
        t[:k] = rng.uniform(0, WORN)
    return t


def turn_loops(rng, x, levels, captions):
    """A loop has no beginning: its ring of latents starts anywhere, unless some of them are known."""
    for i, c in enumerate(captions):
        if c.get("labels", {}).get("loop") and (levels[i] > WORN).all():
            x[i] = x[i].roll(int(rng.integers(x.shape[2])), 1)


class Batch:
    """Everything one step needs; a pure function of the generator and the shards."""

    def __init__(self, rng, shards, tokens, budget, warm, short=0.35):
        length = pick(rng, WARM_LENGTHS if warm else LENGTHS)
        x, captions = shards.draw(rng, length, budget)
        b, z, frames, h, w = x.shape
        levels = np.stack([draw_levels(rng, frames, frames * h * w) for _ in range(b)]).astype(np.float32)
        if frames > 1 and (frames, h, w) in shards.groups:  # not cut out of longer clips
            turn_loops(rng, x, levels, captions)
        kind = "short" if rng.random() < short else "long"
        texts = []
        for c in captions:
            language = "zh" if rng.random() < CHINESE else "en"
            texts.append("" if rng.random() < EMPTY else c[f"{kind}_{language}"])
        self.ids = tokens.batch(texts, MAX_TOKENS)
        self.t, self.x0 = torch.from_numpy(levels), x
        self.noise = normal(rng, x.shape)


def flow_loss(text, dit, b):
    """Mean square error of the velocity on the frames that are not known."""
    t = b.t[:, None, :, None, None]
    xt = (1 - t) * b.x0 + t * b.noise
    with torch.autocast(xt.device.type, torch.bfloat16):
        rows, real = text(b.ids)
        v = dit(xt, b.t * 1000, rows, real)
    e = (v - (b.noise - b.x0)).square().mean((1, 3, 4))
    known = b.t > 0
    return (e * known).sum() / known.sum()


class Both(torch.nn.Module):
    def __init__(self, cfg=None):
        super().__init__()
        cfg = cfg or {"dit": DIT_CONFIG, "text": TEXT_CONFIG}
        self.text, self.dit = TextEncoder(cfg["text"]), DiT(cfg["dit"])


def load_both(path):
    """-> the averaged network of a checkpoint and its configs."""
    s = torch.load(path)
    cfg = s.get("cfg", {"dit": DIT_CONFIG, "text": TEXT_CONFIG})
    m = Both(cfg)
    m.load_state_dict(s["ema"])
    return m, cfg


def shards_of(o):
    """The shards that a run draws from are fixed when it starts; --more takes in what has come since."""
    path = os.path.join(o.out, "shards.json")
    if os.path.exists(path) and not o.more:
        return Latents(o.latents, load_json(path))
    names = load_json(path) if os.path.exists(path) else []
    names += sorted(n for n in os.listdir(o.latents) if n.endswith(".pt") and n not in names)
    os.makedirs(o.out, exist_ok=True)
    with open(path + ".part", "w") as f:
        json.dump(names, f)
    os.replace(path + ".part", path)
    return Latents(o.latents, names)


@torch.no_grad()
def validate(model, shards, tokens, n=24, short=0.35):
    total = [float(flow_loss(model.text, model.dit, Batch(rng_for(77, i), shards, tokens, 2000, False, short)))
             for i in range(n)]
    return float(np.mean(total))


class DitStage(Stage):
    smoke_steps = 160

    def __init__(self, o):
        torch.manual_seed(o.seed)
        self.o, self.tokens, self.shards = o, Tokens(o.spiece), shards_of(o)
        o.more = False
        z = len(self.shards.stats["mean"])
        self.cfg = smoke_config(z) if o.smoke else {"dit": sized(o.size, z), "text": TEXT_CONFIG}
        self.model = Both(self.cfg)
        if o.freeze_text:
            for p in self.model.text.parameters():
                p.requires_grad = False
        self.extra = {"latents": self.shards.stats, "cfg": self.cfg}
        self.order = {"seed": o.seed, "tokens": o.tokens, "warm_steps": o.warm_steps, "short": o.short, **self.shards.order}
        self.model.text.gelu = self.model.dit.gelu = "tanh" if o.tanh else "none"
        if o.compile and not o.smoke:
            for block in self.model.dit.blocks:
                block.compile(dynamic=True)

    def is_matrix(self, name, p):
        return p.ndim == 2 and "block" in name and "bias" not in name and "table" not in name

    def loss(self, step):
        o = self.o
        b = Batch(rng_for(o.seed, step), self.shards, self.tokens, o.tokens, step < o.warm_steps, o.short)
        return flow_loss(self.model.text, self.model.dit, b), {"clips": len(b.t)}

    def report(self, values):
        if not self.o.test_latents:
            return {}
        m = Both(self.cfg)
        m.load_state_dict(values)
        return {"loss": validate(m, Latents(self.o.test_latents), self.tokens)}


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--latents", required=True)
    a.add_argument("--test-latents")
    a.add_argument("--spiece", required=True)
    a.add_argument("--size", choices=SIZES, default="S", help="S 192 x 8, SM 256 x 8, M 320 x 10 (width x layers)")
    a.add_argument("--tokens", type=int, default=3000, help="latent tokens per step and worker")
    a.add_argument("--warm-steps", type=int, default=1500, help="first steps on one and five latent frames only")
    a.add_argument("--short", type=float, default=0.35, help="share of short captions")
    a.add_argument("--freeze-text", action="store_true", help="the words keep what they mean; a third cheaper optimiser")
    a.add_argument("--more", action="store_true", help="take in the shards that came since the run began")
    a.add_argument("--compile", action="store_true", help="torch.compile; for --no-fused")
    a.add_argument("--no-compile", action="store_true", help=argparse.SUPPRESS)
    a.add_argument("--tanh", action="store_true", help="the GELU of inference, with --no-fused; fused steps always have it")
    arguments(a, seconds=4500, lr=1.2e-3, every=300)
    run(DitStage, a.parse_args(), "dit")


if __name__ == "__main__":
    main()
