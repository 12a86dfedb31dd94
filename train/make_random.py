"""Writes a model folder in the diffusers layout with random weights of the right names, shapes and types, for
tests and benchmarks of sizes that nobody wants to download.

    python train/make_random.py --like wan2.1-t2v-1.3b DIR [--text full|small|none] [--layers N] [--seed N]

    wan2.1-t2v-1.3b  wan2.1-t2v-14b  wan2.1-i2v-14b  wan2.1-flf2v-14b  vace-1.3b  vace-14b
    wan2.2-ti2v-5b   wan2.2-t2v-a14b  wan2.2-i2v-a14b     and each with -mini: the same parts, some MB
    umt5-xxl         the text encoder and its tokenizer alone

Numbers are drawn so that activations stay near one: matrices N(0, 1/inputs), norms near 1, modulation small. One
block of normal numbers is used again and again, each tensor starting somewhere else in it, so writing runs at the
speed of the disk and takes the memory of the block. Transformers, text and image encoders are bf16, the VAE is f32,
and files above 5 GB are split with an index, as the real ones are. The tokenizer is the one of models/tiny: its 2048
pieces are ids of the table of any size. --text small keeps the width that the transformer asks for, with two thin
layers and a table of 2048 rows; --layers cuts the transformer. Needs numpy alone.
"""
import argparse
import json
import math
import os
import shutil
import struct
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENIZER = os.path.join(HERE, "..", "models", "tiny", "tokenizer")
VERSION = "0.42.1"
SHARD_BYTES = 5 << 30
BLOCK = 4194301  # a prime, so that no row of a matrix repeats another

DIT = dict(patch_size=[1, 2, 2], num_attention_heads=12, attention_head_dim=128, in_channels=16, out_channels=16,
           text_dim=4096, freq_dim=256, ffn_dim=8960, num_layers=30, cross_attn_norm=True,
           qk_norm="rms_norm_across_heads", eps=1e-6, image_dim=None, added_kv_proj_dim=None, rope_max_seq_len=1024,
           pos_embed_seq_len=None)
DIT_14B = dict(DIT, num_attention_heads=40, ffn_dim=13824, num_layers=40)
DIT_I2V = dict(DIT_14B, in_channels=36, image_dim=1280, added_kv_proj_dim=5120)
TEXT = dict(architectures=["UMT5EncoderModel"], model_type="umt5", vocab_size=256384, d_model=4096, d_kv=64, d_ff=10240,
            num_layers=24, num_decoder_layers=24, num_heads=64, relative_attention_num_buckets=32,
            relative_attention_max_distance=128, dropout_rate=0.1, layer_norm_epsilon=1e-6,
            feed_forward_proj="gated-gelu", is_encoder_decoder=True, use_cache=True, tie_word_embeddings=False,
            pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, dtype="bfloat16")
CLIP = dict(architectures=["CLIPVisionModel"], model_type="clip_vision_model", hidden_size=1280, intermediate_size=5120,
            num_hidden_layers=32, num_attention_heads=16, num_channels=3, image_size=224, patch_size=14,
            hidden_act="gelu", layer_norm_eps=1e-5, projection_dim=1024, attention_dropout=0.0, dtype="bfloat16")
PROCESSOR = dict(image_processor_type="CLIPImageProcessor", size={"shortest_edge": 224}, do_resize=True, resample=3,
                 do_center_crop=True, crop_size={"height": 224, "width": 224}, do_rescale=True,
                 rescale_factor=1 / 255, do_normalize=True, image_mean=[0.48145466, 0.4578275, 0.40821073],
                 image_std=[0.26862954, 0.26130258, 0.27577711], do_convert_rgb=True)
VAE_21 = dict(base_dim=96, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[],
              temperal_downsample=[False, True, True], dropout=0.0)
VAE_22 = dict(VAE_21, base_dim=160, decoder_base_dim=256, z_dim=48, is_residual=True, in_channels=12,
              out_channels=12, patch_size=2, scale_factor_spatial=16, scale_factor_temporal=4)
SCHEDULER = dict(_class_name="UniPCMultistepScheduler", num_train_timesteps=1000, prediction_type="flow_prediction",
                 use_flow_sigmas=True, flow_shift=3.0, solver_order=2, solver_type="bh2", predict_x0=True,
                 lower_order_final=True, final_sigmas_type="zero", beta_start=1e-4, beta_end=0.02,
                 beta_schedule="linear", timestep_spacing="linspace", steps_offset=0, thresholding=False,
                 disable_corrector=[])
MODELS = {
    "wan2.1-t2v-1.3b": dict(dit=DIT, vae=VAE_21),
    "wan2.1-t2v-14b": dict(dit=DIT_14B, vae=VAE_21),
    "wan2.1-i2v-14b": dict(dit=DIT_I2V, vae=VAE_21, clip=CLIP, pipeline="WanImageToVideoPipeline"),
    "wan2.1-flf2v-14b": dict(dit=dict(DIT_I2V, pos_embed_seq_len=514), vae=VAE_21, clip=CLIP,
                             pipeline="WanImageToVideoPipeline"),
    "vace-1.3b": dict(dit=dict(DIT, vace_layers=list(range(0, 30, 2)), vace_in_channels=96), vae=VAE_21,
                      pipeline="WanVACEPipeline"),
    "vace-14b": dict(dit=dict(DIT_14B, vace_layers=list(range(0, 40, 5)), vace_in_channels=96), vae=VAE_21,
                     pipeline="WanVACEPipeline"),
    "wan2.2-ti2v-5b": dict(dit=dict(DIT, num_attention_heads=24, ffn_dim=14336, in_channels=48, out_channels=48),
                           vae=VAE_22, shift=5.0, expand=True),
    "wan2.2-t2v-a14b": dict(dit=DIT_14B, vae=VAE_21, boundary=0.875),
    "wan2.2-i2v-a14b": dict(dit=dict(DIT_14B, in_channels=36), vae=VAE_21, boundary=0.9, shift=5.0,
                            pipeline="WanImageToVideoPipeline"),
    "umt5-xxl": dict(),
}


def mini(model):
    """The same parts at a few MB: what is there and how it hangs together stays, widths shrink."""
    out = dict(model)
    if "dit" in out:
        d = dict(model["dit"], num_attention_heads=2, attention_head_dim=64, ffn_dim=256, num_layers=4, text_dim=64)
        if d["image_dim"]:
            d.update(image_dim=64, added_kv_proj_dim=128)
        if "vace_layers" in d:
            d["vace_layers"] = [0, 2]
        out["dit"] = d
    if "vae" in out:
        out["vae"] = dict(model["vae"], base_dim=16, **({"decoder_base_dim": 16} if "decoder_base_dim" in model["vae"] else {}))
    if "clip" in out:
        out["clip"] = dict(CLIP, hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
                           projection_dim=32)
    out["text"] = dict(TEXT, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, vocab_size=2048)
    return out


def linear(name, o, k, gain=1.0, bias=True):
    yield name + ".weight", [o, k], gain / math.sqrt(k), 0
    if bias:
        yield name + ".bias", [o], 0.02, 0


def affine(name, c):
    yield name + ".weight", [c], 0.1, 1
    yield name + ".bias", [c], 0.05, 0


def conv(name, o, c, *kernel, gain=1.0):
    yield name + ".weight", [o, c, *kernel], gain / math.sqrt(c * math.prod(kernel)), 0
    yield name + ".bias", [o], 0.02, 0


def block(name, d, ffn, added):
    yield name + ".scale_shift_table", [1, 6, d], 0.2, 0
    for attn in ("attn1", "attn2"):
        for part in ("to_q", "to_k", "to_v", "to_out.0"):
            yield from linear(f"{name}.{attn}.{part}", d, d)
        for part in ("norm_q", "norm_k"):
            yield f"{name}.{attn}.{part}.weight", [d], 0.1, 1
    if added:
        for part in ("add_k_proj", "add_v_proj"):
            yield from linear(f"{name}.attn2.{part}", d, added)
        yield f"{name}.attn2.norm_added_k.weight", [d], 0.1, 1
    yield from affine(name + ".norm2", d)
    yield from linear(name + ".ffn.net.0.proj", ffn, d)
    yield from linear(name + ".ffn.net.2", d, ffn)


def image_embedder(name, image_dim, d, positions):
    if positions:
        yield name + ".pos_embed", [1, positions, image_dim], 0.02, 0
    yield from affine(name + ".norm1", image_dim)
    yield from linear(name + ".ff.net.0.proj", image_dim, image_dim)
    yield from linear(name + ".ff.net.2", d, image_dim)
    yield from affine(name + ".norm2", d)


def transformer(c):
    """(name, shape, spread, mean) of every tensor of a WanTransformer3DModel or its VACE form."""
    d = c["num_attention_heads"] * c["attention_head_dim"]
    e = "condition_embedder"
    yield from conv("patch_embedding", d, c["in_channels"], *c["patch_size"])
    yield from linear(e + ".time_embedder.linear_1", d, c["freq_dim"])
    yield from linear(e + ".time_embedder.linear_2", d, d)
    yield from linear(e + ".time_proj", 6 * d, d, gain=0.3)
    yield from linear(e + ".text_embedder.linear_1", d, c["text_dim"])
    yield from linear(e + ".text_embedder.linear_2", d, d)
    if c["image_dim"]:
        yield from image_embedder(e + ".image_embedder", c["image_dim"], d, c["pos_embed_seq_len"])
    for i in range(c["num_layers"]):
        yield from block(f"blocks.{i}", d, c["ffn_dim"], c["added_kv_proj_dim"])
    if "vace_layers" in c:
        yield from conv("vace_patch_embedding", d, c["vace_in_channels"], *c["patch_size"])
        for i in range(len(c["vace_layers"])):
            yield from block(f"vace_blocks.{i}", d, c["ffn_dim"], c["added_kv_proj_dim"])
            yield from linear(f"vace_blocks.{i}.proj_out", d, d, gain=0.2)
            if i == 0:
                yield from linear("vace_blocks.0.proj_in", d, d)
    yield "scale_shift_table", [1, 2, d], 0.1, 0
    yield from linear("proj_out", math.prod(c["patch_size"]) * c["out_channels"], d)


def text_encoder(c):
    d, inner = c["d_model"], c["num_heads"] * c["d_kv"]
    yield "shared.weight", [c["vocab_size"], d], 1.0, 0
    yield "encoder.final_layer_norm.weight", [d], 0.1, 1
    for i in range(c["num_layers"]):
        a, m = f"encoder.block.{i}.layer.0.", f"encoder.block.{i}.layer.1."
        yield a + "layer_norm.weight", [d], 0.1, 1
        # Logits are not divided by sqrt(d_kv): the queries are small instead.
        yield from linear(a + "SelfAttention.q", inner, d, 1 / math.sqrt(c["d_kv"]), bias=False)
        yield from linear(a + "SelfAttention.k", inner, d, bias=False)
        yield from linear(a + "SelfAttention.v", inner, d, bias=False)
        yield from linear(a + "SelfAttention.o", d, inner, bias=False)
        yield a + "SelfAttention.relative_attention_bias.weight", [c["relative_attention_num_buckets"], c["num_heads"]], 0.5, 0
        yield m + "layer_norm.weight", [d], 0.1, 1
        yield from linear(m + "DenseReluDense.wi_0", c["d_ff"], d, bias=False)
        yield from linear(m + "DenseReluDense.wi_1", c["d_ff"], d, bias=False)
        yield from linear(m + "DenseReluDense.wo", d, c["d_ff"], bias=False)


def image_encoder(c):
    d, v = c["hidden_size"], "vision_model."
    yield v + "embeddings.class_embedding", [d], 0.5, 0
    yield v + "embeddings.patch_embedding.weight", [d, c["num_channels"], c["patch_size"], c["patch_size"]], 0.05, 0
    yield v + "embeddings.position_embedding.weight", [(c["image_size"] // c["patch_size"]) ** 2 + 1, d], 0.1, 0
    yield from affine(v + "pre_layrnorm", d)
    for i in range(c["num_hidden_layers"]):
        p = f"{v}encoder.layers.{i}."
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from linear(p + "self_attn." + part, d, d)
        yield from affine(p + "layer_norm1", d)
        yield from linear(p + "mlp.fc1", c["intermediate_size"], d)
        yield from linear(p + "mlp.fc2", d, c["intermediate_size"])
        yield from affine(p + "layer_norm2", d)
    yield from affine(v + "post_layernorm", d)


def gamma(name, c, n_ones):
    yield name + ".gamma", [c] + [1] * n_ones, 0.1, 1


def residual(name, a, b):
    yield from gamma(name + ".norm1", a, 3)
    yield from conv(name + ".conv1", b, a, 3, 3, 3)
    yield from gamma(name + ".norm2", b, 3)
    yield from conv(name + ".conv2", b, b, 3, 3, 3)
    if a != b:
        yield from conv(name + ".conv_shortcut", b, a, 1, 1, 1)


def middle(name, c):
    yield from residual(name + ".resnets.0", c, c)
    yield from gamma(name + ".attentions.0.norm", c, 2)
    yield from conv(name + ".attentions.0.to_qkv", 3 * c, c, 1, 1)
    yield from conv(name + ".attentions.0.proj", c, c, 1, 1)
    yield from residual(name + ".resnets.1", c, c)


def encoder(c):
    dims = [c["base_dim"] * m for m in [1] + c["dim_mult"]]
    is_nested, flat = c.get("is_residual", False), 0
    yield from conv("encoder.conv_in", dims[0], c.get("in_channels", 3), 3, 3, 3)
    for i, (a, b) in enumerate(zip(dims[:-1], dims[1:])):
        for j in range(c["num_res_blocks"]):
            name = f"encoder.down_blocks.{i}.resnets.{j}" if is_nested else f"encoder.down_blocks.{flat}"
            yield from residual(name, a if j == 0 else b, b)
            flat += 1
        if i < len(dims) - 2:
            name = f"encoder.down_blocks.{i}.downsampler" if is_nested else f"encoder.down_blocks.{flat}"
            yield from conv(name + ".resample.1", b, b, 3, 3)
            if c["temperal_downsample"][i]:
                yield from conv(name + ".time_conv", b, b, 3, 1, 1)
            flat += 1
    yield from middle("encoder.mid_block", dims[-1])
    yield from gamma("encoder.norm_out", dims[-1], 3)
    yield from conv("encoder.conv_out", 2 * c["z_dim"], dims[-1], 3, 3, 3)


def decoder(c):
    is_nested = c.get("is_residual", False)
    base = c.get("decoder_base_dim", c["base_dim"])
    dims = [base * m for m in [c["dim_mult"][-1]] + c["dim_mult"][::-1]]
    up = c["temperal_downsample"][::-1]
    yield from conv("decoder.conv_in", dims[0], c["z_dim"], 3, 3, 3)
    yield from middle("decoder.mid_block", dims[0])
    for i, (a, b) in enumerate(zip(dims[:-1], dims[1:])):
        if i > 0 and not is_nested:
            a //= 2  # the upsampler before it halved the channels
        for j in range(c["num_res_blocks"] + 1):
            yield from residual(f"decoder.up_blocks.{i}.resnets.{j}", a if j == 0 else b, b)
        if i < len(dims) - 2:
            name = f"decoder.up_blocks.{i}." + ("upsampler" if is_nested else "upsamplers.0")
            yield from conv(name + ".resample.1", b if is_nested else b // 2, b, 3, 3)
            if up[i]:
                yield from conv(name + ".time_conv", 2 * b, b, 3, 1, 1)
    yield from gamma("decoder.norm_out", dims[-1], 3)
    yield from conv("decoder.conv_out", c.get("out_channels", 3), dims[-1], 3, 3, 3, gain=0.3)


def vae(c):
    z = c["z_dim"]
    yield from encoder(c)
    yield from conv("quant_conv", 2 * z, 2 * z, 1, 1, 1)
    yield from conv("post_quant_conv", z, z, 1, 1, 1)
    yield from decoder(c)


def to_bf16(x):
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


class Numbers:
    """Bytes of tensors from one block of normal numbers, in the type of the file."""

    def __init__(self, seed, dtype):
        self.normal = np.random.default_rng(seed).standard_normal(BLOCK, dtype=np.float32)
        self.dtype, self.kept, self.at = dtype, {}, 0

    def block(self, spread, mean):
        if (spread, mean) not in self.kept:
            if len(self.kept) >= 8:
                self.kept.pop(next(iter(self.kept)))
            x = self.normal * np.float32(spread) + np.float32(mean)
            self.kept[spread, mean] = to_bf16(x) if self.dtype == "BF16" else x
        return self.kept[spread, mean]

    def write(self, f, count, spread, mean):
        x = self.block(spread, mean)
        at = self.at = (self.at + 1000003) % BLOCK
        while count > 0:
            n = min(count, BLOCK - at)
            f.write(memoryview(x[at:at + n]).cast("B"))
            count, at = count - n, 0


def write_file(path, tensors, numbers):
    header, offset, size = {"__metadata__": {"format": "pt"}}, 0, 2 if numbers.dtype == "BF16" else 4
    for name, shape, _, _ in tensors:
        n = math.prod(shape) * size
        header[name] = {"dtype": numbers.dtype, "shape": shape, "data_offsets": [offset, offset + n]}
        offset += n
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb", buffering=0) as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, shape, spread, mean in tensors:
            numbers.write(f, math.prod(shape), spread, mean)
    return offset


def split(tensors, size):
    """Runs of tensors of at most SHARD_BYTES each."""
    shards, held = [[]], 0
    for t in tensors:
        n = math.prod(t[1]) * size
        if held + n > SHARD_BYTES and shards[-1]:
            shards.append([])
            held = 0
        shards[-1].append(t)
        held += n
    return shards


def write_part(folder, config, tensors, dtype="BF16", stem="diffusion_pytorch_model", seed=0):
    os.makedirs(folder, exist_ok=True)
    write_json(config, folder, "config.json")
    numbers = Numbers(seed, dtype)
    shards = split(list(tensors), 2 if dtype == "BF16" else 4)
    if len(shards) == 1:
        write_file(os.path.join(folder, stem + ".safetensors"), shards[0], numbers)
        return
    where, total = {}, 0
    for i, shard in enumerate(shards):
        name = f"{stem}-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        total += write_file(os.path.join(folder, name), shard, numbers)
        where.update({t[0]: name for t in shard})
    write_json({"metadata": {"total_size": total}, "weight_map": where}, folder, stem + ".safetensors.index.json")


def write_json(value, *path):
    path = os.path.join(*path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def vae_config(c, seed):
    r = np.random.default_rng(seed)
    return dict(_class_name="AutoencoderKLWan", _diffusers_version=VERSION, **c,
                latents_mean=(0.3 * r.standard_normal(c["z_dim"])).round(4).tolist(),
                latents_std=(0.5 + r.random(c["z_dim"])).round(4).tolist())


def index(model, has_text):
    d = model["dit"]
    none = [None, None]
    out = dict(_class_name=model.get("pipeline", "WanPipeline"), _diffusers_version=VERSION,
               boundary_ratio=model.get("boundary"), expand_timesteps=model.get("expand", False),
               scheduler=["diffusers", SCHEDULER["_class_name"]],
               text_encoder=["transformers", "UMT5EncoderModel"] if has_text else none,
               tokenizer=["transformers", "T5TokenizerFast"],
               transformer=["diffusers", "WanVACETransformer3DModel" if "vace_layers" in d else "WanTransformer3DModel"],
               transformer_2=["diffusers", "WanTransformer3DModel"] if model.get("boundary") else none,
               vae=["diffusers", "AutoencoderKLWan"])
    if "clip" in model:
        out.update(image_encoder=["transformers", "CLIPVisionModel"], image_processor=["transformers", "CLIPImageProcessor"])
    return out


def write_dit(folder, c, seed):
    name = "WanVACETransformer3DModel" if "vace_layers" in c else "WanTransformer3DModel"
    write_part(folder, dict(_class_name=name, _diffusers_version=VERSION, **c), transformer(c), seed=seed)


def text_config(model, kind):
    if "text" in model:
        return model["text"]
    return TEXT if kind == "full" else dict(TEXT, vocab_size=2048, d_kv=64, num_heads=8, d_ff=2048, num_layers=2)


def plan(like, layers=0):
    """What the folder of a name holds, by part."""
    base = like[:-5] if like.endswith("-mini") else like
    model = mini(MODELS[base]) if like != base else dict(MODELS[base])
    if layers and "dit" in model:
        model["dit"] = dict(model["dit"], num_layers=layers)
        if "vace_layers" in model["dit"]:
            model["dit"]["vace_layers"] = [i for i in model["dit"]["vace_layers"] if i < layers]
    return model


def write_model(like, out, text="small", layers=0, seed=0):
    model = plan(like, layers)
    if "dit" not in model:
        text = "full"
    shutil.copytree(TOKENIZER, os.path.join(out, "tokenizer"), dirs_exist_ok=True)
    if text != "none":
        c = text_config(model, text)
        write_part(os.path.join(out, "text_encoder"), c, text_encoder(c), stem="model", seed=seed + 1)
    if "dit" not in model:
        return
    write_json(index(model, text != "none"), out, "model_index.json")
    write_json(dict(SCHEDULER, _diffusers_version=VERSION, flow_shift=model.get("shift", 3.0)), out, "scheduler",
               "scheduler_config.json")
    write_dit(os.path.join(out, "transformer"), model["dit"], seed + 2)
    if model.get("boundary"):
        write_dit(os.path.join(out, "transformer_2"), model["dit"], seed + 3)
    write_part(os.path.join(out, "vae"), vae_config(model["vae"], seed), vae(model["vae"]), dtype="F32", seed=seed + 4)
    if "clip" in model:
        write_part(os.path.join(out, "image_encoder"), model["clip"], image_encoder(model["clip"]), stem="model",
                   seed=seed + 5)
        write_json(PROCESSOR, out, "image_processor", "preprocessor_config.json")


def main():
    names = sorted(MODELS) + [n + "-mini" for n in sorted(MODELS)]
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--like", required=True, choices=names, metavar="NAME")
    a.add_argument("--text", default="small", choices=["full", "small", "none"])
    a.add_argument("--layers", type=int, default=0, help="of the transformer, instead of all")
    a.add_argument("--seed", type=int, default=0)
    a.add_argument("out", metavar="DIR")
    o = a.parse_args()
    write_model(o.like, o.out, o.text, o.layers, o.seed)
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(o.out) for f in fs)
    print(f"{o.out}: {size / 1e9:.2f} GB", file=sys.stderr)


if __name__ == "__main__":
    main()
