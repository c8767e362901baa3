#!/usr/bin/env python3
"""Penalties by offset of a real vLLM server: penalties.py URL PENALISED

PENALISED is `cargo build --release -p inferenceguard-model --example penalised`, the reference sampler. The server has the
package inferenceguard-vllm and runs with `--max-logprobs -1 --logprobs-mode processed_logits`, so that its answers hold the
logits from which it draws, over the whole vocabulary: they must be those of the reference sampler, given the logits without
penalties.
"""

import array
import concurrent.futures
import json
import random
import subprocess
import sys

from asking import Checks, Refused, Server

VOCABULARY = 49_152


def table(server, prompt, checks):
    """One penalty at a time, on greedy answers."""
    free = server.ids(prompt, 8)
    checks.holds("a greedy answer repeats", server.ids(prompt, 8) == free)
    for offset in (0, 5):
        lowered = server.ids(prompt, 8, (1.0, [[offset, [free[offset]], [100.0]]]))
        same = lowered[:offset] == free[:offset]
        checks.holds(f"offset {offset}: another token there, none before", same and lowered[offset] != free[offset], lowered)
    for offset, why in ((4, "does not count at offset 5"), (8, "is past the end")):
        elsewhere = server.ids(prompt, 8, (1.0, [[offset, [free[5]], [100.0]]]))
        checks.holds(f"the entry for offset {offset} {why}", elsewhere == free or free[5] == free[4], elsewhere)
    both = server.ids(prompt, 8, (0.0, [[0, [free[0]], [100.0]], [1, [free[1]], [0.0]]]))
    checks.holds("the likeliest token is lowered at mass 0", both[0] != free[0], both)
    return free


def mixed(server, prompt, free, checks):
    """Penalised and other requests side by side, among requests that begin and end at different times."""
    lowered = server.ids(prompt, 8, (1.0, [[2, [free[2]], [100.0]]]))

    def one(i):
        if i % 3 == 2:
            server.ids(prompt, 1 + i % 5, (1.0, [[0, [free[0]], [100.0]]]))
            return None
        return i % 3, server.ids(prompt, 8, (1.0, [[2, [free[2]], [100.0]]]) if i % 3 else None)

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        found = [pair for pair in pool.map(one, range(24)) if pair]
    wrong = [pair for pair in found if pair[1] != (lowered if pair[0] else free)]
    checks.holds("24 requests at once, a third penalised: each as alone", not wrong and lowered != free, wrong)


def refusals(server, prompt, checks):
    """A malformed argument is a 400 that says what was found."""
    cases = {"{": "JSON", '{"mass": 2, "at": []}': "mass 2", '{"mass": 1, "at": [[0, [1], ["x"]]]}': "penalties ['x']"}
    for text, expected in cases.items():
        check_refused(server, prompt, {"ig_pen": text}, expected, checks)
    check_refused(server, prompt, {"ig_pen": 5}, "found 5", checks)
    check_refused(server, prompt, {"ig_penalties": "{}"}, "ig_penalties", checks)


def check_refused(server, prompt, extra, expected, checks):
    try:
        found = server.complete(prompt, 1, vllm_xargs=extra)
    except Refused as refusal:
        found = f"{refusal.status} {refusal.body}"
    fine = isinstance(found, str) and found.startswith("400") and expected in found and "expected" in found
    checks.holds(f"{extra} is refused with 400", fine, found)


def logits(server, prompt, tokens, penalties=None, **more):
    """The ids of an answer, and the logits that each was drawn from."""
    choice = server.complete(prompt, tokens, penalties, logprobs=-1, temperature=1.0, seed=5, **more)[0]
    rows = [{int(name.removeprefix("token_id:")): value for name, value in row.items()}
            for row in choice["logprobs"]["top_logprobs"]]
    short = [len(row) for row in rows if len(row) != VOCABULARY]
    if short:
        raise SystemExit(f"found {short} logits a row, expected {VOCABULARY}: start with --max-logprobs -1")
    return choice["token_ids"], [[row[token] for token in range(VOCABULARY)] for row in rows]


def reference(program, cases):
    """What the reference sampler makes of rows, in f32: it prints the shortest digits that tell numbers apart."""
    lines = "\n".join(json.dumps(case) for case in cases) + "\n"
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    return [array.array("f", json.loads(line)).tolist() for line in done.stdout.splitlines()]


def drawn_entry(row, numbers):
    """Tokens that matter: some of the likeliest, some others, one twice, one outside the vocabulary; a mass that cuts."""
    likely = sorted(range(VOCABULARY), key=lambda token: -row[token])[:12]
    tokens = numbers.sample(likely, numbers.randint(1, 8)) + [numbers.randrange(VOCABULARY)]
    numbers.shuffle(tokens)
    tokens += [tokens[0], VOCABULARY + 5]
    return tokens, [round(numbers.uniform(0.1, 8.0), 3) for _ in tokens], round(numbers.uniform(0, 0.9), 3)


def against_reference(server, program, prompts, checks):
    """First tokens: the same logits go into the plugin and into the reference sampler."""
    numbers = random.Random(18)
    for factor in (1.0, 1.3):
        cases, found = [], []
        for prompt in prompts:
            row = logits(server, prompt, 1)[1][0]
            for _ in range(3):
                tokens, penalties, mass = drawn_entry(row, numbers)
                entry = (mass, [[0, tokens, penalties]])
                found.append(logits(server, prompt, 1, entry, repetition_penalty=factor)[1][0])
                cases.append({"logits": row, "tokens": tokens, "penalties": penalties, "mass": mass,
                              "repetition_penalty": factor, "repeated": sorted(set(prompt))})
        expected = reference(program, cases)
        worst = max(abs(a - b) for one, other in zip(found, expected) for a, b in zip(one, other))
        # A token that is named twice is lowered by the sum, which rounds once where the reference rounds twice.
        checks.holds(f"{len(cases)} rows as the reference sampler, repetition penalty {factor}; worst {worst:.1e}",
                     worst <= 4e-6, worst)
        if factor == 1.0:
            checks.holds("the mass spares some of the tokens", spared(cases, expected) > 3, spared(cases, expected))


def spared(cases, expected):
    """How many tokens that are named stay as they are."""
    return sum(len(set(case["tokens"]) - {VOCABULARY + 5}) - sum(a != b for a, b in zip(case["logits"], after))
               for case, after in zip(cases, expected))


def later_offsets(server, program, prompt, checks):
    """A chunk of six: the rows at offsets 2 and 4 are lowered, and those that follow come of what was drawn."""
    free, rows = logits(server, prompt, 6)
    entry = (0.6, [[4, [free[4], free[3]], [3.0, 2.0]], [2, [free[2], 504], [0.25, 0.5]]])
    after, found = logits(server, prompt, 6, entry)
    checks.holds("the rows before the first entry are as they were", found[:2] == rows[:2] and after[:2] == free[:2], after)
    case = {"logits": rows[2], "tokens": [free[2], 504], "penalties": [0.25, 0.5], "mass": 0.6, "repetition_penalty": 1.0,
            "repeated": []}
    checks.holds("offset 2 as the reference sampler", reference(program, [case]) == [found[2]])


def main():
    server, program, checks = Server(sys.argv[1]), sys.argv[2], Checks()
    questions = ["What is the capital of France?", "How do I clean a kitchen knife?", "Name three colours."]
    prompts = [server.tokens(question) for question in questions]
    free = table(server, prompts[0], checks)
    mixed(server, prompts[0], free, checks)
    refusals(server, prompts[0], checks)
    against_reference(server, program, prompts, checks)
    later_offsets(server, program, prompts[1], checks)
    checks.end()


if __name__ == "__main__":
    main()
