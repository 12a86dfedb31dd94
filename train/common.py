"""What every training stage shares: draws, optimiser, moving average, schedule, checkpoints, log.

Every random draw of a stage is a function of (seed, step), so a run that was stopped and resumed
sees exactly the data and noise it would have seen. Checkpoints appear whole or not at all.
"""
import json
import math
import os
import time

import numpy as np
import torch


def rng_for(seed, step, stream=0):
    """The generator of one step. Never make one from a clock or from a restart."""
    return np.random.default_rng([seed, step, stream])


def normal(rng, shape):
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def orthogonal(g, rounds=5):
    """Muon's Newton-Schulz: the nearest thing to U V^T that five cheap rounds give.

    Every round multiplies by a polynomial of the small Gram matrix, so the rounds run on that
    matrix alone and the wide gradient is touched twice only."""
    tall = g.shape[0] > g.shape[1]
    x = (g.T if tall else g).float()
    x = x / (x.norm() + 1e-7)
    a = x @ x.T
    q = eye = torch.eye(len(a), device=g.device)
    for _ in range(rounds):
        b = torch.addmm(3.4445 * eye, a, 2.0315 * a - 4.7750 * eye)
        q, a = b @ q, b @ a @ b
    x = q @ x
    return x.T if tall else x


class Optimiser:
    """Muon for the matrices named by is_matrix(name, p), AdamW for the rest, one learning rate."""

    def __init__(self, model, is_matrix, scale=0.2, decay=0.01):
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        self.matrices = [(n, p) for n, p in named if is_matrix(n, p)]
        rest = [p for n, p in named if not is_matrix(n, p)]
        self.scale, self.decay = scale, decay
        self.momentum = {n: torch.zeros_like(p) for n, p in self.matrices}
        self.adam = torch.optim.AdamW(rest, 1e-3, betas=(0.9, 0.95), weight_decay=0.0)
        self.params = [p for _, p in named]

    @torch.no_grad()
    def step(self, lr, clip=1.0):
        norm = torch.nn.utils.clip_grad_norm_(self.params, clip)
        for g in self.adam.param_groups:
            g["lr"] = lr
        self.adam.step()
        for n, p in self.matrices:
            if p.grad is None:
                continue  # this batch did not reach it: a still image has no time
            m = self.momentum[n]
            m.mul_(0.95).add_(p.grad)
            g = p.grad.add(m, alpha=0.95).flatten(1)
            size = self.scale * max(g.shape) ** 0.5
            p.mul_(1 - lr * self.decay).add_(orthogonal(g).view_as(p), alpha=-lr * size)
        for p in self.params:
            p.grad = None
        return float(norm)

    def state_dict(self):
        return {"momentum": self.momentum, "adam": self.adam.state_dict()}

    def load_state_dict(self, s):
        for n in self.momentum:
            self.momentum[n].copy_(s["momentum"][n])
        self.adam.load_state_dict(s["adam"])


class Average:
    """Exponential moving average of the weights; warms up so that early steps do not linger."""

    def __init__(self, model, decay):
        self.decay, self.n = decay, 0
        self.values = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model):
        self.n += 1
        w = 1 - min(self.decay, self.n / (self.n + 10))
        live = model.state_dict()
        torch._foreach_lerp_(list(self.values.values()), [live[k] for k in self.values], w)

    def state_dict(self):
        return {"n": self.n, "values": self.values}

    def load_state_dict(self, s):
        self.n = s["n"]
        for k, v in s["values"].items():
            self.values[k].copy_(v)


class Schedule:
    """Warm-up, constant, and a linear decay that begins on demand or at a planned time.

    Writing "decay SECONDS" into the control file starts the decay over that many seconds of
    running time; "stop" ends the run after the current step. The decay state is checkpointed."""

    def __init__(self, lr, warm, seconds, decay_share, control):
        self.lr, self.warm, self.seconds, self.control = lr, warm, seconds, control
        self.start = seconds * (1 - decay_share) if seconds else None
        self.span = seconds * decay_share if seconds else None
        self.stop = False

    def poll(self, elapsed):
        if not os.path.exists(self.control):
            return
        words = open(self.control).read().split()
        os.remove(self.control)
        if words and words[0] == "decay":
            self.start, self.span = elapsed, float(words[1])
        if words and words[0] == "stop":
            self.stop = True

    def rate(self, step, elapsed):
        lr = self.lr * min(1.0, (step + 1) / self.warm)
        if self.start is None or elapsed < self.start:
            return lr
        return lr * max(0.02, 1 - (elapsed - self.start) / max(self.span, 1e-6))

    def over(self, elapsed):
        return self.stop or (self.start is not None and elapsed >= self.start + self.span)


def save_atomic(obj, path):
    torch.save(obj, path + ".part")
    with open(path + ".part", "rb") as f:
        os.fsync(f.fileno())
    os.replace(path + ".part", path)


class Log:
    """Lines of key=value to the screen and to a file next to the checkpoint."""

    def __init__(self, path):
        self.f = open(path, "a", buffering=1)

    def line(self, event, **kv):
        def show(v):
            return f"{v:.5g}" if isinstance(v, float) else str(v)
        s = time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime()) + event + "".join(f" {k}={show(v)}" for k, v in kv.items())
        print(s, flush=True)
        self.f.write(s + "\n")


def load_json(path):
    with open(path) as f:
        return json.load(f)


def psnr(mse):
    """For values in [-1, 1]."""
    return 10 * math.log10(4 / max(mse, 1e-12))
