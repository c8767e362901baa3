"""What a request may ask, and how what it may not is refused."""

import json

import pytest
from inferenceguard_vllm.wanted import wanted


def asked(mass=0.9, at=((0, [5], [1.0]),)):
    return json.dumps({"mass": mass, "at": at})


def test_penalties_are_read():
    found = wanted({"ig_pen": asked(0.5, [[0, [504, 60], [5.0, 4]], [3, [7, 8, 7], [1, 2, 0.5]]]), "session_id": "s"})
    assert found.mass == 0.5 and set(found.at) == {0, 3}
    assert found.at[0].tokens.tolist() == [504, 60] and found.at[0].amounts.tolist() == [5.0, 4.0]
    assert found.at[3].tokens.tolist() == [7, 8] and found.at[3].amounts.tolist() == [1.5, 2.0], "7 is lowered twice"


def test_nothing_is_asked_of_a_request_without_the_argument():
    assert wanted(None) is None and wanted({}) is None and wanted({"session_id": "s"}) is None
    assert wanted({"ig_pen": asked(at=[])}).at == {}


BAD = {
    "another argument of ours": ({"ig_penn": "{}"}, "'ig_penn'"),
    "an object in place of text": ({"ig_pen": {"mass": 1, "at": []}}, "expected text"),
    "no JSON": ("{", "expected JSON"),
    "no text at all": ("", "expected JSON"),
    "JSON that is nested too deeply": ("[" * 100_000, "expected"),
    "a list": ("[]", "mass and at"),
    "no mass": ('{"at": []}', "mass and at"),
    "a name too many": ('{"mass": 1, "at": [], "more": 1}', "nothing else"),
    "a name twice": ('{"mass": 1, "mass": 0, "at": []}', "each name once"),
    "a mass above 1": (asked(1.01), "mass 1.01"),
    "a mass below 0": (asked(-0.1), "mass -0.1"),
    "a mass of NaN": ('{"mass": NaN, "at": []}', "found NaN"),
    "a mass of true": (asked(True), "mass True"),
    "a mass in text": (asked("1"), "mass '1'"),
    "at no list": ('{"mass": 1, "at": {}}', "a list of at most"),
    "an entry that is short": (asked(at=[[0, [1]]]), "entry 0 of at"),
    "an offset below 0": (asked(at=[[-1, [1], [1.0]]]), "offset -1"),
    "a broken offset": (asked(at=[[0.5, [1], [1.0]]]), "offset 0.5"),
    "an offset twice": (asked(at=[[2, [1], [1.0]], [2, [1], [1.0]]]), "entry 1 of at: offset 2 again"),
    "a token below 0": (asked(at=[[0, [-1], [1.0]]]), "tokens [-1]"),
    "a broken token": (asked(at=[[0, [1.0], [1.0]]]), "tokens [1.0]"),
    "a token of true": (asked(at=[[0, [True], [1.0]]]), "tokens [True]"),
    "a token beyond 32 bits": (asked(at=[[0, [1 << 31], [1.0]]]), "tokens [2147483648]"),
    "a penalty that is infinite": ('{"mass": 1, "at": [[0, [1], [Infinity]]]}', "found Infinity"),
    "a penalty beyond f64": ('{"mass": 1, "at": [[0, [1], [1e999]]]}', "finite in f32"),
    "a penalty beyond f32": (asked(at=[[0, [1], [1e39]]]), "finite in f32"),
    "a penalty with 5,000 digits": ('{"mass": 1, "at": [[0, [1], [%s]]]}' % ("9" * 5000), "ig_pen"),
    "penalties that add up to more": (asked(at=[[0, [1, 1], [3e38, 3e38]]]), "add up"),
    "more tokens than penalties": (asked(at=[[0, [1, 2], [1.0]]]), "2 tokens, 1 penalties"),
    "no tokens": (asked(at=[[0, [], []]]), "0 tokens"),
    "too many tokens": (asked(at=[[0, [1] * 1025, [1.0] * 1025]]), "1025 tokens"),
    "too many entries": (asked(at=[[]] * 65537), "65536"),
    "too much text": (" " * (4 << 20) + "{}", "at most 4194304"),
}


@pytest.mark.parametrize("name", BAD)
def test_anything_else_is_refused(name):
    given, expected = BAD[name]
    with pytest.raises(ValueError) as refusal:
        wanted(given if isinstance(given, dict) else {"ig_pen": given})
    message = str(refusal.value)
    assert expected in message and message.startswith("ig_pen: "), message
    assert len(message) < 300, "what is quoted of a request is bounded"
