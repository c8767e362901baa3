"""What the scripts of the gateways share: processes, ports, and chats as a client sends them."""

import contextlib
import http.client
import json
import pathlib
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def running(command, log, **more):
    """A process that ends with the block; what it prints goes to the file `log`."""
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **more)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def upstream(folder, answers):
    """The stand-in for a model's server; gives its port."""
    port = free_port()
    command = [sys.executable, str(HERE / "upstream.py"), str(port), *answers]
    with running(command, folder / "upstream.log") as process:
        until_open(port, folder / "upstream.log", process)
        yield port


def until_open(port, log, process, seconds=400):
    """Waits until the process listens."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    raise SystemExit(f"nothing listens on port {port}:\n{log.read_text(errors='replace')[-2000:]}")


def chat(port, prompt, stream=False, headers=None, path="/v1/chat/completions"):
    """(status, what a client can read of the answer) of one chat."""
    body = {"model": "mock", "messages": [{"role": "user", "content": prompt}], "stream": stream}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
            return answer.status, spoken(answer.status, answer.read().decode(errors="replace"))
        return answer.status, ""
    finally:
        connection.close()


def spoken(status, text):
    """The words of an answer, of all its events if it was a stream; the body as it is if it is an error."""
    if status != 200:
        return text
    if not text.startswith("data:"):
        return json.loads(text)["choices"][0]["message"]["content"]
    words = ""
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or data == "[DONE]":
            continue
        event = json.loads(data)
        if "error" in event:
            words += f"[error: {event['error']}]"
            continue
        for choice in event["choices"]:
            words += choice.get("delta", {}).get("content") or ""
    return words


def count(port):
    """How many conversations reached the stand-in."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/count")
        return json.load(connection.getresponse())["asked"]
    finally:
        connection.close()
