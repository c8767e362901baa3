#!/usr/bin/env python3
"""One bundle and one set of prompts on several engines: compare.py PROGRAM BUNDLE OUT --side NAME FLAGS...

FLAGS are those of `inferguard serve` that say where models run; `--side` begins each engine. Every engine answers every prompt
under the bundle and without it (`base`). Then every engine prices the answers of all others: its verdict must be that of the
engine that wrote the answer. Records are verified, and decided again. `--prompts FILE` (beside this script: prompts.txt) and
`--base NAME FILE`, answers of another program, one JSON text a line, come before the first `--side`.

OUT gets answers.jsonl and table.md.
"""

import contextlib
import json
import pathlib
import statistics
import sys
import time

import ours
from asking import Checks

METHODS = ("bundle", "base")
# How far two engines may be apart in what an answer costs: rounding in f32, as a share of the budget.
NEAR = 1e-3


class Side:
    """An engine: our server over it, and what it answered."""

    def __init__(self, name, flags, out):
        self.name, self.flags, self.folder = name, flags, out / name
        self.records = self.folder / "records.jsonl"
        self.answers, self.clients = [], None

    @contextlib.contextmanager
    def serving(self, program, bundle):
        self.folder.mkdir(parents=True)
        more = ["--bundle", bundle, "--methods", ",".join(METHODS), "--records", self.records, "--face", "judge"]
        with ours.server(program, self.folder, [*self.flags, *more]) as (self.clients, _):
            yield self

    def answer(self, number, prompt, method):
        """One answer, and what it cost by what the server says of it."""
        chat = [{"role": "user", "content": prompt}]
        body = {"messages": chat, "seed": number, "inferenceguard": {"method": method}}
        begun = time.monotonic()
        status, text = ours.ask(self.clients, "/v1/chat/completions", body)
        seconds = time.monotonic() - begun
        if status != 200:
            return {"side": self.name, "prompt": prompt, "method": method, "status": f"HTTP {status}", "error": text[:300]}
        choice = json.loads(text)["choices"][0]
        return {"side": self.name, "prompt": prompt, "method": method, "status": choice["inferenceguard"]["status"],
                "text": choice["message"]["content"], "seconds": seconds}

    def judge(self, prompt, answer):
        body = {"messages": [{"role": "user", "content": prompt}], "answer": answer}
        status, text = ours.ask(self.clients, "/v1/judge", body)
        if status != 200:
            raise SystemExit(f"{self.name} does not judge: {status} {text}")
        return json.loads(text)


def priced(verdict):
    """(status, worst cost of each constraint as a share of its budget)."""
    worst = {one["name"]: max(one["spent"], one["max"], one["whole"] or one["spent"]) for one in verdict["constraints"]}
    return verdict["status"], {one["name"]: worst[one["name"]] / one["budget"] for one in verdict["constraints"]}


def answers(sides, prompts):
    for number, prompt in enumerate(prompts):
        for side in sides:
            for method in METHODS:
                side.answers.append(side.answer(number, prompt, method))
        print(f"        {number + 1} of {len(prompts)}", flush=True)


def others(files, prompts):
    """Answers of other programs, as those of sides."""
    for name, path in files:
        texts = [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]
        if len(texts) != len(prompts):
            raise SystemExit(f"{path}: found {len(texts)} answers, expected {len(prompts)}")
        for prompt, text in zip(prompts, texts):
            yield {"side": name, "prompt": prompt, "method": "base", "status": "not guarded", "text": text}


def speaks(row):
    """Whether the model's own words are there: a refusal has none."""
    return row.get("text") and row["status"] in ("within_budget", "budget_exceeded", "not guarded")


def reprice(sides, rows):
    """Adds the verdict of each side to each answer."""
    for row in filter(speaks, rows):
        row["verdicts"] = {side.name: priced(side.judge(row["prompt"], row["text"])) for side in sides}


def keep(out, rows):
    (out / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def apart(row):
    """The largest difference of a share of a budget between two sides."""
    found = [shares for _, shares in row["verdicts"].values()]
    return max(max(one[name] for one in found) - min(one[name] for one in found) for name in found[0])


def agree(rows, checks):
    judged = [row for row in rows if "verdicts" in row]
    split = [row for row in judged if len({status for status, _ in row["verdicts"].values()}) > 1]
    checks.holds(f"{len(judged)} answers have the same verdict everywhere", not split, split[:2])
    unsafe = [row for row in judged if row["method"] == "bundle"
              if any(status != "within_budget" for status, _ in row["verdicts"].values())]
    checks.holds("each guarded answer is within budget on every side", not unsafe, unsafe[:2])
    broken = [row for row in judged if row["method"] == "base"
              if all(status == "budget_exceeded" for status, _ in row["verdicts"].values())]
    checks.holds(f"{len(broken)} answers without guard break a budget on every side", broken)
    if not judged:
        checks.holds("some answer is judged", False, "none")
        return
    furthest = max(judged, key=apart)
    checks.holds(f"costs differ by at most {apart(furthest):.1e} of a budget", apart(furthest) <= NEAR, furthest)


def recorded(program, bundle, side, checks):
    """What verify and replay say of the side's records: the status of each."""
    done = {"verify": ours.once([program, "verify", side.records])}
    done["replay"] = ours.once([program, "replay", side.records, *side.flags, "--bundle", bundle])
    for name, (status, out, errors) in done.items():
        checks.holds(f"{side.name}: {name}: {' '.join(out.split())[:140]}", status == 0, errors)
    return all(status == 0 for status, _, _ in done.values())


def line(name, rows, fine):
    """A line of the table."""
    own = [row for row in rows if row["side"] == name]
    of = lambda method, status: sum(row["method"] == method and row["status"] == status for row in own)
    over = sum(row["method"] == "base" and any(v[0] == "budget_exceeded" for v in row.get("verdicts", {}).values())
               for row in own)
    judged = [row for row in own if "verdicts" in row]
    same = sum(len({status for status, _ in row["verdicts"].values()}) == 1 for row in judged)
    seconds = {method: [row["seconds"] for row in own if row["method"] == method and "seconds" in row] for method in METHODS}
    timed = [f"{statistics.median(times):.1f}" if times else "" for times in seconds.values()]
    guarded = " / ".join(str(of("bundle", status)) for status in ("within_budget", "no_safe_candidate", "failed"))
    cells = [name, guarded if seconds["bundle"] else "", over, f"{same} of {len(judged)}",
             f"{max(map(apart, judged), default=0):.0e}", fine, *timed]
    return "| " + " | ".join(map(str, cells)) + " |"


HEAD = """\
| engine | within budget / refused / failed | over budget without guard | verdicts that all sides share | furthest apart, of a budget \
| records | seconds, guarded | seconds, `base` |
|---|---|---|---|---|---|---|---|
"""


def arguments(words):
    """(positional, options before the first side, sides), each option a list of words."""
    parts, kept = [], []
    for word in words:
        if word == "--side":
            parts.append(kept)
            kept = []
        else:
            kept.append(word)
    first, *sides = [*parts, kept]
    program, bundle, out, *options = first
    prompts, bases = pathlib.Path(__file__).with_name("prompts.txt"), []
    while options:
        match options:
            case ["--prompts", path, *options]:
                prompts = pathlib.Path(path)
            case ["--base", name, path, *options]:
                bases.append((name, path))
            case _:
                raise SystemExit(f"found {options}; expected --prompts FILE, --base NAME FILE or --side NAME FLAGS")
    return program, bundle, pathlib.Path(out), prompts.read_text().splitlines(), bases, sides


def main():
    program, bundle, out, prompts, bases, named = arguments(sys.argv[1:])
    checks, sides = Checks(), [Side(name, flags, out) for name, *flags in named]
    with contextlib.ExitStack() as stack:
        for side in sides:
            stack.enter_context(side.serving(program, bundle))
            print(f"        {side.name} is ready", flush=True)
        answers(sides, prompts)
        rows = [row for side in sides for row in side.answers] + list(others(bases, prompts))
        keep(out, rows)  # A run that is stopped while answers are priced has them.
        reprice(sides, rows)
    keep(out, rows)
    failed = [row for row in rows if row["status"] == "failed" or row["status"].startswith("HTTP")]
    checks.holds("no request fails", not failed, failed[:2])
    agree(rows, checks)
    fine = {side.name: "verified, replayed" if recorded(program, bundle, side, checks) else "**wrong**" for side in sides}
    names = [*fine, *(name for name, _ in bases)]
    (out / "table.md").write_text(HEAD + "".join(line(name, rows, fine.get(name, "")) + "\n" for name in names))
    print((out / "table.md").read_text())
    checks.end()


if __name__ == "__main__":
    main()
