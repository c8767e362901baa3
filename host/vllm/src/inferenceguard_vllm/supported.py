"""The versions of vLLM whose interfaces this package was written against."""

import re

# The first release that is supported, and the first that is not.
FROM, BELOW = (0, 32), (0, 33)


def check(version):
    """Raises RuntimeError unless `version`, such as `0.32.0+cpu`, is supported."""
    found = re.match(r"(\d+)\.(\d+)\b", version)
    if found and FROM <= tuple(map(int, found.groups())) < BELOW:
        return
    span = f">={FROM[0]}.{FROM[1]},<{BELOW[0]}.{BELOW[1]}"
    raise RuntimeError(
        f"inferenceguard-vllm: found vLLM {version[:40]!r}, expected {span}; install such a vLLM, or a release of "
        "inferenceguard-vllm that names yours"
    )
