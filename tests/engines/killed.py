#!/usr/bin/env python3
"""Two replicas of vLLM, one of which is killed in the middle of requests: killed.py PROGRAM MODEL FIRST SECOND GROUP

MODEL is the folder of the model that the servers at the URLs FIRST and SECOND have. GROUP is the process group of FIRST, which
gets SIGKILL after a quarter of INFERENCEGUARD_REQUESTS (200) requests; every other one is streamed.
"""

import collections
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import signal
import statistics
import sys
import tempfile
import time

import ours
from asking import Checks
from program import PROMPT, Setting, says

REQUESTS = int(os.environ.get("INFERENCEGUARD_REQUESTS", "200"))
TOGETHER = 8
PATIENCE = 300  # seconds; beyond it a request hangs


def chat(address, number):
    """(kind of end, text) of one request: what a client reads of it, also of a stream that breaks off."""
    stream = number % 2 == 1
    body = {"max_tokens": 24, "messages": [{"role": "user", "content": PROMPT}], "seed": number, "stream": stream}
    try:
        status, text = ours.ask(address, "/v1/chat/completions", body, PATIENCE)
    except TimeoutError:
        return "hangs", ""
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}", ""
    if status != 200:
        return f"HTTP {status}", ""
    return streamed(text) if stream else whole(json.loads(text)["choices"][0])


def whole(choice):
    return choice["inferenceguard"]["status"], choice["message"]["content"]


def streamed(text):
    """The status of the last event that has one, and the words of all."""
    words, status = "", "a stream without an end"
    for line in text.splitlines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        if "error" in event:
            status = f"error {event['error'].get('code')}"
        for choice in event.get("choices", []):
            words += choice["delta"].get("content") or ""
            status = choice.get("inferenceguard", {}).get("status", status)
    return status, words


def requests(clients, group):
    """(number, kind of end, text, seconds) of each request."""
    def one(number):
        if number == REQUESTS // 4:
            os.killpg(group, signal.SIGKILL)
        begun = time.monotonic()
        return number, *chat(clients, number), time.monotonic() - begun

    with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
        return list(pool.map(one, range(REQUESTS)))


def judge(found, checks):
    """What clients saw."""
    ends = collections.Counter(end for _, end, _, _ in found)
    seconds = sorted(one[3] for one in found)
    print(f"        {len(found)} requests, {TOGETHER} at once, by end {dict(ends)}; seconds: median "
          f"{statistics.median(seconds):.1f}, slowest {seconds[-1]:.1f}", flush=True)
    checks.holds("no request hangs", ends["hangs"] == 0, ends)
    known = re.compile(r"within_budget|no_safe_candidate|failed|HTTP 50\d|error \w+")
    odd = [one for one in found if not known.fullmatch(one[1])]
    checks.holds("each request ends with an answer, a refusal or an error of the server", not odd, odd[:2])
    unguarded = [one for one in found if says(one[2])]
    checks.holds("no client reads the word", not unguarded, unguarded[:2])
    late = [one for one in found if one[0] > REQUESTS // 2 and one[1] == "within_budget"]
    checks.holds("requests are answered after the replica died", late, ends)


def counted(administrators, found, checks):
    """The server counts what its clients saw."""
    text = ours.ask(administrators, "/metrics")[1]
    count = lambda pattern: sum(int(number) for number in re.findall(pattern + r"[^\n]* (\d+)$", text, re.MULTILINE))
    for status in ("within_budget", "no_safe_candidate", "failed"):
        seen = sum(end == status for _, end, _, _ in found)
        metered = count(rf'^inferenceguard_requests_total\{{status="{status}"')
        checks.holds(f"{status}: clients saw {seen}, metrics say {metered}", metered == seen, metered)
    seen = sum(end.startswith(("HTTP", "error")) for _, end, _, _ in found)
    metered = count(r"^inferenceguard_request_errors_total\{")
    checks.holds(f"errors: clients saw {seen}, metrics say {metered}", metered == seen, metered)
    replica = lambda name: count(rf'^inferenceguard_replica_{name}\{{[^}}\n]*replica="1"')
    checks.holds("the replica that died had answered before", replica("calls_total") > replica("call_failures_total"))
    checks.holds("calls to it failed, so it died under requests", replica("call_failures_total") > 0)
    down = count(r'^inferenceguard_replica_state\{[^}\n]*replica="1"[^}\n]*state="down"')
    checks.holds("the server knows that it is down", down == 1, down)
    lost = count(r"^inferenceguard_candidates_lost_total")
    print(f"        candidates lost with the replica: {lost}", flush=True)


def main():
    program, model, first, second, group = sys.argv[1:]
    checks = Checks()
    with tempfile.TemporaryDirectory() as name:
        setting, folder = Setting(program, model, pathlib.Path(name)), pathlib.Path(name)
        made = setting.make_probe()
        checks.holds("a probe is made of the folder", made[0] == 0, made)
        records = folder / "records"
        flags = [*setting.flags(first, second), "--records", records]
        with ours.server(program, folder, flags) as (clients, administrators):
            found = requests(clients, int(group))
            judge(found, checks)
            counted(administrators, found, checks)
            last = chat(clients, REQUESTS)
            checks.holds("after all, the other replica answers", last[0] in ("within_budget", "no_safe_candidate"), last)
        verified = ours.once([program, "verify", records])
        checks.holds(f"records: {verified[1].strip()[-120:]}", verified[0] == 0, verified)
    checks.end()


if __name__ == "__main__":
    main()
