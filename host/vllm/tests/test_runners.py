"""Both runners' processors, driven as vLLM drives them. It needs vLLM and fails without it; the numbers come from the golden cases.

Model Runner V2 itself needs a GPU: here its processor runs on the CPU, with the fields that the runner would pass.
"""

import json
import pathlib
import types

import numpy as np
import pytest
import torch

from inferenceguard_vllm.processor import OffsetPenalties
from inferenceguard_vllm.runner_v1 import RunnerV1
from inferenceguard_vllm.runner_v2 import RunnerV2
from vllm import SamplingParams
from vllm.v1.sample.logits_processor.interface import BatchUpdate, LogitsProcessor, MoveDirectionality
from vllm.v1.worker.gpu.sample.logits_processor import interface as v2

CASES = json.loads((pathlib.Path(__file__).parent / "penalties.json").read_text())
CASES = [case for case in CASES if case["tokens"]]
CONFIG = types.SimpleNamespace(speculative_config=None)


def floats(values):
    return torch.tensor([-np.inf if value is None else value for value in values], dtype=torch.float32)


def params(case, offset=0):
    text = json.dumps({"mass": case["mass"], "at": [[offset, case["tokens"], case["penalties"]]]})
    return SamplingParams(repetition_penalty=case["repetition_penalty"], extra_args={"ig_pen": text})


def repeated(logits, case):
    """What vLLM's own repetition penalty does."""
    out, factor = logits.clone(), case["repetition_penalty"]
    for token in case["repeated"]:
        out[token] = out[token] / factor if out[token] > 0 else out[token] * factor
    return out


def update(size, removed=(), added=(), moved=()):
    return BatchUpdate(batch_size=size, removed=list(removed), added=list(added), moved=list(moved))


def first_runner():
    return OffsetPenalties(CONFIG, torch.device("cpu"), False)


def test_one_class_serves_both_runners():
    assert issubclass(OffsetPenalties, LogitsProcessor) and issubclass(OffsetPenalties, v2.LogitsProcessor)
    assert isinstance(first_runner(), RunnerV1) and not first_runner().is_argmax_invariant()
    assert isinstance(OffsetPenalties(CONFIG, Slots(1, 4)), RunnerV2)


def test_speculative_decoding_is_refused():
    config = types.SimpleNamespace(speculative_config=object())
    with pytest.raises(ValueError, match="expected none"):
        OffsetPenalties(config, torch.device("cpu"), False)


def test_malformed_penalties_are_refused_when_a_request_comes():
    with pytest.raises(ValueError, match="expected JSON"):
        OffsetPenalties.validate_params(SamplingParams(extra_args={"ig_pen": "{"}))
    OffsetPenalties.validate_params(SamplingParams())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_first_runner(case):
    runner, before = first_runner(), floats(case["logits"])
    half = len(case["repeated"]) // 2
    prompt, answer = case["repeated"][:half], case["repeated"][half:]
    runner.update_state(update(1, added=[(0, params(case, len(answer)), prompt, answer)]))
    after = repeated(runner.apply(before[None].clone())[0], case)
    torch.testing.assert_close(after, floats(case["after"]), rtol=1e-5, atol=1e-5)


def lowers(token):
    return params({"mass": 1.0, "tokens": [token], "penalties": [1.0], "repetition_penalty": 1.0})


def which(runner, rows):
    """The token that is lowered in each row, or None."""
    logits = runner.apply(torch.zeros(rows, 8))
    return [row.nonzero().flatten().tolist()[0] if row.any() else None for row in logits]


def test_rows_follow_their_requests():
    runner = first_runner()
    answers = [[], [], [], []]
    added = [(row, lowers(row + 1), [], answers[row]) for row in range(3)] + [(3, SamplingParams(), [], answers[3])]
    runner.update_state(update(4, added=added))
    assert which(runner, 4) == [1, 2, 3, None]
    runner.update_state(None)
    answers[1].append(7)
    assert which(runner, 4) == [1, None, 3, None], "its entry was for offset 0"
    runner.update_state(update(4, moved=[(0, 3, MoveDirectionality.SWAP)]))
    assert which(runner, 4) == [None, None, 3, 1]
    runner.update_state(update(3, removed=[1], moved=[(3, 1, MoveDirectionality.UNIDIRECTIONAL)]))
    assert which(runner, 3) == [None, 1, 3]
    runner.update_state(update(3, removed=[2], added=[(2, lowers(5), [], []), (1, SamplingParams(), [], [])]))
    assert which(runner, 3) == [None, None, 5], "a row that is taken over keeps nothing"


class Slots:
    """What Model Runner V2 knows of its requests."""

    def __init__(self, slots, room):
        self.device = torch.device("cpu")
        self.prompt_len = types.SimpleNamespace(np=np.zeros(slots, np.int32))
        self.total_len = types.SimpleNamespace(gpu=torch.zeros(slots, dtype=torch.int32))
        self.all_token_ids = types.SimpleNamespace(gpu=torch.zeros(slots, room, dtype=torch.int32))

    def put(self, slot, prompt, answer):
        tokens = torch.tensor(prompt + answer, dtype=torch.int32)
        self.all_token_ids.gpu[slot, : len(tokens)] = tokens
        self.prompt_len.np[slot], self.total_len.gpu[slot] = len(prompt), len(tokens)


def context(slots, lengths):
    mapping = torch.tensor(slots, dtype=torch.int32)
    return types.SimpleNamespace(
        expanded_idx_mapping=mapping, idx_mapping=mapping, idx_mapping_np=np.array(slots, np.int32),
        seq_lens_upper_bound_np=np.array(lengths, np.int32),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_model_runner_v2(case):
    slots = Slots(5, 60)
    half = (len(case["repeated"]) + 1) // 2
    prompt, answer = case["repeated"][:half], case["repeated"][half:]
    slots.put(3, prompt, answer)
    slots.all_token_ids.gpu[3, len(prompt) + len(answer) :] = 1  # Of an earlier request; not part of this one.
    runner = OffsetPenalties(CONFIG, slots)
    assert runner.add_request(3, params(case, len(answer))) and not runner.add_request(1, SamplingParams())
    other = torch.ones_like(floats(case["logits"]))
    logits = torch.stack([other, repeated(floats(case["logits"]), case)])
    runner.apply_staged_writes()
    found = runner.apply(logits, context([1, 3], [4, len(prompt) + len(answer)]))
    torch.testing.assert_close(found[1], floats(case["after"]), rtol=1e-5, atol=1e-5)
    assert (found[0] == 1).all(), "the other request's row stays as it is"


def test_a_slot_that_is_taken_over_keeps_nothing():
    slots = Slots(2, 8)
    slots.put(0, [5, 6], [])
    runner = OffsetPenalties(CONFIG, slots)
    runner.add_request(0, lowers(1))
    assert runner.apply(torch.zeros(1, 8), context([0], [2]))[0, 1] == -1
    assert not runner.apply(torch.zeros(1, 8), context([0], [3])).any(), "another offset"
    assert not runner.apply(torch.zeros(1, 8), context([0], [1])).any(), "the prompt is not read to its end"
    runner.add_request(0, SamplingParams())
    assert not runner.apply(torch.zeros(1, 8), context([0], [2])).any()


def test_more_rows_than_requests_are_refused():
    runner = OffsetPenalties(CONFIG, Slots(2, 8))
    with pytest.raises(RuntimeError, match="found 3 rows for 1 requests"):
        runner.apply(torch.zeros(3, 8), context([0], [2]))
