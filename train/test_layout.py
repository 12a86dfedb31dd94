"""The exported folder against diffusers' and transformers' own classes: same weights, same numbers.

    python -m pytest train/test_layout.py            (MODEL=folder, default models/tiny)
"""
import os
import sys

import numpy as np
import pytest
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors.torch import load_file
from transformers import AutoTokenizer, UMT5EncoderModel

from common import orthogonal
from dit import DiT
from text import CONFIG as TEXT_CONFIG, TEXT_ROWS, TextEncoder, buckets
from tokens import Tokens
from train_dit import draw_levels
from vae import VAE

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.environ.get("MODEL", os.path.join(HERE, "..", "models", "tiny"))
PROMPTS = ["a red ball bounces in the snow", "一只柯基犬在雪地里奔跑", "", "Tokyo ☔, ｆｕｌｌ　ｗｉｄｔｈ", "two  spaces\n"]


def ours(kind, cls, cfg=None):
    folder = os.path.join(MODEL, kind)
    name = "model.safetensors" if kind == "text_encoder" else "diffusion_pytorch_model.safetensors"
    m = cls(cfg)
    m.load_state_dict({k: v.float() for k, v in load_file(os.path.join(folder, name)).items()})
    m.gelu = "tanh"
    return m.eval()


def theirs(kind, cls):
    return cls.from_pretrained(os.path.join(MODEL, kind), torch_dtype=torch.float32).eval()


@torch.no_grad()
@pytest.mark.parametrize("frames,height,width", [(1, 32, 48), (5, 64, 64), (17, 80, 128)])
def test_vae_of_whole_clips_equals_chunked_diffusers(frames, height, width):
    a, b = theirs("vae", AutoencoderKLWan), None
    b = ours("vae", VAE, dict(a.config))
    x = torch.randn(1, 3, frames, height, width, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    za, zb = a.encode(x).latent_dist.mean, b.encode(x)[0]
    ya, yb = a.decode(za).sample, b.decode(za).clamp(-1, 1)
    assert (za - zb).abs().max() < 1e-4 * za.abs().max().clamp_min(1)
    assert (ya - yb).abs().max() < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("frames,height,width,words", [(1, 2, 3, 4), (5, 5, 8, 20), (9, 6, 6, 90)])
def test_transformer_with_one_padding_row_equals_512_rows(frames, height, width, words):
    a = theirs("transformer", WanTransformer3DModel)
    b = ours("transformer", DiT, dict(a.config))
    g = torch.Generator().manual_seed(2)
    x, t = torch.randn(2, 48, frames, height, width, generator=g), torch.rand(2, frames, generator=g) * 1000
    rows = torch.randn(2, words, 256, generator=g)
    real = torch.ones(2, words, dtype=torch.bool)
    real[1, words // 2:] = False
    rows = rows * real[..., None]
    full = torch.cat([rows, torch.zeros(2, TEXT_ROWS - words, 256)], 1)
    per_token = t[:, :, None].expand(2, frames, height * width).reshape(2, -1)
    ya, yb = a(x, per_token, full).sample, b(x, t, rows, real)
    assert (ya - yb).abs().max() < 1e-4 * ya.abs().max().clamp_min(1)


@torch.no_grad()
def test_text_encoder_equals_transformers_and_pads_with_zeros():
    a, b = theirs("text_encoder", UMT5EncoderModel), ours("text_encoder", TextEncoder, TEXT_CONFIG)
    ids = Tokens(os.path.join(MODEL, "tokenizer", "spiece.model")).batch(PROMPTS + ["a " * 200])
    rows, real = b(ids)
    want = a(ids, real.long()).last_hidden_state
    assert (rows - want * real[..., None]).abs().max() < 1e-4 * want.abs().max()
    assert rows[2, 1:].abs().max() == 0


def test_tokenizer_of_transformers_gives_our_ids():
    a, b = AutoTokenizer.from_pretrained(os.path.join(MODEL, "tokenizer")), Tokens(
        os.path.join(MODEL, "tokenizer", "spiece.model"))
    for p in PROMPTS:
        assert a(" ".join(p.split())).input_ids == b.ids(p), p


def test_relative_buckets_are_the_known_thresholds():
    row = buckets(130)[0]
    assert [int(row[i]) - 16 for i in (1, 7, 8, 11, 12, 16, 23, 32, 46, 64, 91, 129)] == [
        1, 7, 8, 8, 9, 10, 11, 12, 13, 14, 15, 15]


def test_orthogonal_brings_singular_values_near_one():
    g = torch.randn(3, 96, 700, generator=torch.Generator().manual_seed(3))
    for m in (g, g.transpose(1, 2)):
        s = torch.linalg.svdvals(orthogonal(m))
        assert 0.5 < float(s.min()) and float(s.max()) < 1.3


def test_noise_levels_leave_something_to_learn_and_first_frame_tasks_exist():
    rng, first = np.random.default_rng(4), 0
    for _ in range(2000):
        t = draw_levels(rng, 9)
        assert (t > 0).any() and (t <= 1).all()
        first += t[0] == 0 and (t[1:] > 0).all()
    assert first > 150
