"""Stage 1: trains the video autoencoder on rendered clips.

    python train_vae.py --pools DIR... --out RUN --seconds 2400 [--config vae.json]

Loss: L1 + 0.5 gradient L1 + MSE + 3e-4 KL. Crops of three kinds of about equal cost teach short
sharp motion, whole frames and long clips. Resumes from RUN/vae.pt when it is there.
"""
import argparse
import os
import time

import numpy as np
import torch

from common import Average, Log, Optimiser, Schedule, load_json, normal, psnr, rng_for, save_atomic
from data import Pool
from vae import VAE

CONFIG = {
    "_class_name": "AutoencoderKLWan", "base_dim": 32, "decoder_base_dim": 32, "z_dim": 48,
    "dim_mult": [1, 2, 2], "num_res_blocks": 1, "attn_scales": [], "temperal_downsample": [True, True],
    "dropout": 0.0, "is_residual": True, "in_channels": 48, "out_channels": 48, "patch_size": 4,
    "scale_factor_spatial": 16, "scale_factor_temporal": 4,
}
# (share, frames, height, width, clips per batch); None: the whole frame.
CROPS = [(0.20, 1, 64, 64, 24), (0.50, 17, 64, 64, 3), (0.20, 9, None, None, 2), (0.10, 33, 48, 48, 3)]


def is_matrix(name, p):
    return p.ndim >= 4 and p.shape[0] > 1 and p.shape[1] > 1


def draw_batch(pools, rng):
    pool = pools[rng.choice(len(pools), p=np.array([len(p) for p in pools]) / sum(len(p) for p in pools))]
    n, frames, hh, ww, _ = pool.clips.shape
    _, t, h, w, b = CROPS[rng.choice(len(CROPS), p=[c[0] for c in CROPS])]
    h, w, t = min(h or hh, hh), min(w or ww, ww), min(t, frames)
    out = np.empty((b, t, h, w, 3), np.uint8)
    for i, c in enumerate(rng.integers(0, n, b)):
        f, y, x = rng.integers(0, frames - t + 1), rng.integers(0, hh - h + 1), rng.integers(0, ww - w + 1)
        out[i] = pool.clips[c, f:f + t, y:y + h, x:x + w]
    return to_tensor(out)


def to_tensor(u8):
    """(B, T, H, W, 3) bytes -> (B, 3, T, H, W) in [-1, 1]."""
    return torch.tensor(u8).permute(0, 4, 1, 2, 3).float().div_(127.5).sub_(1)


def losses(model, x, noise_rng):
    with torch.autocast(x.device.type, torch.bfloat16):
        mu, logvar = model.encode(x)
        mu, logvar = mu.float(), logvar.float().clamp(-12, 4)
        z = mu + normal(noise_rng, mu.shape).to(mu) * (logvar / 2).exp()
        y = model.decode(z)
    e = y.float() - x
    grad = (e[..., 1:] - e[..., :-1]).abs().mean() + (e[..., 1:, :] - e[..., :-1, :]).abs().mean()
    mse, l1 = e.square().mean(), e.abs().mean()
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean()
    return l1 + 0.5 * grad + mse + 3e-4 * kl, l1, mse, kl


@torch.no_grad()
def evaluate(model, clips, edge=24):
    """PSNR of whole held-out clips, and of pixels next to a strong edge in the render."""
    se = n = se_edge = n_edge = 0
    for i in range(0, len(clips), 4):
        x = to_tensor(np.ascontiguousarray(clips[i:i + 4]))
        with torch.autocast("cpu", torch.bfloat16):
            y = model.decode(model.encode(x)[0]).float().clamp(-1, 1)
        d = (y - x).square().mean(1)
        g = torch.zeros_like(d)
        dx, dy = (x[..., 1:] - x[..., :-1]).abs().amax(1), (x[..., 1:, :] - x[..., :-1, :]).abs().amax(1)
        g[..., 1:] = dx
        g[..., :-1] = torch.maximum(g[..., :-1], dx)
        g[..., 1:, :] = torch.maximum(g[..., 1:, :], dy)
        g[..., :-1, :] = torch.maximum(g[..., :-1, :], dy)
        m = g > 2 * edge / 127.5
        se, n = se + float(d.sum()), n + d.numel()
        se_edge, n_edge = se_edge + float(d[m].sum()), n_edge + int(m.sum())
    return psnr(se / n), psnr(se_edge / max(n_edge, 1))


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--pools", nargs="+", required=True)
    a.add_argument("--test", help="a pool of seeds that are not trained on")
    a.add_argument("--out", required=True)
    a.add_argument("--config")
    a.add_argument("--init", help="checkpoint whose weights to start from")
    a.add_argument("--seconds", type=float, default=2400)
    a.add_argument("--decay", type=float, default=0.3, help="share of the time spent decaying")
    a.add_argument("--lr", type=float, default=2e-3)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--every", type=float, default=180, help="seconds between checkpoints")
    o = a.parse_args()
    os.makedirs(o.out, exist_ok=True)
    torch.manual_seed(o.seed)
    cfg, path = load_json(o.config) if o.config else CONFIG, os.path.join(o.out, "vae.pt")
    pools = [Pool(p) for p in o.pools]
    test = Pool(o.test).clips[:16, :17] if o.test else None
    model = VAE(cfg)
    if o.init:
        model.load_state_dict(torch.load(o.init)["ema"]["values"])
    for m in model.modules():
        if isinstance(m, torch.nn.Conv3d):
            m.weight.data = m.weight.data.contiguous(memory_format=torch.channels_last_3d)
    opt, ema, step, spent = Optimiser(model, is_matrix), Average(model, 0.998), 0, 0.0
    plan = Schedule(o.lr, 30, o.seconds, o.decay, os.path.join(o.out, "control"))
    log = Log(os.path.join(o.out, "vae.log"))
    if os.path.exists(path):
        s = torch.load(path)
        model.load_state_dict(s["model"])
        opt.load_state_dict(s["opt"])
        ema.load_state_dict(s["ema"])
        step, spent, plan.start, plan.span = s["step"], s["spent"], s["plan"][0], s["plan"][1]
    log.line("vae.start", step=step, params=sum(p.numel() for p in model.parameters()), spent=spent,
             threads=torch.get_num_threads())

    def save():
        save_atomic({"model": model.state_dict(), "opt": opt.state_dict(), "ema": ema.state_dict(), "cfg": cfg,
                     "step": step, "spent": spent, "plan": (plan.start, plan.span)}, path)

    seen, last, mark = [], spent, time.time()
    while not plan.over(spent):
        rng = rng_for(o.seed, step)
        loss, *parts = losses(model, draw_batch(pools, rng), rng)
        loss.backward()
        lr = plan.rate(step, spent)
        norm = opt.step(lr)
        ema.update(model)
        step, now = step + 1, time.time()
        spent, mark = spent + now - mark, now
        seen.append([float(loss.detach())] + [float(p.detach()) for p in parts] + [norm])
        if step % 50 == 0 or step in (1, 5, 20):
            m = np.mean(seen, 0)
            log.line("vae.step", step=step, spent=spent, cpu=time.process_time(), loss=m[0], l1=m[1],
                     psnr=psnr(m[2]), kl=m[3], norm=m[4], lr=lr)
            seen = []
            plan.poll(spent)
        if spent - last > o.every:
            last = spent
            save()
            report(log, model, ema, cfg, test, step, spent)
    save()
    report(log, model, ema, cfg, test, step, spent)


def report(log, model, ema, cfg, test, step, spent):
    if test is None:
        return
    m = VAE(cfg)
    m.load_state_dict(ema.values)
    whole, edge = evaluate(m, test)
    log.line("vae.test", step=step, spent=spent, psnr=whole, edge_psnr=edge)


if __name__ == "__main__":
    main()
