"""Which penalised tokens are lowered, and by how much: the rules of InferenceGuard's reference sampler.

Written once for numpy and torch: `xp` is the module. Nothing here reads a number back from a device. Shapes: R rows that
are penalised at this step, K tokens in the longest of their entries, V tokens in the vocabulary.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Batch:
    """The entries of all rows that are penalised at a step, padded to K tokens."""

    rows: object  # i64 [R], rows of the logits
    tokens: object  # i64 [R, K]
    amounts: object  # f32 [R, K]
    valid: object  # bool [R, K], False where padded
    mass: object  # f64 [R]
    cells: object  # i64, the valid places of [R * K]

    def map(self, change):
        """The same with `change` applied to each array."""
        return Batch(*(change(value) for value in vars(self).values()))


def batch(wanted, vocabulary):
    """A Batch in numpy from (row, mass, Entry) triples; None if no token lies within the vocabulary."""
    kept = []
    for row, mass, entry in wanted:
        known = entry.tokens < vocabulary
        if known.any():
            kept.append((row, mass, entry.tokens[known], entry.amounts[known]))
    if not kept:
        return None
    shape = (len(kept), max(len(tokens) for _, _, tokens, _ in kept))
    tokens, amounts, valid = np.zeros(shape, np.int64), np.zeros(shape, np.float32), np.zeros(shape, bool)
    for i, (_, _, some, by) in enumerate(kept):
        tokens[i, : len(some)], amounts[i, : len(some)], valid[i, : len(some)] = some, by, True
    rows = np.array([row for row, *_ in kept], np.int64)
    mass = np.array([mass for _, mass, *_ in kept], np.float64)
    return Batch(rows, tokens, amounts, valid, mass, np.flatnonzero(valid))


def lowered(xp, raw, batch):
    """Whether each token of the batch is lowered, bool [R, K]. `raw` are the model's own logits of its rows, f32 [R, V].

    The likeliest valid token of a row always is (ties: the smaller token). The others are, in their order, while together
    they hold at most `mass` of the probability that remains without it.
    """
    largest = xp.amax(raw, axis=1, keepdims=True)
    total = xp.sum(xp.exp(raw - largest), axis=1, dtype=xp.float64)
    log_total = xp.asarray(xp.log(total), dtype=xp.float32)[:, None] + largest
    logits = raw[xp.arange(len(raw), **_on(raw, xp))[:, None], batch.tokens]
    first = _likeliest(xp, logits, batch)
    p = xp.exp(xp.asarray(logits - log_total, dtype=xp.float64))
    room = (1.0 - xp.sum(xp.where(first, p, 0.0), axis=1)) * batch.mass
    taken, used = [], xp.zeros_like(room)
    for k in range(p.shape[1]):
        fits = batch.valid[:, k] & ~first[:, k] & (used + p[:, k] <= room)
        used = xp.where(fits, used + p[:, k], used)
        taken.append(fits)
    return first | xp.stack(taken, 1)


def _likeliest(xp, logits, batch):
    """Marks the valid token with the largest logit in each row, ties: the smaller token. Exactly one a row."""
    usable = xp.where(batch.valid, logits, -xp.inf)
    best = batch.valid & (usable == xp.amax(usable, axis=1, keepdims=True))
    beyond = int(np.iinfo(np.int64).max)
    token = xp.amin(xp.where(best, batch.tokens, beyond), axis=1, keepdims=True)
    return best & (batch.tokens == token)


def _on(array, xp):
    """Where new arrays belong: numpy's functions before 2.0 take no device."""
    return {} if xp is np else {"device": array.device}


def repeated(xp, logits, factor):
    """Logits after a repetition penalty: above 0 divided by the factor, else multiplied."""
    return xp.where(logits > 0, logits / factor, logits * factor)


def unrepeated(xp, logits, factor):
    """The inverse of `repeated`."""
    return xp.where(logits > 0, logits * factor, logits / factor)


def write(logits, batch, values):
    """Stores `values` [R, K] at the valid tokens, in place: one scatter, no place twice."""
    k = batch.tokens.shape[1]
    rows, tokens = batch.rows[batch.cells // k], batch.tokens.reshape(-1)[batch.cells]
    logits[rows, tokens] = values.reshape(-1)[batch.cells]


def penalise_before(xp, logits, batch, factor):
    """Lowers `logits` f32 [rows, V] in place where the repetition penalty has yet to come.

    `factor` f32 [R, K] is that penalty for tokens that the prompt or the answer has, 1 elsewhere. The penalties count on
    top of it, so what is stored is what the engine's repetition penalty turns into the lowered logit.
    """
    own = logits[batch.rows]
    now = logits[batch.rows[:, None], batch.tokens]
    down = unrepeated(xp, repeated(xp, now, factor) - batch.amounts, factor)
    write(logits, batch, xp.where(lowered(xp, own, batch), down, now))


def penalise_after(xp, logits, batch, factor=None):
    """Lowers `logits` f32 [rows, V] in place where the repetition penalty has been applied.

    `factor` f32 [R, V] is that penalty for tokens that the prompt or the answer has, 1 elsewhere; None where no row has a
    repetition penalty. Which tokens are lowered goes by the logits without it.
    """
    own = logits[batch.rows]
    if factor is not None:
        own = unrepeated(xp, own, factor)
    now = logits[batch.rows[:, None], batch.tokens]
    write(logits, batch, xp.where(lowered(xp, own, batch), now - batch.amounts, now))
