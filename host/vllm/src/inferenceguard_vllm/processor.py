"""The logits processor that vLLM loads: penalties by offset, for whichever runner the server uses."""

import vllm

from . import supported
from .wanted import wanted

supported.check(vllm.__version__)

# After the check, because these import vLLM's interfaces.
from .runner_v1 import RunnerV1, interface as v1  # noqa: E402
from .runner_v2 import RunnerV2, interface as v2  # noqa: E402


class OffsetPenalties(v2.LogitsProcessor, v1.LogitsProcessor):
    """Of both interfaces, because vLLM asks a class for its runner's own; what it constructs is of one."""

    def __new__(cls, vllm_config, *rest):
        """The runner before Model Runner V2 passes a device and whether to pin memory, Model Runner V2 its requests."""
        if vllm_config.speculative_config is not None:
            raise ValueError(
                "inferenceguard-vllm: found speculative decoding, expected none: penalties by offset need one token a "
                "step; start the server without --speculative-config, or uninstall inferenceguard-vllm"
            )
        return RunnerV1(*rest) if len(rest) == 2 else RunnerV2(*rest)

    @classmethod
    def validate_params(cls, sampling_params):
        """Raises ValueError, which vLLM answers with 400, if the penalties of a request are malformed."""
        wanted(sampling_params.extra_args)
