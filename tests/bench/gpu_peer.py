"""What gpu_check.py compares with: the blocks of a Wan transformer in plain PyTorch on a GPU, bf16, scaled_dot_product_attention,
torch.compile; and, where diffusers is installed, its VAE.

    python tests/bench/gpu_peer.py dit|decode --like wan2.1-t2v-1.3b|wan2.2-ti2v-5b --size WxH --frames N [--runs N]

One JSON line: {"seconds":S of one forward pass or decode (median), "flop":F, "peak_bytes":B, "variant":..}. Weights are random; of the
transformer one compiled block is run as often as it has layers, with weights of its own each time.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

SHAPES = {
    "wan2.1-t2v-1.3b": dict(d=1536, heads=12, ffn=8960, layers=30, vae=dict(), cell=16, z=16, factor=8),
    "wan2.2-ti2v-5b": dict(d=3072, heads=24, ffn=14336, layers=30, cell=32, z=48, factor=16,
                           vae=dict(base_dim=160, decoder_base_dim=256, z_dim=48, in_channels=12, out_channels=12,
                                    patch_size=2, is_residual=True, scale_factor_spatial=16)),
}


def rms(x, w):
    x = x.float()
    return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * w).bfloat16()


def rotate(x, cos, sin):
    a, b = x[..., 0::2].float(), x[..., 1::2].float()
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).bfloat16()


def heads_of(x, n):
    return x.unflatten(-1, (n, -1)).transpose(1, 2)


def block(x, p, text_k, text_v, mod, cos, sin, n):
    def modulated(y, shift, scale):
        y = F.layer_norm(y, y.shape[-1:], eps=1e-6)
        return (y * (1 + scale) + shift).bfloat16()

    a = modulated(x, mod[0], mod[1])
    q, k = rms(F.linear(a, p["q"], p["qb"]), p["nq"]), rms(F.linear(a, p["k"], p["kb"]), p["nk"])
    q, k = rotate(heads_of(q, n), cos, sin), rotate(heads_of(k, n), cos, sin)
    v = heads_of(F.linear(a, p["v"], p["vb"]), n)
    a = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    x = x + mod[2] * F.linear(a, p["o"], p["ob"]).float()
    a = F.layer_norm(x, x.shape[-1:], eps=1e-6).bfloat16()
    q = heads_of(rms(F.linear(a, p["cq"], p["cqb"]), p["cn"]), n)
    a = F.scaled_dot_product_attention(q, text_k, text_v).transpose(1, 2).flatten(2)
    x = x + F.linear(a, p["co"], p["cob"]).float()
    a = modulated(x, mod[3], mod[4])
    a = F.gelu(F.linear(a, p["up"], p["upb"]), approximate="tanh")
    return x + mod[5] * F.linear(a, p["down"], p["downb"]).float()


def weights(s):
    d, f = s["d"], s["ffn"]
    p = {}
    for name, o, i in [(n, d, d) for n in ("q", "k", "v", "o", "cq", "co")] + [("up", f, d), ("down", d, f)]:
        p[name] = torch.randn(o, i, device="cuda", dtype=torch.bfloat16) / i**0.5
        p[name + "b"] = torch.zeros(o, device="cuda", dtype=torch.bfloat16)
    for name in ("nq", "nk", "cn"):
        p[name] = torch.ones(d, device="cuda")
    return p


def open_dit(o, s):
    n_tokens = ((o.frames - 1) // 4 + 1) * (o.height // s["cell"]) * (o.width // s["cell"])
    d, n, hd = s["d"], s["heads"], s["d"] // s["heads"]
    layers = [weights(s) for _ in range(s["layers"])]
    x = torch.randn(1, n_tokens, d, device="cuda")
    text = torch.randn(1, n, 512, hd, device="cuda", dtype=torch.bfloat16)
    mod = [torch.randn(1, 1, d, device="cuda") * 0.1 for _ in range(6)]
    angle = torch.rand(n_tokens, hd // 2, device="cuda") * 6
    cos, sin = angle.cos(), angle.sin()
    run = block if o.variant == "plain" else torch.compile(block, mode="max-autotune-no-cudagraphs" if o.variant == "tuned" else None)

    def forward():
        y = x
        for p in layers:
            y = run(y, p, text, text, mod, cos, sin, n)
        return y

    flop = s["layers"] * n_tokens * (2.0 * (6 * d * d + 2 * d * s["ffn"]) + 4.0 * n_tokens * d + 4.0 * 512 * d)
    return forward, flop


def open_decode(o, s):
    from diffusers import AutoencoderKLWan
    m = AutoencoderKLWan(**s["vae"]).eval().to("cuda", torch.bfloat16)
    z = torch.randn(1, s["z"], (o.frames - 1) // 4 + 1, o.height // s["factor"], o.width // s["factor"], device="cuda",
                    dtype=torch.bfloat16)
    return lambda: m.decode(z, return_dict=False)[0], 0


@torch.inference_mode()
def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("part", choices=["dit", "decode"])
    a.add_argument("--like", required=True, choices=list(SHAPES))
    a.add_argument("--size", required=True)
    a.add_argument("--frames", type=int, required=True)
    a.add_argument("--runs", type=int, default=3)
    a.add_argument("--variant", default="compile", choices=["plain", "compile", "tuned"])
    o = a.parse_args()
    o.width, o.height = (int(v) for v in o.size.split("x"))
    run, flop = (open_dit if o.part == "dit" else open_decode)(o, SHAPES[o.like])
    run()
    torch.cuda.synchronize()
    seconds = []
    for _ in range(o.runs):
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(dict(seconds=statistics.median(seconds), flop=flop, peak_bytes=torch.cuda.max_memory_allocated(),
                          variant=f"torch {torch.__version__}, {o.variant}")), flush=True)


if __name__ == "__main__":
    main()
