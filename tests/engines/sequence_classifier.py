#!/usr/bin/env python3
"""A score model in safe-rlhf's format as vLLM and transformers read it: sequence_classifier.py FOLDER OUT

FOLDER holds a `LlamaForScore` with one score and no bias; OUT, which must not exist, gets the same weights as a
`LlamaForSequenceClassification`. Only names change. Needs nothing but Python.
"""

import json
import pathlib
import shutil
import struct
import sys

OLD, NEW = "score_head.weight", "score.weight"


def config(folder):
    found = json.loads((folder / "config.json").read_text())
    expected = {"architectures": ["LlamaForScore"], "score_dim": 1, "score_bias": False, "do_normalize": False}
    wrong = {name: found.get(name) for name, value in expected.items() if found.get(name) != value}
    if wrong:
        raise SystemExit(f"{folder}: found {wrong}, expected {expected}")
    for name in (*expected, "score_type", "bias"):
        found.pop(name, None)
    labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}, "num_labels": 1}
    return {**found, **labels, "architectures": ["LlamaForSequenceClassification"]}


def renamed(data):
    """The bytes of a safetensors file with the head's new name."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    if OLD not in header:
        raise SystemExit(f"found no tensor {OLD}, expected one")
    header[NEW] = header.pop(OLD)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def main():
    folder, out = map(pathlib.Path, sys.argv[1:])
    made = config(folder)
    shutil.copytree(folder, out)
    (out / "config.json").write_text(json.dumps(made, indent=2))
    weights = out / "model.safetensors"
    weights.write_bytes(renamed(weights.read_bytes()))


if __name__ == "__main__":
    main()
