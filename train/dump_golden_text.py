"""Writes tests/golden/mini/text_encoder (a mini UMT5EncoderModel and its outputs) and tests/golden/mini/tokenizer
(a small spiece.model, its segmentations, and normalised texts of the full nmt_nfkc table).

    python train/dump_golden_text.py           (from the root of the tree)

text_encoder/io.safetensors: ids_N [N] i32 and rows_N [N,d_model] f32 for N tokens, made as the pipeline
makes them: padded to 512, masked, cut to N. Weights are rounded to f16 and stored so.

tokenizer/cases.tsv: max ids, text as hex, ids as sentencepiece gives them (cut, </s> appended).
tokenizer/clean.tsv: raw prompt as hex, ids after the prompt_clean() of diffusers' WanPipeline (with
ftfy). Compared as ids, because what our cleaning leaves to the normaliser ends up the same.
tokenizer/nmt_nfkc.tsv: text as hex, normalised text as hex; independent of the vocabulary, so any
spiece.model with the real nmt_nfkc table can be held against it. The small spiece.model has a
table of a few hundred rules instead, because the real one alone takes 240 KB.
"""
import io
import os
import random
import unicodedata

import sentencepiece
import torch
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from safetensors.torch import save_file
from transformers import UMT5Config, UMT5EncoderModel

ROOT = "tests/golden/mini"
TOKEN_COUNTS = (3, 4, 5, 8, 13, 21, 40, 200)

PLACES = "meadow desert village street sea beach studio kitchen cup world".split()
THINGS = "ball cube cone car ship tree house person woman corgi bird burger canvas lantern".split()
COLOURS = "red blue green yellow white black orange purple".split()
ACTS = "rolls bounces slides walks runs jumps spins flies sails falls collides returns".split()
CHINESE = ["一只红色的球在草地上弹跳，镜头慢慢推近。", "一艘海盗船在咖啡杯里航行。", "雪中的村庄，夜晚，灯笼发光。",
           "穿红大衣的女人走过霓虹街道。", "画笔在画布上留下颜色。"]


def corpus():
    rng = random.Random(1)
    lines = []
    for _ in range(600):
        lines.append(f"A {rng.choice(COLOURS)} {rng.choice(THINGS)} {rng.choice(ACTS)} in the "
                     f"{rng.choice(PLACES)}, the camera {rng.choice(['pans left', 'zooms in', 'orbits slowly'])}.")
    return lines + CHINESE * 30


def small_rules():
    """TSV of normalisation rules: Latin accents, full width, blanks and a few more of NFKC."""
    ranges = [(0xA0, 0x180), (0x2000, 0x2070), (0x3000, 0x3001), (0xFB00, 0xFB07), (0xFF01, 0xFF5F)]
    rows = {}
    for low, high in ranges:
        for c in map(chr, range(low, high)):
            for form in {c, unicodedata.normalize("NFD", c)}:
                norm = unicodedata.normalize("NFKC", form)
                if norm != form:
                    rows[form] = norm
    rows.update({"\t": " ", "\n": " ", "\r": " ", "\u00ad": "", "\u200b": " "})
    code = lambda s: " ".join(f"{ord(c):X}" for c in s)
    return "".join(f"{code(a)}\t{code(b)}\n" for a, b in sorted(rows.items()))


def train_tokenizer(**options):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=out, model_type="unigram", vocab_size=560,
        byte_fallback=True, pad_id=0, eos_id=1, bos_id=2, unk_id=3, hard_vocab_limit=False,
        num_threads=1, minloglevel=2, **options)
    return sentencepiece.SentencePieceProcessor(model_proto=out.getvalue()), out.getvalue()


TEXTS = [
    "", " ", "A red ball rolls in the meadow.", "  two   blanks \t and\na line  ",
    "A red ball，the camera pans left", "一只红色的球在草地上弹跳，镜头慢慢推近。", "ＡＢＣ　１２３！",
    "cafe\u0301 nai\u0308ve", "café naïve", "ﬁne oﬀer", "🙂 the corgi 🐕 jumps", "\u2581x \u2581", "zq\u0416\u0301",
    "</s> <pad> <unk> <0x41>", "soft\u00adhyphen zero\u200bwidth", "\u1100\u1161\u11a8 한글", "ｶﾞ ｷﾞ", "²½™ Ⅳ ㎏",
    "e\u0301\u0323\u0327", "\u0301start", "x" * 70,
]


NEGATIVE = ("色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，"
            "画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走")

RAW_PROMPTS = [
    "  A  red\tball\n\nrolls ", "a &lt;b&gt; &amp;amp; c", "&amp;lt;tag&amp;gt;", "caf&eacute; na&iuml;ve",
    "it\u2019s \u201cred\u201d \u2018x\u2019", "50 &#37; &#x25; &#X25", "&copy 2020 &notit; &amp", "&nosuch; & &; &#; &#x;",
    "&#128;5 &#150; &#0; &#xD800; &#x110000; &#99999999999999999999;", "tom&jerry &ltd; &gtx",
    "\u3000full\u3000width\uff0cＡＢＣ！", "\ufeffbom \x07bell \x7fdel", "\x1b[31mred\x1b[0m ball",
    "line\r\nbreak\u2028sep\u2029par\x85nel", "a&nbsp;b&nbsp;&nbsp;c", "&hellip;&mdash;&alpha;&Omega;&euro;",
    "<b>bold</b> &lt;", "一只红色的球，&quot;弹跳&quot;", "&apos;x&apos; &#39;y&#39;", "", "   ", "&", "a\x0bb\x0cc\x1cd",
    "cafe\u0301 &eacute", "&AMP;&LT;&QUOT;", "&#x1F642; \U0001F642",
    # What the original configurations say by default: T2V, and I2V and FLF2V with its prefix.
    NEGATIVE, "镜头晃动，" + NEGATIVE, "镜头切换，" + NEGATIVE,
    "一艘海盗船，在咖啡杯里航行！（近景）“慢动作”", "ＲＥＤ　ｂａｌｌ，１２３％", "👩‍🚀 in a café — 50 °C", "٣ шара, ½ κύβος",
]


def write_clean(sp):
    with open(os.path.join(ROOT, "tokenizer", "clean.tsv"), "w") as f:
        for text in RAW_PROMPTS:
            ids = sp.encode(prompt_clean(text)) + [sp.eos_id()]
            f.write(f"512\t{text.encode().hex()}\t{' '.join(map(str, ids))}\n")


def cases(sp):
    rng = random.Random(2)
    words = [sp.id_to_piece(i).replace("\u2581", " ") for i in range(260, sp.get_piece_size())]
    odd = "éñ，。　🙂ЖΩ\u0301\u00a0<>&\u2028字"
    rows = [(512, t) for t in TEXTS]
    for _ in range(120):
        text = "".join(rng.choice(words) if rng.random() < 0.7 else rng.choice(odd)
                       for _ in range(rng.randint(1, 16)))
        rows.append((512, text))
    long = " ".join(rng.choice(corpus()) for _ in range(60))
    assert len(sp.encode(long)) > 600
    rows += [(512, long), (16, long), (2, "A red ball"), (1, "A red ball")]
    return rows


def write_tokenizer():
    tsv = os.path.join(ROOT, "tokenizer", "rules.tmp")
    with open(tsv, "w", encoding="utf-8") as f:
        f.write(small_rules())
    sp, data = train_tokenizer(normalization_rule_tsv=tsv)
    os.remove(tsv)
    with open(os.path.join(ROOT, "tokenizer", "spiece.model"), "wb") as f:
        f.write(data)
    with open(os.path.join(ROOT, "tokenizer", "cases.tsv"), "w") as f:
        for cap, text in cases(sp):
            ids = sp.encode(text)[: cap - 1] + [sp.eos_id()]
            f.write(f"{cap}\t{text.encode().hex()}\t{' '.join(map(str, ids))}\n")
    write_clean(sp)
    print(f"tokenizer: {sp.get_piece_size()} pieces, {len(data)} bytes")


def write_nmt_nfkc():
    """Every code point that the real table changes would be too long: a fixed sample and TEXTS."""
    sp, _ = train_tokenizer(normalization_rule_name="nmt_nfkc")
    rng = random.Random(3)
    changed = [chr(c) for c in range(1, 0x30000) if not 0xD800 <= c <= 0xDFFF
               and unicodedata.normalize("NFKC", chr(c)) != chr(c)]
    texts = TEXTS + ["".join(rng.sample(changed, 12)) for _ in range(40)]
    texts += [unicodedata.normalize("NFD", "".join(chr(rng.randint(0xC0, 0x17F)) for _ in range(10)))
              for _ in range(10)]
    with open(os.path.join(ROOT, "tokenizer", "nmt_nfkc.tsv"), "w") as f:
        for text in texts:
            f.write(f"{text.encode().hex()}\t{sp.normalize(text).encode().hex()}\n")


def write_umt5():
    config = UMT5Config(vocab_size=400, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=3,
                        feed_forward_proj="gated-gelu", is_gated_act=True)
    model = UMT5EncoderModel(config).eval()
    g = torch.Generator().manual_seed(5)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=g)
        scale = 1.0 if "shared" in name or "relative" in name else p.shape[-1] ** -0.5
        p.copy_((1 + 0.2 * noise if "norm" in name else noise * scale).half().float())
    out = {}
    for n in TOKEN_COUNTS:
        ids = torch.randint(2, 400, (n,), generator=g)
        ids[-1] = 1
        padded = torch.zeros(1, 512, dtype=torch.long)
        padded[0, :n] = ids
        rows = model(padded, attention_mask=(torch.arange(512) < n).long()[None]).last_hidden_state
        alone = model(ids[None]).last_hidden_state
        assert (rows[0, :n] - alone[0]).abs().max() < 1e-5
        out[f"ids_{n}"], out[f"rows_{n}"] = ids.int(), rows[0, :n].contiguous()
    folder = os.path.join(ROOT, "text_encoder")
    model.half().save_pretrained(folder)
    save_file(out, os.path.join(folder, "io.safetensors"))
    print(f"umt5: rows sd {out['rows_200'].std():.3f}, {sorted(model.state_dict())[:3]}")


if __name__ == "__main__":
    os.makedirs(os.path.join(ROOT, "tokenizer"), exist_ok=True)
    write_tokenizer()
    write_nmt_nfkc()
    with torch.no_grad():
        write_umt5()
