"""Goldens of what a run does beside the transformer: tests/golden/tasks/io.safetensors.

    python train/dump_golden_tasks.py          (from the root of the tree)

    noise, fresh [steps,n]     where runs begin; what the re-noising run was given after each step
    path_renoise [steps+1,n]   FlowMatchEulerDiscreteScheduler(stochastic_sampling) over LIST
    sigma_list, t_list, path_list   UniPCMultistepScheduler over LIST
    c, u, zero_star [n], plain [n]  ClassifierFreeZeroStarGuidance and plain guidance at scale 5
    edit [n]                   FlowEdit, written down from its paper in numpy (E_* below)
    cached [4,F,h,w,C]         passes of tests/golden/dit_cells under the first block cache (CACHED below)
The velocity field is that of tests/parity/test_sampling_golden.c. Tolerances stand there.
"""
import os

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanTransformer3DModel
from diffusers.guiders import ClassifierFreeZeroStarGuidance
from diffusers.hooks import FirstBlockCacheConfig, apply_first_block_cache
from safetensors.torch import load_file, save_file

OUT = "tests/golden/tasks/io.safetensors"
N = 16
LIST = [1.0, 0.9375, 0.8333, 0.625]
CACHED = [(1.0, 999), (1.01, 999), (0.5, 400), (0.505, 400)]  # scale of the latent, timestep
E_STEPS, E_MAX, E_SHIFT, E_SOURCE, E_TARGET = 10, 7, 3.0, 1.5, 5.5


def velocity(x, t):
    return (0.7 * x.double() - 0.3 * torch.cos(2 * x.double()) + 0.001 * t).float()


def run(scheduler, noise, **kwargs):
    x = noise.clone().view(1, 1, -1)  # the classes want a channel dimension
    path = [x.clone()]
    for t in scheduler.timesteps:
        x = scheduler.step(velocity(x, float(t)), t, x, **kwargs).prev_sample
        path.append(x.clone())
    return torch.stack(path).view(len(path), -1)


def renoise(noise):
    s = FlowMatchEulerDiscreteScheduler(shift=1.0, stochastic_sampling=True)
    s.set_timesteps(sigmas=np.array(LIST))
    path = run(s, noise, generator=torch.Generator().manual_seed(9))
    g = torch.Generator().manual_seed(9)
    return path, torch.stack([torch.randn(1, 1, N, generator=g).view(-1) for _ in LIST])


def unipc_list(noise):
    s = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0)
    s.set_timesteps(sigmas=np.array(LIST))
    return s, run(s, noise)


def words(x, sigma, k):
    """Two prompts and the empty one, k = 0, 1, 2."""
    return (0.4 + 0.2 * k) * x + np.cos((1 + k) * x) * sigma


def guided(x, sigma, k, scale):
    u = words(x, sigma, 2)
    return u + scale * (words(x, sigma, k) - u)


def flow_edit(x0, fresh):
    b = 1 - (1 - 1 / 1000) * np.arange(E_STEPS) / E_STEPS
    sigma = np.append(E_SHIFT * b / (1 + (E_SHIFT - 1) * b), 0)
    z = x0.copy()
    for i in range(E_STEPS - E_MAX, E_STEPS):
        source = (1 - sigma[i]) * x0 + sigma[i] * fresh[i]
        target = z + source - x0
        z = z + (sigma[i + 1] - sigma[i]) * (guided(target, sigma[i], 1, E_TARGET) - guided(source, sigma[i], 0, E_SOURCE))
    return z


def first_block_cache():
    """Four passes of tests/golden/dit_cells: the second and the fourth are near enough to be skipped."""
    torch.manual_seed(11)
    model = WanTransformer3DModel.from_pretrained("tests/golden/dit_cells", torch_dtype=torch.float32).eval()
    io = load_file("tests/golden/dit_cells/io.safetensors")
    text = torch.cat([io["rows"], torch.zeros(512 - len(io["rows"]), io["rows"].shape[1])])[None]
    apply_first_block_cache(model, FirstBlockCacheConfig(threshold=0.1))
    out, base = [], io["latent"].permute(3, 0, 1, 2)[None]
    for scale, t in CACHED:
        with model.cache_context("words"):
            v = model(base * scale, timestep=torch.tensor([t]), encoder_hidden_states=text, return_dict=False)[0]
        out.append(v[0].permute(1, 2, 3, 0))
    return torch.stack(out)


def main():
    g = torch.Generator().manual_seed(5)
    io = {"noise": torch.randn(N, generator=g)}
    io["path_renoise"], io["fresh"] = renoise(io["noise"])
    s, io["path_list"] = unipc_list(io["noise"])
    io["sigma_list"], io["t_list"] = s.sigmas.float(), s.timesteps.float()
    io["c"], io["u"] = torch.randn(N, generator=g), torch.randn(N, generator=g)
    guide = ClassifierFreeZeroStarGuidance(guidance_scale=5.0, zero_init_steps=0)
    guide.set_state(step=3, num_inference_steps=10, timestep=torch.tensor(500))
    io["zero_star"] = guide.forward(io["c"][None], io["u"][None]).pred[0]
    io["plain"] = io["u"] + 5.0 * (io["c"] - io["u"])
    io["edit_fresh"] = torch.randn(E_STEPS, N, generator=g)
    io["edit"] = torch.from_numpy(flow_edit(io["noise"].double().numpy(), io["edit_fresh"].double().numpy())).float()
    io["cached"] = first_block_cache()
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    save_file({k: v.clone().contiguous() for k, v in io.items()}, OUT)
    os.chmod(OUT, 0o644)


if __name__ == "__main__":
    with torch.no_grad():
        main()
