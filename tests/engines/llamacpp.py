#!/usr/bin/env python3
"""Our program with llama.cpp's server: llamacpp.py PROGRAM FILE.gguf PYTHON

PYTHON has the package xllamacpp, whose server runs FILE in nine slots, then nothing, then a damaged copy of FILE, then FILE.
"""

import contextlib
import json
import pathlib
import sys
import tempfile
import time

import ours
from asking import Checks
from gateway import HERE, free_port, running, until_open

PROMPT = "What is the capital of France?"


class Setting:
    """A port for llama.cpp's server, and the flags of our program for it."""

    def __init__(self, program, model, python, folder):
        self.program, self.model, self.python, self.folder = program, model, python, folder
        self.port, self.probe = free_port(), folder / "probe.json"

    def engine(self, file):
        """The server, which can be asked as soon as it has read the file."""
        (self.folder / "slots").mkdir(exist_ok=True)
        command = [self.python, HERE / "llamacpp_server.py", file, self.port, 9, self.folder / "slots"]
        return running(list(map(str, command)), self.folder / "llamacpp.log")

    def wait(self, process):
        until_open(self.port, self.folder / "llamacpp.log", process)
        while ours.ask(f"127.0.0.1:{self.port}", "/health")[0] != 200:
            time.sleep(0.2)

    def flags(self, bundle, any_version=True):
        flags = ["--engine", f"llamacpp=http://127.0.0.1:{self.port}", "--model", self.model, "--bundle", bundle]
        # xllamacpp's server calls itself b0-unknown.
        more = ["--engine-any-version"] if any_version else []
        return [*flags, *more, "--engine-precision", "q4", "--probe", self.probe]

    def run(self, bundle, any_version=True):
        return ours.once([self.program, "run", *self.flags(bundle, any_version), "--json", "--seed", "1", PROMPT])


def answers(setting, checks):
    made = ours.once([setting.program, "model", "probe", setting.model, "--out", setting.probe])
    checks.holds("a probe is made of the file", made[0] == 0, made)
    free = setting.run(ours.bundle(setting.folder / "free", ["zebra"], retries=0))
    checks.holds("an answer", free[0] == 0 and json.loads(free[1])["status"] == "within_budget", free)
    text = json.loads(free[1])["text"] if free[0] == 0 else ""
    checks.holds(f"it says something: {text!r}", text.strip() != "", free)
    guarded = setting.run(ours.bundle(setting.folder / "guarded", ["paris"], retries=0))
    text = json.loads(guarded[1])["text"] if guarded[0] == 0 else "paris"
    checks.holds(f"a guarded answer: {text!r}", "paris" not in text.lower(), guarded)


def refusals(setting, checks):
    status, out, errors = setting.run(ours.bundle(setting.folder / "retries", ["paris"], retries=2))
    fine = status != 0 and out == "" and "lowers tokens" in errors
    checks.holds("retries that lower tokens by offset are refused by name", fine, (status, out, errors))
    status, out, errors = setting.run(setting.folder / "free", any_version=False)
    fine = status != 0 and out == "" and "b0-unknown" in errors and "--engine-any-version" in errors
    checks.holds("a build that does not name itself is refused", fine, (status, out, errors))


def chat(clients):
    body = {"max_tokens": 8, "messages": [{"role": "user", "content": PROMPT}], "seed": 1}
    status, text = ours.ask(clients, "/v1/chat/completions", body)
    return status, json.loads(text)["choices"][0]["inferenceguard"]["status"] if status == 200 else text


def comes_back(clients, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ours.ask(clients, "/ready")[0] == 200:
            return True
        time.sleep(0.5)
    return False


def replaced(setting, checks):
    """What our server does while nobody and while another model answers at the URL, and after."""
    flags = setting.flags(setting.folder / "free")
    with contextlib.ExitStack() as stack:
        with setting.engine(setting.model) as process:
            setting.wait(process)
            clients, _ = stack.enter_context(ours.server(setting.program, setting.folder, flags))
            found = chat(clients)
            checks.holds("our server answers", found == (200, "within_budget"), found)
        found = chat(clients)
        checks.holds("without llama.cpp's server: an error or a failure", refused(found), found)
        with setting.engine(damaged(setting)) as process:
            setting.wait(process)
            found = [chat(clients) for _ in range(3)]
            checks.holds("with another model there: no answer", all(map(refused, found)), found)
            checks.holds("and /ready says so", ours.ask(clients, "/ready")[0] == 503, "not 503")
        with setting.engine(setting.model) as process:
            setting.wait(process)
            checks.holds("with the model back, /ready says so by itself", comes_back(clients), "not within two minutes")
            found = chat(clients)
            checks.holds("and our server answers", found == (200, "within_budget"), found)


def refused(found):
    return found[0] >= 500 or found[1] == "failed"


def damaged(setting):
    """A copy of the model under another name, with a part of its weights moved."""
    data = bytearray(pathlib.Path(setting.model).read_bytes())
    middle = len(data) // 2
    data[middle:middle + 4_000_000] = data[middle + 4_000_000:middle + 8_000_000]
    copy = setting.folder / "damaged.gguf"
    copy.write_bytes(data)
    return copy


def main():
    program, model, python = sys.argv[1:]
    checks = Checks()
    with tempfile.TemporaryDirectory() as name:
        setting = Setting(program, model, python, pathlib.Path(name))
        with setting.engine(model) as process:
            setting.wait(process)
            answers(setting, checks)
            refusals(setting, checks)
        replaced(setting, checks)
    checks.end()


if __name__ == "__main__":
    main()
