"""The official `openai` package against a running server: python3 openai_client.py http://127.0.0.1:8080/v1"""

import sys

import openai

QUESTION = [{"role": "user", "content": "How do I clean a kitchen knife?"}]


def chat(client):
    answer = client.chat.completions.create(
        model=MODEL, messages=QUESTION, seed=7, max_tokens=48, temperature=0.9, top_p=0.95, n=2, logprobs=True
    )
    assert len(answer.choices) == 2 and answer.object == "chat.completion", answer
    for choice in answer.choices:
        guard = choice.model_extra["inferenceguard"]
        assert choice.finish_reason in ("stop", "length", "content_filter"), choice
        assert guard["status"] in ("within_budget", "no_safe_candidate") and guard["generations"], guard
        assert (choice.finish_reason == "content_filter") == (guard["status"] == "no_safe_candidate"), choice
        assert all(token.logprob <= 0 for token in choice.logprobs.content), choice
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    again = client.chat.completions.create(
        model=MODEL, messages=QUESTION, seed=7, max_tokens=48, temperature=0.9, top_p=0.95
    )
    assert again.choices[0].message.content == answer.choices[0].message.content, "a seed says it all"


def stream(client):
    whole = client.chat.completions.create(model=MODEL, messages=QUESTION, seed=7, max_tokens=48)
    parts, ends, usage = [], [], None
    events = client.chat.completions.create(
        model=MODEL, messages=QUESTION, seed=7, max_tokens=48, stream=True, stream_options={"include_usage": True}
    )
    for event in events:
        usage = event.usage or usage
        for choice in event.choices:
            parts.append(choice.delta.content or "")
            ends += [choice.finish_reason] if choice.finish_reason else []
    assert "".join(parts) == whole.choices[0].message.content, parts
    assert ends == [whole.choices[0].finish_reason] and usage.total_tokens == whole.usage.total_tokens, (ends, usage)


def completions(client):
    answer = client.completions.create(model=MODEL, prompt=QUESTION[0]["content"], max_tokens=32, seed=3, logprobs=0)
    choice = answer.choices[0]
    assert choice.text and len(choice.logprobs.tokens) == len(choice.logprobs.token_logprobs), choice
    streamed = client.completions.create(
        model=MODEL, prompt=QUESTION[0]["content"], max_tokens=32, seed=3, stream=True
    )
    assert "".join(event.choices[0].text for event in streamed if event.choices) == choice.text


def tightened(client):
    answer = client.chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=16, extra_body={"inferenceguard": {"budgets": {"safety": 0.5}}}
    )
    assert answer.choices[0].model_extra["inferenceguard"]["constraints"][0]["budget"] == 0.5


def errors(client):
    refused = [
        (openai.NotFoundError, {"model": "another"}),
        (openai.BadRequestError, {"temperature": -1}),
        (openai.BadRequestError, {"max_tokens": -1}),
        (openai.BadRequestError, {"extra_body": {"min_tokens": 5}}),
        (openai.BadRequestError, {"messages": []}),
        (openai.BadRequestError, {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}),
        (openai.BadRequestError, {"extra_body": {"inferenceguard": {"budgets": {"safety": 1e9}}}}),
    ]
    for kind, change in refused:
        try:
            client.chat.completions.create(**{"model": MODEL, "messages": QUESTION, **change})
        except kind as error:
            assert error.body["message"] and error.body["type"], error.body
        else:
            raise AssertionError(f"{change} was not refused")


if __name__ == "__main__":
    client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
    MODEL = client.models.list().data[0].id
    for check in (chat, stream, completions, tightened, errors):
        check(client)
        print(f"openai {openai.__version__}: {check.__name__} ok")
