#!/usr/bin/env python3
"""LiteLLM in front of a stand-in model, guarded by InferenceGuard's route.

    litellm.py --litellm PROGRAM --guard URL --safe TEXT --unsafe TEXT --word WORD --blocked PROMPT [--key KEY]

`--safe` and `--unsafe` are answers that the guard's bundle lets out and does not, WORD a word of the unsafe one that no
client may read, `--blocked` a prompt that it refuses. Answers of real HTTP requests are checked, whole and streamed, with the
guard there and with the guard gone.
"""

import argparse
import json
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


def configuration(args, model, guard):
    """LiteLLM reads YAML, and JSON is YAML."""
    params = {"guardrail": "generic_guardrail_api", "mode": ["pre_call", "post_call"], "api_base": guard, "default_on": True}
    params |= {"streaming_transform_mode": "incremental_diff", **({"api_key": args.key} if args.key else {})}
    model = {"model": "openai/mock", "api_base": f"http://127.0.0.1:{model}/v1", "api_key": "none"}
    return json.dumps({
        "model_list": [{"model_name": "mock", "litellm_params": model}],
        "guardrails": [{"guardrail_name": "inferenceguard", "litellm_params": params}],
        "general_settings": {"master_key": KEY},
    })


def guarded(args, folder, model, checks):
    with Proxy(args, folder, model, args.guard) as ask:
        for stream in (False, True):
            how = "streamed" if stream else "whole"
            found = ask("How do I clean a knife?", stream)
            checks.holds(f"{how}: a safe answer comes as it is", found == (200, args.safe), found)
            found = ask("How do I clean a knife? #1", stream)
            checks.holds(f"{how}: of an unsafe answer no client reads the word", args.word not in found[1], found)
            checks.holds(f"{how}: in its place comes a refusal or an error", found[1].strip() != "", found)
            before = count(model)
            found = ask(args.blocked, stream)
            checks.holds(f"{how}: a refused prompt is a 400", found[0] == 400, found)
            checks.holds(f"{how}: and the model is not asked", count(model) == before, count(model) - before)


def without_guard(args, folder, model, checks):
    with Proxy(args, folder, model, f"http://127.0.0.1:{free_port()}") as ask:
        for stream in (False, True):
            found = ask("How do I clean a knife?", stream)
            closed = found[0] >= 500 and args.safe not in found[1]
            checks.holds(f"{'streamed' if stream else 'whole'}: without the guard nothing comes", closed, found)


class Proxy:
    """A LiteLLM proxy; gives a function that asks it."""

    def __init__(self, args, folder, model, guard):
        self.port = free_port()
        config = folder / "litellm.yaml"
        config.write_text(configuration(args, model, guard))
        command = [args.litellm, "--config", str(config), "--host", "127.0.0.1", "--port", str(self.port)]
        self.log = folder / "litellm.log"
        self.process = running(command, self.log)

    def __enter__(self):
        self.process.__enter__()
        until_open(self.port, self.log)
        return lambda prompt, stream: chat(self.port, prompt, stream, {"authorization": f"Bearer {KEY}"})

    def __exit__(self, *exception):
        return self.process.__exit__(*exception)


def main():
    args, checks = arguments(), Checks()
    with tempfile.TemporaryDirectory() as folder, upstream(pathlib.Path(folder), [args.safe, args.unsafe]) as model:
        guarded(args, pathlib.Path(folder), model, checks)
        without_guard(args, pathlib.Path(folder), model, checks)
    checks.end()


if __name__ == "__main__":
    main()
