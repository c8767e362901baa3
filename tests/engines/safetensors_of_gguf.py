#!/usr/bin/env python3
"""A folder as vLLM and transformers read it, from a GGUF file: safetensors_of_gguf.py FILE.gguf OUT [--other|--score-head]

Needs transformers, torch, gguf and accelerate. OUT must not exist. With --other one layer's weights are changed a little: a
model that answers, and that is not this one. With --score-head the folder holds a score model: the same weights with a head
of fixed random numbers, one score a token (`LlamaForSequenceClassification` for a Llama).
"""

import argparse
import copy
import os
import pathlib
import shutil

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--other", action="store_true")
    kind.add_argument("--score-head", action="store_true")
    return parser.parse_args()


def plain(loaded):
    """The same weights in a model that does not know it came from a GGUF file, which transformers would not save."""
    config = copy.deepcopy(loaded.config)
    config.__dict__.pop("quantization_config", None)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(loaded.state_dict())
    return model


def change(model):
    """Swaps a few rows of the last layer's output for each other."""
    weight = model.model.layers[-1].mlp.down_proj.weight.data
    weight[:64] = weight[:64].flip(0).clone()


def with_score_head(model, folder, out):
    """The same network, with a head that is the same in each run."""
    scores = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
    generator = torch.Generator().manual_seed(7)
    head = torch.randn(scores.score.weight.shape, generator=generator) / 8
    scores.score.weight.data.copy_(head)
    scores.config.pad_token_id = model.config.eos_token_id
    scores.save_pretrained(out, safe_serialization=True)


def main():
    args = arguments()
    if args.out.exists():
        raise SystemExit(f"{args.out} exists")
    scratch = args.out.with_name(args.out.name + ".partial")
    shutil.rmtree(scratch, ignore_errors=True)
    source = {"pretrained_model_name_or_path": str(args.file.parent.resolve()), "gguf_file": args.file.name}
    model = plain(AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32))
    if args.other:
        change(model)
    model.save_pretrained(scratch, safe_serialization=True)
    tokenizer = AutoTokenizer.from_pretrained(**source)
    if args.score_head:
        folder = args.out.with_name(args.out.name + ".language")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(scratch, folder)
        with_score_head(model, folder, scratch)
        shutil.rmtree(folder)
    tokenizer.save_pretrained(scratch)
    os.replace(scratch, args.out)


if __name__ == "__main__":
    main()
