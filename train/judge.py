"""The judge that looks at clips: trained on renders, exported for the engine, never shown a generated clip.

    python judge.py lessons --out RUN --count 6000 [--held] [--vae RUN/vae.pt --share 0.05]
    python judge.py train --out RUN --seconds 900 [--init OTHER/judge.pt]
    python judge.py export --run RUN --out ../models/tiny/judge
    python judge.py golden --out ../tests/golden/judge

Clips and labels come from `misora-eval lessons` (eval/lesson.h), so that one file, eval/label.c, says what is asked. The judge
reads 16 frames of any clip. Seeds are its own: it learns from 2^38 on and is measured on seeds from 3 * 2^39 on,
while models learn below 2^38 and prompts stand above 2^41. So that it does not take blur for another world, half of
what it sees is blurred, smeared in time, made smaller and larger again or noisy, and some clips went through an autoencoder.
"""
import argparse
import json
import os
import struct
import subprocess
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

from common import Optimiser, Schedule, load_json, rng_for, save_atomic

HERE = os.path.dirname(os.path.abspath(__file__))
EVAL = os.environ.get("MISORA_EVAL", os.path.join(HERE, "..", "build", "release", "misora-eval"))
RECORD = struct.Struct("<4sIQHHHH")
FRAMES, CELL = 16, (2, 4, 4)
MOVING = ("action", "motion", "direction", "camera", "camera_kind")
WIDTHS, FEATURES = (64, 96, 144), 144
# What counts how much: what prompts are made of, before what is told besides.
WEIGHT = {"time": 0.3, "weather": 0.4, "style": 0.4, "direction": 0.5, "camera_kind": 0.5, "second": 0.6, "action": 0.7}


def heads():
    return json.loads(subprocess.check_output([EVAL, "heads"]))


def lessons(first, count, held=False):
    """Yields (world, seed, labels, rgb) of `misora-eval lessons`."""
    p = subprocess.Popen([EVAL, "lessons", str(first), str(count)] + (["held"] if held else []), stdout=subprocess.PIPE)
    for _ in range(count):
        b = p.stdout.read(RECORD.size)
        if len(b) != RECORD.size:
            raise EOFError("misora-eval lessons ended early")
        magic, world, seed, w, h, t, n = RECORD.unpack(b)
        if magic != b"MLES" or t != FRAMES:
            raise ValueError(f"not a lesson: {magic} with {t} frames")
        labels = np.frombuffer(p.stdout.read(n), np.int8)
        yield world, seed, labels, np.frombuffer(p.stdout.read(t * h * w * 3), np.uint8).reshape(t, h, w, 3)
    p.wait()


class Judge(nn.Module):
    """See eval/sight.h for the drawing. A layer is (kind, stage): kind s looks at 3x3 places, h halves too, t at 3 times."""
    LAYERS = [("c", 0), ("s", 0), ("h", 1), ("t", 1), ("s", 1), ("t", 1), ("h", 2), ("t", 2), ("s", 2)]

    def __init__(self, names, widths=WIDTHS, features=FEATURES):
        super().__init__()
        self.names, self.widths = names, tuple(widths)
        sizes = {"c": (1, 1), "s": (3, 3), "h": (3, 3), "t": (3, 1)}
        self.convs, self.norms, n = nn.ModuleList(), nn.ModuleList(), 3 * CELL[0] * CELL[1] * CELL[2] + 3
        for kind, stage in self.LAYERS:
            self.convs.append(nn.Conv2d(n, widths[stage], sizes[kind], stride=2 if kind == "h" else 1,
                                        padding=1 if kind in "sh" else 0, bias=False))
            n = widths[stage]
            self.norms.append(nn.BatchNorm2d(n, momentum=0.02))
        self.feature = nn.Linear(2 * n, features)
        self.heads = nn.ModuleDict({h: nn.Linear(features, len(v)) for h, v in names.items()})

    def cells(self, x):
        """[B,T,H,W,3] in -1..1 -> [B,T/2,H/4,W/4,99]: pixels of a cell, then where it is."""
        b, t, h, w, _ = x.shape
        ct, ch, cw = CELL
        x = x.reshape(b, t // ct, ct, h // ch, ch, w // cw, cw, 3).permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4)
        place = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in x.shape[1:4]), indexing="ij")
        return torch.cat([x, torch.stack(place, -1)[None].expand(b, -1, -1, -1, -1)], -1)

    def features(self, x):
        x = self.cells(x).to(torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32)
        for (kind, _), conv, norm in zip(self.LAYERS, self.convs, self.norms):
            b, t, h, w, c = x.shape
            if kind == "t":  # the past only; before the clip there is nothing
                v = F.pad(x, (0, 0, 0, 0, 0, 0, 2, 0)).reshape(b, t + 2, h * w, c).permute(0, 3, 1, 2)
            else:
                v = x.reshape(b * t, h, w, c).permute(0, 3, 1, 2)
            y = F.relu(norm(conv(v))).permute(0, 2, 3, 1)
            y = y.reshape(b, t, h // 2, w // 2, -1) if kind == "h" else y.reshape(b, t, h, w, -1)
            x = y + x if y.shape == x.shape else y
        x = x.flatten(1, 3).float()
        return F.relu(self.feature(torch.cat([x.mean(1), x.amax(1)], 1)))

    def forward(self, x):
        v = self.features(x).float()
        return {h: head(v) for h, head in self.heads.items()}


def swapped(names):
    """For each head which answer a mirrored clip has."""
    def other(v):
        return v.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
    return {h: torch.tensor([v.index(other(x)) for x in v]) for h, v in names.items()}


def blur(x, sigma):
    k = torch.exp(-0.5 * (torch.arange(-3, 4) / sigma) ** 2)
    k = (k / k.sum()).view(1, 1, 7)
    b, t, h, w, c = x.shape
    y = F.conv1d(F.pad(x.permute(0, 1, 2, 4, 3).reshape(-1, 1, w), (3, 3), mode="replicate"), k)
    y = y.reshape(b, t, h, c, w).permute(0, 1, 4, 3, 2).reshape(-1, 1, h)
    return F.conv1d(F.pad(y, (3, 3), mode="replicate"), k).reshape(b, t, w, c, h).permute(0, 1, 4, 2, 3)


def smaller(x):
    b, t, h, w, c = x.shape
    v = F.avg_pool2d(x.permute(0, 1, 4, 2, 3).flatten(0, 1), 2)
    return F.interpolate(v, scale_factor=2, mode="bilinear").reshape(b, t, c, h, w).permute(0, 1, 3, 4, 2)


def smeared(x):
    y = 0.6 * x
    y[:, 1:] += 0.2 * x[:, :-1]
    y[:, :-1] += 0.2 * x[:, 1:]
    y[:, :1] += 0.2 * x[:, :1]
    y[:, -1:] += 0.2 * x[:, -1:]
    return y


def worn(rng, x):
    """What generated clips suffer from, one thing or none."""
    kind = rng.integers(0, 8)
    if kind == 0:
        x = blur(x, float(rng.uniform(0.5, 1.3)))
    elif kind == 1:
        x = smaller(x)
    elif kind == 2:
        x = smeared(x)
    elif kind == 3:
        x = x + torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32)) * float(rng.uniform(0.02, 0.12))
    if rng.random() < 0.3:
        x = x * float(rng.uniform(0.88, 1.1)) + float(rng.uniform(-0.06, 0.06))
    return x


class Pool:
    """Clips of a run, by shape: RUN/NAME-WxH-PART.npy with labels beside them."""

    def __init__(self, run, name):
        self.groups = {}
        for f in sorted(os.listdir(run)):
            if f.startswith(name + "-") and f.endswith(".npy"):
                d = np.load(os.path.join(run, f), mmap_mode="r")
                y = np.load(os.path.join(run, f[:-4] + ".labels"), allow_pickle=False)
                for i in range(len(y)):
                    self.groups.setdefault(d.shape[2:4], []).append((d, i, y[i]))
        self.keys = sorted(self.groups)
        n = np.array([len(self.groups[k]) for k in self.keys], float)
        self.share = n / n.sum()

    def __len__(self):
        return sum(len(g) for g in self.groups.values())

    def draw(self, rng, n):
        g = self.groups[self.keys[rng.choice(len(self.keys), p=self.share)]]
        rows = [g[i] for i in rng.integers(0, len(g), n)]
        return np.stack([d[i] for d, i, _ in rows]), np.stack([y for _, _, y in rows]).astype(np.int64)

    def batches(self, n):
        for g in self.groups.values():
            for i in range(0, len(g), n):
                yield np.stack([d[k] for d, k, _ in g[i:i + n]]), np.stack([y for _, _, y in g[i:i + n]]).astype(np.int64)


def reconstructed(vae, clip):
    from train_vae import to_tensor
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        y = vae.decode(vae.encode(to_tensor(np.concatenate([clip[:1], clip])[None]))[0]).float()
    y = ((y[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 3, 0).numpy()
    return y[1:]


def write_lessons(o):
    """Parts of at most 500 clips of each shape; a part that is there is not rendered again."""
    os.makedirs(o.out, exist_ok=True)
    torch.set_num_threads(1)
    vae = None
    if o.vae:
        from encode import load_vae
        vae = load_vae(o.vae)[0]
    name = "held" if o.held else "train"
    for first in range(o.first, o.first + o.count, 500):
        done = os.path.join(o.out, f"{name}-{first}.done")
        if os.path.exists(done):
            continue
        groups, worlds = {}, set()
        for i, (world, _, labels, rgb) in enumerate(lessons(first, min(500, o.first + o.count - first), o.held)):
            worlds.add(world)
            g = groups.setdefault(rgb.shape[1:3], [])
            g.append((rgb, labels))
            if vae is not None and (i * 0.618034) % 1 < o.share:
                g.append((reconstructed(vae, rgb), labels))
        for (h, w), g in groups.items():
            base = os.path.join(o.out, f"{name}-{w}x{h}-{first}")
            np.save(base + ".npy", np.stack([c for c, _ in g]))
            with open(base + ".labels", "wb") as f:
                np.save(f, np.stack([y for _, y in g]))
        with open(done, "w") as f:
            f.write(json.dumps({"worlds": sorted(worlds)}))
        print("lessons", name, first, {k: len(g) for k, g in groups.items()}, flush=True)


def worlds_of(run, name="train"):
    """Versions of the world that the clips of a run come from."""
    return sorted({w for f in os.listdir(run) if f.startswith(name) and f.endswith(".done")
                   for w in load_json(os.path.join(run, f))["worlds"]})


def load(path):
    s = torch.load(path)
    m = Judge(s["names"], s["widths"], s["features"])
    m.load_state_dict(s["model"])
    return m.eval(), s


@torch.no_grad()
def accuracy(model, pool):
    right, seen = np.zeros(len(model.names)), np.zeros(len(model.names))
    model.eval()
    for x, y in pool.batches(32):
        with torch.autocast("cpu", torch.bfloat16):
            got = model(torch.from_numpy(x).float() / 127.5 - 1)
        for k, h in enumerate(model.names):
            right[k] += (got[h].argmax(1).numpy() == y[:, k]).sum()
            seen[k] += (y[:, k] >= 0).sum()
    return {h: round(float(right[k] / max(1, seen[k])), 3) for k, h in enumerate(model.names)}


def loss_of(model, swap, rng, x, y):
    """One batch, worn and mirrored as the generator says."""
    names = list(model.names)
    x, y = torch.from_numpy(x).float() / 127.5 - 1, torch.from_numpy(y)
    if rng.random() < 0.5:
        x = x.flip(3)
        y = torch.stack([torch.where(y[:, k] < 0, y[:, k], swap[h][y[:, k].clamp(min=0)]) for k, h in enumerate(names)], 1)
    if rng.random() < 0.08:
        x = x[:, [int(rng.integers(0, FRAMES))]].expand_as(x)
        y = y.clone()
        y[:, [names.index(h) for h in MOVING]] = -1
    with torch.autocast("cpu", torch.bfloat16):
        got = model(worn(rng, x))
    loss, right = 0.0, {}
    for k, h in enumerate(names):
        if (y[:, k] >= 0).any():
            loss = loss + WEIGHT.get(h, 1.0) * F.cross_entropy(got[h], y[:, k], ignore_index=-1, label_smoothing=0.03)
            right[h] = float((got[h].argmax(1) == y[:, k])[y[:, k] >= 0].float().mean())
    return loss, right


def train(o):
    torch.set_num_threads(1)
    names, pool, held = heads(), Pool(o.out, "train"), Pool(o.out, "held")
    model, path, swap, at = Judge(names), os.path.join(o.out, "judge.pt"), swapped(names), (0, 0.0)
    opt = Optimiser(model, lambda n, p: p.ndim >= 4)
    if o.init:
        model.load_state_dict({k: v for k, v in torch.load(o.init)["model"].items()
                               if v.shape == model.state_dict()[k].shape}, strict=False)
    if os.path.exists(path):
        s = torch.load(path)
        model.load_state_dict(s["model"])
        opt.use(s["opt"])
        at = (s["step"], s["spent"])
    step, spent = at
    plan = Schedule(o.lr, 50, o.seconds, 0.6, os.path.join(o.out, "control"))
    begin, saved, rights = time.process_time() - spent, spent, []

    def save():
        save_atomic({"model": model.state_dict(), "opt": opt.state, "names": names, "widths": WIDTHS, "features": FEATURES,
                     "worlds": worlds_of(o.out), "step": step, "spent": spent}, path)

    while not plan.over(spent):
        model.train()
        rng = rng_for(21, step)
        loss, right = loss_of(model, swap, rng, *pool.draw(rng, 16))
        loss.backward()
        opt.step(plan.rate(step, spent), step)
        rights.append(right)
        step, spent = step + 1, time.process_time() - begin
        if step % 100 == 0:
            shown = {h: round(float(np.mean([r[h] for r in rights if h in r])), 2) for h in names}
            print(step, f"cpu {spent:.0f} s loss {loss.item():.2f}", shown, flush=True)
            rights = []
            plan.poll(spent)
        if spent - saved > 60:
            saved = spent
            save()
    save()
    print("held-out renders:", accuracy(model, held), "clips", len(held), flush=True)


@torch.no_grad()
def folded(model):
    """Tensors with normalisation in them, in the names and shapes that eval/sight.c reads."""
    out = {}
    for i, ((kind, _), conv, norm) in enumerate(zip(model.LAYERS, model.convs, model.norms)):
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        w = conv.weight * scale.view(-1, 1, 1, 1)
        out[f"layer.{i}.weight"] = w[:, :, :, :, None] if kind == "t" else w[:, :, None]
        out[f"layer.{i}.bias"] = norm.bias - norm.running_mean * scale
    out["feature.weight"], out["feature.bias"] = model.feature.weight, model.feature.bias
    for h, head in model.heads.items():
        out[f"head.{h}.weight"], out[f"head.{h}.bias"] = head.weight, head.bias
    return {k: v.to(torch.bfloat16).contiguous() for k, v in out.items()}


def reference(model, x):
    """The exported tensors in fp32 PyTorch: what the engine has to give. x [T,H,W,3] bytes."""
    t = {k: v.float() for k, v in folded(model).items()}
    v = model.cells(torch.from_numpy(x)[None].float() / 127.5 - 1).permute(0, 4, 1, 2, 3)
    for i, (kind, _) in enumerate(model.LAYERS):
        w, b = t[f"layer.{i}.weight"], t[f"layer.{i}.bias"]
        p = F.pad(v, (0, 0, 0, 0, 2, 0)) if kind == "t" else v
        y = F.relu(F.conv3d(p, w, b, stride=(1, 2, 2) if kind == "h" else 1, padding=(0, 1, 1) if kind in "sh" else 0))
        v = y + v if y.shape == v.shape else y
    v = v.flatten(2)
    f = F.relu(F.linear(torch.cat([v.mean(2), v.amax(2)], 1), t["feature.weight"], t["feature.bias"]))
    return f, {h: F.linear(f, t[f"head.{h}.weight"], t[f"head.{h}.bias"]) for h in model.names}


def write_folder(model, out, worlds):
    os.makedirs(out, exist_ok=True)
    save_file(folded(model), os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    cfg = {"kind": "misora-judge", "world": max(worlds), "worlds": worlds, "widths": list(model.widths), "features": model.feature.out_features,
           "heads": model.names}
    with open(os.path.join(out, "config.json"), "w") as f:
        f.write(json.dumps(cfg, indent=1) + "\n")


@torch.no_grad()
def golden(o):
    """A mini judge of random weights, a clip and what PyTorch answers."""
    torch.manual_seed(3)
    model = Judge(heads(), (8, 12, 16), 24).eval()
    for norm in model.norms:
        norm.running_mean.normal_(0, 0.3)
        norm.running_var.uniform_(0.5, 2)
        norm.bias.normal_(0, 0.2)
    write_folder(model, o.out, [0])
    x = np.random.default_rng(4).integers(0, 256, (FRAMES, 32, 48, 3)).astype(np.uint8)
    feature, logits = reference(model, x)
    io = {"rgb": torch.from_numpy(x), "feature": feature[0], **{"logit." + h: v[0] for h, v in logits.items()}}
    save_file({k: v.contiguous() for k, v in io.items()}, os.path.join(o.out, "io.safetensors"))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("what", choices=["lessons", "train", "export", "golden", "score"])
    a.add_argument("--out")
    a.add_argument("--run")
    a.add_argument("--init")
    a.add_argument("--first", type=int, default=0)
    a.add_argument("--count", type=int, default=6000)
    a.add_argument("--held", action="store_true")
    a.add_argument("--vae", help="autoencoder that some clips are sent through")
    a.add_argument("--share", type=float, default=0.05)
    a.add_argument("--seconds", type=float, default=900, help="of processor time")
    a.add_argument("--lr", type=float, default=2e-3)
    o = a.parse_args()
    if o.what == "lessons":
        write_lessons(o)
    elif o.what == "train":
        train(o)
    elif o.what == "golden":
        golden(o)
    else:
        model, s = load(os.path.join(o.run, "judge.pt"))
        if o.what == "export":
            write_folder(model, o.out, s["worlds"])
        else:
            print(accuracy(model, Pool(o.run, "held")))


if __name__ == "__main__":
    main()
