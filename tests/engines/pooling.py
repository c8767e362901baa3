#!/usr/bin/env python3
"""The prefix cache of a vLLM server of scores by token: pooling.py URL on|off

The server, named `score`, has the package inferenceguard-vllm; `off` if INFERENCEGUARD_PREFIX_CACHE=off was set for it.
"""

import sys

from asking import Checks, Server

BLOCK = 32


def scores(server, texts, **more):
    """One list of scores a text: of its last tokens, if the first were in the cache."""
    body = {"model": "score", "input": texts, "use_activation": False, **more}
    return [[row[0] for row in one["data"]] for one in server.ask("/pooling", body)["data"]]


def main():
    server, cached, checks = Server(sys.argv[1]), sys.argv[2] == "on", Checks()
    text = [1 + (7 * i * i + 3 * i) % 40_000 for i in range(200)]
    longer = [text + [100 + i, 200 + i, 300 + i] for i in range(4)]
    full = [scores(server, [one], cache_salt=f"own-{i}")[0] for i, one in enumerate(longer)]
    checks.holds("a text that no other shares is scored whole", all(len(one) == 203 for one in full), [*map(len, full)])
    scores(server, [text])
    rows = scores(server, longer)
    begun = len(text) // BLOCK * BLOCK if cached else 0
    checks.holds(f"what grew from it is scored from token {begun}", {203 - begun} == set(map(len, rows)), [*map(len, rows)])
    worst = max(abs(a - b) for one, other in zip(rows, full) for a, b in zip(reversed(one), reversed(other)))
    checks.holds(f"rows are aligned from the end; worst difference {worst:.1e}", worst < 1e-3, worst)
    size = max(abs(score) for one in full for score in one)
    checks.holds(f"scores differ among themselves by more; largest {size:.2f}", size > 0.1, size)
    again = scores(server, [longer[0]])[0]
    checks.holds("the same text again", len(again) == 203 - (192 if cached else 0), len(again))
    checks.end()


if __name__ == "__main__":
    main()
