"""The last stage: averaged weights of both stages -> a folder in diffusers layout.

    python export.py --vae RUN/vae.pt --dit RUN/dit.pt --latents DIR --spiece tok/spiece.model --out models/tiny

Weights are bf16. Without --dit the transformer and the text encoder are random (for wiring only).
"""
import argparse
import json
import os
import shutil

import torch
from safetensors.torch import save_file

from dit import CONFIG as DIT_CONFIG, DiT
from encode import KINDS, load_vae, measure, source_of
from text import CONFIG as TEXT_CONFIG, TextEncoder

VERSION = "0.42.1"
SCHEDULER = {
    "_class_name": "UniPCMultistepScheduler", "_diffusers_version": VERSION, "num_train_timesteps": 1000,
    "prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0, "solver_order": 2,
    "solver_type": "bh2", "predict_x0": True, "lower_order_final": True, "final_sigmas_type": "zero",
    "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear", "timestep_spacing": "linspace",
    "steps_offset": 0, "thresholding": False, "disable_corrector": [],
}
INDEX = {
    "_class_name": "WanPipeline", "_diffusers_version": VERSION, "boundary_ratio": None, "expand_timesteps": True,
    "scheduler": ["diffusers", "UniPCMultistepScheduler"], "text_encoder": ["transformers", "UMT5EncoderModel"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"], "transformer": ["diffusers", "WanTransformer3DModel"],
    "transformer_2": [None, None], "vae": ["diffusers", "AutoencoderKLWan"],
}
# What our own engine wants to know beside the diffusers fields (engine/engine_folder.h). It stands in the transformer's
# config, because diffusers takes every entry of model_index.json for a component.
MISORA = {
    "name": "misora-tiny", "fps": 12, "width": 128, "height": 80, "frames": 49, "steps": 20, "guidance": 5.0,
    "window_latents": 13, "overlap_latents": 4,
}
TOKENIZER = {
    "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, "pad_token": "<pad>", "eos_token": "</s>",
    "unk_token": "<unk>", "extra_ids": 0, "additional_special_tokens": [],
}


def write_json(obj, *path):
    os.makedirs(os.path.join(*path[:-1]), exist_ok=True)
    with open(os.path.join(*path), "w") as f:
        f.write(json.dumps(obj, indent=2) + "\n")


def write_weights(state, *path):
    tensors = {k: v.to(torch.bfloat16).contiguous() for k, v in state.items()}
    save_file(tensors, os.path.join(*path), metadata={"format": "pt"})


def write_tokenizer(spiece, out):
    """spiece.model, and the tokenizer.json that transformers reads, with the byte pieces switched on."""
    folder = os.path.join(out, "tokenizer")
    write_json(TOKENIZER, folder, "tokenizer_config.json")
    shutil.copyfile(spiece, os.path.join(folder, "spiece.model"))
    if os.path.exists(os.path.join(folder, "tokenizer.json")):
        os.remove(os.path.join(folder, "tokenizer.json"))
    try:
        from transformers import T5Tokenizer
    except ImportError:
        print("tokenizer.json is not written: it needs transformers; the engine reads spiece.model")
        return
    t = json.loads(T5Tokenizer.from_pretrained(folder, extra_ids=0).backend_tokenizer.to_str())
    t["model"].update(byte_fallback=True, unk_id=3)
    with open(os.path.join(folder, "tokenizer.json"), "w") as f:
        json.dump(t, f, ensure_ascii=False, separators=(",", ":"))


def text_and_dit(path, z):
    """-> weights of the text encoder and of the transformer, their configs, and the noise levels of a distilled one."""
    if path:
        s = torch.load(path)
        cfg = s.get("cfg", {"dit": DIT_CONFIG, "text": TEXT_CONFIG})
        part = lambda name: {k[len(name):]: v for k, v in s["ema"].items() if k.startswith(name)}
        return part("text."), part("dit."), cfg, s.get("sigmas")
    torch.manual_seed(0)
    cfg = {"dit": {**DIT_CONFIG, "in_channels": z, "out_channels": z}, "text": TEXT_CONFIG}
    dit = DiT(cfg["dit"])
    torch.nn.init.normal_(dit.proj_out.weight, std=0.05)
    return TextEncoder(TEXT_CONFIG).state_dict(), dit.state_dict(), cfg, None


def refuse_strangers(vae_path, dit_path, stats):
    """A transformer speaks the latents of one autoencoder."""
    if not dit_path:
        return
    learnt = torch.load(dit_path)["latents"]
    if learnt["mean"] != stats["mean"] or learnt["std"] != stats["std"]:
        raise SystemExit(f"{dit_path} was trained on latents with another mean and std than --latents has")
    if "vae" in stats:
        ours = source_of(load_vae(vae_path)[0])["vae"]
        if ours != stats["vae"]:
            raise SystemExit(f"the latents are those of encoder {stats['vae']}, and {vae_path} is encoder {ours}")


def export(vae_path, dit_path, stats, spiece, out, shift):
    s = torch.load(vae_path)
    refuse_strangers(vae_path, dit_path, stats)
    vae_cfg = {**s["cfg"], "_diffusers_version": VERSION, "latents_mean": stats["mean"], "latents_std": stats["std"]}
    text, dit, cfg, sigmas = text_and_dit(dit_path, s["cfg"]["z_dim"])
    engine = {**MISORA, "shift": shift}
    if sigmas:
        engine.update(steps=len(sigmas), guidance=1.0, sigmas=sigmas)
    write_json(INDEX, out, "model_index.json")
    write_json({**SCHEDULER, "flow_shift": shift}, out, "scheduler", "scheduler_config.json")
    write_tokenizer(spiece, out)
    write_json(vae_cfg, out, "vae", "config.json")
    write_weights(s["ema"], out, "vae", "diffusion_pytorch_model.safetensors")
    write_json({**cfg["dit"], "_diffusers_version": VERSION, "misora": engine}, out, "transformer", "config.json")
    write_weights(dit, out, "transformer", "diffusion_pytorch_model.safetensors")
    write_json(cfg["text"], out, "text_encoder", "config.json")
    write_weights(text, out, "text_encoder", "model.safetensors")


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--vae", required=True)
    a.add_argument("--dit")
    a.add_argument("--latents", help="folder with stats.json: mean and std of the training latents")
    a.add_argument("--measure", type=int, default=0, metavar="N", help="with no --latents: measure them on N clips")
    a.add_argument("--spiece", required=True)
    a.add_argument("--shift", type=float, default=3.0)
    a.add_argument("--out", required=True)
    o = a.parse_args()
    model, cfg = load_vae(o.vae)
    stats = {"mean": [0.0] * cfg["z_dim"], "std": [1.0] * cfg["z_dim"]}
    if o.measure and not o.latents:
        stats = measure(model, KINDS, 500_000, o.measure)
    if o.latents:
        with open(os.path.join(o.latents, "stats.json")) as f:
            stats = json.load(f)
    export(o.vae, o.dit, stats, o.spiece, o.out, o.shift)
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(o.out) for f in fs)
    print(f"{o.out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
