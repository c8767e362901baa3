"""Penalties by offset for the runner before Model Runner V2."""

import torch
from vllm.v1.sample.logits_processor import interface

from .arithmetic import batch, penalise_before
from .wanted import wanted


class Row:
    """A request of the batch. `answer` is vLLM's own list, which grows by a token a step."""

    def __init__(self, params, prompt, answer):
        self.wanted = wanted(params.extra_args)
        self.answer = answer
        self.factor = params.repetition_penalty
        self.prompt = frozenset(prompt or ()) if self.factor != 1.0 else frozenset()

    def entry(self):
        """What is lowered at this step, or None."""
        return self.wanted.at.get(len(self.answer))

    def factors(self, tokens):
        """The repetition penalty of each token: 1 for those that have not come yet."""
        if self.factor == 1.0:
            return [1.0] * len(tokens)
        seen = self.prompt.union(self.answer)
        return [self.factor if token in seen else 1.0 for token in tokens]


class RunnerV1(interface.LogitsProcessor):
    """It runs before vLLM's repetition penalty."""

    def __init__(self, device, pin_memory):
        self.device, self.pin_memory = device, pin_memory
        self.rows = {}

    def is_argmax_invariant(self):
        return False

    def update_state(self, batch_update):
        """Follows the requests of the batch: removed, added, moved, in this order."""
        if batch_update is None:
            return
        for row in batch_update.removed:
            self.rows.pop(row, None)
        for row, params, prompt, answer in batch_update.added:
            self._put(row, Row(params, prompt, answer))
        for one, other, direction in batch_update.moved:
            first, second = self.rows.pop(one, None), self.rows.pop(other, None)
            self._put(other, first)
            if direction == interface.MoveDirectionality.SWAP:
                self._put(one, second)

    def _put(self, index, row):
        if row is not None and row.wanted is not None:
            self.rows[index] = row
        else:
            self.rows.pop(index, None)

    def apply(self, logits):
        """Lowers `logits` f32 [rows, vocabulary] in place."""
        due = [(index, row.wanted.mass, row.entry()) for index, row in self.rows.items()]
        made = batch([(index, mass, entry) for index, mass, entry in due if entry is not None], logits.shape[-1])
        if made is not None:
            factor = [self.rows[index].factors(tokens) for index, tokens in zip(made.rows.tolist(), made.tokens.tolist())]
            on_device = made.map(lambda array: self._moved(torch.from_numpy(array)))
            penalise_before(torch, logits, on_device, self._moved(torch.tensor(factor, dtype=torch.float32)))
        return logits

    def _moved(self, tensor):
        tensor = tensor.pin_memory() if self.pin_memory else tensor
        return tensor.to(self.device, non_blocking=True)
