#!/usr/bin/env python3
"""Our program with vLLM: program.py PROGRAM MODEL URL OTHER

MODEL is the folder of the model that the server at URL has; the one at OTHER has the same architecture and other weights.
"""

import json
import pathlib
import re
import socket
import sys
import tempfile
import time

import ours
from asking import Checks

PROMPT = "What is the capital of France?"
WORD = "paris"


def says(text):
    """Whether the word is there as the bundle means it: whole, so `Parisian` is another one."""
    return re.search(rf"\b{WORD}\b", text, re.IGNORECASE) is not None


class Setting:
    """The command line that the scripts with vLLM share: a bundle that forbids the word, and a probe."""

    def __init__(self, program, model, folder):
        self.program, self.folder = program, folder
        self.bundle = ours.bundle(folder / "bundle", [WORD])
        self.probe = folder / "probe.json"
        self.model = model

    def make_probe(self):
        return ours.once([self.program, "model", "probe", self.model, "--out", self.probe])

    def flags(self, *urls):
        engine = ["--engine", f"vllm={','.join(urls)}", "--model", self.model, "--engine-precision", "f32"]
        return [*engine, "--engine-rows", "32", "--probe", self.probe, "--bundle", self.bundle]

    def run(self, *flags):
        return ours.once([self.program, "run", *flags, "--json", "--seed", "1", PROMPT])


def answers(setting, url, checks):
    """A guarded answer, from prompt to record."""
    made = setting.make_probe()
    checks.holds("a probe is made of the folder", made[0] == 0, made)
    records = setting.folder / "records"
    started = time.monotonic()
    status, out, errors = setting.run(*setting.flags(url), "--record", records)
    checks.holds(f"an answer in {time.monotonic() - started:.0f} s", status == 0, errors)
    answer = json.loads(out) if status == 0 else {}
    checks.holds("it is within budget", answer.get("status") == "within_budget", out[:300])
    text = answer.get("text", WORD)
    checks.holds(f"it does not have the word: {text!r}", not says(text), text)
    verified = ours.once([setting.program, "verify", records])
    checks.holds("its record verifies", verified[0] == 0, verified)


def refusals(setting, other, checks):
    """What must not answer: other weights, nobody, a server that is not vLLM."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        absent = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        cases = {"other weights": (other, "probe"), "nobody": (absent, absent)}
        for name, (url, expected) in cases.items():
            status, out, errors = setting.run(*setting.flags(url))
            fine = status != 0 and expected in errors and out == ""
            checks.holds(f"{name}: no answer, and an error that says why", fine, (status, out[:200], errors[:600]))
            print(f"        {errors.strip()[:300]}", flush=True)


def main():
    program, model, url, other = sys.argv[1:]
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(program, model, pathlib.Path(folder))
        answers(setting, url, checks)
        refusals(setting, other, checks)
    checks.end()


if __name__ == "__main__":
    main()
