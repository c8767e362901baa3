"""The arithmetic against cases of the reference sampler, in numpy and, where it is installed, in torch."""

import json
import pathlib

import numpy as np
import pytest
from inferenceguard_vllm import arithmetic
from inferenceguard_vllm.wanted import wanted

CASES = json.loads((pathlib.Path(__file__).parent / "penalties.json").read_text())
NAMES = [case["name"] for case in CASES]

try:
    import torch
except ModuleNotFoundError:
    torch = None
MODULES = [np] + ([torch] if torch else [])


def floats(values):
    return np.array([-np.inf if value is None else value for value in values], np.float32)


def entry(case):
    pairs = [[0, case["tokens"], case["penalties"]]] if case["tokens"] else []
    return wanted({"ig_pen": json.dumps({"mass": case["mass"], "at": pairs})})


def factors(case, width):
    factor = np.ones(width, np.float32)
    factor[case["repeated"]] = case["repetition_penalty"]
    return factor


def close(found, expected, name):
    infinite = np.isinf(expected)
    assert (np.isinf(found) == infinite).all(), name
    np.testing.assert_allclose(found[~infinite], expected[~infinite], rtol=1e-5, atol=1e-5, err_msg=name)


def made(xp, cases, rows, width):
    """The batch of these cases, one a row, as arrays of the module."""
    asked = [(row, entry(case)) for row, case in zip(rows, cases)]
    batch = arithmetic.batch([(row, one.mass, one.at[0]) for row, one in asked if one.at], width)
    return batch and (batch if xp is np else batch.map(torch.from_numpy))


def array(xp, values):
    return values.copy() if xp is np else torch.from_numpy(values.copy())


@pytest.mark.parametrize("xp", MODULES, ids=lambda xp: xp.__name__)
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_before_the_repetition_penalty(xp, case):
    logits, factor = floats(case["logits"]), factors(case, len(case["logits"]))
    batch, found = made(xp, [case], [0], len(logits)), array(xp, logits[None])
    if batch is not None:
        at = np.asarray(batch.tokens)
        arithmetic.penalise_before(xp, found, batch, array(xp, factor[at]))
    after = arithmetic.repeated(np, np.asarray(found)[0], factor)
    close(after, floats(case["after"]), case["name"])


@pytest.mark.parametrize("xp", MODULES, ids=lambda xp: xp.__name__)
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_after_the_repetition_penalty(xp, case):
    logits, factor = floats(case["logits"]), factors(case, len(case["logits"]))
    batch = made(xp, [case], [0], len(logits))
    found = array(xp, arithmetic.repeated(np, logits, factor)[None])
    if batch is not None:
        given = None if case["repetition_penalty"] == 1 else array(xp, factor[None])
        arithmetic.penalise_after(xp, found, batch, given)
    close(np.asarray(found)[0], floats(case["after"]), case["name"])


@pytest.mark.parametrize("xp", MODULES, ids=lambda xp: xp.__name__)
def test_many_rows_at_once_are_as_each_alone(xp):
    width = 50
    plain = [case for case in CASES if case["repetition_penalty"] == 1 and case["tokens"]]
    fits = [case for case in plain if all(token < len(case["logits"]) for token in case["tokens"])]
    assert len(fits) > 20
    logits = np.full((2 * len(fits), width), -np.inf, np.float32)
    for i, case in enumerate(fits):
        logits[2 * i + 1, : len(case["logits"])] = floats(case["logits"])
    logits[::2] = 0.5
    found = array(xp, logits)
    batch = made(xp, fits, [2 * i + 1 for i in range(len(fits))], width)
    arithmetic.penalise_after(xp, found, batch)
    found = np.asarray(found)
    assert (found[::2] == 0.5).all(), "rows that are not named stay as they are"
    for i, case in enumerate(fits):
        close(found[2 * i + 1, : len(case["logits"])], floats(case["after"]), case["name"])


def test_no_token_within_the_vocabulary_is_no_batch():
    assert arithmetic.batch([], 10) is None
    asked = wanted({"ig_pen": '{"mass": 1, "at": [[0, [10], [1.0]]]}'})
    assert arithmetic.batch([(0, asked.mass, asked.at[0])], 10) is None
