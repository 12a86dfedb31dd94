"""Folders of make_random.py against the classes that define the formats: names, shapes, types, and that the small
ones run with finite numbers.

    python -m pytest train/test_make_random.py
"""
import json
import os
import struct
import sys

import pytest
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from diffusers import AutoencoderKLWan, WanTransformer3DModel, WanVACETransformer3DModel
from transformers import AutoTokenizer, CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

import make_random as m


def shapes(module):
    return {k: list(v.shape) for k, v in module.state_dict().items()}


def ours(tensors):
    rows = list(tensors)
    assert len({r[0] for r in rows}) == len(rows)
    return {name: shape for name, shape, _, _ in rows}


def dit_class(c):
    return WanVACETransformer3DModel if "vace_layers" in c else WanTransformer3DModel


@pytest.mark.parametrize("name", [n for n in m.MODELS if n != "umt5-xxl"])
def test_every_model_has_the_tensors_of_its_classes(name):
    for model in (m.plan(name), m.plan(name + "-mini")):
        with torch.device("meta"):
            assert ours(m.transformer(model["dit"])) == shapes(dit_class(model["dit"])(**model["dit"]))
            assert ours(m.vae(model["vae"])) == shapes(AutoencoderKLWan(**model["vae"]))
            if "clip" in model:
                want = shapes(CLIPVisionModel(CLIPVisionConfig(**model["clip"])))
                got = ours(m.image_encoder(model["clip"]))
                prefix = "" if next(iter(want)).startswith("vision_model.") else "vision_model."
                assert got == {prefix + k: v for k, v in want.items() if not k.endswith("position_ids")}


@pytest.mark.parametrize("name,kind", [("umt5-xxl", "full"), ("wan2.1-t2v-1.3b", "small"), ("vace-1.3b-mini", "small")])
def test_text_encoders_have_the_tensors_of_umt5(name, kind):
    c = m.text_config(m.plan(name), kind)
    with torch.device("meta"):
        want = shapes(UMT5EncoderModel(UMT5Config(**c)))
    want.pop("encoder.embed_tokens.weight", None)  # the same tensor by a second name
    assert ours(m.text_encoder(c)) == want


def test_known_counts_of_parameters():
    def count(tensors):
        return sum(torch.Size(shape).numel() for _, shape, _, _ in tensors)
    assert count(m.transformer(m.plan("wan2.1-t2v-1.3b")["dit"])) == 1418996800
    assert count(m.transformer(m.plan("wan2.2-ti2v-5b")["dit"])) == 4999787712
    assert count(m.transformer(m.plan("vace-1.3b")["dit"])) == 2153972032
    assert count(m.transformer(m.plan("wan2.1-i2v-14b")["dit"])) == 16394878784
    assert count(m.vae(m.VAE_21)) == 126892531 and count(m.vae(m.VAE_22)) == 704688668
    assert count(m.text_encoder(m.TEXT)) == 5680910336


@torch.no_grad()
@pytest.mark.parametrize("name", ["wan2.1-t2v-1.3b-mini", "vace-1.3b-mini", "wan2.1-flf2v-14b-mini", "wan2.2-ti2v-5b-mini"])
def test_a_small_folder_loads_and_its_numbers_stay_near_one(name, tmp_path, monkeypatch):
    monkeypatch.setattr(m, "SHARD_BYTES", 1 << 20)  # so that there are shards and an index
    m.write_model(name, str(tmp_path))
    c = m.plan(name)["dit"]
    assert os.path.exists(tmp_path / "transformer" / "diffusion_pytorch_model.safetensors.index.json")
    dit = dit_class(c).from_pretrained(tmp_path / "transformer", torch_dtype=torch.float32).eval()
    vae = AutoencoderKLWan.from_pretrained(tmp_path / "vae", torch_dtype=torch.float32).eval()
    text = UMT5EncoderModel.from_pretrained(tmp_path / "text_encoder", torch_dtype=torch.float32).eval()
    words = AutoTokenizer.from_pretrained(tmp_path / "tokenizer")("a red ball", return_tensors="pt")
    rows = text(**words).last_hidden_state
    x = torch.randn(1, c["in_channels"], 3, 8, 8, generator=torch.Generator().manual_seed(1))
    more = {"control_hidden_states": torch.randn(1, 96, 3, 8, 8)} if "vace_layers" in c else {}
    if c["image_dim"]:
        more["encoder_hidden_states_image"] = torch.randn(2, 257, c["image_dim"])  # first and last frame
    y = dit(x, torch.tensor([500.0]), rows, **more).sample
    frames = vae.decode(torch.randn(1, vae.config.z_dim, 2, 4, 4)).sample
    for t in (rows, y, frames):
        assert torch.isfinite(t).all() and 0.02 < float(t.std()) < 20


def test_weights_are_bf16_and_the_vae_is_f32(tmp_path):
    m.write_model("wan2.1-i2v-14b-mini", str(tmp_path))
    for part, stem, dtype in (("transformer", "diffusion_pytorch_model", "BF16"), ("vae", "diffusion_pytorch_model", "F32"),
                              ("text_encoder", "model", "BF16"), ("image_encoder", "model", "BF16")):
        with open(tmp_path / part / (stem + ".safetensors"), "rb") as f:
            header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        assert {v["dtype"] for k, v in header.items() if k != "__metadata__"} == {dtype}
