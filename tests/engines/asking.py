"""Requests to a vLLM server, with nothing but Python: what the scripts in this folder share."""

import http.client
import json
import sys
import urllib.parse


class Refused(Exception):
    """A status other than 200."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body[:300]}")
        self.status, self.body = status, body


class Server:
    """One vLLM server, named `smol`."""

    def __init__(self, url):
        self.host = urllib.parse.urlparse(url).netloc

    def ask(self, path, body=None, timeout=300):
        connection = http.client.HTTPConnection(self.host, timeout=timeout)
        try:
            if body is None:
                connection.request("GET", path)
            else:
                connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            raise Refused(answer.status, text)
        return json.loads(text) if text else None

    def complete(self, prompt, tokens, penalties=None, **more):
        """The choices of an answer to token ids. `penalties` is (mass, [[offset, tokens, penalties], ...])."""
        body = {"model": "smol", "prompt": prompt, "max_tokens": tokens, "temperature": 0.0, "return_token_ids": True}
        body |= {"return_tokens_as_token_ids": True, "ignore_eos": True, **more}
        if penalties is not None:
            body["vllm_xargs"] = {"ig_pen": json.dumps({"mass": penalties[0], "at": penalties[1]})}
        return self.ask("/v1/completions", body)["choices"]

    def ids(self, prompt, tokens, penalties=None, **more):
        """The token ids of the first choice."""
        return self.complete(prompt, tokens, penalties, **more)[0]["token_ids"]

    def tokens(self, text):
        """The ids of a conversation that consists of one question."""
        messages = [{"role": "user", "content": text}]
        return self.ask("/tokenize", {"model": "smol", "messages": messages, "add_generation_prompt": True})["tokens"]


class Checks:
    """Counts what holds and what does not; one line each."""

    def __init__(self):
        self.failed = 0

    def holds(self, what, true, found=""):
        print(f"{'ok    ' if true else 'FAILED'}  {what}{'' if true else f': found {found}'}", flush=True)
        self.failed += not true

    def end(self):
        sys.exit(1 if self.failed else 0)
