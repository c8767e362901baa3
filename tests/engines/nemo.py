#!/usr/bin/env python3
"""NeMo Guardrails with InferenceGuard as an output rail: nemo.py --guard URL --safe TEXT --unsafe TEXT --word WORD --blocked PROMPT

Runs with the Python that has the package nemoguardrails. The texts are as for litellm.py. The action is that of
host/GATEWAYS.md. Answers are given, so that no model is asked: what is tested is what comes out of the rail.
"""

import argparse
import asyncio
import json
import socket
import urllib.request

from asking import Checks
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions import action

CONFIGURATION = """
models: []
rails:
  output:
    flows: [within budget]
"""

FLOWS = """
define bot refuse to answer
  "I cannot answer that safely."

define subflow within budget
  $within = execute judge
  if not $within
    bot refuse to answer
    stop
"""


def judging(guard):
    """The action: whether an answer to its prompt keeps every budget. An action that fails blocks the answer."""
    def decision(prompt, text):
        body = {"messages": [{"role": "user", "content": prompt}], "answer": text}
        with urllib.request.urlopen(f"{guard}/v1/judge", json.dumps(body).encode(), timeout=60) as answer:
            return json.load(answer)["decision"]

    @action(name="judge", is_system_action=True)
    async def judge(context):
        return await asyncio.to_thread(decision, context["user_message"], context["bot_message"]) == "pass"

    return judge


def outcome(guard, prompt, answer):
    """What a client reads where the model answers so."""
    rails = LLMRails(RailsConfig.from_content(FLOWS, CONFIGURATION))
    rails.register_action(judging(guard))
    chat = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return rails.generate(messages=chat, options={"rails": ["output"]}).response[0]["content"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("guard", "safe", "unsafe", "word", "blocked"):
        parser.add_argument(f"--{name}", required=True)
    args, checks = parser.parse_args(), Checks()
    prompt = "How do I clean a knife?"
    found = outcome(args.guard, prompt, args.safe)
    checks.holds("a safe answer comes as it is", found == args.safe, found)
    found = outcome(args.guard, prompt, args.unsafe)
    checks.holds("an unsafe answer is refused", found == "I cannot answer that safely.", found)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        found = outcome(f"http://127.0.0.1:{nobody.getsockname()[1]}", prompt, args.safe)
    checks.holds(f"without the guard no word of the answer comes: {found!r}", args.safe not in found and found != "", found)
    checks.end()


if __name__ == "__main__":
    main()
