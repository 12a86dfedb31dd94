"""Writes the fixtures of the transformer's variants: mini folders with random weights and what the classes of
diffusers and transformers make of fixed inputs.

    python train/dump_golden_variants.py       (from the root of the tree)

tests/golden/
    dit_extra      channels behind the latent's (Wan 2.2 I2V)
    dit_image      the same and rows of one picture (Wan 2.1 I2V)
    dit_pair       positions for the rows of two pictures (FLF2V), under the original names with a prefix, products in
                   scaled fp8 (out_T is of the weights that fp8 holds)
    dit_vace       a control branch; out_T without a scale, scaled_T with the scales of io, under the original names
    lora           files for dit_patch, and the velocity of the merged weights for each
    experts        two transformers, WanPipeline's latents with guidance
    clip           CLIPVisionModel and CLIPImageProcessor
    conditions     what the pipelines of VACE and I2V put together around the VAE
    pipelines      transformers for the other parts of tests/golden/mini, and the latents of the whole I2V, FLF2V and VACE
                   pipelines with the noise, the words and the picture of dump_golden_pipeline.py
    names          original names and diffusers names, one pair a line
All inputs f32, channels last; weights rounded to bf16 before they are used. Tolerances stand in the tests.
"""
import json
import os
from types import SimpleNamespace

import numpy as np
import torch
from diffusers import WanImageToVideoPipeline, WanPipeline, WanTransformer3DModel, WanVACEPipeline, WanVACETransformer3DModel
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_wan_lora_to_diffusers as convert_lora
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers, convert_wan_vae_to_diffusers
from diffusers.video_processor import VideoProcessor
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

import dump_golden_pipeline as whole
from dump_golden import ROOT, SHAPE, TEXT_ROWS, last, randomise, scheduler

BASE = dict(patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4, text_dim=12,
            freq_dim=64, ffn_dim=40, num_layers=2, eps=1e-6)
IMAGE = dict(BASE, in_channels=9, image_dim=20, added_kv_proj_dim=32)
IMAGE_ROWS = 5
VACE = dict(BASE, num_layers=3, vace_layers=[0, 2], vace_in_channels=12)
SCALES = [0.5, 1.25]
LORA_RANK = 3
STREAM_FRONT = 4  # noise of frames in front of a clip (engine/rng.h)


def words(config, g):
    rows = torch.randn(7, config["text_dim"], generator=g)
    return rows, torch.cat([rows, torch.zeros(TEXT_ROWS - 7, config["text_dim"])])[None]


def write(folder, io, config=None):
    os.makedirs(os.path.join(ROOT, folder), exist_ok=True)
    save_file({k: v.contiguous() for k, v in io.items()}, os.path.join(ROOT, folder, "io.safetensors"))
    if config:
        with open(os.path.join(ROOT, folder, "config.json"), "w") as f:
            json.dump(config, f, indent=2)


def dump(name, config, seed, n_pictures=0, kind=WanTransformer3DModel, before=None):
    """Model and io; `before` may change the weights."""
    model = kind(**config).eval()
    randomise(model, seed)
    if before:
        before(model)
    g = torch.Generator().manual_seed(seed + 1)
    latent = torch.randn(1, config["in_channels"], *SHAPE, generator=g)
    rows, text = words(config, g)
    n = config["out_channels"]
    io = {"latent": last(latent[:, :n]), "rows": rows}
    inputs = dict(encoder_hidden_states=text, return_dict=False)
    if config["in_channels"] > n:
        io["extra"] = last(latent[:, n:])
    if n_pictures:
        image = torch.randn(n_pictures, IMAGE_ROWS, config["image_dim"], generator=g)
        io["image"] = image.reshape(-1, config["image_dim"])
        inputs["encoder_hidden_states_image"] = image
    if kind is WanVACETransformer3DModel:
        control = torch.randn(1, config["vace_in_channels"], *SHAPE, generator=g)
        io |= {"control": last(control), "scale": torch.tensor(SCALES)}
        inputs["control_hidden_states"] = control
    for t in (937, 250):
        io[f"out_{t}"] = last(model(latent, timestep=torch.tensor([t]), **inputs)[0])
    if kind is WanVACETransformer3DModel:
        inputs["control_hidden_states_scale"] = torch.tensor(SCALES)
        io["scaled_937"] = last(model(latent, timestep=torch.tensor([937]), **inputs)[0])
    print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters, velocity sd {io['out_937'].std():.3f}")
    return model, io


def save_plain(name, model, io):
    model.bfloat16().save_pretrained(os.path.join(ROOT, name))
    write(name, io)


# Original names: what the converter of diffusers turns into ours, by trying each on it.
TO_ORIGINAL = [
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"), ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"), ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    ("condition_embedder.image_embedder.norm1", "img_emb.proj.0"), ("condition_embedder.image_embedder.ff.net.0.proj", "img_emb.proj.1"),
    ("condition_embedder.image_embedder.ff.net.2", "img_emb.proj.3"), ("condition_embedder.image_embedder.norm2", "img_emb.proj.4"),
    ("condition_embedder.image_embedder.pos_embed", "img_emb.emb_pos"),
    ("attn1.", "self_attn."), ("attn2.", "cross_attn."), ("to_out.0.", "o."), ("to_q.", "q."), ("to_k.", "k."), ("to_v.", "v."),
    ("add_k_proj.", "k_img."), ("add_v_proj.", "v_img."), ("norm_added_k.", "norm_k_img."),
    ("ffn.net.0.proj", "ffn.0"), ("ffn.net.2", "ffn.2"), ("norm2.", "norm3."), ("proj_in.", "before_proj."),
]


def original(name):
    for ours, theirs in TO_ORIGINAL:
        name = name.replace(ours, theirs)
    if "blocks." in name:
        return name.replace("scale_shift_table", "modulation").replace("proj_out.", "after_proj.")
    return name.replace("scale_shift_table", "head.modulation").replace("proj_out.", "head.head.")


def check_original(name):
    """The converter of diffusers has no row for emb_pos; every other name must go there and back."""
    if name.endswith("pos_embed"):
        return
    there = convert_wan_transformer_to_diffusers({original(name): torch.zeros(1)})
    assert list(there) == [name], (name, original(name), list(there))


def dump_scaled_fp8():
    config = dict(IMAGE, pos_embed_seq_len=2 * IMAGE_ROWS)
    stored = {}

    def through_fp8(model):
        for name, p in model.named_parameters():
            if name.startswith("blocks.") and p.dim() == 2:
                scale = (p.abs().max() / 448).float()
                kind = torch.float8_e5m2 if ".ffn." in name else torch.float8_e4m3fn
                stored[name] = (p / scale).to(kind)
                stored[name.removesuffix("weight") + "scale_weight"] = scale.reshape(1) if "attn1" in name else scale
                p.copy_(stored[name].float() * scale)

    model, io = dump("dit_pair", config, 230, 2, before=through_fp8)
    files = {name: stored.get(name, p.bfloat16() if p.dim() == 2 else p) for name, p in model.state_dict().items()}
    files |= {name: t for name, t in stored.items() if name.endswith("scale_weight")}
    for name in model.state_dict():
        check_original(name)
    files = {"model.diffusion_model." + original(name): t.contiguous() for name, t in files.items()}
    files["model.diffusion_model.scaled_fp8"] = torch.zeros(2).to(torch.float8_e4m3fn)
    write("dit_pair", io, {"_class_name": "WanModel", "model_type": "flf2v", "dim": 32, "ffn_dim": 40, "freq_dim": 64, "in_dim": 9,
                           "num_heads": 2, "num_layers": 2, "out_dim": 4, "text_dim": 12, "eps": 1e-6})
    save_file(files, os.path.join(ROOT, "dit_pair", "diffusion_pytorch_model.fp8_scaled.safetensors"))


def dump_vace():
    model, io = dump("dit_vace", VACE, 240, kind=WanVACETransformer3DModel)
    for name in model.state_dict():
        check_original(name)
    files = {original(name): p.bfloat16().contiguous() for name, p in model.state_dict().items()}
    write("dit_vace", io, {"_class_name": "VaceWanModel", "model_type": "vace", "dim": 32, "ffn_dim": 40, "freq_dim": 64, "in_dim": 4,
                           "num_heads": 2, "num_layers": 3, "out_dim": 4, "text_dim": 12, "vace_layers": [0, 2],
                           "vace_in_dim": 12, "eps": 1e-6})
    save_file(files, os.path.join(ROOT, "dit_vace", "diffusion_pytorch_model.safetensors"))


def dump_lora():
    """Three styles over the weights of dit_patch; what they share is the merged model."""
    folder = os.path.join(ROOT, "dit_patch")
    model = WanTransformer3DModel.from_pretrained(folder, torch_dtype=torch.float32).eval()
    io = load_file(os.path.join(folder, "io.safetensors"))
    g = torch.Generator().manual_seed(260)
    changed = ["blocks.0.attn1.to_q", "blocks.0.attn2.to_out.0", "blocks.1.ffn.net.0.proj", "blocks.1.ffn.net.2"]
    alpha = {"blocks.0.attn1.to_q": 1.5, "blocks.1.ffn.net.2": 6.0}
    peft, wan, kohya = {}, {}, {}
    for module in changed:
        weight = model.get_parameter(module + ".weight")
        a = (torch.randn(LORA_RANK, weight.shape[1], generator=g) / weight.shape[1] ** 0.5).half().float()
        b = (0.3 * torch.randn(weight.shape[0], LORA_RANK, generator=g)).half().float()
        scale = alpha.get(module, LORA_RANK) / LORA_RANK
        weight += 0.5 * scale * b @ a  # files are loaded at 0.5
        theirs = original(module + ".").rstrip(".")
        peft |= {f"transformer.{module}.lora_A.weight": a * scale, f"transformer.{module}.lora_B.weight": b}
        for out, stem in ((wan, "diffusion_model." + theirs), (kohya, "lora_unet_" + theirs.replace(".", "_"))):
            out |= {f"{stem}.lora_down.weight": a, f"{stem}.lora_up.weight": b}
            if module in alpha:
                out[f"{stem}.alpha"] = torch.tensor(alpha[module])
    converted = convert_lora({k: v.clone() for k, v in wan.items()})  # it scales in place
    assert {k.removeprefix("transformer.") for k in converted if "lora_A" in k} == {f"{m}.lora_A.weight" for m in changed}
    text = torch.cat([io["rows"], torch.zeros(TEXT_ROWS - 7, 12)])[None]
    latent = io["latent"].permute(3, 0, 1, 2)[None]

    def run():
        return last(model(latent, timestep=torch.tensor([500]), encoder_hidden_states=text, return_dict=False)[0])

    out = {"merged": run()}
    # Full deltas: a weight of the head, a bias, a norm.
    for name, theirs in (("proj_out.weight", "head.head.diff"), ("proj_out.bias", "head.head.diff_b"),
                         ("blocks.0.attn1.norm_q.weight", "blocks.0.self_attn.norm_q.diff")):
        delta = 0.2 * torch.randn(model.get_parameter(name).shape, generator=g)
        model.get_parameter(name).add_(0.5 * delta)
        wan["diffusion_model." + theirs] = delta
    out["merged_deltas"] = run()
    wan["diffusion_model.somebody.else.lora_down.weight"] = torch.zeros(2, 2)
    write("lora", out)
    for name, tensors in (("peft", peft), ("wan", wan), ("kohya", kohya)):
        tensors = {k: v.half() if name == "kohya" and v.dim() else v for k, v in tensors.items()}
        save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(ROOT, "lora", name + ".safetensors"))


def dump_experts():
    config, models = dict(BASE, num_layers=1), []
    for seed in (270, 271):
        models.append(WanTransformer3DModel(**config).eval())
        randomise(models[-1], seed)
    g = torch.Generator().manual_seed(272)
    latent = torch.randn(1, 4, *SHAPE, generator=g)
    (rows, text), (bad_rows, bad) = words(config, g), words(config, g)
    pipe = WanPipeline(tokenizer=None, text_encoder=None, vae=None, scheduler=scheduler("unipc", 5.0), transformer=models[0],
                       transformer_2=models[1], boundary_ratio=0.875)
    pipe.set_progress_bar_config(disable=True)
    out = pipe(prompt_embeds=text, negative_prompt_embeds=bad, latents=latent, num_frames=4 * (SHAPE[0] - 1) + 1,
               height=8 * SHAPE[1], width=8 * SHAPE[2], num_inference_steps=6, guidance_scale=4.0, guidance_scale_2=3.0,
               output_type="latent").frames
    write("experts", {"latent": last(latent), "rows": rows, "negative": bad_rows, "out": last(out)})
    for name, model in zip(("transformer", "transformer_2"), models):
        model.bfloat16().save_pretrained(os.path.join(ROOT, "experts", name))
    print("experts:", [int(t) for t in pipe.scheduler.timesteps], f"latents sd {out.std():.3f}")


def dump_clip():
    folder = os.path.join(ROOT, "clip")
    config = CLIPVisionConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2, image_size=28,
                              patch_size=14, hidden_act="gelu", projection_dim=16)
    model = CLIPVisionModel(config).eval()
    randomise(model, 280)
    prepare = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    rng = np.random.default_rng(281)
    io = {}
    for w, h in ((64, 48), (31, 77), (28, 28), (20, 17), (90, 30)):
        small = Image.fromarray(rng.integers(0, 256, (h // 4 + 2, w // 4 + 2, 3), dtype=np.uint8))
        noise = rng.integers(-40, 40, (h, w, 3))
        rgb = np.clip(np.asarray(small.resize((w, h), Image.BILINEAR)).astype(int) + noise, 0, 255).astype(np.uint8)
        pixels = torch.as_tensor(np.asarray(prepare(images=Image.fromarray(rgb), return_tensors="np")["pixel_values"]))
        rows = model(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
        name = f"{w}x{h}"
        io |= {f"rgb_{name}": torch.from_numpy(rgb.copy()), f"pixels_{name}": pixels[0].permute(1, 2, 0).contiguous(), f"rows_{name}": rows[0]}
    write("clip", io, {"_class_name": "CLIPVisionModel", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
                       "num_attention_heads": 2, "image_size": 28, "patch_size": 14, "num_channels": 3, "hidden_act": "gelu",
                       "layer_norm_eps": 1e-5, "projection_dim": 16})
    tensors = {"vision_model." + k.removeprefix("vision_model."): v.bfloat16() for k, v in model.state_dict().items()}
    tensors["vision_model.embeddings.position_ids"] = torch.arange(5)[None]  # as older files have it
    save_file(tensors, os.path.join(folder, "model.safetensors"))


class FakeVae(torch.nn.Module):
    """Hands out random latents in the order in which it is asked, and keeps what it was given."""

    def __init__(self, z_dim, g):
        super().__init__()
        self.device = torch.device("cpu")
        self.config = SimpleNamespace(latents_mean=[0.0] * z_dim, latents_std=[1.0] * z_dim, z_dim=z_dim)
        self.dtype, self.g, self.asked, self.given = torch.float32, g, [], []

    def encode(self, video):
        _, _, t, h, w = video.shape
        self.asked.append(video)
        self.given.append(torch.randn(1, self.config.z_dim, (t - 1) // 4 + 1, h // 8, w // 8, generator=self.g))
        return SimpleNamespace(latents=self.given[-1])


def dump_conditions():
    g = torch.Generator().manual_seed(290)
    size, n_frames, C = (16, 32), 5, 2
    vae = FakeVae(C, g)
    pipe = SimpleNamespace(vae=vae, _execution_device="cpu", vae_scale_factor_spatial=8, vae_scale_factor_temporal=4, transformer_2=None,
                           transformer=SimpleNamespace(config=SimpleNamespace(patch_size=(1, 2, 2))),
                           config=SimpleNamespace(expand_timesteps=False), video_processor=VideoProcessor(vae_scale_factor=8))
    rng = np.random.default_rng(291)
    pictures = [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in ((40, 16), (8, 40))]
    _, _, references = WanVACEPipeline.preprocess_conditions(pipe, None, None, pictures, 1, *size, n_frames, torch.float32, "cpu")
    video = torch.rand(1, 3, n_frames, *size, generator=g) * 2 - 1
    mask = torch.rand(1, 1, n_frames, *size, generator=g)
    control = WanVACEPipeline.prepare_video_latents(pipe, video, mask, references, None, "cpu")
    control = torch.cat([control, WanVACEPipeline.prepare_masks(pipe, mask.expand(1, 3, -1, -1, -1), references)], dim=1)
    io = {"video": last(video), "mask": mask[0, 0], "control": last(control), "split_inactive": last(vae.asked[0]),
          "split_reactive": last(vae.asked[1]), "inactive": last(vae.given[0]), "reactive": last(vae.given[1])}
    for i in range(2):
        io |= {f"picture_{i}": torch.from_numpy(np.asarray(pictures[i]).copy()), f"canvas_{i}": references[0][i].permute(1, 2, 0),
               f"reference_{i}": last(vae.given[2 + i])}
    image = torch.zeros(1, 3, *size)
    for name, other in (("first", None), ("both", image)):
        _, condition = WanImageToVideoPipeline.prepare_latents(pipe, image, 1, C, *size, n_frames, torch.float32, "cpu", None, None, other)
        io |= {f"extra_{name}": last(condition), f"cond_{name}": last(vae.given[-1])}
    for n in range(1, 65):  # what nearest-exact picks
        frames = 4 * (n - 1) + 1
        picked = torch.nn.functional.interpolate(torch.arange(frames).float()[None, None], size=n, mode="nearest-exact")
        io[f"picked_{n}"] = picked[0, 0].int()
    write("conditions", io)


def vision_model():
    folder = os.path.join(ROOT, "clip")
    with open(os.path.join(folder, "config.json")) as f:
        model = CLIPVisionModel(CLIPVisionConfig(**{k: v for k, v in json.load(f).items() if k != "_class_name"})).eval()
    tensors = {k.removeprefix("vision_model."): v.float() for k, v in load_file(os.path.join(folder, "model.safetensors")).items()}
    tensors.pop("embeddings.position_ids")
    model.load_state_dict(tensors)
    return model


def dump_pipelines():
    s = whole.SETTINGS["mini"]
    base = whole.load(whole.MINI)
    c, text_dim = base.vae.config, base.text_encoder.config.d_model
    L, h, w = (s["frames"] - 1) // 4 + 1, s["height"] // 16, s["width"] // 16
    noise = whole.normals(whole.SEED, whole.STREAM_LATENT, L * h * w * c.z_dim).view(L, h, w, c.z_dim)
    words, negative = base.encode_prompt(s["prompt"], s["negative"], max_sequence_length=512)
    options = dict(prompt_embeds=words, negative_prompt_embeds=negative, height=s["height"], width=s["width"], output_type="latent",
                   num_frames=s["frames"], num_inference_steps=s["steps"], guidance_scale=s["guidance"],
                   latents=noise.permute(3, 0, 1, 2)[None])
    parts = dict(tokenizer=base.tokenizer, text_encoder=base.text_encoder, vae=base.vae)
    sizes = dict(patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, out_channels=c.z_dim, text_dim=text_dim,
                 freq_dim=32, ffn_dim=40, num_layers=2)
    pixels = whole.image(s["width"], s["height"])
    first, end = Image.fromarray(pixels), Image.fromarray(255 - pixels)
    io = {}

    def make(name, kind, seed, **more):
        model = kind(**sizes, **more).eval()
        randomise(model, seed)
        kind(**sizes, **more).bfloat16().save_pretrained(os.path.join(ROOT, "pipelines", name))
        save_file({k: v.bfloat16().contiguous() for k, v in model.state_dict().items()},
                  os.path.join(ROOT, "pipelines", name, "diffusion_pytorch_model.safetensors"))
        return model

    for i, (name, rows, other) in enumerate((("i2v", None, None), ("flf", 10, end))):
        model = make(name, WanTransformer3DModel, 300 + i, in_channels=2 * c.z_dim + 4, image_dim=32, added_kv_proj_dim=24,
                     pos_embed_seq_len=rows)
        pipe = WanImageToVideoPipeline(**parts, scheduler=scheduler("unipc", 3.0), transformer=model, image_encoder=vision_model(),
                                       image_processor=CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}))
        pipe.set_progress_bar_config(disable=True)
        io[name] = last(pipe(image=first, last_image=other, **options).frames)
    model = make("vace", WanVACETransformer3DModel, 310, in_channels=c.z_dim, vace_layers=[0, 1], vace_in_channels=2 * c.z_dim + 256)
    pipe = WanVACEPipeline(**parts, scheduler=scheduler("unipc", 3.0), transformer=model)
    pipe.vae_scale_factor_spatial = 16  # the class counts the levels of a 2.1 VAE
    pipe.set_progress_bar_config(disable=True)
    video = np.full((s["frames"], s["height"], s["width"], 3), 0.5, np.float32)
    mask = np.ones((s["frames"], s["height"], s["width"], 1), np.float32)
    for i in range(5):  # a head of five frames: the picture moving to the right
        video[i], mask[i] = np.roll(pixels, 3 * i, 1) / 255, 0
    io["vace_head"] = last(pipe(video=video[None], mask=mask[None], **options).frames)
    for i in range(s["frames"]):  # all is known but for a rectangle
        video[i], mask[i] = np.roll(pixels, 3 * i, 1) / 255, 0
        video[i, 16:40, 24:72], mask[i, 16:40, 24:72] = 0.5, 1
    io["vace_region"] = last(pipe(video=video[None], mask=mask[None], **options).frames)
    for i in range(s["frames"]):  # a clip to follow, but for a head of five frames
        video[i], mask[i] = np.roll(pixels if i < 5 else 255 - pixels, 3 * i, 1) / 255, i >= 5
    io["vace_guide"] = last(pipe(video=video[None], mask=mask[None], **options).frames)
    front = whole.normals(whole.SEED, STREAM_FRONT, 2 * h * w * c.z_dim).view(2, h, w, c.z_dim)
    options["latents"] = torch.cat([front, noise]).permute(3, 0, 1, 2)[None]
    small = Image.fromarray(np.ascontiguousarray(pixels[::2, ::4]))  # half as high: white beside it
    video[:], mask[:] = 0.5, 1
    io["vace_references"] = last(pipe(video=video[None], mask=mask[None], reference_images=[[first, small]], **options).frames[:, :, 2:])
    for name, v in io.items():
        print(f"pipelines {name}: sd {v.std():.3f}")
    write("pipelines", io)


def dump_names():
    """Names of the 2.1 VAE and of the text encoder; those of transformers are tried by dit_pair and dit_vace."""
    lines = []
    ends = ("weight", "bias")
    block = ["residual.0.gamma", "residual.2.weight", "residual.2.bias", "residual.3.gamma", "residual.6.weight", "residual.6.bias",
             "shortcut.weight", "shortcut.bias"]
    vae = [f"{p}.{e}" for p in ("conv1", "conv2", "encoder.conv1", "decoder.conv1", "encoder.head.2", "decoder.head.2") for e in ends]
    vae += ["encoder.head.0.gamma", "decoder.head.0.gamma"]
    for side in ("encoder", "decoder"):
        vae += [f"{side}.middle.{i}.{b}" for i in (0, 2) for b in block[:6]]
        vae += [f"{side}.middle.1.{b}" for b in ("norm.gamma", "to_qkv.weight", "to_qkv.bias", "proj.weight", "proj.bias")]
    plain = [b for b in block if "shortcut" not in b]  # a shortcut is where the width changes
    vae += [f"encoder.downsamples.{i}.{b}" for i in (0, 1, 3, 4, 6, 7, 9, 10) for b in (block if i in (3, 6) else plain)]
    vae += [f"encoder.downsamples.{i}.{b}.{e}" for i in (2, 5, 8) for b in ("resample.1", "time_conv") for e in ends]
    vae += [f"decoder.upsamples.{i}.{b}" for i in (0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14) for b in (block if i == 4 else plain)]
    vae += [f"decoder.upsamples.{i}.{b}.{e}" for i in (3, 7, 11) for b in ("resample.1", "time_conv") for e in ends]
    for name in vae:
        lines.append(f"vae {name} {list(convert_wan_vae_to_diffusers({name: torch.zeros(1)}))[0]}")
    print(f"names: {len(lines)}")
    with open(os.path.join(ROOT, "names.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    with torch.no_grad():
        save_plain("dit_extra", *dump("dit_extra", dict(BASE, in_channels=9), 210))
        save_plain("dit_image", *dump("dit_image", IMAGE, 220, 1))
        dump_scaled_fp8()
        dump_vace()
        dump_lora()
        dump_experts()
        dump_clip()
        dump_conditions()
        dump_pipelines()
        dump_names()
    for folder, _, files in os.walk(ROOT):
        for name in files:
            os.chmod(os.path.join(folder, name), 0o644)
