"""Writes tests/golden/dit_*: mini WanTransformer3DModel folders with random weights and what the diffusers
class makes of fixed inputs, and tests/golden/sampling: positions, timesteps, schedules, trajectories.

    python train/dump_golden.py                (from the root of the tree)

Weights are rounded to bf16 before they are used and stored so. All else is f32, channels last.
dit_*/io.safetensors:
    latent [F,h,w,C], rows [n,text_dim] (the model gets them with zero rows up to 512)
    out_T  velocity [F,h,w,C] at timestep T for all tokens
    times [N], out_tokens: one timestep per token
    free [F,h,w,C]: 4 UniPC steps from `latent` with frame 0 known (TI2V: timestep 0, put back every step)
sampling/io.safetensors:
    rope_D [3*2*4, D] cos,sin by turns      time_T [256]
    sigma_*, t_* schedules                  path_* [steps+1, n] trajectories under velocity()
Tolerances stand in tests/parity/test_dit_golden.c and test_sampling_golden.c.
"""
import json
import os

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanTransformer3DModel
from diffusers.models.embeddings import Timesteps
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed
from safetensors.torch import save_file

ROOT = "tests/golden"
TEXT_ROWS = 512
CASES = {
    "dit_cells": dict(patch_size=(1, 1, 1), num_attention_heads=2, attention_head_dim=16, in_channels=5, out_channels=5,
                      text_dim=16, freq_dim=64, ffn_dim=56, num_layers=2, eps=1e-6),
    "dit_patch": dict(patch_size=(1, 2, 2), num_attention_heads=1, attention_head_dim=32, in_channels=4, out_channels=4,
                      text_dim=12, freq_dim=256, ffn_dim=40, num_layers=2, eps=1e-6),
}
SHAPE = (3, 4, 6)  # latent frames, rows, columns
SCHEDULES = {"unipc_3_4": ("unipc", 3.0, 4), "unipc_5_4": ("unipc", 5.0, 4), "unipc_5_50": ("unipc", 5.0, 50),
             "unipc_12_40": ("unipc", 12.0, 40), "unipc_3_10": ("unipc", 3.0, 10), "unipc_3_1": ("unipc", 3.0, 1),
             "euler_5_4": ("euler", 5.0, 4), "euler_3_10": ("euler", 3.0, 10), "euler_1_7": ("euler", 1.0, 7)}
PATH_VALUES = 16
LATE_START = 3  # a path that begins in the middle of unipc_3_10


def scheduler(kind, shift):
    if kind == "euler":
        return FlowMatchEulerDiscreteScheduler(shift=shift)
    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift)


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=g)
        if "norm" in name and name.endswith("weight"):
            value = 1 + 0.2 * noise
        elif name.endswith("bias") or "scale_shift_table" in name:
            value = 0.2 * noise
        else:
            value = noise / (p[0].numel() ** 0.5)
        p.copy_(value.bfloat16().float())


def last(x):
    return x[0].permute(1, 2, 3, 0).contiguous()


def image_to_video(model, latent, text):
    """The loop of WanImageToVideoPipeline with expand_timesteps, without guidance."""
    s = scheduler("unipc", 3.0)
    s.set_timesteps(4)
    free = torch.ones(1, 1, *SHAPE)
    free[:, :, 0] = 0
    known, x = latent.clone(), latent.clone()
    patch = model.config.patch_size
    for t in s.timesteps:
        x_in = (1 - free) * known + free * x
        per_token = (free[0, 0, :, ::patch[1], ::patch[2]] * t).flatten()[None]
        v = model(x_in, timestep=per_token, encoder_hidden_states=text, return_dict=False)[0]
        x = s.step(v, t, x, return_dict=False)[0]
    return (1 - free) * known + free * x


def dump_dit(name, config, seed):
    out = os.path.join(ROOT, name)
    model = WanTransformer3DModel(**config).eval()
    randomise(model, seed)
    g = torch.Generator().manual_seed(seed + 1)
    latent = torch.randn(1, config["in_channels"], *SHAPE, generator=g)
    rows = torch.randn(7, config["text_dim"], generator=g)
    text = torch.cat([rows, torch.zeros(TEXT_ROWS - 7, config["text_dim"])])[None]
    io = {"latent": last(latent), "rows": rows}
    for t in (999, 500, 0):
        v = model(latent, timestep=torch.tensor([t]), encoder_hidden_states=text, return_dict=False)[0]
        io[f"out_{t}"] = last(v)
    n = SHAPE[0] * (SHAPE[1] // config["patch_size"][1]) * (SHAPE[2] // config["patch_size"][2])
    times = torch.tensor([0.0, 250.0, 937.0])[torch.randint(0, 3, (n,), generator=g)]
    v = model(latent, timestep=times[None], encoder_hidden_states=text, return_dict=False)[0]
    io |= {"times": times, "out_tokens": last(v), "free": last(image_to_video(model, latent, text))}
    save_file({k: v.contiguous() for k, v in io.items()}, _made(out, "io.safetensors"))
    model.bfloat16().save_pretrained(out)
    print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters, velocity sd {v.std():.3f}")


def velocity(x, t):
    """What the C test computes too."""
    return 0.7 * x - 0.3 * torch.cos(2 * x) + 0.001 * float(t)


def run_path(s, x, timesteps):
    x = x.view(1, 1, -1)  # the class wants a channel dimension
    path = [x]
    for t in timesteps:
        x = s.step(velocity(x, t), t, x, return_dict=False)[0]
        path.append(x)
    return torch.stack(path).view(len(path), -1)


def dump_sampling():
    io = {}
    for d in (128, 64, 32):
        rope = WanRotaryPosEmbed(d, (1, 1, 1), 1024)
        cos, sin = rope(torch.zeros(1, 1, 3, 2, 4))
        table = torch.stack([cos.reshape(24, d)[:, 0::2], sin.reshape(24, d)[:, 1::2]], -1)
        io[f"rope_{d}"] = table.reshape(24, d).float()
    waves = Timesteps(num_channels=256, flip_sin_to_cos=True, downscale_freq_shift=0)
    for t in (0, 1, 937, 999):
        io[f"time_{t}"] = waves(torch.tensor([t]))[0]
    g = torch.Generator().manual_seed(5)
    noise = torch.randn(PATH_VALUES, generator=g)
    io["noise"] = noise
    for name, (kind, shift, n) in SCHEDULES.items():
        s = scheduler(kind, shift)
        s.set_timesteps(n)
        io[f"sigma_{name}"] = s.sigmas.float()
        io[f"t_{name}"] = s.timesteps.float()
        io[f"path_{name}"] = run_path(s, noise, s.timesteps)
    s = scheduler("unipc", 3.0)
    s.set_timesteps(10)
    s.set_begin_index(LATE_START)
    io["path_late"] = run_path(s, noise, s.timesteps[LATE_START:])
    save_file({k: v.clone().contiguous() for k, v in io.items()}, _made(os.path.join(ROOT, "sampling"), "io.safetensors"))


def _made(folder, name):
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, name)


if __name__ == "__main__":
    with torch.no_grad():
        dump_sampling()
        for i, (name, config) in enumerate(CASES.items()):
            dump_dit(name, config, 100 + 10 * i)
    for name in CASES:
        path = os.path.join(ROOT, name, "config.json")
        with open(path) as f:
            json.load(f)
    for folder, _, files in os.walk(ROOT):
        for name in files:
            os.chmod(os.path.join(folder, name), 0o644)
