"""Penalties by offset for Model Runner V2, the default of vLLM 0.32 on GPUs."""

import torch
from vllm.v1.worker.gpu.sample.logits_processor import interface

from .arithmetic import batch, penalise_after
from .wanted import wanted


class RunnerV2(interface.LogitsProcessor):
    """It runs after vLLM's repetition penalty, before temperature and truncation.

    Without speculative decoding a row of logits is a place in the batch, and lengths are known without asking the device.
    """

    def __init__(self, requests):
        self.requests = requests
        self.slots = {}

    def add_request(self, req_idx, sampling_params):
        """Keeps what the request in this slot wants; False if that is nothing."""
        asked = wanted(sampling_params.extra_args)
        self.slots.pop(req_idx, None)
        if asked is not None:
            self.slots[req_idx] = (asked, sampling_params.repetition_penalty)
        return asked is not None

    def apply(self, logits, ctx):
        """Lowers `logits` f32 [rows, vocabulary] in place."""
        if logits.shape[0] != len(ctx.idx_mapping_np):
            raise RuntimeError(
                f"inferenceguard-vllm: found {logits.shape[0]} rows for {len(ctx.idx_mapping_np)} requests, expected one "
                "each; start the server without speculative decoding"
            )
        made = batch(list(self._due(ctx)), logits.shape[-1])
        if made is not None:
            slots = ctx.idx_mapping_np[made.rows].tolist()
            on_device = made.map(lambda array: self._moved(torch.from_numpy(array)))
            penalise_after(torch, logits, on_device, self._factors(slots, logits.shape[-1]))
        return logits

    def _due(self, ctx):
        """(row, mass, entry) of each row that is penalised at this step."""
        for row, slot in enumerate(ctx.idx_mapping_np.tolist()):
            asked = self.slots.get(slot)
            if asked is None:
                continue
            offset = int(ctx.seq_lens_upper_bound_np[row]) - int(self.requests.prompt_len.np[slot])
            entry = asked[0].at.get(offset)
            if entry is not None:
                yield row, asked[0].mass, entry

    def _factors(self, slots, vocabulary):
        """The repetition penalty of each token of the vocabulary, f32 [rows, vocabulary]; None where none is asked."""
        penalties = [self.slots[slot][1] for slot in slots]
        if all(penalty == 1.0 for penalty in penalties):
            return None
        index = self._moved(torch.tensor(slots))
        tokens = self.requests.all_token_ids.gpu[index].long()
        places = torch.arange(tokens.shape[1], device=tokens.device)
        there = places < self.requests.total_len.gpu[index][:, None]
        seen = torch.zeros(len(slots), vocabulary + 1, dtype=torch.bool, device=tokens.device)
        seen.scatter_(1, torch.where(there, tokens, vocabulary), True)
        factor = self._moved(torch.tensor(penalties, dtype=torch.float32))[:, None]
        return torch.where(seen[:, :vocabulary], factor, 1.0)

    def _moved(self, tensor):
        tensor = tensor.pin_memory() if self.requests.device.type == "cuda" else tensor
        return tensor.to(self.requests.device, non_blocking=True)
