"""The penalties of one request, as they come in `vllm_xargs`.

    "vllm_xargs": {"ig_pen": "{\"mass\": 0.9, \"at\": [[0, [504, 60], [5.0, 5.0]], [3, [4649], [5.0]]]}"}

The value is text because vLLM takes no nested objects there. `mass` is a share in [0, 1]; `at` lists entries of an
offset in the answer, tokens, and one penalty for each token. A token named twice is lowered twice.
"""

import json
import math
from dataclasses import dataclass

import numpy as np

KEY = "ig_pen"
# Names in `vllm_xargs` that belong to this package.
PREFIX = "ig_"

MAX_CHARACTERS = 4 << 20
MAX_TOKENS = 1024  # in one entry
MAX_ENTRIES = 1 << 16
MAX_NUMBER = 1 << 31
F32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Entry:
    """What is lowered at one offset: each token once, in the order of their first mention."""

    tokens: np.ndarray  # i64 [k]
    amounts: np.ndarray  # f32 [k], logits


@dataclass(frozen=True)
class Wanted:
    """The penalties of a request. `mass` is rounded to f32, as in the reference sampler."""

    mass: float
    at: dict[int, Entry]


def wanted(extra_args):
    """The penalties among the extra arguments of a request, None if it has none.

    Raises ValueError if they are malformed; the message names what was found and what was expected.
    """
    given = extra_args or {}
    for name in given:
        if name.startswith(PREFIX) and name != KEY:
            _refuse(f"the argument {_short(name)}", f"{KEY!r}, the only one of inferenceguard-vllm")
    return _read(given[KEY]) if KEY in given else None


def _read(text):
    if not isinstance(text, str):
        _refuse(_short(text), 'text that holds JSON, such as {"mass": 0.9, "at": [[0, [504], [5.0]]]}')
    if len(text) > MAX_CHARACTERS:
        _refuse(f"{len(text)} characters", f"at most {MAX_CHARACTERS}")
    try:
        parsed = json.loads(text, object_pairs_hook=_pairs, parse_int=_whole, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        _refuse(_short(text), f"JSON ({error.msg} at character {error.pos})")
    except RecursionError:
        _refuse("JSON that is nested too deeply", "an object with mass and at")
    if not isinstance(parsed, dict) or set(parsed) != {"mass", "at"}:
        _refuse(_short(parsed), "an object with mass and at, and nothing else")
    return Wanted(_mass(parsed["mass"]), _entries(parsed["at"]))


def _mass(mass):
    if not _is_number(mass) or not 0 <= mass <= 1:
        _refuse(f"mass {_short(mass)}", "a share in [0, 1]")
    return float(np.float32(mass))


def _entries(entries):
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        _refuse(f"at {_short(entries)}", f"a list of at most {MAX_ENTRIES} entries")
    at = {}
    for number, entry in enumerate(entries):
        where = f"entry {number} of at"
        if not isinstance(entry, list) or len(entry) != 3:
            _refuse(f"{where}: {_short(entry)}", "[offset, tokens, penalties]")
        offset, tokens, penalties = entry
        if not _is_count(offset):
            _refuse(f"{where}: offset {_short(offset)}", f"a whole number from 0 to {MAX_NUMBER - 1}")
        if offset in at:
            _refuse(f"{where}: offset {offset} again", "each offset once")
        at[offset] = _entry(where, tokens, penalties)
    return at


def _entry(where, tokens, penalties):
    if not isinstance(tokens, list) or not all(map(_is_count, tokens)):
        _refuse(f"{where}: tokens {_short(tokens)}", f"a list of whole numbers from 0 to {MAX_NUMBER - 1}")
    if not isinstance(penalties, list) or not all(map(_is_logit, penalties)):
        _refuse(f"{where}: penalties {_short(penalties)}", "a list of numbers that are finite in f32")
    if not 0 < len(tokens) <= MAX_TOKENS or len(tokens) != len(penalties):
        found = f"{where}: {len(tokens)} tokens, {len(penalties)} penalties"
        _refuse(found, f"1 to {MAX_TOKENS} tokens, and a penalty for each")
    total = {}
    for token, penalty in zip(tokens, penalties):
        total[token] = total.get(token, 0.0) + float(penalty)
    if not all(map(_is_logit, total.values())):
        _refuse(f"{where}: the penalties of a token add up to more than f32 holds", "finite sums")
    return Entry(np.array(list(total), np.int64), np.array(list(total.values()), np.float32))


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_NUMBER


def _is_logit(value):
    return _is_number(value) and abs(value) <= F32_MAX and math.isfinite(value)


def _pairs(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        _refuse(f"the names {_short(names)}", "each name once")
    return dict(pairs)


def _whole(digits):
    if len(digits) > 20:
        _refuse(f"a number of {len(digits)} digits", "at most 20")
    return int(digits)


def _no_constant(name):
    _refuse(name, "finite numbers")


def _short(value, limit=60):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"


def _refuse(found, expected):
    raise ValueError(f"{KEY}: found {found}, expected {expected}")
