"""The patch of vLLM's private method, on classes that look like vLLM's and on classes that do not."""

import pytest
from inferenceguard_vllm import prefix, supported


def params():
    class Params:
        task: str
        skip_reading_prefix_cache: bool | None = None

        def __init__(self, task, skip=None):
            self.task, self.skip_reading_prefix_cache = task, skip

        def _merge_default_parameters(self, model_config):
            if self.skip_reading_prefix_cache is None:
                self.skip_reading_prefix_cache = True
            return model_config

    return Params


@pytest.mark.parametrize(
    ("task", "asked", "skips"),
    [
        ("token_classify", None, False),
        ("token_embed", None, False),
        ("token_classify", True, True),
        ("classify", None, True),
    ],
)
def test_token_wise_requests_read_the_cache_unless_they_ask_not_to(task, asked, skips):
    patched = params()
    prefix.patch(patched)
    prefix.patch(patched)
    one = patched(task, asked)
    assert one._merge_default_parameters("config") == "config"
    assert one.skip_reading_prefix_cache is skips


def without_method():
    patched = params()
    del patched._merge_default_parameters
    return patched


def with_method(method):
    patched = params()
    patched._merge_default_parameters = method
    return patched


def without_fields():
    patched = params()
    patched.__annotations__ = {}
    return patched


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        (without_method(), "no method"),
        (with_method(lambda self, model_config, more: self.skip_reading_prefix_cache), "(self, model_config, more)"),
        (with_method(lambda self, model_config: None), "does not set"),
        (with_method(property(lambda self: None)), "no method"),
        (without_fields(), "no fields"),
    ],
)
def test_a_vllm_that_is_not_as_expected_stops_the_server(changed, found):
    with pytest.raises(RuntimeError) as refusal:
        prefix.patch(changed)
    assert found in str(refusal.value) and "INFERENCEGUARD_PREFIX_CACHE=off" in str(refusal.value)


def test_the_variable_is_on_or_off(monkeypatch):
    monkeypatch.setenv(prefix.VARIABLE, "no")
    with pytest.raises(RuntimeError, match="expected on or off"):
        prefix.register()
    monkeypatch.setenv(prefix.VARIABLE, "off")
    prefix.register()


@pytest.mark.parametrize("version", ["0.32.0", "0.32.1", "0.32.0+cpu", "0.32.2rc1"])
def test_supported_versions(version):
    supported.check(version)


@pytest.mark.parametrize("version", ["0.31.9", "0.33.0", "0.3.2", "1.32.0", "dev", "", "0.320.0"])
def test_other_versions_are_refused_by_name(version):
    with pytest.raises(RuntimeError) as refusal:
        supported.check(version)
    assert repr(version) in str(refusal.value) and ">=0.32,<0.33" in str(refusal.value)
