"""All stages on one GPU in half an hour: renderer processes feed a pool in GPU memory, the network never waits.

    python gpu.py STAGE --out DIR [--from DIR] [--seconds N] [--renderers N] [--size M] [--smoke]

    measure   the machine: does the network learn one batch by heart, steps a second and TF/s of every stage, eager and
              compiled; DIR/choice.json says which was faster, and the other stages (--from) follow it
    vae       the autoencoder              -> DIR/vae.partNN
    dit       the transformer, one of --part 1, 2, 3 (larger clips each time) -> DIR/dit.partNN
    distill   four steps without guidance  -> DIR/four.partNN
    join      DIR/NAME.partNN -> DIR/NAME.pt, which export.py, sample.py and every CPU stage read

Checkpoints are the averaged weights in bf16, in parts of at most 15 MiB with a manifest of their sums; they are written
every --every seconds, whole or not at all. A stage resumes from its own parts in --out, or from the stage before in
--from; Muon and Adam start anew with a short warm-up, which costs them a hundred steps. What is drawn from the pool is a
function of (seed, step) and of what has been rendered by then, so two runs are equal in distribution only.
"""
import argparse
import glob
import hashlib
import io
import json
import os
import time

import numpy as np
import torch
import torch.multiprocessing as mp

from common import Log, Optimiser, Schedule, average, load_json
from data import CAPTIONS, records, world_sum
from dit import CONFIG as DIT_CONFIG
from encode import labels
from text import CONFIG as TEXT_CONFIG
from tokens import Tokens, train as train_tokens
from train_dit import CHINESE, EMPTY, MAX_TOKENS, Both, draw_levels, sized, smoke_config
from train_vae import CONFIG as VAE_CONFIG, SMOKE as VAE_SMOKE
from vae import VAE

PART = 15 << 20
# (share of rendering, width, height, frames); one network sees all sizes of a stage and, rarely, those before it.
CLIPS = {
    "vae": [(.3, 128, 80, 17), (.3, 192, 112, 17), (.2, 96, 96, 17), (.2, 256, 144, 17)],
    1: [(.25, 128, 80, 17), (.2, 80, 128, 17), (.25, 96, 96, 17), (.3, 128, 80, 33)],
    2: [(.4, 192, 112, 33), (.15, 112, 192, 33), (.2, 144, 144, 33), (.15, 192, 112, 49), (.1, 128, 80, 49)],
    3: [(.45, 256, 144, 49), (.15, 144, 256, 49), (.2, 192, 192, 49), (.2, 192, 112, 33)],
    "smoke": [(.5, 48, 32, 9), (.5, 32, 48, 9)],
}
IMAGES = 0.2                                    # share of DiT steps on first frames alone
VAE_M = {**VAE_CONFIG, "base_dim": 64, "decoder_base_dim": 64}
RATES = {"vae": 2e-3, "dit": 2e-3, "distill": 3e-4}


# -- files --------------------------------------------------------------------------------------

def write_parts(state, folder, name):
    """The parts first, the manifest last: a manifest never names what is not there."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data, rows = buffer.getbuffer(), []
    stamp = f"{int(time.time()) % 1000000:06d}"
    for i in range(0, len(data), PART):
        part = f"{name}.{stamp}.part{i // PART:02d}"
        with open(os.path.join(folder, part), "wb") as f:
            f.write(data[i:i + PART])
        rows.append([part, hashlib.sha256(data[i:i + PART]).hexdigest()])
    with open(os.path.join(folder, name + ".json.part"), "w") as f:
        json.dump(rows, f)
    os.replace(os.path.join(folder, name + ".json.part"), os.path.join(folder, name + ".json"))
    for old in glob.glob(os.path.join(folder, f"{name}.*.part??")):
        if os.path.basename(old) not in [r[0] for r in rows]:
            os.remove(old)


def read_parts(folder, name):
    data = b""
    for part, want in load_json(os.path.join(folder, name + ".json")):
        with open(os.path.join(folder, part), "rb") as f:
            data += f.read()
        got = hashlib.sha256(data[-os.path.getsize(os.path.join(folder, part)):]).hexdigest()
        if got != want:
            raise SystemExit(f"{folder}/{part} is damaged: its sum is {got[:12]}, the manifest says {want[:12]}")
    return torch.load(io.BytesIO(data))


def find(o, name):
    """A checkpoint of this stage or of the one before, or None."""
    for folder in (o.out, o.source):
        if folder and os.path.exists(os.path.join(folder, name + ".json")):
            return read_parts(folder, name)
        if folder and os.path.exists(os.path.join(folder, name + ".pt")):
            return torch.load(os.path.join(folder, name + ".pt"))
    return None


def need(o, name):
    s = find(o, name)
    if s is None:
        raise SystemExit(f"neither {o.out} nor {o.source} has {name}.json or {name}.pt: run that stage first, or say --from")
    return s


# -- rendering ----------------------------------------------------------------------------------

def render(rank, kinds, seed, queue, spiece, over):
    """Clips for ever: (kind, u8 tensor, ids [4, MAX_TOKENS], is a loop). Blocks when nobody takes them."""
    torch.set_num_threads(1)
    rng, tokens, at = np.random.default_rng([seed, rank]), Tokens(spiece) if spiece else None, seed + rank * (1 << 32)
    p = np.array([k[0] for k in kinds])
    while not over.is_set():
        kind = int(rng.choice(len(kinds), p=p / p.sum()))
        for r in records(at, 8, *kinds[kind][1:]):
            ids = torch.zeros(4, MAX_TOKENS, dtype=torch.int16)
            for i, name in enumerate(CAPTIONS if tokens else ()):
                row = tokens.ids(r[name], MAX_TOKENS)
                ids[i, :len(row)] = torch.tensor(row, dtype=torch.int16)
            queue.put((kind, torch.from_numpy(np.array(r["rgb"])), ids, bool(labels(r["scene"])["loop"])))
            if over.is_set():
                return
        at += 8


class Renderers:
    def __init__(self, kinds, o, spiece=None):
        mp.set_sharing_strategy("file_system")
        ctx = mp.get_context("spawn")
        self.queue, self.over = ctx.Queue(64), ctx.Event()
        self.all = [ctx.Process(target=render, args=(i, kinds, o.seed + int(time.time()) % 100000 * 1000, self.queue, spiece,
                                                     self.over), daemon=True) for i in range(o.renderers)]
        for p in self.all:
            p.start()

    def take(self, least=0, most=64):
        out = []
        while len(out) < least or (len(out) < most and not self.queue.empty()):
            out.append(self.queue.get(timeout=120))
        return out

    def stop(self):
        self.over.set()
        for p in self.all:
            p.terminate()
            p.join()


class Ring:
    """The newest `room` rows of one kind, in GPU memory."""

    def __init__(self, room):
        self.room, self.rows, self.next = room, [], 0

    def add(self, row):
        if len(self.rows) < self.room:
            self.rows.append(row)
        else:
            self.rows[self.next], self.next = row, (self.next + 1) % self.room


# -- training -----------------------------------------------------------------------------------

class Trainer:
    """The averaged weights, the schedule, the log and the checkpoints of one stage."""

    def __init__(self, o, name, model, is_matrix, extra):
        self.o, self.name, self.model, self.extra = o, name, model, extra
        self.opt = Optimiser(model, is_matrix)
        self.ema = {n: p.detach().clone() for n, p in model.named_parameters()}
        self.plan = Schedule(o.lr or RATES[o.stage], 100, o.seconds, o.decay, os.path.join(o.out, "control"))
        self.log = Log(os.path.join(o.out, name + ".log"))
        self.step, self.begin, self.saved, self.seen, self.first, self.last = 0, time.time(), 0, [], None, None
        self.live = dict(model.named_parameters())

    def update(self, loss):
        loss.backward()
        spent = time.time() - self.begin
        self.opt.step(self.plan.rate(self.step, spent), self.step)
        average(self.ema, self.live, min(0.9995, 1 - 10 / (self.step + 20)), self.step)
        self.step += 1
        self.seen.append(loss.detach())
        if self.step % self.o.log == 0:
            mean, self.seen = float(torch.stack(self.seen).mean()), []
            self.first, self.last = self.first or mean, mean
            self.log.line(self.name + ".step", step=self.step, spent=spent, loss=mean, **self.notes())
            self.plan.poll(spent)
        if spent - self.saved > self.o.every:
            self.saved = spent
            self.save()
        return not self.plan.over(spent)

    def notes(self):
        return {}

    def save(self):
        half = {k: v.to("cpu", torch.bfloat16) for k, v in self.ema.items()}
        write_parts({"ema": half, **self.extra}, self.o.out, self.name)

    def finish(self):
        self.save()
        if self.first is None:
            raise SystemExit(f"{self.name}: {self.step} steps in {self.o.seconds:.0f} s are too few to say anything; give --seconds")
        print(f"{self.name}: loss {self.first:.4g} -> {self.last:.4g}, {self.step} steps", flush=True)
        # A teacher of a few seconds does not hear the words yet, so there is nothing for a student to learn from it.
        fell = self.last < 0.9 * self.first or self.name == "four"
        if not np.isfinite(self.last) or (self.o.smoke and not fell):
            raise SystemExit(f"{self.name}: the loss did not fall by 10 %")


def quick(model, o, kinds):
    """Compiles blocks of the kinds named when measure found that to pay."""
    path = os.path.join(o.source or o.out, "choice.json")
    if os.path.exists(path) and load_json(path).get(o.stage, {}).get("compile"):
        for m in model.modules():
            if type(m).__name__ in kinds:
                m.compile(dynamic=True)
    return model


def to_video(u8, device):
    """[B, T, H, W, 3] bytes -> [B, 3, T, H, W] in [-1, 1]."""
    return u8.to(device, non_blocking=True).permute(0, 4, 1, 2, 3).float().div_(127.5).sub_(1)


def vae_loss(model, x):
    with torch.autocast(x.device.type, torch.bfloat16):
        mu, logvar = model.encode(x)
        mu, logvar = mu.float(), logvar.float().clamp(-12, 4)
        y = model.decode(mu + torch.randn_like(mu) * (logvar / 2).exp())
    e = y.float() - x
    across, along = (e[..., 1:] - e[..., :-1]).abs().mean(), (e[..., 1:, :] - e[..., :-1, :]).abs().mean()
    return e.abs().mean() + 0.5 * (across + along) + e.square().mean() + \
        3e-4 * 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean()


def crops(pool, rng, device, small):
    """One batch: single frames, short clips or whole length, all of one size of crop."""
    ring = pool[list(pool)[rng.integers(len(pool))]].rows
    t, side, b = [(1, 64, 96), (17, 64, 24), (17, 96, 12), (9, 80, 20)][rng.choice(4, p=[.2, .4, .25, .15])]
    if small:
        t, side, b = [(1, 32, 8), (5, 32, 3)][rng.integers(2)]
    frames, h, w = ring[0].shape[:3]
    t, hh, ww = min(t, frames), min(side, h), min(side, w)
    f, y, x = rng.integers(frames - t + 1), rng.integers(h - hh + 1), rng.integers(w - ww + 1)
    rows = [ring[i][f:f + t, y:y + hh, x:x + ww] for i in rng.integers(0, len(ring), b)]
    return to_video(torch.stack(rows), device)


def stage_vae(o):
    kinds = CLIPS["smoke" if o.smoke else "vae"]
    cfg = VAE_SMOKE if o.smoke else load_json(o.config) if o.config else VAE_M
    model, before = VAE(cfg), find(o, "vae")
    if before:
        model.load_state_dict({k: v.float() for k, v in before["ema"].items()})
    model = quick(model.to(o.device), o, ("Res",))
    t = Trainer(o, "vae", model, lambda n, p: p.ndim >= 4 and min(p.shape[:2]) > 1, {"cfg": cfg})
    source, pool, going = Renderers(kinds, o), {}, True
    fresh = source.take(least=o.least)
    while going:
        for kind, rgb, _, _ in fresh:
            pool.setdefault(kind, Ring(o.room)).add(rgb.to(o.device))
        rng = np.random.default_rng([o.seed, t.step])
        going = t.update(vae_loss(model, crops(pool, rng, o.device, o.smoke)))
        fresh = source.take()
    source.stop()
    t.finish()


@torch.no_grad()
def encode(vae, clips, device):
    with torch.autocast(device, torch.bfloat16):
        return vae.encode(to_video(torch.stack(clips), device))[0].float()


class LatentPool:
    """Latents, ids and loops of what the renderers have made so far, on the device."""

    def __init__(self, o, kinds, vae, spiece):
        self.o, self.vae, self.source, self.rings, self.waiting = o, vae, Renderers(kinds, o, spiece), {}, {}
        self.made, self.stats = 0, None

    def feed(self, least=0):
        for kind, rgb, ids, loop in self.source.take(least):
            self.waiting.setdefault(kind, []).append((rgb, ids, loop))
        for kind, rows in self.waiting.items():
            while len(rows) >= self.o.batch_encode:
                some, rows[:] = rows[:self.o.batch_encode], rows[self.o.batch_encode:]
                z = encode(self.vae, [r[0] for r in some], self.o.device)
                for one, (_, ids, loop) in zip(z, some):
                    self.rings.setdefault(kind, Ring(self.o.room)).add((one.half(), ids, loop))
                self.made += len(some)

    def measure(self):
        """Mean and std per channel of all that is here: once, before the first step."""
        z = torch.cat([r[0].float().flatten(1) for ring in self.rings.values() for r in ring.rows], 1)
        self.stats = {"mean": z.mean(1).tolist(), "std": z.std(1).tolist(), "values": z.shape[1], "world": world_sum()}
        self.norm()

    def norm(self):
        self.mean, self.std = (torch.tensor(self.stats[k], device=self.o.device).view(-1, 1, 1, 1) for k in ("mean", "std"))

    def draw(self, rng, budget, dropout=EMPTY):
        """x0 [B, z, L, h, w], ids [B, n], loops [B]"""
        kinds = sorted(self.rings)
        n = np.array([len(self.rings[k].rows) for k in kinds], float)
        ring = self.rings[kinds[rng.choice(len(kinds), p=n / n.sum())]].rows
        image = rng.random() < IMAGES
        frames = 1 if image else ring[0][0].shape[1]
        b = max(1, min(budget // (frames * ring[0][0].shape[2] * ring[0][0].shape[3]), 1024))
        rows = [ring[i] for i in rng.integers(0, len(ring), b)]
        x = (torch.stack([r[0][:, :frames] for r in rows]).float() - self.mean) / self.std
        kind = 0 if rng.random() < self.o.short else 1
        language = np.where(rng.random(b) < CHINESE, 2, 0)
        ids = torch.stack([r[1][kind + language[i]] for i, r in enumerate(rows)]).long()
        empty = torch.zeros(MAX_TOKENS, dtype=torch.long)
        empty[0] = 1
        ids[torch.from_numpy(rng.random(b) < dropout)] = empty
        n = int((ids != 0).sum(1).max())
        n = min(MAX_TOKENS, (n + 15) // 16 * 16)  # few shapes to compile for
        return x, ids[:, :n].to(self.o.device), [r[2] and not image for r in rows]


def flow_step(model, pool, rng, o):
    x, ids, loops = pool.draw(rng, o.tokens)
    b, _, frames, h, w = x.shape
    levels = np.stack([draw_levels(rng, frames, frames * h * w) for _ in range(b)]).astype(np.float32)
    for i, loop in enumerate(loops):
        if loop and (levels[i] > 0.2).all():
            x[i] = x[i].roll(int(rng.integers(frames)), 1)
    t, noise = torch.from_numpy(levels).to(o.device), torch.randn_like(x)
    tt = t[:, None, :, None, None]
    with torch.autocast(o.device, torch.bfloat16):
        v = model.dit((1 - tt) * x + tt * noise, t * 1000, *model.text(ids))
    e = (v - (noise - x)).square().mean((1, 3, 4))
    return (e * (t > 0)).sum() / (t > 0).sum()


def is_matrix(name, p):
    return p.ndim == 2 and "block" in name and "bias" not in name and "table" not in name


def spiece_of(o, kinds):
    """The tokenizer of --spiece, or one made here from the captions of a few thousand clips."""
    path = o.spiece or os.path.join(o.out, "spiece.model")
    if not os.path.exists(path):
        w, h, _ = kinds[0][1:]
        texts = [r[k] for r in records(1, 200 if o.smoke else 3000, 32, 32, 1) for k in CAPTIONS]
        train_tokens(texts, o.out)
    return path


def start_latents(o, kinds):
    s = need(o, "vae")
    vae = VAE(s["cfg"])
    vae.load_state_dict({k: v.float() for k, v in s["ema"].items()})
    pool = LatentPool(o, kinds, vae.to(o.device).eval(), spiece_of(o, kinds))
    pool.feed(least=o.least)
    while not pool.rings:
        pool.feed(least=8)
    return pool, s["cfg"]["z_dim"]


def stage_dit(o):
    kinds = CLIPS["smoke" if o.smoke else o.part]
    pool, z = start_latents(o, kinds)
    before = find(o, "dit")
    cfg = before["cfg"] if before else smoke_config(z) if o.smoke else {"dit": sized(o.size, z), "text": TEXT_CONFIG}
    model = Both(cfg)
    if before:
        model.load_state_dict({k: v.float() for k, v in before["ema"].items()})
        pool.stats = before["latents"]
        pool.norm()
    else:
        pool.measure()
    model.dit.gelu = model.text.gelu = "tanh"
    if o.part > 1:
        for p in model.text.parameters():
            p.requires_grad = False
    model = quick(model.to(o.device), o, ("Block",))
    t, going = Trainer(o, "dit", model, is_matrix, {"cfg": cfg, "latents": pool.stats, "step": 0}), True
    t.notes = lambda: {"clips": pool.made}
    while going:
        torch.manual_seed(o.seed * 1_000_003 + t.step)
        going = t.update(flow_step(model, pool, np.random.default_rng([o.seed, o.part, t.step]), o))
        pool.feed()
    pool.source.stop()
    t.finish()


def stage_distill(o):
    from distill import STEPS, SUBSTEPS, draw_known, sigmas, walk
    pool, _ = start_latents(o, CLIPS["smoke" if o.smoke else o.part])
    before, own = need(o, "dit"), find(o, "four")
    pool.stats = before["latents"]
    pool.norm()
    teacher, model = Both(before["cfg"]), Both(before["cfg"])
    teacher.load_state_dict({k: v.float() for k, v in before["ema"].items()})
    model.load_state_dict({k: v.float() for k, v in (own or before)["ema"].items()})
    for m in (teacher, model):
        m.to(o.device).dit.gelu = m.text.gelu = "tanh"
    for p in [*teacher.parameters(), *model.text.parameters()]:
        p.requires_grad = False
    quick(model, o, ("Block",))
    s, going = sigmas(), True
    t = Trainer(o, "four", model, is_matrix, {"cfg": before["cfg"], "latents": pool.stats, "step": 0, "sigmas": s[:-1].tolist()})

    def velocity(m, x, free, level, words):
        with torch.autocast(o.device, torch.bfloat16):
            return m.dit(x, free * float(level) * 1000, *words)

    while going:
        torch.manual_seed(o.seed * 1_000_003 + t.step)
        rng = np.random.default_rng([o.seed, 9, t.step])
        x, ids, _ = pool.draw(rng, o.tokens // 3, dropout=0)
        free = torch.from_numpy(np.stack([draw_known(rng, x.shape[2]) for _ in x])).to(o.device)
        wide, noise, k = free[:, None, :, None, None], torch.randn_like(x), int(rng.integers(STEPS))
        none = torch.zeros_like(ids)
        none[:, 0] = 1
        with torch.no_grad():
            words, no_words = model.text(ids), model.text(none)
            # The second half of the time begins, for half of the draws, where the student itself has come to.
            own_way = rng.random() < 0.5 and time.time() - t.begin > o.seconds / 2
            begin = 0 if own_way else k
            level = wide * float(s[begin])
            start = walk((1 - level) * x + level * noise, s[begin:k + 1], lambda y, a: velocity(model, y, free, a, words), free)
            guided = lambda y, a: (lambda u: u + o.guidance * (velocity(teacher, y, free, a, words) - u))(
                velocity(teacher, y, free, a, no_words))
            end = walk(start, np.linspace(s[k], s[k + 1], SUBSTEPS + 1), guided, free)
            target = (start - end) / float(s[k] - s[k + 1])
        e = (velocity(model, start, free, s[k], words) - target).square() * wide
        going = t.update(e.sum() / wide.expand_as(e).sum())
        pool.feed()
    pool.source.stop()
    t.finish()


# -- the machine --------------------------------------------------------------------------------

def sync(o):
    if o.device == "cuda":
        torch.cuda.synchronize()


def clock(o, fn, n):
    fn()
    fn()
    sync(o)
    begin = time.time()
    for _ in range(n):
        fn()
    sync(o)
    return (time.time() - begin) / n


def measure_one(o, name, model, loss, compiled_kinds, flops_of):
    rows = {}
    for compiled in (False, True):
        if compiled:
            for m in model.modules():
                if type(m).__name__ in compiled_kinds:
                    m.compile(dynamic=True)
        try:
            def step():
                loss().backward()
                model.zero_grad()
            rows[compiled] = clock(o, step, 2 if o.smoke else 10)
        except Exception as e:  # a compiler that is missing is no reason to stop
            print(f"{name}: compile={compiled} failed: {str(e)[:300]}", flush=True)
    best = min(rows, key=rows.get)
    print(f"{name}: eager {rows.get(False, 0):.3f} s, compiled {rows.get(True, 0):.3f} s, "
          f"{flops_of / rows[best] / 1e12:.1f} TF/s", flush=True)
    return {"compile": best, "seconds": rows[best]}


def by_heart(o, z):
    """One batch, twenty steps of the optimiser: the loss must fall by half, or something is wired wrongly."""
    torch.manual_seed(1)
    model = Both(smoke_config(z)).to(o.device)
    model.dit.gelu = model.text.gelu = "tanh"
    opt, losses = Optimiser(model, is_matrix), []
    x, t = torch.randn(8, z, 3, 4, 4, device=o.device), torch.full((8, 3), 0.9, device=o.device)
    ids, noise = torch.ones(8, 4, dtype=torch.long, device=o.device), torch.randn(8, z, 3, 4, 4, device=o.device)
    for i in range(60):
        with torch.autocast(o.device, torch.bfloat16):
            v = model.dit(0.1 * x + 0.9 * noise, t * 1000, *model.text(ids))
        loss = (v - noise).square().mean()
        loss.backward()
        opt.step(1e-2, i)
        losses.append(float(loss))
    print(f"by heart: loss {losses[0]:.3f} -> {losses[-1]:.3f}", flush=True)
    if not losses[-1] < 0.5 * losses[0]:
        raise SystemExit("measure: sixty steps on one batch did not halve the loss")


def stage_measure(o):
    from torch.utils.flop_counter import FlopCounterMode
    by_heart(o, 16)
    kinds, begin = CLIPS["smoke" if o.smoke else 2], time.time()
    source = Renderers(kinds, o)
    n = len(source.take(least=o.least))
    print(f"renderers: {n / (time.time() - begin):.1f} clips a second with {o.renderers}", flush=True)
    source.stop()
    side, b, frames = (32, 2, 5) if o.smoke else (64, 24, 17)
    vae = VAE(VAE_SMOKE if o.smoke else VAE_M).to(o.device)
    x = torch.rand(b, 3, frames, side, side, device=o.device) * 2 - 1
    z = 16 if o.smoke else VAE_M["z_dim"]
    model = Both(smoke_config(z) if o.smoke else {"dit": sized(o.size, z), "text": TEXT_CONFIG}).to(o.device)
    model.dit.gelu = model.text.gelu = "tanh"
    lat = torch.randn(2 if o.smoke else max(1, o.tokens // (9 * 84)), z, 9, 2 if o.smoke else 7, 2 if o.smoke else 12, device=o.device)
    ids, t = torch.ones(len(lat), 64, dtype=torch.long, device=o.device), torch.full((len(lat), 9), 0.5, device=o.device)

    def dit_loss():
        with torch.autocast(o.device, torch.bfloat16):
            return model.dit(lat, t * 1000, *model.text(ids)).square().mean()

    choice = {}
    for name, net, loss, parts in (("vae", vae, lambda: vae_loss(vae, x), ("Res",)), ("dit", model, dit_loss, ("Block",))):
        with FlopCounterMode(display=False) as f:
            loss().backward()
        choice[name] = measure_one(o, name, net, loss, parts, f.get_total_flops())
    choice["distill"] = choice["dit"]
    with open(os.path.join(o.out, "choice.json"), "w") as f:
        json.dump(choice, f)


def stage_join(o):
    for name in ("vae", "dit", "four"):
        if os.path.exists(os.path.join(o.out, name + ".json")):
            s = read_parts(o.out, name)
            s["ema"] = {k: v.float() for k, v in s["ema"].items()}
            torch.save(s, os.path.join(o.out, name + ".pt"))
            print(f"{o.out}/{name}.pt", flush=True)
            if "latents" in s:
                with open(os.path.join(o.out, "stats.json"), "w") as f:
                    json.dump(s["latents"], f)


STAGES = {"measure": stage_measure, "vae": stage_vae, "dit": stage_dit, "distill": stage_distill, "join": stage_join}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("stage", choices=STAGES)
    a.add_argument("--out", required=True)
    a.add_argument("--from", dest="source", help="folder of the stages before")
    a.add_argument("--part", type=int, default=1, choices=(1, 2, 3))
    a.add_argument("--size", default="M", choices=("S", "SM", "M"))
    a.add_argument("--config", help="vae/config.json to train instead of the usual one")
    a.add_argument("--spiece", help="tokenizer to use; without it one is made")
    a.add_argument("--seconds", type=float, default=480)
    a.add_argument("--decay", type=float, default=0.25, help="share of the time that the rate falls; less before more stages")
    a.add_argument("--every", type=float, default=60)
    a.add_argument("--lr", type=float)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--short", type=float, default=0.35)
    a.add_argument("--guidance", type=float, default=3.0)
    a.add_argument("--tokens", type=int, default=98304, help="latent tokens per step")
    a.add_argument("--renderers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    a.add_argument("--room", type=int, default=60000, help="rows kept of each size; the autoencoder keeps whole clips")
    a.add_argument("--least", type=int, default=1000, help="clips before the first step")
    a.add_argument("--log", type=int, default=50)
    a.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    a.add_argument("--smoke", action="store_true", help="tiny networks and clips, a few seconds a stage")
    o = a.parse_args()
    o.batch_encode = 32
    if o.stage == "vae":
        o.room = min(o.room, 4000)
    if o.smoke:
        o.seconds, o.tokens, o.renderers, o.room, o.least, o.log, o.batch_encode = min(o.seconds, 25), 160, 1, 64, 24, 3, 8
    os.makedirs(o.out, exist_ok=True)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    STAGES[o.stage](o)


if __name__ == "__main__":
    main()
