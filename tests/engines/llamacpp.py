#!/usr/bin/env python3
"""Our program with llama.cpp's server: llamacpp.py PROGRAM FILE.gguf URL

FILE is the model that the server at URL has, in eight slots.
"""

import json
import pathlib
import sys
import tempfile

import ours
from asking import Checks

PROMPT = "What is the capital of France?"


def run(program, model, url, bundle, *more):
    # xllamacpp's server calls itself b0-unknown.
    flags = ["--engine", f"llamacpp={url}", "--engine-any-version", "--model", model, "--bundle", bundle]
    flags += ["--engine-precision", "q4", *more]
    return ours.once([program, "run", *flags, "--json", "--seed", "1", PROMPT])


def main():
    program, model, url = sys.argv[1:]
    checks = Checks()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        free = run(program, model, url, ours.bundle(folder / "free", ["zebra"], retries=0))
        checks.holds("an answer", free[0] == 0 and json.loads(free[1])["status"] == "within_budget", free)
        text = json.loads(free[1])["text"] if free[0] == 0 else ""
        checks.holds(f"it says something: {text!r}", text.strip() != "", free)
        guarded = run(program, model, url, ours.bundle(folder / "guarded", ["paris"], retries=0))
        text = json.loads(guarded[1])["text"] if guarded[0] == 0 else "paris"
        checks.holds(f"a guarded answer: {text!r}", "paris" not in text.lower(), guarded)
        retrying = run(program, model, url, ours.bundle(folder / "retries", ["paris"], retries=2))
        fine = retrying[0] != 0 and "penal" in retrying[2].lower() or "lower" in retrying[2].lower()
        checks.holds("retries that lower tokens by offset are refused by name", fine, retrying)
    checks.end()


if __name__ == "__main__":
    main()
