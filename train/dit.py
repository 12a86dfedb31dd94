"""The video transformer: WanTransformer3DModel, names and numbers as diffusers', made for training.

Time steps are given per latent frame (B, L), 0..1000, and expanded to tokens. Text rows that are
padding are all equal after the text embedder, so they are attended to as one row whose logit
carries log(number of padding rows): exactly what 512 zero-padded rows do.
"""
import functools
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

import fused
from text import TEXT_ROWS

CONFIG = {
    "_class_name": "WanTransformer3DModel", "patch_size": [1, 1, 1], "num_attention_heads": 3,
    "attention_head_dim": 64, "in_channels": 48, "out_channels": 48, "text_dim": 256, "freq_dim": 256,
    "ffn_dim": 768, "num_layers": 8, "cross_attn_norm": True, "qk_norm": "rms_norm_across_heads", "eps": 1e-6,
    "image_dim": None, "added_kv_proj_dim": None, "rope_max_seq_len": 1024, "pos_embed_seq_len": None,
}


class RMS(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        y = x.float()
        return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)


@functools.lru_cache(64)
def rope_table(frames, height, width, head_dim, device="cpu"):
    """cos and sin [tokens, head_dim / 2]: time, then rows, then columns; each axis restarts at 1."""
    side = 2 * (head_dim // 6)
    def axis(n, dim):
        w = 1.0 / 10000.0 ** (torch.arange(0, dim, 2, dtype=torch.float64) / dim)
        return torch.outer(torch.arange(n, dtype=torch.float64), w)
    shape = (frames, height, width, -1)
    a = torch.cat([axis(frames, head_dim - 2 * side)[:, None, None].expand(shape),
                   axis(height, side)[None, :, None].expand(shape), axis(width, side)[None, None].expand(shape)], -1)
    a = a.reshape(frames * height * width, -1)
    return a.cos().float().to(device), a.sin().float().to(device)


def rotate(x, cos, sin):
    """Interleaved pairs; x [B, N, heads, head_dim], cos and sin [N, head_dim / 2]."""
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    c, s = cos[:, None], sin[:, None]
    return torch.stack([a * c - b * s, a * s + b * c], -1).flatten(-2).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, dim, heads, eps):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])
        self.norm_q, self.norm_k = RMS(dim, eps), RMS(dim, eps)

    def forward(self, x, context=None, rope=None, mask=None):
        y = x if context is None else context
        q, k = self.norm_q(self.to_q(x)), self.norm_k(self.to_k(y))
        q, k, v = (t.unflatten(-1, (self.heads, -1)) for t in (q, k, self.to_v(y)))
        if rope is not None:
            q, k = rotate(q, *rope), rotate(k, *rope)
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        if q.device.type != "cpu":
            a = F.scaled_dot_product_attention(q, k, v.to(q.dtype), None if mask is None else mask.to(q.dtype))
            return self.to_out[0](a.transpose(1, 2).flatten(2))
        # Written out: on CPUs this trains 1.8 times as fast as the fused attention (RUNS.md).
        a = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        a = torch.softmax(a if mask is None else a + mask, -1).to(v.dtype)
        return self.to_out[0]((a @ v).transpose(1, 2).flatten(2))


class Gelu(nn.Module):
    def __init__(self, dim, inner):
        super().__init__()
        self.proj = nn.Linear(dim, inner)

    def forward(self, x, gelu):
        return F.gelu(self.proj(x), approximate=gelu)


class FeedForward(nn.Module):
    def __init__(self, dim, inner):
        super().__init__()
        self.net = nn.ModuleList([Gelu(dim, inner), nn.Identity(), nn.Linear(inner, dim)])

    def forward(self, x, gelu):
        return self.net[2](self.net[0](x, gelu))


def modulate(x, shift, scale, eps):
    """LayerNorm without weights, then scale and shift per latent frame; x [B, L * hw, d]."""
    b, n, d = x.shape
    y = F.layer_norm(x, (d,), eps=eps).view(b, shift.shape[1], -1, d)
    return (y * (1 + scale[:, :, None]) + shift[:, :, None]).view(b, n, d)


def gated(x, y, gate):
    b, n, d = x.shape
    return x + (y.float().view(b, gate.shape[1], -1, d) * gate[:, :, None]).view(b, n, d)


class Block(nn.Module):
    def __init__(self, dim, inner, heads, eps):
        super().__init__()
        self.eps = eps
        self.attn1, self.attn2 = Attention(dim, heads, eps), Attention(dim, heads, eps)
        self.norm2 = nn.LayerNorm(dim, eps)
        self.ffn = FeedForward(dim, inner)
        self.scale_shift_table = nn.Parameter(torch.zeros(1, 6, dim))

    def forward(self, x, text, mask, mod, cos, sin, gelu):
        if fused.on(x):
            return fused.block(self, x, text, mask, mod, cos, sin)
        m = (mod + self.scale_shift_table).unbind(2)
        x = gated(x, self.attn1(modulate(x, m[0], m[1], self.eps), rope=(cos, sin)), m[2])
        x = x + self.attn2(self.norm2(x), context=text, mask=mask).float()
        return gated(x, self.ffn(modulate(x, m[3], m[4], self.eps), gelu), m[5])


class Embedder(nn.Module):
    def __init__(self, c, dim):
        super().__init__()
        self.time_embedder = nn.ModuleDict({"linear_1": nn.Linear(c["freq_dim"], dim), "linear_2": nn.Linear(dim, dim)})
        self.time_proj = nn.Linear(dim, 6 * dim)
        self.text_embedder = nn.ModuleDict({"linear_1": nn.Linear(c["text_dim"], dim), "linear_2": nn.Linear(dim, dim)})
        self.half = c["freq_dim"] // 2

    def time(self, t):
        """t [B, L] -> embedding [B, L, d] and its six modulation rows [B, L, 6, d], in fp32."""
        w = torch.exp(-math.log(10000.0) * torch.arange(self.half, device=t.device) / self.half)
        a = t.float()[..., None] * w
        e = torch.cat([a.cos(), a.sin()], -1)
        e = self.time_embedder["linear_2"](F.silu(self.time_embedder["linear_1"](e))).float()
        return e, self.time_proj(F.silu(e)).float().unflatten(-1, (6, -1))

    def text(self, rows):
        # Always the tanh form: the rows are few, and the zero rows must be exactly those of inference.
        h = F.gelu(self.text_embedder["linear_1"](rows).float(), approximate="tanh")
        return self.text_embedder["linear_2"](h)


class DiT(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, heads = c["num_attention_heads"] * c["attention_head_dim"], c["num_attention_heads"]
        self.cfg, self.eps, self.head_dim = c, c["eps"], c["attention_head_dim"]
        self.patch_embedding = nn.Conv3d(c["in_channels"], d, 1)
        self.condition_embedder = Embedder(c, d)
        self.blocks = nn.ModuleList([Block(d, c["ffn_dim"], heads, self.eps) for _ in range(c["num_layers"])])
        self.proj_out = nn.Linear(d, c["out_channels"])
        self.scale_shift_table = nn.Parameter(torch.zeros(1, 2, d))
        self.gelu = "none"  # see text.py
        self.start()

    def start(self):
        """Blocks begin near identity with gates of 0.3; the output begins at zero."""
        c, d = self.condition_embedder, self.proj_out.in_features
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)
        nn.init.zeros_(c.time_proj.weight)
        with torch.no_grad():
            c.time_proj.bias.zero_().view(6, d)[[2, 5]] = 0.3

    def forward(self, x, t, rows, real):
        """x [B, z, L, h, w] noisy latents, t [B, L] in 0..1000, text rows and their mask -> velocity."""
        b, z, frames, h, w = x.shape
        text, mask = self.text(rows, real)
        e, mod = self.condition_embedder.time(t)
        y = F.linear(x.flatten(2).transpose(1, 2), self.patch_embedding.weight.flatten(1), self.patch_embedding.bias)
        y, rope = y.float(), rope_table(frames, h, w, self.head_dim, x.device)
        for block in self.blocks:
            y = block(y, text, mask, mod, *rope, self.gelu)
        shift, scale = (e[:, :, None] + self.scale_shift_table).unbind(2)
        y = self.proj_out(modulate(y, shift, scale, self.eps))
        return y.float().transpose(1, 2).reshape(b, z, frames, h, w)

    def text(self, rows, real):
        """Appends the one row that stands for all padding, and gives it its weight."""
        b, n, d = rows.shape
        text = self.condition_embedder.text(torch.cat([rows, rows.new_zeros(b, 1, d)], 1))
        mask = torch.zeros(b, 1, 1, n + 1, device=rows.device)
        mask[..., :n].masked_fill_(~real[:, None, None], -1e4)
        mask[:, 0, 0, n] = torch.log(TEXT_ROWS - real.sum(1).float())
        return text, mask
