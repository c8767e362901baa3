"""The budgets of a bundle in Hugging Face transformers.

    from inferenceguard import Bundle, GuardLogitsProcessor

    guard = GuardLogitsProcessor(Bundle("kitchen.tar"), tokenizer, prompt_length)
    model.generate(**inputs, do_sample=True, logits_processor=[guard])

Before a token can be drawn, the likeliest ones are priced by the bundle's costs in its sandbox, with the log-probabilities
that the scores have at this processor (those of the model, if it comes first). Those that would break a
budget, and those that were not priced, cannot be drawn. If none is left the answer ends there. No candidate is ever taken
back, so where every continuation is bad, an answer stops early: an engine of InferenceGuard would have gone another way.

The library is looked for in INFERENCEGUARD_LIBRARY, else beside this file.
"""

import ctypes
import functools
import json
import os
import pathlib

_NAMES = ("libinferenceguard.so", "libinferenceguard.dylib", "inferenceguard.dll")


class GuardError(Exception):
    """The message of the library."""


class _Piece(ctypes.Structure):
    _fields_ = [
        ("token", ctypes.c_uint32),
        ("text", ctypes.c_char_p),
        ("length", ctypes.c_size_t),
        ("logprob", ctypes.c_float),
        ("ended", ctypes.c_bool),
    ]


def _library():
    named = os.environ.get("INFERENCEGUARD_LIBRARY")
    beside = [pathlib.Path(__file__).with_name(name) for name in _NAMES]
    path = named or next((str(path) for path in beside if path.exists()), None)
    if path is None:
        raise GuardError("no library: set INFERENCEGUARD_LIBRARY to libinferenceguard.so")
    library = ctypes.CDLL(path)
    text, pointer, flags, numbers = ctypes.c_char_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_bool), ctypes.POINTER(ctypes.c_double)
    error = ctypes.POINTER(ctypes.c_void_p)
    library.ig_bundle_open.argtypes, library.ig_bundle_open.restype = [text, error], pointer
    library.ig_bundle_close.argtypes, library.ig_bundle_close.restype = [pointer], None
    library.ig_bundle_constraints.argtypes, library.ig_bundle_constraints.restype = [pointer], ctypes.c_size_t
    library.ig_answer_begin.argtypes, library.ig_answer_begin.restype = [pointer, text, error], pointer
    library.ig_answer_end.argtypes, library.ig_answer_end.restype = [pointer], None
    pieces = ctypes.POINTER(_Piece)
    library.ig_answer_weigh.argtypes = [pointer, pieces, ctypes.c_size_t, flags, numbers, error]
    library.ig_answer_weigh.restype = ctypes.c_bool
    library.ig_answer_accept.argtypes = [pointer, pieces, flags, numbers, error]
    library.ig_answer_accept.restype = ctypes.c_bool
    library.ig_answer_failures.argtypes, library.ig_answer_failures.restype = [pointer], pointer
    library.ig_text_free.argtypes, library.ig_text_free.restype = [pointer], None
    return library


class Bundle:
    """A bundle: a folder with all its files, or a packed one."""

    def __init__(self, path):
        self._library = _library()
        self._handle = self._called(self._library.ig_bundle_open, os.fsencode(path))
        self.constraints = self._library.ig_bundle_constraints(self._handle)

    def __del__(self):
        if getattr(self, "_handle", None):
            self._library.ig_bundle_close(self._handle)

    def _called(self, function, *arguments):
        error = ctypes.c_void_p()
        result = function(*arguments, ctypes.byref(error))
        if result:
            return result
        message = ctypes.string_at(error.value).decode() if error.value else "it failed"
        self._library.ig_text_free(error)
        raise GuardError(message)

    def answer(self, prompt=None):
        """Begins an answer to this prompt; without one only where no cost reads it."""
        return Answer(self, prompt)


class Answer:
    """The budgets of one answer."""

    def __init__(self, bundle, prompt):
        self._bundle = bundle
        self._handle = bundle._called(
            bundle._library.ig_answer_begin, bundle._handle, None if prompt is None else prompt.encode()
        )

    def __del__(self):
        if getattr(self, "_handle", None):
            self._bundle._library.ig_answer_end(self._handle)

    def weigh(self, pieces):
        """For each (token, text, ended, logprob): whether it is safe to append, and what would be left of each budget.

        A text is a str, or bytes, which may cut characters. `logprob` may be left out, or None, where no cost reads it.
        """
        return self._asked(self._bundle._library.ig_answer_weigh, pieces, len(pieces))

    def accept(self, token, text, ended=False, logprob=None):
        """Appends a piece: whether the answer is still safe, and what is left of each budget."""
        return self._asked(self._bundle._library.ig_answer_accept, [(token, text, ended, logprob)])[0]

    def failures(self):
        """What went wrong in components."""
        text = self._bundle._library.ig_answer_failures(self._handle)
        failures = ctypes.string_at(text).decode().splitlines()
        self._bundle._library.ig_text_free(text)
        return failures

    def _asked(self, function, pieces, *count):
        rows, columns = len(pieces), self._bundle.constraints
        given = (_Piece * rows)(*(_piece(*piece) for piece in pieces))
        safe, margins = (ctypes.c_bool * rows)(), (ctypes.c_double * max(1, rows * columns))()
        self._bundle._called(function, self._handle, given, *count, safe, margins)
        return [(safe[row], list(margins[row * columns : (row + 1) * columns])) for row in range(rows)]


def _piece(token, text, ended, logprob=None):
    spelled = text.encode() if isinstance(text, str) else bytes(text)
    return _Piece(token, spelled, len(spelled), float("nan") if logprob is None else logprob, ended)


class GuardLogitsProcessor:
    """A logits processor of transformers: sampling and greedy search, any batch size; no beam search.

    `candidates` is how many of the likeliest tokens are priced at a step; the others cannot be drawn. `prompts` has the text of
    each row's prompt; it may be left out where no cost reads it.
    """

    def __init__(self, bundle, tokenizer, prompt_length, prompts=None, candidates=32, eos_token_id=None):
        self._bundle, self._spelling, self._start = bundle, Spelling(tokenizer), prompt_length
        self._prompts, self._candidates = prompts, candidates
        eos = tokenizer.eos_token_id if eos_token_id is None else eos_token_id
        self._eos = [eos] if isinstance(eos, int) else list(eos or [])
        self._rows = []
        #: By row: whether the answer had to end because nothing safe was left.
        self.stopped = []

    def __call__(self, input_ids, scores):
        if not self._rows:
            self._rows = [_Row(self._bundle.answer(prompt)) for prompt in self._prompts_of(len(input_ids))]
            self.stopped = [False] * len(self._rows)
        masked = scores.new_full(scores.shape, float("-inf"))
        logprobs = scores.float().log_softmax(-1)
        for at, (row, ids) in enumerate(zip(self._rows, input_ids.tolist())):
            row.follow(ids[self._start :], self._spelling, self._eos)
            best = scores[at].topk(min(self._candidates, scores.shape[-1]))
            likely = [token for score, token in zip(best.values.tolist(), best.indices.tolist()) if score > float("-inf")]
            # An end that cannot be drawn is not priced.
            ends = [token for token in self._eos if scores[at, token] > float("-inf")]
            row.logprobs = {token: logprobs[at, token].item() for token in dict.fromkeys(likely + ends)}
            pieces = [
                (token, row.added(token, self._spelling, self._eos), token in self._eos, logprob)
                for token, logprob in row.logprobs.items()
            ]
            drawn = [token for token, (holds, _) in zip(row.logprobs, row.answer.weigh(pieces)) if holds]
            if drawn:
                masked[at, drawn] = scores[at, drawn]
            else:
                self.stopped[at] = True
                masked[at, self._eos] = 0.0
        return masked

    def _prompts_of(self, rows):
        if self._prompts is None:
            return [None] * rows
        if len(self._prompts) != rows:
            raise GuardError(f"found {len(self._prompts)} prompts for {rows} rows; expected one for each row")
        return self._prompts


class Spelling:
    """The bytes of a tokenizer's tokens. Joined they are the text; one token alone may be a part of a character."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        added = getattr(tokenizer, "added_tokens_decoder", {})
        #: Tokens that say nothing.
        self.special = {*tokenizer.all_special_ids, *(token for token, about in added.items() if about.special)}
        self._bytes = _byte_level(tokenizer)
        self._before = tokenizer.encode("a", add_special_tokens=False)[-1]
        self.of = functools.lru_cache(maxsize=None)(self._of)

    def _of(self, token, first):
        """What a token adds to a text; `first` if nothing but special tokens came before it."""
        spelled = None if token in self.special else self._tokenizer.convert_ids_to_tokens(token)
        if spelled is None:
            return b""
        if self._bytes:
            return bytes(map(self._bytes.get, spelled)) if self._bytes.keys() >= set(spelled) else spelled.encode()
        if len(spelled) == 6 and spelled.startswith("<0x") and spelled.endswith(">") and int(spelled[3:5], 16) > 127:
            return bytes([int(spelled[3:5], 16)])
        before = [] if first else [self._before]
        return self._decoded([*before, token])[len(self._decoded(before)) :].encode()

    def _decoded(self, ids):
        return self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def _byte_level(tokenizer):
    """The byte for each character of byte-level tokens; nothing for other tokenizers."""
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
    state = json.loads(decoder.__getstate__()) if decoder is not None else {}
    if "ByteLevel" not in {step["type"] for step in state.get("decoders", [state]) if step}:
        return getattr(tokenizer, "byte_decoder", None)
    same = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in same]
    return {**{chr(byte): byte for byte in same}, **{chr(256 + at): byte for at, byte in enumerate(others)}}


class _Row:
    def __init__(self, answer):
        self.answer, self.ids, self.begun = answer, [], False
        #: Those that the newest step gave; what was drawn is one of its tokens.
        self.logprobs = {}

    def follow(self, ids, spelling, eos):
        """Accepts what was drawn since the last step."""
        if ids[: len(self.ids)] != self.ids:
            raise GuardError("the rows changed places: beam search cannot be guarded here")
        for token in ids[len(self.ids) :]:
            if self.ids and self.ids[-1] in eos:
                # Padding behind an answer that has ended.
                self.ids.append(token)
                continue
            text = self.added(token, spelling, eos)
            self.answer.accept(token, text, token in eos, self.logprobs.get(token))
            self.ids.append(token)
            self.begun = self.begun or token not in spelling.special

    def added(self, token, spelling, eos):
        """The bytes that a token adds to the text."""
        return b"" if token in eos else spelling.of(token, not self.begun)
