"""Lets a server of scores or latents by token read its prefix cache.

vLLM does not read it for `token_classify` and `token_embed`, because the answer then holds only the rows of the tokens
that were computed: the last ones. InferenceGuard aligns rows from the end, so it can have them. Other clients of such a
server may not expect it: `INFERENCEGUARD_PREFIX_CACHE=off` leaves vLLM as it is.
"""

import functools
import inspect
import os

VARIABLE = "INFERENCEGUARD_PREFIX_CACHE"
METHOD = "_merge_default_parameters"
FIELD = "skip_reading_prefix_cache"
TASKS = ("token_classify", "token_embed")


def register():
    """What vLLM calls once in each of its processes. Raises RuntimeError if vLLM is not as expected."""
    asked = os.environ.get(VARIABLE, "on")
    if asked not in ("on", "off"):
        raise RuntimeError(f"inferenceguard-vllm: found {VARIABLE}={asked[:40]!r}, expected on or off")
    if asked == "off":
        return
    import vllm
    from vllm.pooling_params import PoolingParams

    from . import supported

    supported.check(vllm.__version__)
    patch(PoolingParams)


def patch(params):
    """Wraps the private method of the class of pooling parameters that fills in the flag. A second call changes nothing."""
    method = params.__dict__.get(METHOD)
    if getattr(method, "by_inferenceguard", False):
        return
    _check(params, method)

    @functools.wraps(method)
    def merge(self, model_config):
        if self.task in TASKS and getattr(self, FIELD) is None:
            setattr(self, FIELD, False)
        return method(self, model_config)

    merge.by_inferenceguard = True
    setattr(params, METHOD, merge)


def _check(params, method):
    """The method sets the flag where it is None; without it the patch would do nothing, in silence."""
    found = None
    if not inspect.isfunction(method):
        found = f"no method {METHOD}"
    elif list(inspect.signature(method).parameters) != ["self", "model_config"]:
        found = f"{METHOD}{inspect.signature(method)}"
    elif FIELD not in method.__code__.co_names:
        found = f"a {METHOD} that does not set {FIELD}"
    elif not {FIELD, "task"} <= _fields(params):
        found = f"no fields {FIELD} and task"
    if found is not None:
        raise RuntimeError(
            f"inferenceguard-vllm: found {found} in {params.__module__}.{params.__qualname__}, expected {METHOD}(self, "
            f"model_config), which sets {FIELD} where it is None; install a supported vLLM, or set {VARIABLE}=off "
            "(scores then cost more)"
        )


def _fields(params):
    return {name for one in params.__mro__ for name in getattr(one, "__annotations__", {})}
