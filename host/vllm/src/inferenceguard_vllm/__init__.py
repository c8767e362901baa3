"""What InferenceGuard needs inside vLLM.

`processor` lowers the logits of named tokens at named offsets of an answer; `prefix` lets pooling servers read their
prefix cache. vLLM finds both by entry points: installing the package is enough.
"""
