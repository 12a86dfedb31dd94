"""The video autoencoder: AutoencoderKLWan (is_residual layout) as whole-sequence tensors.

Tensor names and numbers equal diffusers' class; the difference is that diffusers walks a clip
in chunks with a feature cache, while this module treats the clip as one tensor (B, C, T, H, W),
which is what makes it fast enough to train on a CPU. test_layout.py holds both to each other.
Input and output are RGB in [-1, 1]; T must be 4n+1 for two temporal halvings.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

import fused


class Conv(nn.Conv3d):
    """A 3-D convolution that sees the past only: all temporal padding is in front."""

    def __init__(self, cin, cout, kernel=3):
        kt, kh, kw = (kernel,) * 3 if isinstance(kernel, int) else kernel
        super().__init__(cin, cout, (kt, kh, kw), padding=(0, kh // 2, kw // 2))
        self.front = kt - 1

    def forward(self, x, has_front=False):
        if self.front and x.shape[2] == 1:
            return F.conv3d(x, self.weight[:, :, -1:], self.bias, padding=self.padding)
        if self.front and not has_front:
            x = F.pad(x, (0, 0, 0, 0, self.front, 0))
        return super().forward(x)


class Norm(nn.Module):
    """RMS norm over channels, per pixel. images=True keeps the (C, 1, 1) shape of the attention norm."""

    def __init__(self, dim, images=False):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim, 1, 1) if images else torch.ones(dim, 1, 1, 1))
        self.scale = dim ** 0.5

    def forward(self, x):
        inv = torch.rsqrt(x.float().square().sum(1, keepdim=True).clamp_min(1e-24))
        return (x * (inv * self.scale) * self.gamma).to(x.dtype)


def norm_silu_conv(norm, conv, x):
    if not fused.on(x):
        return conv(F.silu(norm(x)))
    front = conv.front if x.shape[2] > 1 else 0
    return conv(fused.norm_silu(x, norm.gamma, front), has_front=front > 0)


class Res(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.norm1, self.conv1 = Norm(cin), Conv(cin, cout)
        self.norm2, self.conv2 = Norm(cout), Conv(cout, cout)
        self.conv_shortcut = Conv(cin, cout, 1) if cin != cout else None
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x):
        h = norm_silu_conv(self.norm1, self.conv1, x)
        h = norm_silu_conv(self.norm2, self.conv2, h)
        return h + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Attention(nn.Module):
    """One head over the pixels of each frame by itself."""

    def __init__(self, dim):
        super().__init__()
        self.norm = Norm(dim, images=True)
        self.to_qkv, self.proj = nn.Conv2d(dim, 3 * dim, 1), nn.Conv2d(dim, dim, 1)
        nn.init.zeros_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)

    def forward(self, x):
        b, c, t, h, w = x.shape
        y = x.transpose(1, 2).reshape(b * t, c, h, w)
        q, k, v = self.to_qkv(self.norm(y)).flatten(2).transpose(1, 2).chunk(3, -1)
        y = F.scaled_dot_product_attention(q, k, v)
        y = self.proj(y.transpose(1, 2).reshape(b * t, c, h, w))
        return x + y.view(b, t, c, h, w).transpose(1, 2)


class Mid(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.resnets = nn.ModuleList([Res(dim, dim), Res(dim, dim)])
        self.attentions = nn.ModuleList([Attention(dim)])

    def forward(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


def per_frame(x, fn):
    b, c, t, h, w = x.shape
    y = fn(x.transpose(1, 2).reshape(b * t, c, h, w))
    return y.view(b, t, *y.shape[1:]).transpose(1, 2)


class Down(nn.Module):
    """Halves space, and time too if asked: the first frame stays alone, then pairs."""

    def __init__(self, dim, temporal):
        super().__init__()
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(dim, dim, 3, 2))
        self.time_conv = nn.Conv3d(dim, dim, (3, 1, 1), (2, 1, 1)) if temporal else None

    def forward(self, x):
        x = per_frame(x, self.resample)
        if self.time_conv is None or x.shape[2] < 3:
            return x
        return torch.cat([x[:, :, :1], self.time_conv(x)], 2)


class Up(nn.Module):
    """Doubles space, and every frame but the first becomes two if asked."""

    def __init__(self, dim, temporal):
        super().__init__()
        self.resample = nn.Sequential(nn.Identity(), nn.Conv2d(dim, dim, 3, padding=1))
        self.time_conv = Conv(dim, 2 * dim, (3, 1, 1)) if temporal else None

    def forward(self, x):
        if self.time_conv is not None and x.shape[2] > 1:
            y = self.time_conv(x[:, :, 1:])
            early, late = y.chunk(2, 1)
            y = torch.stack([early, late], 3).flatten(2, 3)
            x = torch.cat([x[:, :, :1], y], 2)
        return per_frame(x, lambda f: self.resample(F.interpolate(f, scale_factor=2.0, mode="nearest")))


def avg_down(x, cout, ft, fs):
    """The parameter-free shortcut of a down block: space-time to channels, then group means."""
    if ft > 1:
        x = F.pad(x, (0, 0, 0, 0, (-x.shape[2]) % ft, 0))
    b, c, t, h, w = x.shape
    x = x.reshape(b, c, t // ft, ft, h // fs, fs, w // fs, fs).permute(0, 1, 3, 5, 7, 2, 4, 6)
    return x.reshape(b, cout, -1, t // ft, h // fs, w // fs).mean(2)


def dup_up(x, cout, ft, fs):
    """Its inverse shape: repeat channels, then channels to space-time; frame 0 stays one frame."""
    b, c, t, h, w = x.shape
    x = x.repeat_interleave(cout * ft * fs * fs // c, 1).view(b, cout, ft, fs, fs, t, h, w)
    x = x.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(b, cout, t * ft, h * fs, w * fs)
    return x[:, :, ft - 1:]


class DownBlock(nn.Module):
    def __init__(self, cin, cout, nres, temporal, down):
        super().__init__()
        self.resnets = nn.ModuleList([Res(cin if i == 0 else cout, cout) for i in range(nres)])
        self.downsampler = Down(cout, temporal) if down else None
        self.how = (cout, 2 if temporal else 1, 2 if down else 1)

    def forward(self, x):
        short = avg_down(x, *self.how)
        for r in self.resnets:
            x = r(x)
        return (x if self.downsampler is None else self.downsampler(x)) + short


class UpBlock(nn.Module):
    def __init__(self, cin, cout, nres, temporal, up):
        super().__init__()
        self.resnets = nn.ModuleList([Res(cin if i == 0 else cout, cout) for i in range(nres + 1)])
        self.upsampler = Up(cout, temporal) if up else None
        self.how = (cout, 2 if temporal else 1, 2)

    def forward(self, x):
        short = None if self.upsampler is None else dup_up(x, *self.how)
        for r in self.resnets:
            x = r(x)
        return x if short is None else self.upsampler(x) + short


class Encoder(nn.Module):
    def __init__(self, cin, base, z, mult, nres, temporal):
        super().__init__()
        dims, last = [base * m for m in [1] + mult], len(mult) - 1
        self.conv_in = Conv(cin, dims[0])
        self.down_blocks = nn.ModuleList([
            DownBlock(dims[i], dims[i + 1], nres, i < last and temporal[i], i < last) for i in range(last + 1)])
        self.mid_block, self.norm_out, self.conv_out = Mid(dims[-1]), Norm(dims[-1]), Conv(dims[-1], z)

    def forward(self, x):
        x = self.conv_in(x)
        for b in self.down_blocks:
            x = b(x)
        return norm_silu_conv(self.norm_out, self.conv_out, self.mid_block(x))


class Decoder(nn.Module):
    def __init__(self, z, base, cout, mult, nres, temporal):
        super().__init__()
        dims, last = [base * m for m in [mult[-1]] + mult[::-1]], len(mult) - 1
        self.conv_in, self.mid_block = Conv(z, dims[0]), Mid(dims[0])
        self.up_blocks = nn.ModuleList([
            UpBlock(dims[i], dims[i + 1], nres, i < last and temporal[i], i < last) for i in range(last + 1)])
        self.norm_out, self.conv_out = Norm(dims[-1]), Conv(dims[-1], cout)

    def forward(self, x):
        x = self.mid_block(self.conv_in(x))
        for b in self.up_blocks:
            x = b(x)
        return norm_silu_conv(self.norm_out, self.conv_out, x)


def patchify(x, p):
    b, c, t, h, w = x.shape
    x = x.reshape(b, c, t, h // p, p, w // p, p).permute(0, 1, 6, 4, 2, 3, 5)
    return x.reshape(b, c * p * p, t, h // p, w // p)


def unpatchify(x, p):
    b, c, t, h, w = x.shape
    x = x.reshape(b, c // (p * p), p, p, t, h, w).permute(0, 1, 4, 5, 3, 6, 2)
    return x.reshape(b, c // (p * p), t, h * p, w * p)


class VAE(nn.Module):
    """cfg is vae/config.json as diffusers writes it."""

    def __init__(self, cfg):
        super().__init__()
        self.patch, z, mult, nres = cfg["patch_size"], cfg["z_dim"], cfg["dim_mult"], cfg["num_res_blocks"]
        temporal = cfg["temperal_downsample"]
        self.encoder = Encoder(cfg["in_channels"], cfg["base_dim"], 2 * z, mult, nres, temporal)
        self.quant_conv, self.post_quant_conv = Conv(2 * z, 2 * z, 1), Conv(z, z, 1)
        self.decoder = Decoder(z, cfg["decoder_base_dim"], cfg["out_channels"], mult, nres, temporal[::-1])

    def encode(self, x):
        """-> mean, log variance, each (B, z, L, h, w); not normalised."""
        return self.quant_conv(self.encoder(patchify(x, self.patch))).chunk(2, 1)

    def decode(self, z):
        return unpatchify(self.decoder(self.post_quant_conv(z)), self.patch)
