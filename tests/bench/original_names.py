"""Copies a Wan 2.1 folder of the diffusers layout into two files with the names of the original code, which is what
stable-diffusion.cpp reads.

    python3 tests/bench/original_names.py FOLDER OUT      writes OUT/dit.safetensors and OUT/vae.safetensors
"""
import json
import os
import re
import shutil
import struct
import sys

DIT = [
    (r"^condition_embedder\.time_embedder\.linear_1", "time_embedding.0"), (r"^condition_embedder\.time_embedder\.linear_2", "time_embedding.2"),
    (r"^condition_embedder\.text_embedder\.linear_1", "text_embedding.0"), (r"^condition_embedder\.text_embedder\.linear_2", "text_embedding.2"),
    (r"^condition_embedder\.time_proj", "time_projection.1"), (r"^scale_shift_table", "head.modulation"), (r"^proj_out", "head.head"),
    (r"\.scale_shift_table", ".modulation"), (r"\.attn1\.", ".self_attn."), (r"\.attn2\.", ".cross_attn."), (r"\.to_([qkv])\.", r".\1."),
    (r"\.to_out\.0\.", ".o."), (r"\.ffn\.net\.0\.proj", ".ffn.0"), (r"\.ffn\.net\.2", ".ffn.2"), (r"\.norm2\.", ".norm3."),
]
MIDDLE = [(r"mid_block\.resnets\.0", "middle.0"), (r"mid_block\.attentions\.0", "middle.1"), (r"mid_block\.resnets\.1", "middle.2")]
PARTS = [(r"\.norm1\.", ".residual.0."), (r"\.conv1\.", ".residual.2."), (r"\.norm2\.", ".residual.3."), (r"\.conv2\.", ".residual.6."),
         (r"\.conv_shortcut\.", ".shortcut.")]
ENDS = [(r"\.norm_out\.", ".head.0."), (r"\.conv_out\.", ".head.2."), (r"\.conv_in\.", ".conv1."), (r"^quant_conv", "conv1"),
        (r"^post_quant_conv", "conv2"), (r"down_blocks\.", "downsamples.")]


def replace(name, rows):
    for pattern, to in rows:
        name = re.sub(pattern, to, name)
    return name


def up_block(m):
    """Nested blocks of the decoder lie in one list: three residual blocks and a sampler a level."""
    return f"upsamples.{4 * int(m[1]) + (int(m[3]) if m[2] == 'resnets' else 3)}"


def vae_name(name):
    name = replace(name, PARTS + MIDDLE)
    return replace(re.sub(r"up_blocks\.(\d)\.(resnets|upsamplers)\.(\d)", up_block, name), ENDS)


def copy(source, out, rename):
    with open(source, "rb") as f, open(out, "wb") as g:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        text = json.dumps({k if k == "__metadata__" else rename(k): v for k, v in header.items()}).encode()
        text += b" " * (-len(text) % 8)
        g.write(struct.pack("<Q", len(text)) + text)
        shutil.copyfileobj(f, g, 1 << 24)


def main():
    folder, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    for part, rename in (("transformer", lambda n: replace(n, DIT)), ("vae", vae_name)):
        copy(os.path.join(folder, part, "diffusion_pytorch_model.safetensors"),
             os.path.join(out, {"transformer": "dit", "vae": "vae"}[part] + ".safetensors"), rename)


if __name__ == "__main__":
    main()
