"""Our program as the scripts in this folder use it: bundles, single answers, and servers."""

import contextlib
import http.client
import json
import pathlib
import subprocess
import time

from gateway import running

# Needs no score model: an answer is within budget while it has none of the words.
BUNDLE = """\
name = "words"
version = "1.0.0"
max_tokens = 24
refusal = "I cannot answer that safely."
on_exhausted = "refuse"

[policy]
component = "inference-guard.wasm"
settings = {{ n = 4, chunk-len = 8, retries = {retries} }}

[tracker]
component = "safety-budget.wasm"

[costs.words]
component = "keyword-cost.wasm"
settings = {{ words = {words} }}

[[constraints]]
name = "words"
cost = "words"
budget = 0.5
"""


def bundle(folder, words, retries=2):
    """A bundle that forbids words."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.toml").write_text(BUNDLE.format(words=json.dumps(words), retries=retries))
    return folder


def once(command, timeout=1800):
    """(exit status, what it prints, its errors) of a command that ends by itself."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def server(program, folder, flags):
    """Our server on ports of its own; gives (clients, administrators), each HOST:PORT."""
    log = pathlib.Path(folder) / "ours.log"
    doors = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    with running([program, "serve", *doors, *map(str, flags)], log) as process:
        yield addresses(process, log)


def addresses(process, log):
    """What the server prints when it listens."""
    while process.poll() is None:
        lines = [line.split() for line in log.read_text().splitlines()]
        found = {line[0]: line[1].split("/")[2] for line in lines if len(line) > 1 and "://" in line[1]}
        if {"clients", "administrators"} <= found.keys():
            return found["clients"], found["administrators"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
    raise SystemExit(f"our server ended:\n{log.read_text()[-2000:]}")


def ask(address, path, body=None, timeout=600):
    """(status, text) of one request. Its whole answer must be there before `timeout` seconds are over, else TimeoutError."""
    end = time.monotonic() + timeout
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, sent, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, whole(answer, end).decode()
    finally:
        connection.close()


def whole(answer, end):
    """The body of an answer. A stream that sends signs of life and no end counts as too late, which a socket's timeout misses."""
    parts = []
    while part := answer.read1(65536):
        parts.append(part)
        if time.monotonic() > end:
            raise TimeoutError
    if answer.length:
        raise http.client.IncompleteRead(b"".join(parts), answer.length)
    return b"".join(parts)
