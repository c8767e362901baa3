#!/usr/bin/env python3
"""A stand-in for a language model's server, in OpenAI's format: upstream.py PORT ANSWER...

A conversation whose last message ends in `#1` gets the second ANSWER, and so on; any other gets the first. Answers come
whole or in pieces of one word. `GET /count` says how many conversations came.
"""

import http.server
import json
import sys
import threading

class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers, asked, lock = [], 0, threading.Lock()

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send(json.dumps({"asked": Upstream.asked}).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.lock:
            Upstream.asked += 1
        number = body["messages"][-1]["content"].rpartition("#")[2]
        answer = self.answers[int(number) if number.isdigit() else 0]
        if body.get("stream"):
            self.stream(answer)
        else:
            message = {"role": "assistant", "content": answer}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self.send(json.dumps(self.chunk("chat.completion", choice)).encode())

    def chunk(self, kind, choice):
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return {"id": "mock", "object": kind, "created": 1, "model": "mock", "choices": [choice], "usage": usage}

    def send(self, body, kind="application/json"):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, answer):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        words = answer.split(" ")
        deltas = [word if i == 0 else f" {word}" for i, word in enumerate(words)]
        events = [{"index": 0, "delta": {"content": delta}, "finish_reason": None} for delta in deltas]
        events.append({"index": 0, "delta": {}, "finish_reason": "stop"})
        for event in events:
            self.piece("data: " + json.dumps(self.chunk("chat.completion.chunk", event)) + "\n\n")
        self.piece("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def piece(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


def main():
    Upstream.answers = sys.argv[2:]
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Upstream).serve_forever()


if __name__ == "__main__":
    main()
