#!/usr/bin/env python3
"""LiteLLM in front of a stand-in model, guarded by InferenceGuard's route.

    litellm.py --litellm PROGRAM --guard URL --safe TEXT --unsafe TEXT --word WORD --blocked PROMPT [--key KEY]

`--safe` and `--unsafe` are answers that the guard's bundle lets out and does not, WORD a word of the unsafe answer that no
client may read, `--blocked` a prompt that it refuses. Answers of real HTTP requests are checked, whole and streamed, with the
guard there and with the guard gone.
"""

import argparse
import contextlib
import json
import os
import pathlib
import tempfile

from asking import Checks
from gateway import chat, count, free_port, running, until_open, upstream

KEY = "sk-of-the-gateway"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("litellm", "guard", "safe", "unsafe", "word", "blocked"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--key", help="what the guard asks of the gateway")
    return parser.parse_args()


def configuration(args, model, guard, on_unsafe):
    """LiteLLM reads YAML, and JSON is YAML."""
    params = {"guardrail": "generic_guardrail_api", "mode": ["pre_call", "post_call"], "api_base": guard, "default_on": True}
    params |= {"streaming_transform_mode": "incremental_diff", **({"api_key": args.key} if args.key else {})}
    params["additional_provider_specific_params"] = {"on_unsafe": on_unsafe}
    model = {"model": "openai/mock", "api_base": f"http://127.0.0.1:{model}/v1", "api_key": "none"}
    return json.dumps({
        "model_list": [{"model_name": "mock", "litellm_params": model}],
        "guardrails": [{"guardrail_name": "inferenceguard", "litellm_params": params}],
        "general_settings": {"master_key": KEY},
    })


def guarded(args, folder, model, on_unsafe, checks):
    with proxy(args, folder, model, args.guard, on_unsafe) as ask:
        for stream in (False, True):
            how = f"{on_unsafe}, {'streamed' if stream else 'whole'}"
            found = ask("How do I clean a knife?", stream)
            checks.holds(f"{how}: a safe answer comes as it is", found == (200, args.safe), found)
            unsafe(ask("How do I clean a knife? #1", stream), args, on_unsafe, how, stream, checks)
            before = count(model)
            found = ask(args.blocked, stream)
            checks.holds(f"{how}: a refused prompt is a 400", found[0] == 400, found)
            checks.holds(f"{how}: and the model is not asked", count(model) == before, count(model) - before)


def unsafe(found, args, on_unsafe, how, stream, checks):
    checks.holds(f"{how}: of an unsafe answer no client reads the word", args.word not in found[1], found)
    # A stream that is blocked before its first words still gets a status of its own.
    expected = {"replace": (200,), "block": (200, 400) if stream else (400,)}[on_unsafe]
    fine = found[0] in expected and found[1].strip() != ""
    checks.holds(f"{how}: its status is of {expected}, and it says something", fine, found)


def without_guard(args, folder, model, checks):
    """Nothing listens where the guard should be: the gateway gives errors, and asks its model nothing."""
    with proxy(args, folder, model, f"http://127.0.0.1:{free_port()}", "block") as ask:
        before = count(model)
        for stream in (False, True):
            found = ask("How do I clean a knife?", stream)
            how = "streamed" if stream else "whole"
            checks.holds(f"{how}: without the guard no words of the model come", not leaks(args.safe, found[1]), found)
            checks.holds(f"{how}: without the guard comes an error", found[0] >= 400 or "error" in found[1], found)
        checks.holds("without the guard the model is not asked", count(model) == before, count(model) - before)


def leaks(answer, text):
    """Whether a part of an answer is in a text: any three words in a row."""
    words = answer.split()
    return any(" ".join(words[at:at + 3]) in text for at in range(max(1, len(words) - 2)))


@contextlib.contextmanager
def proxy(args, folder, model, guard, on_unsafe):
    """A LiteLLM proxy; gives a function that asks it."""
    port, config, log = free_port(), folder / "litellm.yaml", folder / "litellm.log"
    config.write_text(configuration(args, model, guard, on_unsafe))
    command = [args.litellm, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    # Prices of models come from the package; a machine without the web would wait for them.
    with running(command, log, env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}) as process:
        until_open(port, log, process)
        yield lambda prompt, stream: chat(port, prompt, stream, {"authorization": f"Bearer {KEY}"})


def main():
    args, checks = arguments(), Checks()
    with tempfile.TemporaryDirectory() as folder, upstream(pathlib.Path(folder), [args.safe, args.unsafe]) as model:
        for on_unsafe in ("block", "replace"):
            guarded(args, pathlib.Path(folder), model, on_unsafe, checks)
        without_guard(args, pathlib.Path(folder), model, checks)
    checks.end()


if __name__ == "__main__":
    main()
