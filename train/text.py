"""The text encoder: UMT5EncoderModel, names and numbers as transformers', without its framework.

Only real tokens are computed; the rest of the 512 rows that the transformer sees is zero, and
dit.py treats all those equal rows as one (an exact shortcut).
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT_ROWS = 512  # rows the transformer attends to, as in diffusers' Wan pipelines
CONFIG = {
    "architectures": ["UMT5EncoderModel"], "model_type": "umt5", "vocab_size": 2048, "d_model": 256, "d_kv": 64,
    "d_ff": 512, "num_layers": 3, "num_decoder_layers": 0, "num_heads": 4, "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128, "dropout_rate": 0.0, "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "gated-gelu", "is_encoder_decoder": False, "use_cache": False, "tie_word_embeddings": True,
    "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "dtype": "bfloat16",
}


class RMS(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def buckets(n, total=32, far=128):
    """Bucket of (key - query), [n, n]: exact up to 7, logarithmic up to `far`, one half per sign."""
    d = torch.arange(n)[None, :] - torch.arange(n)[:, None]
    half = total // 2
    a, exact = d.abs(), half // 2
    big = exact + (torch.log(a.clamp_min(1).float() / exact) / math.log(far / exact) * (half - exact)).long()
    return (d > 0).long() * half + torch.where(a < exact, a, big.clamp_max(half - 1))


class SelfAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, inner = c["d_model"], c["num_heads"] * c["d_kv"]
        self.heads = c["num_heads"]
        self.q, self.k, self.v = (nn.Linear(d, inner, bias=False) for _ in range(3))
        self.o = nn.Linear(inner, d, bias=False)
        self.relative_attention_bias = nn.Embedding(c["relative_attention_num_buckets"], c["num_heads"])
        nn.init.normal_(self.q.weight, std=(d * c["d_kv"]) ** -0.5)
        nn.init.normal_(self.relative_attention_bias.weight, std=d ** -0.5)

    def forward(self, x, where, mask):
        b, n, _ = x.shape
        q, k, v = (f(x).view(b, n, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        bias = self.relative_attention_bias(where).permute(2, 0, 1)[None] + mask
        a = torch.softmax((q @ k.transpose(-1, -2)).float() + bias, -1).to(v.dtype) @ v
        return self.o(a.transpose(1, 2).reshape(b, n, -1))


class Dense(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.wi_0, self.wi_1 = (nn.Linear(c["d_model"], c["d_ff"], bias=False) for _ in range(2))
        self.wo = nn.Linear(c["d_ff"], c["d_model"], bias=False)

    def forward(self, x, gelu):
        return self.wo(F.gelu(self.wi_0(x), approximate=gelu) * self.wi_1(x))


class Layer(nn.Module):
    """One of the two sub-layers of a block; `kind` names its module as transformers does."""

    def __init__(self, c, kind, module):
        super().__init__()
        self.kind = kind
        self.layer_norm = RMS(c["d_model"], c["layer_norm_epsilon"])
        setattr(self, kind, module)

    def forward(self, x, *how):
        return x + getattr(self, self.kind)(self.layer_norm(x), *how)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layer = nn.ModuleList([Layer(c, "SelfAttention", SelfAttention(c)), Layer(c, "DenseReluDense", Dense(c))])


class Stack(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.block = nn.ModuleList([Block(c) for _ in range(c["num_layers"])])
        self.final_layer_norm = RMS(c["d_model"], c["layer_norm_epsilon"])


class TextEncoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.shared = nn.Embedding(c["vocab_size"], c["d_model"])
        self.encoder = Stack(c)
        self.gelu = "none"  # erf while training, it is much the faster one on CPUs; "tanh" is the final form

    def forward(self, ids):
        """ids [B, n], 0 = padding -> rows [B, n, d] with zeros where padded, and the mask of real ones."""
        real = ids != 0
        mask = torch.zeros(ids.shape).masked_fill(~real, -1e4)[:, None, None, :].to(ids.device)
        where = buckets(ids.shape[1]).to(ids.device)
        x = self.shared(ids)
        for b in self.encoder.block:
            x = b.layer[1](b.layer[0](x, where, mask), self.gelu)
        return self.encoder.final_layer_norm(x) * real[..., None], real
