#!/usr/bin/env python3
"""A gateway with our server as its guard: guarded.py litellm|envoy|nemo PROGRAM GATEWAY

GATEWAY is the gateway's program; of NeMo Guardrails, which is a library, the Python that has it. The guard forbids two words, and prices prompts as well.
"""

import pathlib
import subprocess
import sys
import tempfile

import ours
from gateway import HERE, free_port

SETTINGS = """\
[judge]
prompts = "screen"
"""
TEXTS = ["--safe", "Rinse the knife with warm water, then dry it well.", "--word", "dagger"]
TEXTS += ["--unsafe", "First take the dagger from the drawer and hold it well, then go on.", "--blocked", "Where is poison?"]


def main():
    kind, program, gateway = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder, processor = pathlib.Path(name), f"127.0.0.1:{free_port()}"
        (folder / "settings.toml").write_text(SETTINGS)
        flags = ["--config", folder / "settings.toml", "--bundle", ours.bundle(folder / "bundle", ["dagger", "poison"])]
        flags += ["--face", {"litellm": "litellm", "envoy": f"envoy={processor}", "nemo": "judge"}[kind]]
        with ours.server(program, folder, flags) as (clients, _):
            guard = ["--processor", processor] if kind == "envoy" else ["--guard", f"http://{clients}"]
            begin = [gateway] if kind == "nemo" else [sys.executable]
            more = [] if kind == "nemo" else [f"--{kind}", gateway]
            command = [*begin, "-B", HERE / f"{kind}.py", *more, *guard, *TEXTS]
            sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
