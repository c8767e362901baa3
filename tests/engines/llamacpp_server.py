#!/usr/bin/env python3
"""llama.cpp's HTTP server from the prebuilt package xllamacpp: llamacpp_server.py FILE.gguf PORT SLOTS FOLDER

The same routes as the program `llama-server`, with SLOTS slots of 1,024 tokens, which may be saved in FOLDER. It runs until
it is ended.
"""

import os
import signal
import sys

import xllamacpp


def main():
    file, port, slots, folder = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = file
    params.hostnames, params.port = ["127.0.0.1"], int(port)
    params.n_parallel, params.n_ctx = int(slots), 1024 * int(slots)
    params.kv_unified = False
    params.endpoint_slots = params.endpoint_metrics = params.endpoint_props = True
    params.slot_save_path = folder.rstrip("/") + "/"
    params.no_extra_bufts = True  # What --no-repack does.
    params.cpuparams.n_threads = max(1, (os.cpu_count() or 1) - 1)  # The other core is for our program.
    server = xllamacpp.Server(params)
    print("listening at", server.listening_address, flush=True)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])


if __name__ == "__main__":
    main()
