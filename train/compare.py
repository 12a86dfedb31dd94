"""Holds the C engine to PyTorch on an exported folder: the same noise, the same words, the same frames.

    python compare.py --model ../models/tiny [--misora ../build/release/misora] [--prompts FILE]

One frame goes through a PNG, which keeps every byte: no value may be further off than --levels of 255, in fp32
on both sides. A clip goes through an mp4 and must reach --psnr. Euler steps at the folder's own noise levels,
or four even ones with its shift.
"""
import argparse
import os
import subprocess
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file

from common import load_json
from dit import DiT
from noise import STREAM_LATENT, normals
from text import TextEncoder
from tokens import Tokens
from vae import VAE

HERE = os.path.dirname(os.path.abspath(__file__))
PROMPTS = ["a red ball bounces in the snow", "a corgi runs on the beach at sunset", "\u4e00\u53ea\u67ef\u57fa\u72ac\u5728\u96ea\u5730\u91cc\u5954\u8dd1"]


class Folder:
    def __init__(self, path):
        def load(kind, cls, name="diffusion_pytorch_model"):
            cfg = load_json(os.path.join(path, kind, "config.json"))
            m = cls(cfg).eval()
            m.load_state_dict({k: v.float() for k, v in load_file(os.path.join(path, kind, name + ".safetensors")).items()})
            m.gelu = "tanh"
            return m, cfg
        self.text, _ = load("text_encoder", TextEncoder, "model")
        self.dit, cfg = load("transformer", DiT)
        self.vae, vae = load("vae", VAE)
        self.mean, self.std = (torch.tensor(vae["latents_" + k]).view(-1, 1, 1, 1) for k in ("mean", "std"))
        self.tokens, self.engine = Tokens(os.path.join(path, "tokenizer", "spiece.model")), cfg["misora"]

    def levels(self):
        shift = self.engine["shift"]
        t = np.linspace(1, 0, 5)[:-1]
        return self.engine.get("sigmas") or [round(float(v), 6) for v in shift * t / (1 + (shift - 1) * t)]

    @torch.no_grad()
    def clip(self, prompt, width, height, frames, seed):
        shape = (frames - 1) // 4 + 1, height // 16, width // 16, len(self.mean)
        x = normals(seed, STREAM_LATENT, int(np.prod(shape))).view(shape).permute(3, 0, 1, 2)[None]
        rows, real = self.text(self.tokens.batch([prompt]))
        levels = [*self.levels(), 0.0]
        for a, b in zip(levels, levels[1:]):
            x = x + (b - a) * self.dit(x, torch.full(x.shape[:1] + x.shape[2:3], a * 1000), rows, real)
        y = self.vae.decode(x * self.std + self.mean)[0]
        return ((y.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 3, 0).numpy()


def from_engine(o, levels, prompt, width, height, frames):
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "out.png" if frames == 1 else "out.mp4")
        subprocess.run([o.misora, "gen", "--model", o.model, "--prompt", prompt, "-o", path, "--size", f"{width}x{height}",
                        "--frames", str(frames), "--seed", str(o.seed), "--guidance", "1", "--solver", "euler", "--sigmas",
                        ",".join(str(v) for v in levels), "--precision", "f32", "--cache", "none"], check=True,
                       stdout=subprocess.DEVNULL)
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True,
                             capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--model", required=True)
    a.add_argument("--misora", default=os.path.join(HERE, "..", "build", "release", "misora"))
    a.add_argument("--prompts", help="one a line")
    a.add_argument("--size", default="96x80")
    a.add_argument("--frames", type=int, default=9)
    a.add_argument("--seed", type=int, default=7)
    a.add_argument("--levels", type=int, default=1)
    a.add_argument("--psnr", type=float, default=30)
    o = a.parse_args()
    folder, (w, h) = Folder(o.model), map(int, o.size.split("x"))
    prompts = open(o.prompts).read().splitlines() if o.prompts else PROMPTS
    bad = 0
    for p in prompts:
        still = from_engine(o, folder.levels(), p, w, h, 1).astype(int) - folder.clip(p, w, h, 1, o.seed)
        clip = from_engine(o, folder.levels(), p, w, h, o.frames).astype(float) - folder.clip(p, w, h, o.frames, o.seed)
        psnr = 10 * np.log10(255 ** 2 / max(np.square(clip).mean(), 1e-9))
        bad += np.abs(still).max() > o.levels or psnr < o.psnr
        print(f"{p}: image off by {np.abs(still).max()} of 255 at most, clip {psnr:.1f} dB through mp4", flush=True)
    if bad:
        raise SystemExit(f"{bad} of {len(prompts)} prompts differ by more than {o.levels} levels or are under {o.psnr} dB")


if __name__ == "__main__":
    main()
