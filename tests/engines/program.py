#!/usr/bin/env python3
"""Our program with vLLM: program.py PROGRAM MODEL FIRST SECOND OTHER GROUP

MODEL is the folder of the model that the servers at the URLs FIRST and SECOND have; OTHER has the same architecture and other
weights. GROUP is the process group of FIRST, which is killed in the middle of the requests: INFERENCEGUARD_REQUESTS of them (40).
"""

import concurrent.futures
import json
import os
import pathlib
import signal
import socket
import sys
import tempfile
import time

import ours
from asking import Checks

PROMPT = "What is the capital of France?"
WORD = "paris"
REQUESTS = int(os.environ.get("INFERENCEGUARD_REQUESTS", "40"))
TOGETHER = 4


class Setting:
    """The command line that all of this shares."""

    def __init__(self, program, model, folder):
        self.program, self.folder = program, folder
        self.bundle = ours.bundle(folder / "bundle", [WORD])
        self.probe = folder / "probe.json"
        self.model = model

    def flags(self, *urls):
        engine = ["--engine", f"vllm={','.join(urls)}", "--model", self.model, "--engine-precision", "f32"]
        return [*engine, "--engine-rows", "32", "--probe", self.probe, "--bundle", self.bundle]

    def run(self, *flags):
        return ours.once([self.program, "run", *flags, "--json", "--seed", "1", PROMPT])


def answers(setting, first, checks):
    """A guarded answer, from prompt to record."""
    made = ours.once([setting.program, "model", "probe", setting.model, "--out", setting.probe])
    checks.holds("a probe is made of the folder", made[0] == 0, made)
    records = setting.folder / "records"
    started = time.monotonic()
    status, out, errors = setting.run(*setting.flags(first), "--record", records)
    checks.holds(f"an answer in {time.monotonic() - started:.0f} s", status == 0, errors)
    answer = json.loads(out) if status == 0 else {}
    checks.holds("it is within budget", answer.get("status") == "within_budget", out[:300])
    text = answer.get("text", WORD)
    checks.holds(f"it does not have the word: {text!r}", WORD not in text.lower(), text)
    verified = ours.once([setting.program, "verify", records])
    checks.holds("its record verifies", verified[0] == 0, verified)


def refusals(setting, first, other, checks):
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


def killed(setting, first, second, group, checks):
    """Two replicas, one of which dies: no unguarded word, no request that hangs, and answers go on."""
    with ours.server(setting.program, setting.folder, setting.flags(first, second)) as (clients, _):
        body = {"model": "any", "max_tokens": 24, "messages": [{"role": "user", "content": PROMPT}]}

        def one(number):
            if number == REQUESTS // 4:
                os.killpg(group, signal.SIGKILL)
            started = time.monotonic()
            status, text = ours.ask(clients, "/v1/chat/completions", {**body, "seed": number})
            return number, status, text, time.monotonic() - started

        with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
            found = list(pool.map(one, range(REQUESTS)))
        judge(found, checks)
        last = ours.ask(clients, "/v1/chat/completions", {**body, "seed": REQUESTS})
        checks.holds("after all, the other replica answers", last[0] == 200, last)


def judge(found, checks):
    counts = {status: sum(one[1] == status for one in found) for status in sorted({one[1] for one in found})}
    slowest = max(seconds for *_, seconds in found)
    print(f"        {len(found)} requests, by status {counts}, slowest {slowest:.0f} s", flush=True)
    wrong = [one for one in found if one[1] not in (200, 500, 502, 503, 504)]
    checks.holds("each request ends with an answer or an error of the server", not wrong, wrong[:2])
    unguarded = [one for one in found if one[1] == 200 and WORD in spoken(one[2]).lower()]
    checks.holds("no answer has the word", not unguarded, unguarded[:2])
    late = [one for one in found if one[0] > len(found) // 2 and one[1] == 200]
    checks.holds("requests are answered after the replica died", late != [], counts)


def spoken(text):
    return json.loads(text)["choices"][0]["message"]["content"]


def main():
    program, model, first, second, other, group = sys.argv[1:]
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(program, model, pathlib.Path(folder))
        answers(setting, first, checks)
        refusals(setting, first, other, checks)
        killed(setting, first, second, int(group), checks)
    checks.end()


if __name__ == "__main__":
    main()
