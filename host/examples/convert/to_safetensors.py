"""Writes the pickled weights of a model folder (pytorch_model*.bin) as safetensors, beside them.

    pip install torch safetensors
    to_safetensors.py FOLDER

Each file `pytorch_model-00001-of-00003.bin` becomes `model-00001-of-00003.safetensors`, and all of them an index. Only tensors are
unpickled (`weights_only`), so a file that holds code is refused. Names, shapes and number formats stay as they are. One file is in
memory at a time. A tensor that is stored twice is written under its first name: tied embeddings as config.json states them.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file


def tensors(path):
    """The tensors of a file: contiguous, and none a view of another."""
    found, places = {}, set()
    for name, value in torch.load(path, map_location="cpu", weights_only=True, mmap=True).items():
        if not isinstance(value, torch.Tensor):
            sys.exit(f"{path}: {name} is no tensor; expected a state dict")
        place = (value.data_ptr(), tuple(value.shape), tuple(value.stride()))
        if place not in places or value.numel() == 0:
            places.add(place)
            found[name] = value.clone().contiguous()
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit("expected one folder: to_safetensors.py FOLDER")
    folder = pathlib.Path(sys.argv[1])
    files = sorted(folder.glob("pytorch_model*.bin"))
    if not files:
        sys.exit(f"{folder}: no pytorch_model*.bin in it")
    index, total = {}, 0
    for path in files:
        own = tensors(path)
        to = path.name.replace("pytorch_model", "model", 1).removesuffix(".bin") + ".safetensors"
        part = folder / f"{to}.part"
        save_file(own, part, metadata={"format": "pt"})
        part.replace(folder / to)
        for name, value in own.items():
            if name in index:
                sys.exit(f"{path}: {name} is in {index[name]} already")
            index[name] = to
            total += value.numel() * value.element_size()
        print(f"{to}: {len(own)} tensors")
    if len(files) > 1:
        about = {"metadata": {"total_size": total}, "weight_map": index}
        (folder / "model.safetensors.index.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
