#!/usr/bin/env python3
"""A gateway with our server as its guard: guarded.py litellm|envoy PROGRAM GATEWAY

GATEWAY is the gateway's program. The guard forbids two words, and prices prompts as well.
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
        flags += ["--face", "litellm" if kind == "litellm" else f"envoy={processor}"]
        with ours.server(program, folder, flags) as (clients, _):
            guard = ["--guard", f"http://{clients}"] if kind == "litellm" else ["--processor", processor]
            command = [sys.executable, "-B", HERE / f"{kind}.py", f"--{kind}", gateway, *guard, *TEXTS]
            sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
