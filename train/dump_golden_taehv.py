"""Writes tests/golden/taehv*/: mini tiny autoencoders with random weights and what they make of fixed latents and
frames.

    python train/dump_golden_taehv.py            (from the root of the tree)

The classes here say in our words what TAEHV is (madebyollin/taehv: taew2_1, taew2_2, taew2_2_super), with the same
tensor names and smaller widths; at full width their counts of parameters are those of the published files, which
the script checks. Weights are rounded to bf16 before they are used and stored so. io.safetensors, f32, channels last:
    z       [3,h,w,z]     latents to decode           frames_every7 [n]   every 7th value of [9,H,W,3], in 0..1
    latent  [2,h,w,z]     of the 8 frames that pixels() makes
"""
import os

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

H, W = 32, 48


def conv3(n_in, n_out, **more):
    return nn.Conv2d(n_in, n_out, 3, padding=1, **more)


class Bound(nn.Module):
    def forward(self, x):
        return 3 * torch.tanh(x / 3)


class Block(nn.Module):
    """Three convolutions over a frame and the one before, around a shortcut."""

    def __init__(self, n):
        super().__init__()
        self.conv = nn.Sequential(conv3(2 * n, n), nn.ReLU(), conv3(n, n), nn.ReLU(), conv3(n, n))

    def forward(self, x, before):
        return torch.relu(self.conv(torch.cat((x, before), 1)) + x)


class SuperBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(2 * n, 2 * n, 7, padding=3, groups=2 * n, bias=False),
                                  nn.Conv2d(2 * n, 4 * n, 1), nn.ReLU(), nn.Conv2d(4 * n, n, 1, bias=False))

    def forward(self, x, before):
        return self.conv(torch.cat((x, before), 1)) + x


class Pool(nn.Module):
    def __init__(self, n, frames):
        super().__init__()
        self.frames, self.conv = frames, nn.Conv2d(n * frames, n, 1, bias=False)

    def forward(self, x):
        return self.conv(x.reshape(x.shape[0] // self.frames, -1, *x.shape[2:]))


class Grow(nn.Module):
    def __init__(self, n, frames):
        super().__init__()
        self.n, self.conv = n, nn.Conv2d(n, n * frames, 1, bias=False)

    def forward(self, x):
        y = self.conv(x)
        return y.reshape(-1, self.n, *y.shape[2:])


class Tiny(nn.Module):
    def __init__(self, z, patch, widths, encoder_width, is_super):
        super().__init__()
        self.patch, pixels, e = patch, 3 * patch**2, encoder_width
        layers = [conv3(pixels, e), nn.ReLU()]
        for frames in (2, 2, 1):
            layers += [Pool(e, frames), conv3(e, e, stride=2, bias=False), Block(e), Block(e), Block(e)]
        self.encoder = nn.Sequential(*layers, conv3(e, z))
        if is_super:
            layers = [nn.Conv2d(z, widths[0], 1, bias=False)]
            for a, b, frames in zip(widths, widths[1:], (1, 2, 2)):
                layers += [SuperBlock(a), SuperBlock(a), SuperBlock(a), conv3(a, 4 * b), nn.ReLU(), nn.PixelShuffle(2),
                           Grow(b, frames)]
        else:
            layers = [Bound(), conv3(z, widths[0]), nn.ReLU()]
            for a, b, frames in zip(widths, widths[1:], (1, 2, 2)):
                layers += [Block(a), Block(a), Block(a), nn.Upsample(scale_factor=2), Grow(a, frames), conv3(a, b, bias=False)]
            layers += [nn.ReLU()]
        self.decoder = nn.Sequential(*layers, conv3(widths[-1], pixels))

    @staticmethod
    def run(net, x):
        for layer in net:
            if isinstance(layer, (Block, SuperBlock)):
                x = layer(x, torch.cat((torch.zeros_like(x[:1]), x[:-1])))
            else:
                x = layer(x)
        return x

    def encode(self, x):
        return self.run(self.encoder, F.pixel_unshuffle(x, self.patch))

    def decode(self, z):
        return F.pixel_shuffle(self.run(self.decoder, z), self.patch)[3:]


FULL = {"taew2_1": (16, 1, (256, 128, 64, 64), 64, False), "taew2_2": (48, 2, (256, 128, 64, 64), 64, False),
        "taew2_2_super": (48, 2, (512, 256, 128, 64), 64, True)}
COUNTS = {"taew2_1": (1470928, 9844611), "taew2_2": (1494576, 9923532), "taew2_2_super": (1494576, 18993420)}
MINI = {"taew2_1": (5, 1, (12, 10, 6, 5), 6, False), "taew2_2": (6, 2, (12, 8, 6, 6), 5, False),
        "taew2_2_super": (6, 2, (10, 8, 6, 5), 5, True)}


def pixels(frames):
    """[T,3,H,W] in 0..1: a pattern of integers that C makes too."""
    t, y, x, c = torch.meshgrid(*(torch.arange(n) for n in (frames, H, W, 3)), indexing="ij")
    v = (t * 37 + y * 13 + x * 29 + c * 53 + ((t + 2) * (y + 3) * (x + 5)) % 101) % 256
    return (v.float() / 255).permute(0, 3, 1, 2)


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=g)
        scale = 0.1 if name.endswith("bias") else (p[0].numel() ** -0.5)
        p.data.copy_((noise * scale).bfloat16().float())


def main():
    count = lambda m: sum(p.numel() for p in m.parameters())
    last = lambda v: v.permute(0, 2, 3, 1).contiguous()
    for i, name in enumerate(FULL):
        full = Tiny(*FULL[name])
        assert (count(full.encoder), count(full.decoder)) == COUNTS[name], name
        model = Tiny(*MINI[name]).eval()
        randomise(model, 300 + i)
        scale = 8 * model.patch
        z = torch.randn(3, MINI[name][0], H // scale, W // scale, generator=torch.Generator().manual_seed(400 + i)) * 1.5
        folder = os.path.join("tests/golden", name.replace("taew", "taehv"))
        os.makedirs(folder, exist_ok=True)
        weights = {k: v.bfloat16() for k, v in model.state_dict().items()}
        save_file(weights, os.path.join(folder, "diffusion_pytorch_model.safetensors"))
        frames, latent = model.decode(z), model.encode(pixels(8))
        print(name, len(weights), "tensors, frames", tuple(frames.shape), f"sd {frames.std():.3f}, latent sd {latent.std():.3f}")
        save_file({"z": last(z), "frames_every7": last(frames).flatten()[::7].clone(), "latent": last(latent)}, os.path.join(folder, "io.safetensors"))


if __name__ == "__main__":
    with torch.no_grad():
        main()
