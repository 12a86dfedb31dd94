"""What every training stage shares: draws, optimiser, moving average, schedule, checkpoints, log.

Every random draw of a stage is a function of (seed, step), so a run that was stopped and resumed
sees exactly the data and noise it would have seen. Checkpoints appear whole or not at all, and say
what their data were; a run with other data does not resume from them. With one worker and --steps a
run that was killed any number of times ends with the very bits of one that was not (test_resume.py).
With more workers the order in which neighbouring updates land is theirs, and a kill may lose the
draws that were in flight; with --seconds the rate follows the clock.
"""
import fcntl
import hashlib
import json
import math
import os
import time

import numpy as np
import torch
import torch.multiprocessing as mp

import fused


def rng_for(seed, step, stream=0):
    """The generator of one step. Never make one from a clock or from a restart."""
    return np.random.default_rng([seed, step, stream])


def normal(rng, shape):
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def orthogonal(g, rounds=5):
    """Muon's Newton-Schulz for a stack [k, m, n]: the nearest thing to U V^T that five cheap rounds give.

    In bf16, which is all the accuracy it needs and six times as fast here as fp32."""
    tall = g.shape[1] > g.shape[2]
    x = (g.transpose(1, 2) if tall else g).float()
    x = (x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)).bfloat16().contiguous()
    for _ in range(rounds):
        a = x @ x.transpose(1, 2)
        b = torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, b, x, beta=3.4445)
    x = x.float()
    return x.transpose(1, 2) if tall else x


class Optimiser:
    """Muon for the matrices named by is_matrix(name, p), Adam for the rest, one learning rate.

    All state is in `state`, plain tensors that several processes may share."""

    def __init__(self, model, is_matrix, scale=0.2, decay=0.01):
        self.named = list(model.named_parameters())
        self.matrices = {n for n, p in self.named if is_matrix(n, p)}
        self.scale, self.decay = scale, decay
        self.state = {"m." + n: torch.zeros_like(p.data) for n, p in self.named}
        self.state.update({"v." + n: torch.zeros_like(p.data) for n, p in self.named if n not in self.matrices})

    def use(self, state):
        self.state = state

    @torch.no_grad()
    def step(self, lr, step, clip=1.0):
        """Applies the gradients and drops them. A parameter without one was not reached by this batch."""
        live = [(n, p, p.grad) for n, p in self.named if p.grad is not None]
        norm = float(torch.stack(torch._foreach_norm([g for _, _, g in live])).norm())
        torch._foreach_mul_([g for _, _, g in live], min(1.0, clip / (norm + 1e-6)))
        stacks = {}
        for n, p, g in live:
            if n in self.matrices:
                stacks.setdefault(g.flatten(1).shape, []).append((n, p, g))
            else:
                self.adam(n, p, g, lr, step)
            p.grad = None
        for shape, rows in stacks.items():
            self.muon(shape, rows, lr)
        return norm

    def muon(self, shape, rows, lr):
        """All matrices of one shape at once."""
        for n, _, g in rows:
            m = self.state["m." + n]
            m.mul_(0.95).add_(g)
            g.add_(m, alpha=0.95)
        size = self.scale * max(shape) ** 0.5
        for (_, p, _), u in zip(rows, orthogonal(torch.stack([g.flatten(1) for _, _, g in rows]))):
            p.data.mul_(1 - lr * self.decay).add_(u.view_as(p), alpha=-lr * size)

    def adam(self, n, p, g, lr, step, b1=0.9, b2=0.95):
        m, v = self.state["m." + n], self.state["v." + n]
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        size = lr / (1 - b1 ** (step + 1))
        p.data.addcdiv_(m, (v / (1 - b2 ** (step + 1))).sqrt_().add_(1e-8), value=-size)


@torch.no_grad()
def average(values, live, decay, n):
    """Moves the moving average towards the live weights; early steps weigh more, so they do not linger."""
    names = list(values)
    torch._foreach_lerp_([values[k] for k in names], [live[k] for k in names], 1 - min(decay, n / (n + 10)))


class Schedule:
    """Warm-up, constant, and a linear decay to 2 % that begins on demand or at a planned time.

    Time is seconds of running, or steps for a run of --steps. Writing "decay N" into the control file
    starts the decay now, over N of them; "stop" ends the run after the current step. The decay's
    state is checkpointed."""

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
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


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


class Stage:
    """What a training stage must say about itself; run() does the rest.

    model: the module to train. is_matrix(name, p): what Muon takes. loss(step) -> (scalar to
    minimise, dict of floats to log), a pure function of the weights and the step. order: what the
    data are a function of beside the step; a checkpoint of another order is refused, but for the
    keys in `grows`, whose new value counts from here on. Optional: report(averaged weights) -> dict at checkpoints, extra: saved with them."""

    extra, order, grows, ema, smoke_steps = {}, {}, (), 0.998, 120

    def is_matrix(self, name, p):
        return p.ndim == 2

    def report(self, values):
        return {}


def share(tensors):
    return {k: v.detach().clone().share_memory_() for k, v in tensors.items()}


def arguments(a, seconds, lr, every):
    a.add_argument("--out", required=True)
    a.add_argument("--init", help="checkpoint whose averaged weights to start from")
    a.add_argument("--seconds", "--max-seconds", type=float, default=seconds)
    a.add_argument("--steps", type=int, help="this many steps, whatever time they take; the same bits on every run")
    a.add_argument("--decay", type=float, default=0.4, help="share of the run that the rate falls")
    a.add_argument("--warm", type=int, default=100, help="steps that the rate rises")
    a.add_argument("--lr", type=float, default=lr)
    a.add_argument("--ema", type=float, help="of the moving average; .998 for hours, .9995 for days")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--every", type=float, default=every, help="seconds between checkpoints; steps with --steps")
    a.add_argument("--workers", type=int, default=2)
    a.add_argument("--no-fused", action="store_true", help="torch's own element-wise operations")
    a.add_argument("--smoke", action="store_true", help="a few steps of a tiny network; fails unless the loss falls by 30 %%")


def refuse_other(saved, now, path):
    """A checkpoint goes on with its own data only."""
    for k, v in now.items():
        if k in saved and saved[k] != v:
            raise SystemExit(f"{path} was trained with {k} {saved[k]}, and here {k} is {v}. Give it that again, or start "
                             f"another --out with --init {path}")


def lock_folder(path):
    """One run per folder; the lock dies with the process."""
    f = open(os.path.join(path, "lock"), "w")
    try:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"another process trains in {path}") from None
    return f


def run(make, o, name):
    """Trains with o.workers processes of one thread each over shared weights.

    Each takes the next step number, computes its gradient and applies it under a lock; the others'
    updates of meanwhile make it stale by a step at most. On a machine that others use too this
    takes every idle moment of every core, where threads in lock-step would wait for each other."""
    os.makedirs(o.out, exist_ok=True)
    lock_file, path = lock_folder(o.out), os.path.join(o.out, name + ".pt")
    if o.smoke and os.path.exists(path):
        raise SystemExit(f"{o.out} holds a run already; --smoke wants an empty folder")
    stage = make(o)
    if o.smoke:
        o.steps, o.every, o.warm, o.decay, o.ema = stage.smoke_steps, 1e9, 10, 0.3, 0.95
    if o.init:
        stage.model.load_state_dict(torch.load(o.init)["ema"])
    opt = Optimiser(stage.model, stage.is_matrix)
    at = {"step": 0, "spent": 0.0, "plan": (None, None)}
    saved = torch.load(path) if os.path.exists(path) else None
    if saved:
        refuse_other(saved.get("order", {}), {k: v for k, v in stage.order.items() if k not in stage.grows}, path)
        stage.model.load_state_dict(saved["model"])
        opt.use(saved["opt"])
        at = {k: saved[k] for k in at}
    weights = dict(stage.model.named_parameters())
    shared = {"model": share(weights), "opt": share(opt.state), "ema": share(saved["ema"] if saved else weights),
              "step": torch.tensor([at["step"]]).share_memory_(), "over": torch.zeros(1).share_memory_(),
              "plan": torch.zeros(2, dtype=torch.float64).share_memory_()}
    ctx = mp.get_context("spawn")
    lock = ctx.Lock()
    others = [ctx.Process(target=worker, args=(make, o, name, shared, lock, at, r)) for r in range(1, o.workers)]
    for p in others:
        p.start()
    first, last = worker(make, o, name, shared, lock, at, 0)
    for p in others:
        p.join()
    lock_file.close()
    print(f"{name}: loss {first:.4f} -> {last:.4f}", flush=True)
    if o.smoke and not last < 0.7 * first:
        raise SystemExit(f"smoke: the loss did not fall by 30 %")


def plan_of(o, at):
    plan = Schedule(o.lr, o.warm, o.steps or o.seconds, o.decay, os.path.join(o.out, "control"))
    if at["plan"][0] is not None and at["plan"][0] <= (at["step"] if o.steps else at["spent"]):
        plan.start, plan.span = at["plan"]
    return plan


def worker(make, o, name, shared, lock, at, rank):
    torch.set_num_threads(1)
    fused.use(not o.no_fused)
    stage, parent = make(o), os.getppid()
    for n, p in stage.model.named_parameters():
        p.data = shared["model"][n]
    opt = Optimiser(stage.model, stage.is_matrix)
    opt.use(shared["opt"])
    plan, log = plan_of(o, at), Log(os.path.join(o.out, name + ".log"))
    if rank == 0:
        log.line(name + ".start", step=at["step"], spent=at["spent"], workers=o.workers,
                 params=sum(p.numel() for p in stage.model.parameters()), **stage.order)
    begin, seen, first, last = time.time() - at["spent"], [], None, None
    saved = at["step"] if o.steps else at["spent"]

    def save(spent):
        with lock:
            state = {k: {n: t.clone() for n, t in shared[k].items()} for k in ("model", "opt", "ema")}
            step = int(shared["step"])
        save_atomic({**state, "step": step, "spent": spent, "plan": (plan.start, plan.span), "order": stage.order,
                     **stage.extra}, path)
        log.line(name + ".test", step=step, spent=spent, **stage.report(state["ema"]))

    path = os.path.join(o.out, name + ".pt")
    while not shared["over"][0]:
        if rank > 0 and os.getppid() != parent:
            return 0.0, 0.0  # the first worker was killed; nobody would ever say that it is over
        with lock:
            step = int(shared["step"])
            if o.steps and step >= o.steps:
                break
            shared["step"] += 1
        loss, parts = stage.loss(step)
        loss.backward()
        spent = time.time() - begin
        now = step if o.steps else spent
        if rank > 0 and shared["plan"][1]:
            plan.start, plan.span = shared["plan"].tolist()
        lr = plan.rate(step, now)
        with lock:
            norm = opt.step(lr, step)
            average(shared["ema"], shared["model"], o.ema or stage.ema, step)
        seen.append({"loss": float(loss.detach()), **parts, "norm": norm})
        if len(seen) == (8 if o.smoke else 25):
            m = {k: float(np.mean([s[k] for s in seen if k in s])) for k in seen[-1]}
            first, last, seen = first or m["loss"], m["loss"], []
            if rank == 0:
                log.line(name + ".step", step=step, spent=spent, cpu=time.process_time(), lr=lr, **m)
                plan.poll(now)
                shared["plan"][:] = torch.tensor([plan.start, plan.span])
        if rank == 0 and plan.over(now):
            shared["over"][0] = 1
        if rank == 0 and now + (1 if o.steps else 0) - saved >= o.every:
            saved = now + (1 if o.steps else 0)
            save(spent)
    if rank == 0:
        save(time.time() - begin)
    return first or 0.0, last or 0.0


def short_sum(x):
    """16 letters for anything that JSON can say."""
    return hashlib.sha256(json.dumps(x, sort_keys=True).encode()).hexdigest()[:16]


def load_json(path):
    with open(path) as f:
        return json.load(f)


def psnr(mse):
    """For values in [-1, 1]."""
    return 10 * math.log10(4 / max(mse, 1e-12))
