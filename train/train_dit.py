"""Stage 2: trains the transformer and the text encoder together on latent shards.

    python train_dit.py --latents DIR --spiece spiece.model --out RUN --seconds 4500

Flow matching: x_t = (1 - t) x0 + t eps, the target is eps - x0, t per latent frame. One network
learns every task because the noise level of each latent frame is drawn by PATTERNS. Captions are
drawn anew at each use: language, length, and 10 % empty for guidance. Resumes from RUN/dit.pt.
"""
import argparse

import numpy as np
import torch

from common import Stage, arguments, normal, rng_for, run
from dit import CONFIG as DIT_CONFIG, DiT
from encode import Latents
from text import CONFIG as TEXT_CONFIG, TextEncoder
from tokens import Tokens

# What a clip's noise levels look like. Known frames have level 0 and carry no loss.
PATTERNS = [(0.50, "one"), (0.20, "each"), (0.10, "first"), (0.06, "prefix"), (0.04, "suffix"), (0.05, "both"),
            (0.05, "worn")]
LENGTHS = [(0.06, 1), (0.34, 5), (0.46, 9), (0.14, 13)]       # share of steps per latent length
WARM_LENGTHS = [(0.15, 1), (0.85, 5)]                         # the first --warm-steps steps
SHORT, CHINESE, EMPTY = 0.35, 0.30, 0.10                      # shares of captions
MAX_TOKENS = 128


def pick(rng, table):
    p = np.array([r[0] for r in table])
    return table[rng.choice(len(table), p=p / p.sum())][1]


def one_level(rng):
    return rng.random() if rng.random() < 0.1 else 1 / (1 + np.exp(-(rng.standard_normal() + 0.2)))


def draw_levels(rng, frames):
    """Noise level of each latent frame, 0 = known."""
    t, kind = np.full(frames, one_level(rng)), pick(rng, PATTERNS)
    if frames == 1 or kind == "one":
        return t
    k = int(rng.integers(1, frames // 2 + 1))
    if kind == "each":
        t = np.array([one_level(rng) for _ in t])
    if kind == "first":
        t[0] = 0
    if kind in ("prefix", "both"):
        t[:k] = 0
    if kind in ("suffix", "both"):
        t[frames - k:] = 0
    if kind == "worn":
        t[:k] = rng.uniform(0, 0.2)
    return t


class Batch:
    """Everything one step needs; a pure function of the generator and the shards."""

    def __init__(self, rng, shards, tokens, budget, warm):
        length = pick(rng, WARM_LENGTHS if warm else LENGTHS)
        x, captions = shards.draw(rng, length, budget)
        b, z, frames, h, w = x.shape
        levels = np.stack([draw_levels(rng, frames) for _ in range(b)]).astype(np.float32)
        kind = "short" if rng.random() < SHORT else "long"
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
    def __init__(self):
        super().__init__()
        self.text, self.dit = TextEncoder(TEXT_CONFIG), DiT(DIT_CONFIG)


@torch.no_grad()
def validate(model, shards, tokens, n=24):
    total = [float(flow_loss(model.text, model.dit, Batch(rng_for(77, i), shards, tokens, 2000, False)))
             for i in range(n)]
    return float(np.mean(total))


class DitStage(Stage):
    def __init__(self, o):
        torch.manual_seed(o.seed)
        self.o, self.model = o, Both()
        self.tokens, self.shards = Tokens(o.spiece), Latents(o.latents)
        self.extra = {"latents": self.shards.stats}
        self.model.text.gelu = self.model.dit.gelu = "tanh" if o.tanh else "none"
        if not o.no_compile:
            for block in self.model.dit.blocks:
                block.compile(dynamic=True)

    def is_matrix(self, name, p):
        return p.ndim == 2 and "block" in name and "bias" not in name and "table" not in name

    def loss(self, step):
        b = Batch(rng_for(self.o.seed, step), self.shards, self.tokens, self.o.tokens, step < self.o.warm_steps)
        return flow_loss(self.model.text, self.model.dit, b), {"clips": len(b.t)}

    def refresh(self):
        self.shards.refresh()

    def report(self, values):
        if not self.o.test_latents:
            return {}
        m = Both()
        m.load_state_dict(values)
        return {"loss": validate(m, Latents(self.o.test_latents), self.tokens)}


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--latents", required=True)
    a.add_argument("--test-latents")
    a.add_argument("--spiece", required=True)
    a.add_argument("--tokens", type=int, default=3000, help="latent tokens per step and worker")
    a.add_argument("--warm-steps", type=int, default=1500)
    a.add_argument("--no-compile", action="store_true")
    a.add_argument("--tanh", action="store_true", help="the GELU of inference; for the last steps")
    arguments(a, seconds=4500, lr=1.2e-3, every=300)
    run(DitStage, a.parse_args(), "dit")


if __name__ == "__main__":
    main()
