"""Writes the whole way from a prompt to frames as diffusers' WanPipeline goes it.

    python train/dump_golden_pipeline.py                 (from the root; makes tests/golden/mini)
    python train/dump_golden_pipeline.py models/tiny     (writes tests/golden/tiny/io.safetensors)

Without an argument the transformer, the scheduler and model_index.json of tests/golden/mini are made
too; run dump_golden_vae.py and dump_golden_text.py before, which make the other parts of that folder.
The noise is that of engine/rng.c (Philox 4x32-10, Box-Muller), so no file has to carry it into C.

io.safetensors: noise, latent [L,h,w,C] f32; words, negative [n,d] f32; frames_every7 u8, every 7th value
of the clip [T,H,W,3]; image_latent [1,h,w,C], image_then_latent, image_then_frames_every7: the same run with
image() as its first frame. weights.sha256 beside it names the weights that were used: when models/tiny has
others, the test skips and says so. Its settings stand in tests/parity/test_pipeline_golden.c too.
"""
import hashlib
import json
import os
import sys

import numpy as np

import torch
from PIL import Image
from diffusers import (AutoencoderKLWan, UniPCMultistepScheduler, WanImageToVideoPipeline, WanPipeline,
                       WanTransformer3DModel)
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tokenizer_json
from noise import STREAM_LATENT, normals

MINI = "tests/golden/mini"
SEED = 7
SETTINGS = {
    "mini": dict(prompt="A red ball\uff0cthe  caf\u00e9 &amp; a \U0001f642", negative="dark", width=96, height=64, frames=9,
                 steps=4, guidance=3.0),
    "tiny": dict(prompt="a red ball bounces in a meadow", negative="", width=96, height=96, frames=5, steps=4,
                 guidance=4.0),
}


def make_mini():
    g = torch.Generator().manual_seed(31)
    with open(os.path.join(MINI, "vae", "config.json")) as f:
        channels = json.load(f)["z_dim"]
    with open(os.path.join(MINI, "text_encoder", "config.json")) as f:
        text_dim = json.load(f)["d_model"]
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=channels, out_channels=channels,
        text_dim=text_dim, freq_dim=32, ffn_dim=40, num_layers=2)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=g)
        if "norm" in name and name.endswith("weight"):
            value = 1 + 0.2 * noise
        elif name.endswith("bias") or "scale_shift_table" in name:
            value = 0.2 * noise
        else:
            value = noise / (p[0].numel() ** 0.5)
        p.copy_(value.bfloat16().float())
    model.bfloat16().save_pretrained(os.path.join(MINI, "transformer"))
    UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
                            ).save_pretrained(os.path.join(MINI, "scheduler"))
    tokenizer_json.write(os.path.join(MINI, "tokenizer"))
    index = {"_class_name": "WanPipeline", "_diffusers_version": "0.35.0", "boundary_ratio": None,
             "expand_timesteps": True, "scheduler": ["diffusers", "UniPCMultistepScheduler"],
             "text_encoder": ["transformers", "UMT5EncoderModel"], "tokenizer": ["transformers", "T5TokenizerFast"],
             "transformer": ["diffusers", "WanTransformer3DModel"], "transformer_2": [None, None],
             "vae": ["diffusers", "AutoencoderKLWan"]}
    with open(os.path.join(MINI, "model_index.json"), "w") as f:
        json.dump(index, f, indent=2)
        f.write("\n")


def load(folder):
    part = lambda name: os.path.join(folder, name)
    scheduler = UniPCMultistepScheduler.from_pretrained(part("scheduler"))
    transformer = WanTransformer3DModel.from_pretrained(part("transformer"), torch_dtype=torch.float32).eval()
    return WanPipeline(
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=tokenizer_json.build(os.path.join(part("tokenizer"), "spiece.model")),
                                          eos_token="</s>", pad_token="<pad>", unk_token="<unk>"),
        text_encoder=UMT5EncoderModel.from_pretrained(part("text_encoder"), dtype=torch.float32).eval(),
        vae=AutoencoderKLWan.from_pretrained(part("vae"), torch_dtype=torch.float32).eval(),
        scheduler=scheduler, transformer=transformer,
        # The pipeline takes every second column for its list of timesteps, which fits patch 2 only.
        expand_timesteps=transformer.config.patch_size[1] == 2)


def image(width, height):
    """u8 [H,W,3]: a pattern of integers that C makes too."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((y * 3 + x * 2 + c * 60 + (y // 16 + x // 16) % 2 * 40) % 256).astype(np.uint8)


def encode_image(pipe, pixels):
    x = torch.from_numpy(pixels).float().permute(2, 0, 1)[None, :, None] / 127.5 - 1
    c, view = pipe.vae.config, (1, -1, 1, 1, 1)
    mu = pipe.vae.encode(x).latent_dist.mode()
    return (mu - torch.tensor(c.latents_mean).view(view)) / torch.tensor(c.latents_std).view(view)


def run_from_image(pipe, s, noise, known, words, negative):
    """The loop of WanImageToVideoPipeline with expand_timesteps, for any patch size (the pipeline takes every
    second column for its timesteps). Returns latents [1,C,L,h,w]."""
    patch = pipe.transformer.config.patch_size
    mask = torch.ones(1, 1, *noise.shape[2:])
    mask[:, :, 0] = 0
    x = noise
    pipe.scheduler.set_timesteps(s["steps"])
    for t in pipe.scheduler.timesteps:
        blend = (1 - mask) * known + mask * x
        times = (mask[0, 0, :, :: patch[1], :: patch[2]] * t).flatten()[None]
        v, u = (pipe.transformer(hidden_states=blend, timestep=times, encoder_hidden_states=e, return_dict=False)[0]
                for e in (words, negative))
        x = pipe.scheduler.step(u + s["guidance"] * (v - u), t, x, return_dict=False)[0]
    return (1 - mask) * known + mask * x


def check_loop(pipe, s, options, pixels, got):
    """The loop above against the pipeline, where the pipeline can run."""
    other = WanImageToVideoPipeline(
        tokenizer=pipe.tokenizer, text_encoder=pipe.text_encoder, vae=pipe.vae,
        scheduler=UniPCMultistepScheduler.from_config(pipe.scheduler.config), transformer=pipe.transformer,
        expand_timesteps=True)
    other.set_progress_bar_config(disable=True)
    want = other(image=Image.fromarray(pixels), output_type="latent", **options).frames
    want = want if torch.is_tensor(want) else want[0]
    worst = (want.reshape(got.shape) - got).abs().max()
    print(f"image to video: our loop against the pipeline {worst:.2e}")
    assert worst < 1e-4


def weights_hash(folder):
    h = hashlib.sha256()
    for part, stem in (("text_encoder", "model"), ("transformer", "diffusion_pytorch_model"),
                       ("vae", "diffusion_pytorch_model")):
        with open(os.path.join(folder, part, stem + ".safetensors"), "rb") as f:
            h.update(f.read())
    return h.hexdigest()


def dump(folder, name, out):
    s = SETTINGS[name]
    pipe = load(folder)
    pipe.set_progress_bar_config(disable=True)
    c = pipe.vae.config
    shape = ((s["frames"] - 1) // c.scale_factor_temporal + 1, s["height"] // c.scale_factor_spatial,
             s["width"] // c.scale_factor_spatial, c.z_dim)
    noise = normals(SEED, STREAM_LATENT, int(np.prod(shape))).view(shape)
    words, negative = pipe.encode_prompt(s["prompt"], s["negative"], max_sequence_length=512)
    length = lambda text: len(pipe.tokenizer(prompt_clean(text))["input_ids"])
    options = dict(prompt_embeds=words, negative_prompt_embeds=negative, height=s["height"], width=s["width"],
                   num_frames=s["frames"], num_inference_steps=s["steps"], guidance_scale=s["guidance"],
                   latents=noise.permute(3, 0, 1, 2)[None])
    latent = pipe(output_type="latent", **options).frames[0]
    frames = pipe(output_type="np", **options).frames[0]
    to_u8 = lambda v: torch.from_numpy((v * 255).round().astype(np.uint8))
    u8, pixels = to_u8(frames), image(s["width"], s["height"])
    known = encode_image(pipe, pixels)
    after = run_from_image(pipe, s, options["latents"], known, words, negative)
    if pipe.config.expand_timesteps:
        check_loop(pipe, s, options, pixels, after)
    view, c = (1, -1, 1, 1, 1), pipe.vae.config
    clip = pipe.vae.decode(after * torch.tensor(c.latents_std).view(view) + torch.tensor(c.latents_mean).view(view)).sample
    clip = to_u8((clip[0].permute(1, 2, 3, 0) / 2 + 0.5).clamp(0, 1).numpy())
    print(f"{name}: latent {tuple(latent.shape)} sd {latent.std():.3f}, frames {u8.shape} sd {frames.std():.3f}")
    os.makedirs(os.path.dirname(out), exist_ok=True)
    save_file({"noise": noise, "latent": latent.permute(1, 2, 3, 0).contiguous(),
               "words": words[0, :length(s["prompt"])].contiguous(),
               "negative": negative[0, :length(s["negative"])].contiguous(),
               "frames_every7": u8.flatten()[::7].clone(),
               "image_latent": known[0].permute(1, 2, 3, 0).contiguous(),
               "image_then_latent": after[0].permute(1, 2, 3, 0).contiguous(),
               "image_then_frames_every7": clip.flatten()[::7].clone()}, out)
    os.chmod(out, 0o644)
    with open(os.path.join(os.path.dirname(out), "weights.sha256"), "w") as f:
        f.write(weights_hash(folder) + "\n")


if __name__ == "__main__":
    with torch.no_grad():
        if len(sys.argv) > 1:
            dump(sys.argv[1], "tiny", "tests/golden/tiny/io.safetensors")
        else:
            make_mini()
            dump(MINI, "mini", os.path.join(MINI, "io.safetensors"))
