"""Words to ids: a SentencePiece unigram model as UMT5 uses it, trained on the world's own captions.

    python tokens.py --pools POOL... --out DIR

pad 0, eos 1, bos 2, unk 3; nmt_nfkc; bytes for what it has never seen, so that any prompt has ids.
"""
import argparse
import json
import math
import os
import re
import string
from collections import Counter

import sentencepiece as spm
import torch
from sentencepiece import sentencepiece_model_pb2 as model_pb2

EOS = 1


class Tokens:
    def __init__(self, path):
        self.sp = spm.SentencePieceProcessor(model_file=path)
        self.known = {}

    def ids(self, text, limit=512):
        """Ids with </s> at the end; at most `limit` of them."""
        if text not in self.known:
            self.known[text] = self.sp.encode(" ".join(text.split()))
        return self.known[text][:limit - 1] + [EOS]

    def batch(self, texts, limit=512):
        rows = [self.ids(t, limit) for t in texts]
        out = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        for i, r in enumerate(rows):
            out[i, :len(r)] = torch.tensor(r)
        return out


def count_pieces(texts):
    """Whole English words, runs of Chinese that stick together, and every single character."""
    words, chars, runs = Counter(), Counter(), Counter()
    for text in texts:
        for w in re.findall(r"[A-Za-z]+|[0-9]+", text):
            words[w] += 1
        for run in re.findall(r"[\u3400-\u9fff]+", text):
            for n in (1, 2, 3):
                runs.update(run[i:i + n] for i in range(len(run) - n + 1))
        words.update("-" + w for w in re.findall(r"-([a-z]+)", text))
        chars.update(c for c in text if not c.isspace() and not "\u3400" <= c <= "\u9fff")
    firm = {r: n for r, n in runs.items() if len(r) > 1 and n >= 30 and not set(r) & set("的了在一是这") and
            n > 0.3 * max(max(runs[r[:i]], runs[r[i:]]) for i in range(1, len(r)))}
    return words, {**chars, **{r: n for r, n in runs.items() if len(r) == 1}}, firm


def train(texts, out, vocab=2048):
    """Writes spiece.model. The normaliser and the byte pieces are SentencePiece's own; the table is ours.

    Its trainer spends such a small table on whole Chinese sentences and cuts English words to
    pieces, while a model that shall recombine words needs one row per word."""
    os.makedirs(out, exist_ok=True)
    corpus, path = os.path.join(out, "corpus.txt"), os.path.join(out, "spiece.model")
    alphabet = [string.ascii_letters + string.digits + ".,!?;:'\"()-。！？、"] * 40
    with open(corpus, "w") as f:
        f.write("\n".join(texts[:200] + alphabet))
    spm.SentencePieceTrainer.train(
        input=corpus, model_prefix=os.path.join(out, "spiece"), model_type="unigram", vocab_size=1000,
        hard_vocab_limit=False, byte_fallback=True, character_coverage=1.0, pad_id=0, eos_id=1, bos_id=2, unk_id=3,
        pad_piece="<pad>", eos_piece="</s>", bos_piece="<s>", unk_piece="<unk>",
        normalization_rule_name="nmt_nfkc", minloglevel=2)
    m = model_pb2.ModelProto()
    with open(path, "rb") as f:
        m.ParseFromString(f.read())
    fixed = [p for p in m.pieces if p.type != p.NORMAL]
    words, chars, firm = count_pieces(texts + alphabet)
    counts = Counter({"\u2581": 100, **firm,
                      **{w[1:] if w[0] == "-" else "\u2581" + w: n for w, n in words.items()}})
    room = vocab - len(fixed) - len(chars)
    counts = dict(counts.most_common(room))
    counts.update({c: max(1, n // 50) for c, n in chars.items()})
    total = sum(counts.values())
    del m.pieces[:]
    m.pieces.extend(fixed)
    for piece, n in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0])):
        m.pieces.add(piece=piece, score=math.log(n / total))
    m.trainer_spec.vocab_size, m.trainer_spec.model_prefix = len(m.pieces), "spiece"
    del m.trainer_spec.input[:]
    with open(path, "wb") as f:
        f.write(m.SerializeToString())
    os.remove(corpus)
    os.remove(os.path.join(out, "spiece.vocab"))


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--texts", help="one caption a line")
    a.add_argument("--pools", nargs="*", default=[], help="or the captions of pools of clips")
    a.add_argument("--out", required=True)
    o = a.parse_args()
    texts = []
    if o.texts:
        with open(o.texts) as f:
            texts = f.read().split("\n")
    for path in o.pools:
        with open(os.path.join(path, "meta.jsonl")) as f:
            texts += [json.loads(line)[k] for line in f for k in ("short_en", "long_en", "short_zh", "long_zh")]
    train(texts, o.out)


if __name__ == "__main__":
    main()
