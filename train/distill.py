"""Stage 3: teaches the transformer to take four long steps without guidance.

    python distill.py --teacher RUN/dit.pt --latents DIR --spiece spiece.model --out RUN4 --seconds 5400

The schedule has four segments. At the start of a segment the teacher walks to its end in short
guided steps; the student learns the one velocity that leads to the same place, with the words
alone. First the starts are noised clips; then, for a share of the draws (--own), they are what
the student itself made of noise, so that it learns to repair its own errors. Known frames stay
known, so every task of the teacher is a task of the student. The text encoder is not trained: words
mean the same to both.
"""
import argparse

import numpy as np
import torch

from common import Stage, arguments, normal, rng_for, run
from encode import Latents
from tokens import Tokens
from train_dit import CHINESE, LENGTHS, MAX_TOKENS, Both, known_ends, load_both, pick, shards_of

SHIFT, STEPS, SUBSTEPS = 2.0, 4, 3
# Which frames are known while a segment is learnt: the tasks in about the shares of stage 2.
TASKS = [(0.62, "none"), (0.14, "first"), (0.10, "prefix"), (0.06, "suffix"), (0.08, "both")]


def sigmas(n=STEPS, shift=SHIFT):
    """Noise levels from 1 to 0; the list that the exported scheduler gets, without its last zero."""
    b = np.linspace(1, 0, n + 1)
    return shift * b / (1 + (shift - 1) * b)


def draw_known(rng, frames):
    """1 where a latent frame is free, 0 where it is known."""
    free, kind = np.ones(frames, np.float32), pick(rng, TASKS)
    if frames == 1 or kind == "none":
        return free
    k = int(rng.integers(1, frames // 2 + 1))
    if kind == "first":
        free[0] = 0
    known_ends(free, kind, k)
    return free


class Draw:
    """Clips, words, known frames and a segment; a pure function of the generator and the shards."""

    def __init__(self, rng, shards, tokens, budget, short=0.35):
        self.x0, captions = shards.draw(rng, pick(rng, LENGTHS), budget)
        b, _, frames, _, _ = self.x0.shape
        self.free = torch.from_numpy(np.stack([draw_known(rng, frames) for _ in range(b)]))
        kind, language = "short" if rng.random() < short else "long", "zh" if rng.random() < CHINESE else "en"
        self.ids = tokens.batch([c[f"{kind}_{language}"] for c in captions], MAX_TOKENS)
        self.empty = tokens.batch([""] * b, MAX_TOKENS)
        self.noise = normal(rng, self.x0.shape)
        self.segment = int(rng.integers(0, STEPS))


class Sampler:
    """A network with its words: velocities of a draw's clips at one noise level."""

    def __init__(self, model, draw):
        self.model, self.draw = model, draw
        self.words, self.no_words = model.text(draw.ids), model.text(draw.empty)

    def velocity(self, x, level, words):
        rows, real = words
        with torch.autocast(x.device.type, torch.bfloat16):
            return self.model.dit(x, self.draw.free * float(level) * 1000, rows, real)

    def guided(self, x, level, scale):
        v, u = self.velocity(x, level, self.words), self.velocity(x, level, self.no_words)
        return u + scale * (v - u)


def spread(free):
    return free[:, None, :, None, None]


def walk(start, levels, velocity, free):
    """Euler along `levels`; known frames do not move."""
    x = start
    for a, b in zip(levels[:-1], levels[1:]):
        x = x + spread(free) * float(b - a) * velocity(x, a)
    return x


def noised(draw, level):
    t = spread(draw.free) * float(level)
    return (1 - t) * draw.x0 + t * draw.noise


class DistillStage(Stage):
    ema, smoke_steps = 0.99, 40

    def __init__(self, o):
        torch.manual_seed(o.seed)
        self.o, self.tokens, self.shards = o, Tokens(o.spiece), shards_of(o)
        o.more = False
        self.teacher, self.cfg = load_both(o.teacher)
        self.model = Both(self.cfg)
        self.model.load_state_dict(self.teacher.state_dict())
        self.test = Latents(o.test_latents) if o.test_latents else None
        self.extra = {"latents": self.shards.stats, "cfg": self.cfg, "sigmas": sigmas()[:-1].tolist()}
        self.order = {"seed": o.seed, "tokens": o.tokens, "own": o.own, "own_after": o.own_after,
                      "guidance": o.guidance, **self.shards.order}
        for p in [*self.teacher.parameters(), *self.model.text.parameters()]:
            p.requires_grad = False

    def is_matrix(self, name, p):
        return p.ndim == 2 and "block" in name and "bias" not in name and "table" not in name

    @torch.no_grad()
    def start_of(self, draw, own):
        """Where the segment begins: a noised clip, or what the student has made of noise so far."""
        s = sigmas()
        if not own or draw.segment == 0:
            return noised(draw, s[draw.segment])
        student = Sampler(self.model, draw)
        return walk(noised(draw, 1.0), s[:draw.segment + 1], lambda x, t: student.velocity(x, t, student.words),
                    draw.free)

    def pair(self, draw, own):
        """(start, the velocity that the teacher takes over the whole segment)."""
        a, b = sigmas()[draw.segment], sigmas()[draw.segment + 1]
        start = self.start_of(draw, own)
        with torch.no_grad():
            teacher = Sampler(self.teacher, draw)
            levels = np.linspace(a, b, SUBSTEPS + 1)
            end = walk(start, levels, lambda x, t: teacher.guided(x, t, self.o.guidance), draw.free)
        return start, (start - end) / float(a - b)

    def error(self, model, draw, own):
        start, target = self.pair(draw, own)
        student = Sampler(model, draw)
        v = student.velocity(start, sigmas()[draw.segment], student.words)
        free = spread(draw.free).expand_as(v)
        return ((v - target).square() * free).sum() / free.sum()

    def loss(self, step):
        rng = rng_for(self.o.seed, step)
        draw = Draw(rng, self.shards, self.tokens, self.o.tokens)
        own = rng.random() < self.o.own and step >= self.o.own_after
        return self.error(self.model, draw, own), {"own": float(own)}

    @torch.no_grad()
    def report(self, values):
        if not self.test:
            return {}
        m = Both(self.cfg)
        m.load_state_dict(values)
        draws = [Draw(rng_for(78, i), self.test, self.tokens, 1500) for i in range(12)]
        return {"loss": float(np.mean([float(self.error(m, d, False)) for d in draws]))}


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--teacher", required=True, help="checkpoint of train_dit.py; its averaged weights are taken")
    a.add_argument("--latents", required=True)
    a.add_argument("--test-latents")
    a.add_argument("--spiece", required=True)
    a.add_argument("--guidance", type=float, default=3.0, help="of the teacher")
    a.add_argument("--own", type=float, default=0.5, help="share of draws from the student's own trajectories, once they begin")
    a.add_argument("--own-after", type=int, default=1000, help="steps on noised clips only")
    a.add_argument("--more", action="store_true", help="take in the shards that came since the run began")
    a.add_argument("--tokens", type=int, default=1500, help="latent tokens per step and worker")
    arguments(a, seconds=5400, lr=3e-4, every=300)
    run(DistillStage, a.parse_args(), "dit")


if __name__ == "__main__":
    main()
