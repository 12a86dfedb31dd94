"""Writes tokenizer.json and its small companions beside a spiece.model, so that diffusers and transformers
can load the folder. The C engine reads spiece.model alone.

    python tokenizer_json.py DIR

The steps are those of T5's converter, with the ids and the byte fallback that the model file states.
"""
import json
import os
import sys

from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram

SPECIALS = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


def build(path):
    model = sentencepiece_model_pb2.ModelProto()
    with open(path, "rb") as f:
        model.ParseFromString(f.read())
    spec = model.trainer_spec
    out = Tokenizer(Unigram([(p.piece, p.score) for p in model.pieces], unk_id=spec.unk_id,
                            byte_fallback=spec.byte_fallback))
    out.normalizer = normalizers.Sequence([
        normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap),
        normalizers.Strip(left=True, right=True), normalizers.Replace(Regex(" {2,}"), " ")])
    out.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    out.post_processor = processors.TemplateProcessing(
        single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[("</s>", spec.eos_id)])
    return out


def write(folder):
    build(os.path.join(folder, "spiece.model")).save(os.path.join(folder, "tokenizer.json"))
    config = dict(SPECIALS, tokenizer_class="PreTrainedTokenizerFast", model_max_length=512,
                  model_input_names=["input_ids", "attention_mask"])
    for name, value in (("tokenizer_config.json", config), ("special_tokens_map.json", SPECIALS)):
        with open(os.path.join(folder, name), "w") as f:
            json.dump(value, f, indent=2)
            f.write("\n")


if __name__ == "__main__":
    write(sys.argv[1])
