"""Writes tests/golden/mini/vae (2.2 style) and tests/golden/vae21: mini AutoencoderKLWan folders with random weights,
and what the diffusers class makes of a fixed clip and fixed latents.

    python train/dump_golden_vae.py            (from the root of the tree)
    python train/dump_golden_vae.py tiles      only tests/golden/vae_tiles.safetensors, from those folders

Weights are rounded to bf16 before they are used and stored so. io.safetensors, all f32, channels last:
    latent        [5,h,w,z]  normalised latents of the 17-frame clip that pixels() makes
    z             [5,h,w,z]  normalised latents to decode
    frames_every7 [n]        every 7th value of decode(z) [17,H,W,3], clamped
tests/golden/vae_maps.safetensors: what AvgDown3D, DupUp3D and patchify do to numbered volumes of 2 frames,
4 x 6; tensors are named kind_in_out_ft_fs, channels last.

tests/golden/vae_tiles.safetensors: what tiled_decode and tiled_encode make of a tall frame, tiles of 48
rows of pixels, 32 apart, two of them; only the rows that the third tile of diffusers, a sliver, does not touch
(ours has all tiles of one size). mini = 2.2, vae21 = 2.1; tiled_encode of the class is wrong for patches.
    NAME.z [3,h,w,z] to decode, NAME.frames_every7 of decode [9,64,32,3], vae21.latent [3,8,4,z] of encode

The classes are causal, so shorter clips are prefixes of longer ones; the script checks that for 1, 5
and 9 frames and for 1..5 latents before it writes anything. Tolerances stand in
tests/parity/test_vae_golden.c.
"""
import os
import sys

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders import autoencoder_kl_wan as wan
from safetensors.torch import save_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

H, W, FRAMES, LATENTS = 48, 32, 17, 5
CASES = {
    "mini/vae": dict(base_dim=2, decoder_base_dim=3, z_dim=6, dim_mult=[1, 2, 4, 4], num_res_blocks=1,
                  temperal_downsample=[False, True, True], is_residual=True, patch_size=2,
                  in_channels=12, out_channels=12, scale_factor_spatial=16),
    "vae21": dict(base_dim=2, decoder_base_dim=4, z_dim=5, dim_mult=[1, 2, 4, 4], num_res_blocks=1,
                  temperal_downsample=[False, True, True], is_residual=False, patch_size=None,
                  in_channels=3, out_channels=3, scale_factor_spatial=8),
}


def pixels(frames):
    """[1,3,T,H,W] in -1..1: a pattern of integers that C makes too."""
    t, y, x, c = torch.meshgrid(*(torch.arange(n) for n in (frames, H, W, 3)), indexing="ij")
    v = (t * 37 + y * 13 + x * 29 + c * 53 + ((t + 2) * (y + 3) * (x + 5)) % 101) % 256
    return (v.float() / 127.5 - 1).permute(3, 0, 1, 2)[None]


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=g)
            if name.endswith("gamma"):
                value = 1 + 0.2 * noise
            elif name.endswith("bias"):
                value = 0.1 * noise
            else:
                value = noise / (p[0].numel() ** 0.5)
            p.copy_(value.bfloat16().float())


def encode(vae, x, mean, std):
    mu = vae.encode(x).latent_dist.mode()
    return (mu - mean) / std


def decode(vae, z, mean, std):
    return vae.decode(z * std + mean).sample


def check_prefixes(vae, mean, std, latent, z, frames):
    for n in (1, 5, 9):
        got = encode(vae, pixels(n), mean, std)
        assert (got - latent[:, :, : got.shape[2]]).abs().max() < 1e-5, n
    for n in range(1, LATENTS):
        got = decode(vae, z[:, :, :n], mean, std)
        assert (got - frames[:, :, : got.shape[2]]).abs().max() < 1e-5, n


def check_whole(name, config, vae, mean, std, latent, z, frames):
    """The whole-sequence model that we train must agree with the chunked class."""
    if not config["is_residual"]:
        return
    import vae as ours
    whole = ours.VAE(vae.config).eval()
    whole.load_state_dict(vae.state_dict())
    a = (whole.encode(pixels(FRAMES))[0] - mean) / std
    b = whole.decode(z * std + mean).clamp(-1, 1)
    print(f"{name}: whole sequence against chunks: encode {(a - latent).abs().max():.2e}, "
          f"decode {(b - frames).abs().max():.2e}")
    assert (a - latent).abs().max() < 1e-4 and (b - frames).abs().max() < 1e-4


def dump(name, config, seed, root):
    z_dim = config["z_dim"]
    g = torch.Generator().manual_seed(seed)
    mean, std = torch.randn(z_dim, generator=g) * 0.3, torch.rand(z_dim, generator=g) + 0.5
    config = dict(config, latents_mean=mean.tolist(), latents_std=std.tolist())
    vae = AutoencoderKLWan(**config).eval()
    randomise(vae, seed + 1)
    mean, std = mean.view(1, -1, 1, 1, 1), std.view(1, -1, 1, 1, 1)
    scale = config["scale_factor_spatial"]
    z = torch.randn(1, z_dim, LATENTS, H // scale, W // scale, generator=g)
    latent, frames = encode(vae, pixels(FRAMES), mean, std), decode(vae, z, mean, std)
    print(f"{name}: {sum(p.numel() for p in vae.parameters())} parameters, latent sd {latent.std():.3f}, "
          f"frames sd {frames.std():.3f}, at the clamp {(frames.abs() == 1).float().mean():.3f}")
    check_prefixes(vae, mean, std, latent, z, frames)
    check_whole(name, config, vae, mean, std, latent, z, frames)
    folder = os.path.join(root, name)
    vae.bfloat16().save_pretrained(folder)
    last = lambda v: v[0].permute(1, 2, 3, 0).contiguous()
    save_file({"latent": last(latent), "z": last(z), "frames_every7": last(frames).flatten()[::7].clone()},
              os.path.join(folder, "io.safetensors"))


def numbered(channels, frames=2):
    n = channels * frames * 24
    return (torch.arange(n, dtype=torch.float32) % 251).view(frames, 4, 6, channels).permute(3, 0, 1, 2)[None]


def dump_maps():
    last = lambda v: v[0].permute(1, 2, 3, 0).contiguous()
    out = {}
    for cin, cout, ft, fs in ((4, 8, 2, 2), (4, 4, 2, 2), (6, 6, 1, 1), (8, 4, 1, 2), (3, 6, 2, 1)):
        out[f"down_{cin}_{cout}_{ft}_{fs}"] = last(wan.AvgDown3D(cin, cout, ft, fs)(numbered(cin)))
        out[f"down1_{cin}_{cout}_{ft}_{fs}"] = last(wan.AvgDown3D(cin, cout, ft, fs)(numbered(cin, 1)))
    for cin, cout, ft, fs in ((4, 4, 2, 2), (8, 4, 2, 2), (8, 2, 1, 2), (4, 8, 2, 1), (6, 3, 2, 2)):
        out[f"up_{cin}_{cout}_{ft}_{fs}"] = last(wan.DupUp3D(cin, cout, ft, fs)(numbered(cin)))
        out[f"up1_{cin}_{cout}_{ft}_{fs}"] = last(wan.DupUp3D(cin, cout, ft, fs)(numbered(cin), first_chunk=True))
    out["patch_3_12_1_2"] = last(wan.patchify(numbered(3), 2))
    out["unpatch_12_3_1_2"] = last(wan.unpatchify(numbered(12), 2))
    save_file(out, "tests/golden/vae_maps.safetensors")


def tall_pixels(frames):
    """[1,3,T,80,32]: the pattern of pixels() over more rows."""
    t, y, x, c = torch.meshgrid(*(torch.arange(n) for n in (frames, 80, W, 3)), indexing="ij")
    v = (t * 37 + y * 13 + x * 29 + c * 53 + ((t + 2) * (y + 3) * (x + 5)) % 101) % 256
    return (v.float() / 127.5 - 1).permute(3, 0, 1, 2)[None]


def dump_tiles(root):
    out = {}
    last = lambda v: v[0].permute(1, 2, 3, 0).contiguous()
    for seed, name in enumerate(CASES):
        vae = AutoencoderKLWan.from_pretrained(os.path.join(root, name), torch_dtype=torch.float32).eval()
        vae.enable_tiling(48, 48, 32, 32)
        c = vae.config
        mean = torch.tensor(c.latents_mean).view(1, -1, 1, 1, 1)
        std = torch.tensor(c.latents_std).view(1, -1, 1, 1, 1)
        g = torch.Generator().manual_seed(7 + seed)
        z = torch.randn(1, c.z_dim, 3, 80 // c.scale_factor_spatial, W // c.scale_factor_spatial, generator=g)
        frames = vae.tiled_decode(z * std + mean).sample
        key = name.split("/")[0]
        out[key + ".z"] = last(z)
        out[key + ".frames_every7"] = last(frames[:, :, :, :64]).flatten()[::7].clone()
        if not c.is_residual:
            mu = vae.tiled_encode(tall_pixels(9))[:, : c.z_dim]
            out[key + ".latent"] = last(((mu - mean) / std)[:, :, :, :8])
    save_file(out, os.path.join(root, "vae_tiles.safetensors"))
    print({k: tuple(v.shape) for k, v in out.items()})


if __name__ == "__main__":
    torch.manual_seed(0)
    if sys.argv[1:] == ["tiles"]:
        with torch.no_grad():
            dump_tiles("tests/golden")
        sys.exit()
    with torch.no_grad():
        dump_maps()
        for i, (case, settings) in enumerate(CASES.items()):
            dump(case, settings, 100 + 10 * i, "tests/golden")
        dump_tiles("tests/golden")
