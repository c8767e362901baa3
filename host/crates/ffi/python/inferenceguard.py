"""The budgets of a bundle in Hugging Face transformers.

    from inferenceguard import Bundle, GuardLogitsProcessor

    guard = GuardLogitsProcessor(Bundle("kitchen.tar"), tokenizer, prompt_length)
    model.generate(**inputs, do_sample=True, logits_processor=[guard])

Before a token can be drawn, the likeliest ones are priced by the bundle's costs in its sandbox; those that would break a
budget, and those that were not priced, cannot be drawn. If none is left the answer ends there. No candidate is ever taken
back, so where every continuation is bad, an answer stops early: an engine of InferenceGuard would have gone another way.

The library is looked for in INFERENCEGUARD_LIBRARY, else beside this file.
"""

import ctypes
import os
import pathlib

_NAMES = ("libinferenceguard.so", "libinferenceguard.dylib", "inferenceguard.dll")


class GuardError(Exception):
    """What the library said."""


class _Piece(ctypes.Structure):
    _fields_ = [
        ("token", ctypes.c_uint32),
        ("text", ctypes.c_char_p),
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

    def answer(self, prompt):
        """Begins an answer to this prompt."""
        return Answer(self, prompt)


class Answer:
    """The budgets of one answer."""

    def __init__(self, bundle, prompt):
        self._bundle = bundle
        self._handle = bundle._called(bundle._library.ig_answer_begin, bundle._handle, prompt.encode())

    def __del__(self):
        if getattr(self, "_handle", None):
            self._bundle._library.ig_answer_end(self._handle)

    def weigh(self, pieces):
        """For each (token, text, ended): whether it is safe to append, and what would be left of each budget."""
        return self._asked(self._bundle._library.ig_answer_weigh, pieces, len(pieces))

    def accept(self, token, text, ended=False):
        """Appends a piece: whether the answer is still safe, and what is left of each budget."""
        return self._asked(self._bundle._library.ig_answer_accept, [(token, text, ended)])[0]

    def failures(self):
        """What went wrong in components."""
        text = self._bundle._library.ig_answer_failures(self._handle)
        failures = ctypes.string_at(text).decode().splitlines()
        self._bundle._library.ig_text_free(text)
        return failures

    def _asked(self, function, pieces, *count):
        rows, columns = len(pieces), self._bundle.constraints
        given = (_Piece * rows)(*((token, text.encode(), float("nan"), ended) for token, text, ended in pieces))
        safe, margins = (ctypes.c_bool * rows)(), (ctypes.c_double * max(1, rows * columns))()
        self._bundle._called(function, self._handle, given, *count, safe, margins)
        return [(safe[row], list(margins[row * columns : (row + 1) * columns])) for row in range(rows)]


class GuardLogitsProcessor:
    """A logits processor of transformers: sampling and greedy search, any batch size; no beam search.

    `candidates` is how many of the likeliest tokens are priced at a step; the others cannot be drawn.
    """

    def __init__(self, bundle, tokenizer, prompt_length, prompts=None, candidates=32, eos_token_id=None):
        self._bundle, self._tokenizer, self._start = bundle, tokenizer, prompt_length
        self._prompts, self._candidates = prompts, candidates
        eos = tokenizer.eos_token_id if eos_token_id is None else eos_token_id
        self._eos = [eos] if isinstance(eos, int) else list(eos or [])
        self._rows = []
        #: By row: whether the answer had to end because nothing safe was left.
        self.stopped = []

    def __call__(self, input_ids, scores):
        if not self._rows:
            prompts = self._prompts or [""] * len(input_ids)
            self._rows = [_Row(self._bundle.answer(prompt)) for prompt in prompts]
            self.stopped = [False] * len(self._rows)
        masked = scores.new_full(scores.shape, float("-inf"))
        for at, (row, ids) in enumerate(zip(self._rows, input_ids.tolist())):
            row.follow(ids[self._start :], self._spelled, self._eos)
            best = scores[at].topk(min(self._candidates, scores.shape[-1]))
            likely = [token for score, token in zip(best.values.tolist(), best.indices.tolist()) if score > float("-inf")]
            tokens = list(dict.fromkeys(likely + self._eos))
            pieces = [(token, row.added(token, self._spelled, self._eos), token in self._eos) for token in tokens]
            safe = [token for token, (holds, _) in zip(tokens, row.answer.weigh(pieces)) if holds]
            drawn = [token for token in safe if scores[at, token] > float("-inf")]
            if drawn:
                masked[at, drawn] = scores[at, drawn]
            else:
                self.stopped[at] = True
                masked[at, self._eos] = 0.0
        return masked

    def _spelled(self, ids):
        return self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


class _Row:
    def __init__(self, answer):
        self.answer, self.ids, self.text = answer, [], ""

    def follow(self, ids, spelled, eos):
        """Accepts what was drawn since the last step."""
        if ids[: len(self.ids)] != self.ids:
            raise GuardError("the rows changed places: beam search cannot be guarded here")
        for token in ids[len(self.ids) :]:
            if self.ids and self.ids[-1] in eos:
                # Padding behind an answer that has ended.
                self.ids.append(token)
                continue
            text = self.added(token, spelled, eos)
            self.answer.accept(token, text, token in eos)
            self.ids.append(token)
            self.text += text

    def added(self, token, spelled, eos):
        """What a token adds to the text."""
        whole = spelled([*self.ids, token])
        return "" if token in eos else whole[len(self.text) :]
