"""The peer: diffusers' classes under PyTorch on the same folder, asked by bench.py in turns with the engine.

    python tests/bench/pytorch_peer.py dit|decode|text --model DIR [--size WxH] [--frames N] [--rows N]
        [--threads N] [--dtype bfloat16] [--variant plain|compile|channels_last]

Commands and answers are those of bench_engine.c: "run" answers {"seconds":S,"cpu_seconds":S,"rss_bytes":B}.
A short pass warms up before the first. `compile` compiles the repeated blocks with torch.compile; the first run then
takes minutes.
"""
import argparse
import json
import resource
import sys
import time

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import UMT5EncoderModel


def say(**kv):
    print(json.dumps(kv), flush=True)


def latent(o, channels, factor):
    g = torch.Generator().manual_seed(1)
    return torch.randn(1, channels, (o.frames - 1) // 4 + 1, o.height // factor, o.width // factor, generator=g)


def open_dit(o):
    m = WanTransformer3DModel.from_pretrained(o.model + "/transformer", torch_dtype=o.dtype).eval()
    c = m.config
    x = latent(o, c.in_channels, 16 if c.in_channels == 48 else 8).to(o.dtype)
    words = torch.randn(1, o.rows, c.text_dim, generator=torch.Generator().manual_seed(2)).to(o.dtype)
    t = torch.tensor([500.0])
    if o.variant == "compile":
        m.compile_repeated_blocks(fullgraph=True)
    else:
        m(x[:, :, :1], t, words)
    return lambda: m(x, t, words, return_dict=False)[0]


def open_decode(o):
    m = AutoencoderKLWan.from_pretrained(o.model + "/vae", torch_dtype=o.dtype).eval()
    c = m.config
    if o.variant == "channels_last":
        for p in m.modules():
            if isinstance(p, torch.nn.Conv3d):
                p.to(memory_format=torch.channels_last_3d)
    if o.variant == "compile":
        m.decoder.compile()
    x = latent(o, c.z_dim, 16 if c.z_dim == 48 else 8).to(o.dtype)
    if o.variant != "compile":
        m.decode(x[:, :, :1, :8, :8])
    return lambda: m.decode(x, return_dict=False)[0]


def open_text(o):
    m = UMT5EncoderModel.from_pretrained(o.model + "/text_encoder", torch_dtype=o.dtype).eval()
    ids = torch.tensor([[(7 + i * 7919) % m.config.vocab_size for i in range(o.rows)]])
    return lambda: m(ids).last_hidden_state


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("part", choices=["dit", "decode", "text"])
    a.add_argument("--model", required=True)
    a.add_argument("--size", default="256x256")
    a.add_argument("--frames", type=int, default=17)
    a.add_argument("--rows", type=int, default=31)
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--dtype", default="bfloat16")
    a.add_argument("--variant", default="plain", choices=["plain", "compile", "channels_last"])
    o = a.parse_args()
    o.width, o.height = (int(v) for v in o.size.split("x"))
    o.dtype = getattr(torch, o.dtype)
    return o


@torch.inference_mode()
def main():
    o = arguments()
    torch.set_num_threads(o.threads)
    run = {"dit": open_dit, "decode": open_decode, "text": open_text}[o.part](o)
    say(device=f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, {o.variant}")
    for line in sys.stdin:
        if line.strip() != "run":
            raise SystemExit("there is no command " + line)
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        say(seconds=time.perf_counter() - wall, cpu_seconds=time.process_time() - cpu,
            rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    main()
