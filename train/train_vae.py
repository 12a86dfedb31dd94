"""Stage 1: trains the video autoencoder on rendered clips.

    python train_vae.py --pools DIR... --out RUN --seconds 2400 [--config vae.json]

Loss: L1 + 0.5 gradient L1 + MSE + 3e-4 KL. Crops of three kinds of about equal cost teach short
sharp motion, whole frames and long clips. Resumes from RUN/vae.pt when it is there.
--config: vae/config.json of other sizes; --init and the checkpoint hold to it.
"""
import argparse

import numpy as np
import torch

import fused
from common import Stage, arguments, load_json, normal, psnr, rng_for, run, short_sum
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
SMOKE = {**CONFIG, "base_dim": 16, "decoder_base_dim": 16, "z_dim": 16, "dim_mult": [1, 1, 1]}
SMOKE_CROPS = [(0.3, 1, 32, 32, 8), (0.7, 5, 32, 32, 3)]


def draw_batch(pools, rng, crops=None):
    pool = pools[rng.choice(len(pools), p=np.array([len(p) for p in pools]) / sum(len(p) for p in pools))]
    n, frames, hh, ww, _ = pool.clips.shape
    crops = crops or CROPS
    _, t, h, w, b = crops[rng.choice(len(crops), p=[c[0] for c in crops])]
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
    kl = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean()
    if fused.lib:
        total, parts = fused.picture_loss(y, x, (1.0, 1.0, 0.5, 0.5))
        return total + 3e-4 * kl, parts[0], parts[1], kl
    e = y.float() - x
    grad = (e[..., 1:] - e[..., :-1]).abs().mean() + (e[..., 1:, :] - e[..., :-1, :]).abs().mean()
    mse, l1 = e.square().mean(), e.abs().mean()
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


class VaeStage(Stage):
    def __init__(self, o):
        self.o, self.cfg = o, load_json(o.config) if o.config else SMOKE if o.smoke else CONFIG
        torch.manual_seed(o.seed)
        self.model, self.pools = VAE(self.cfg), [Pool(p) for p in o.pools]
        self.extra, self.crops = {"cfg": self.cfg}, SMOKE_CROPS if o.smoke else CROPS
        what = [[p.info[k] for k in ("seed", "count", "w", "h", "frames", "fps")] for p in self.pools]
        self.order = {"seed": o.seed, "pools": short_sum(what)}
        if all("world" in p.info for p in self.pools):
            self.order["world"] = "+".join(sorted({p.info["world"] for p in self.pools}))
        if o.freeze_encoder:
            for p in [*self.model.encoder.parameters(), *self.model.quant_conv.parameters()]:
                p.requires_grad = False

    def is_matrix(self, name, p):
        return p.ndim >= 4 and p.shape[0] > 1 and p.shape[1] > 1

    def loss(self, step):
        rng = rng_for(self.o.seed, step)
        loss, l1, mse, kl = losses(self.model, draw_batch(self.pools, rng, self.crops), rng)
        return loss, {k: float(v.detach()) for k, v in (("l1", l1), ("mse", mse), ("kl", kl))}

    def report(self, values):
        if not self.o.test:
            return {}
        m = VAE(self.cfg)
        m.load_state_dict(values)
        whole, edge = evaluate(m, Pool(self.o.test).clips[:16, :17])
        return {"psnr": whole, "edge_psnr": edge}


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--pools", nargs="+", required=True)
    a.add_argument("--test", help="a pool of seeds that are not trained on")
    a.add_argument("--config")
    a.add_argument("--freeze-encoder", action="store_true", help="polish the decoder; latents stay what they are")
    arguments(a, seconds=2400, lr=2e-3, every=180)
    run(VaeStage, a.parse_args(), "vae")


if __name__ == "__main__":
    main()
