"""Stage 2: trains the transformer and the text encoder together on latent shards.

    python train_dit.py --latents DIR --spiece spiece.model --out RUN --seconds 4500

Flow matching: x_t = (1 - t) x0 + t eps, the target is eps - x0, t per latent frame. One network
learns every task because the noise level of each latent frame is drawn by PATTERNS. Captions are
drawn anew at each use: language, length, and 10 % empty for guidance. Resumes from RUN/dit.pt.
"""
import argparse
import os
import time

import numpy as np
import torch

from common import Average, Log, Optimiser, Schedule, normal, rng_for, save_atomic
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


def is_matrix(name, p):
    return p.ndim == 2 and "block" in name and "bias" not in name and "table" not in name


class Both(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.text, self.dit = TextEncoder(TEXT_CONFIG), DiT(DIT_CONFIG)


@torch.no_grad()
def validate(model, shards, tokens, n=24):
    total = [float(flow_loss(model.text, model.dit, Batch(rng_for(77, i), shards, tokens, 2000, False)))
             for i in range(n)]
    return float(np.mean(total))


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--latents", required=True)
    a.add_argument("--test-latents")
    a.add_argument("--spiece", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--seconds", type=float, default=4500)
    a.add_argument("--decay", type=float, default=0.25)
    a.add_argument("--lr", type=float, default=1.2e-3)
    a.add_argument("--tokens", type=int, default=3600, help="latent tokens per step")
    a.add_argument("--warm-steps", type=int, default=1500)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--every", type=float, default=300)
    a.add_argument("--no-compile", action="store_true")
    a.add_argument("--init", help="checkpoint whose average to start from, with a fresh optimiser")
    o = a.parse_args()
    os.makedirs(o.out, exist_ok=True)
    torch.manual_seed(o.seed)
    path = os.path.join(o.out, "dit.pt")
    tokens, shards = Tokens(o.spiece), Latents(o.latents)
    test = Latents(o.test_latents) if o.test_latents else None
    model = Both()
    if o.init:
        model.load_state_dict(torch.load(o.init)["ema"]["values"])
    opt, ema, step, spent = Optimiser(model, is_matrix), Average(model, 0.998), 0, 0.0
    plan = Schedule(o.lr, 100, o.seconds, o.decay, os.path.join(o.out, "control"))
    log = Log(os.path.join(o.out, "dit.log"))
    if os.path.exists(path):
        s = torch.load(path)
        model.load_state_dict(s["model"])
        opt.load_state_dict(s["opt"])
        ema.load_state_dict(s["ema"])
        step, spent = s["step"], s["spent"]
        if s["plan"][0] is not None and s["plan"][0] <= spent:
            plan.start, plan.span = s["plan"]
    log.line("dit.start", step=step, spent=spent, clips=len(shards), threads=torch.get_num_threads(),
             params=sum(p.numel() for p in model.parameters()), matrices=len(opt.matrices))
    if not o.no_compile:
        for block in model.dit.blocks:
            block.compile(dynamic=True)

    def save():
        save_atomic({"model": plain(model), "opt": opt.state_dict(), "ema": ema.state_dict(), "step": step,
                     "spent": spent, "plan": (plan.start, plan.span), "latents": shards.stats}, path)
        if test is not None:
            m = Both()
            m.load_state_dict(ema.values)
            log.line("dit.test", step=step, spent=spent, loss=validate(m, test, tokens))

    seen, last, mark, clips = [], spent, time.time(), 0
    while not plan.over(spent):
        b = Batch(rng_for(o.seed, step), shards, tokens, o.tokens, step < o.warm_steps)
        loss = flow_loss(model.text, model.dit, b)
        loss.backward()
        lr = plan.rate(step, spent)
        norm = opt.step(lr)
        ema.update(model)
        step, now, clips = step + 1, time.time(), clips + len(b.t)
        spent, mark = spent + now - mark, now
        seen.append((float(loss.detach()), norm))
        if step % 50 == 0 or step in (1, 10):
            m = np.mean(seen, 0)
            log.line("dit.step", step=step, spent=spent, cpu=time.process_time(), clips=clips, loss=m[0], norm=m[1],
                     lr=lr)
            seen = []
            plan.poll(spent)
            shards.refresh()
        if spent - last > o.every:
            last = spent
            save()
    save()
    log.line("dit.end", step=step, spent=spent)


def plain(model):
    return {k.replace("_orig_mod.", ""): v for k, v in model.state_dict().items()}


if __name__ == "__main__":
    main()
