"""Fits the preview of a model folder: the linear map from a latent to the mean colour of its pixels.

    python train/fit_preview.py models/tiny [--images DIR] [--count 48]      (from the root of the tree)

Writes vae/preview.json: "red", "green", "blue" (a number for each latent channel) and "bias", for latents as the
transformer makes them and colours in -1..1. Least squares over clips of worldgen, or over the pictures of a folder,
encoded by the VAE of the model folder; prints how much of the variance of held-out clips the map explains.
"""
import argparse
import glob
import json
import os
import sys

import numpy as np
import torch
from diffusers import AutoencoderKLWan

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

SEED, WIDTH, HEIGHT, FRAMES = 1 << 30, 128, 96, 9


def world_clips(count):
    from data import records
    for r in records(SEED, count, WIDTH, HEIGHT, FRAMES):
        yield r["rgb"]


def picture_clips(folder, count):
    from PIL import Image
    names = sorted(glob.glob(os.path.join(folder, "*.[pj][np]*g")))[:count]
    for name in names:
        with Image.open(name) as im:
            yield np.asarray(im.convert("RGB").resize((WIDTH * 2, HEIGHT * 2)))[None]


def rows(vae, clip):
    """Normalised latents [n,z] and the mean colours of their cells [n,3]."""
    c = vae.config
    x = torch.from_numpy(clip.copy()).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    z = vae.encode(x).latent_dist.mode()
    z = (z - torch.tensor(c.latents_mean).view(1, -1, 1, 1, 1)) / torch.tensor(c.latents_std).view(1, -1, 1, 1, 1)
    s, t = c.scale_factor_spatial, c.scale_factor_temporal
    cells = torch.nn.functional.avg_pool3d(x, (1, s, s))[0]
    later = cells[:, 1:].unflatten(1, (-1, t)).mean(2) if x.shape[2] > 1 else cells[:, :0]
    colours = torch.cat((cells[:, :1], later), 1)
    return z[0].flatten(1).T, colours.flatten(1).T


def main():
    a = argparse.ArgumentParser()
    a.add_argument("model")
    a.add_argument("--images")
    a.add_argument("--count", type=int, default=48)
    a = a.parse_args()
    vae = AutoencoderKLWan.from_pretrained(os.path.join(a.model, "vae"), torch_dtype=torch.float32).eval()
    clips = picture_clips(a.images, a.count) if a.images else world_clips(a.count)
    with torch.no_grad():
        pairs = [rows(vae, clip) for clip in clips]
    n_test = max(1, len(pairs) // 6)
    join = lambda part, i: torch.cat([p[i] for p in part]).double()
    x, y = join(pairs[:-n_test], 0), join(pairs[:-n_test], 1)
    ones = torch.ones(len(x), 1, dtype=torch.float64)
    ridge = 1e-3 * len(x) * torch.eye(x.shape[1] + 1, dtype=torch.float64)
    x1 = torch.cat((x, ones), 1)
    ridge[-1, -1] = 0
    w = torch.linalg.solve(x1.T @ x1 + ridge, x1.T @ y)
    xt, yt = join(pairs[-n_test:], 0), join(pairs[-n_test:], 1)
    left = (torch.cat((xt, torch.ones(len(xt), 1, dtype=torch.float64)), 1) @ w - yt).square().mean()
    print(f"{len(x)} places, {len(xt)} held out: {1 - left / yt.var():.3f} of the variance, rms {left.sqrt():.3f} of -1..1")
    rounded = lambda v: [round(float(i), 5) for i in v]
    out = {k: rounded(w[:-1, i]) for i, k in enumerate(("red", "green", "blue"))}
    out["bias"] = rounded(w[-1])
    path = os.path.join(a.model, "vae", "preview.json")
    with open(path, "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")
    print(path)


if __name__ == "__main__":
    main()
