"""Mixed load on a server of its own: streams, disconnects, bad requests, activations. python3 soak.py PROGRAM MINUTES

Needs nothing but Python. Prints the server's memory by the minute and fails if it grows by more than 5 % after the first
fifth, if a request fails that should not, or if the server ends.
"""

import http.client
import itertools
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time

QUESTIONS = ["How do I clean a knife?", "How can I hurt my colleague with the drain?", "What does my cat eat?"]


def start(program, folder):
    doors = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    command = [program, "serve", "--n", "8", "--state", f"{folder}/state", *doors]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    found = {}
    for line in server.stderr:
        name, _, address = line.partition(" ")
        if name in ("clients", "administrators"):
            found[name] = address.strip().split("/")[2]
        if len(found) == 2:
            break
    threading.Thread(target=server.stderr.read, daemon=True).start()
    return server, found["clients"], found["administrators"]


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


class Load:
    def __init__(self, clients, admin, ends):
        self.clients, self.admin, self.ends, self.begun = clients, admin, ends, time.time()
        self.counts, self.slowest, self.wrong, self.lock = {}, {}, [], threading.Lock()

    def count(self, what, seconds):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1
            self.slowest[what] = max(self.slowest.get(what, 0), round(seconds, 1))

    def failed(self, what, found):
        wrong = (f"minute {(time.time() - self.begun) / 60:.2f}", what, found[:300])
        self.wrong.append(wrong)
        if len(self.wrong) <= 20:
            print(wrong, flush=True)

    def ask(self, body, address=None, method="POST", path="/v1/chat/completions"):
        connection = http.client.HTTPConnection(address or self.clients, timeout=120)
        connection.request(method, path, body if isinstance(body, (str, bytes)) else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def question(self, **more):
        turn = {"role": "user", "content": random.choice(QUESTIONS)}
        return {"messages": [turn], "seed": random.randrange(1 << 30), "max_tokens": 48, **more}

    def stream(self):
        status, text = self.ask(self.question(stream=True))
        assert status == 200 and text.rstrip().endswith("[DONE]"), text

    def answer(self):
        status, text = self.ask(self.question(n=2))
        assert status == 200 and len(json.loads(text)["choices"]) == 2, text

    def disconnect(self):
        host, port = self.clients.split(":")
        body = json.dumps(self.question(stream=True)).encode()
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            connection.recv(64)

    def bad_request(self):
        bad = random.choice([b"{", b"\xff\xfe", json.dumps(self.question(temperature=-1)), json.dumps({"messages": 5})])
        status, text = self.ask(bad)
        assert status == 400 and "error" in json.loads(text), text

    def activation(self):
        status, text = self.ask({"manifest": next(self.manifests)}, self.admin, "PUT", "/admin/bundle")
        assert status == 200, text
        time.sleep(0.2)

    def work(self, *kinds):
        while time.time() < self.ends:
            kind, start = random.choice(kinds), time.time()
            try:
                kind()
            except Exception as error:  # whatever goes wrong is counted
                self.failed(kind.__name__, repr(error))
                time.sleep(0.1)
            self.count(kind.__name__, time.time() - start)


def main(program, minutes):
    with tempfile.TemporaryDirectory() as folder:
        server, clients, admin = start(program, folder)
        subprocess.run([program, "bundle", "init", f"{folder}/kitchen", "--template", "score"], check=True, stdout=subprocess.DEVNULL)
        with open(f"{folder}/kitchen/bundle.toml") as manifest:
            text = manifest.read()
        load = Load(clients, admin, time.time() + 60 * minutes)
        load.manifests = itertools.cycle(text.replace("budget = 10.0", f"budget = {budget}.0") for budget in (10, 7, 5))
        kinds = [load.stream, load.answer, load.disconnect, load.bad_request]
        workers = [threading.Thread(target=load.work, args=kinds, daemon=True) for _ in range(12)]
        workers.append(threading.Thread(target=load.work, args=[load.activation], daemon=True))
        [worker.start() for worker in workers]
        samples = []
        while time.time() < load.ends:
            time.sleep(min(10, max(0.1, load.ends - time.time())))
            assert server.poll() is None, "the server ended"
            samples.append(memory(server.pid))
            if len(samples) % 6 == 0:
                print(f"{(time.time() - load.begun) / 60:5.1f} min  {samples[-1]:7.1f} MiB  {load.counts}", flush=True)
        [worker.join() for worker in workers]
        assert server.poll() is None, "the server ended"
        status, text = load.ask("", admin, "GET", "/admin/status")
        state = json.loads(text)
        server.terminate()
        settled = samples[len(samples) // 5 :]
        third = max(1, len(settled) // 3)
        first, last = sum(settled[:third]) / third, sum(settled[-third:]) / third
        print(f"memory {first:.1f} -> {last:.1f} MiB ({100 * (last / first - 1):+.1f} %); held {state['held']}")
        print(f"{load.counts}; slowest, in seconds: {load.slowest}; failed: {len(load.wrong)}")
        assert not load.wrong, load.wrong[:5]
        assert last <= 1.05 * first, "memory grows"


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
