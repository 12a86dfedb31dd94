"""Clips from an exported folder with PyTorch: the way to look at a model before the C engine does.

    python sample.py --model ../models/tiny --out sheet.png [--prompts FILE] [--steps 20 --cfg 4 --shift 3]
"""
import argparse
import os

import numpy as np
import torch
from diffusers import UniPCMultistepScheduler
from PIL import Image
from safetensors.torch import load_file

from common import load_json
from dit import DiT
from text import TextEncoder
from tokens import Tokens
from vae import VAE

PROMPTS = [
    "a red ball bounces in a green meadow", "a corgi runs through the snow", "a woman in a red coat walks down a neon street",
    "two pirate ships sailing in a cup of coffee", "a burger is eaten bite by bite on a kitchen table",
    "a blue car drives on a neon street at night", "a yellow ball goes behind a wall in the desert",
    "a purple cube spins on the beach, the camera orbits to the right", "a green cone in a snowy village, the camera pans left",
    "a canvas is painted stroke by stroke in a studio", "一只柯基犬在雪地里奔跑", "a sailboat on the open sea at sunset",
]


class Model:
    def __init__(self, folder):
        def weights(kind):
            name = "model.safetensors" if kind == "text_encoder" else "diffusion_pytorch_model.safetensors"
            return {k: v.float() for k, v in load_file(os.path.join(folder, kind, name)).items()}
        cfg = {k: load_json(os.path.join(folder, k, "config.json")) for k in ("vae", "transformer", "text_encoder")}
        self.vae, self.dit, self.text = VAE(cfg["vae"]), DiT(cfg["transformer"]), TextEncoder(cfg["text_encoder"])
        for m, kind in ((self.vae, "vae"), (self.dit, "transformer"), (self.text, "text_encoder")):
            m.load_state_dict(weights(kind))
            m.eval()
        self.dit.gelu = self.text.gelu = "tanh"
        self.mean = torch.tensor(cfg["vae"]["latents_mean"]).view(-1, 1, 1, 1)
        self.std = torch.tensor(cfg["vae"]["latents_std"]).view(-1, 1, 1, 1)
        self.tokens = Tokens(os.path.join(folder, "tokenizer", "spiece.model"))
        self.scheduler = load_json(os.path.join(folder, "scheduler", "scheduler_config.json"))

    @torch.no_grad()
    def latents(self, prompts, width, height, frames, steps, cfg, shift, seed, known=None):
        """Normalised latents [B, z, L, h, w]. known: clean first latents [B, z, k, h, w] or None."""
        b, n = len(prompts), 1 + (frames - 1) // 4
        with torch.autocast("cpu", torch.bfloat16):
            rows, real = self.text(self.tokens.batch(list(prompts) + [""] * b))
        g = torch.Generator().manual_seed(seed)
        x = torch.randn(b, self.mean.shape[0], n, height // 16, width // 16, generator=g)
        s = UniPCMultistepScheduler.from_config(self.scheduler, flow_shift=shift)
        s.set_timesteps(steps)
        k = 0 if known is None else known.shape[2]
        for t in s.timesteps:
            if k:
                x[:, :, :k] = known
            level = torch.full((2 * b, n), float(t))
            level[:, :k] = 0
            with torch.autocast("cpu", torch.bfloat16):
                v, u = self.dit(torch.cat([x, x]), level, rows, real).chunk(2)
            x = s.step(u + cfg * (v - u), t, x, return_dict=False)[0]
        if k:
            x[:, :, :k] = known
        return x

    @torch.no_grad()
    def decode(self, z):
        """-> (B, T, H, W, 3) bytes."""
        out = []
        for one in z:
            with torch.autocast("cpu", torch.bfloat16):
                y = self.vae.decode((one * self.std + self.mean)[None]).float()
            out.append(((y[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 3, 0).numpy())
        return np.stack(out)


def sheet(clips, columns=5):
    """One row per clip, evenly spaced frames."""
    pick = np.linspace(0, clips.shape[1] - 1, columns).round().astype(int)
    return np.concatenate([np.concatenate([c[i] for i in pick], 1) for c in clips], 0)


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--model", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--prompts")
    a.add_argument("--size", default="128x80")
    a.add_argument("--frames", type=int, default=33)
    a.add_argument("--steps", type=int, default=20)
    a.add_argument("--cfg", type=float, default=4.0)
    a.add_argument("--shift", type=float)
    a.add_argument("--seed", type=int, default=1)
    o = a.parse_args()
    w, h = map(int, o.size.split("x"))
    prompts = open(o.prompts).read().splitlines() if o.prompts else PROMPTS
    m = Model(o.model)
    z = m.latents(prompts, w, h, o.frames, o.steps, o.cfg, o.shift or m.scheduler["flow_shift"], o.seed)
    Image.fromarray(sheet(m.decode(z))).save(o.out)


if __name__ == "__main__":
    main()
