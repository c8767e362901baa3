#!/usr/bin/env python3
"""Envoy in front of a stand-in model, guarded by InferenceGuard's external processor.

    envoy.py --envoy PROGRAM --processor HOST:PORT --safe TEXT --unsafe TEXT --word WORD --blocked PROMPT

The texts are as for litellm.py. Whole answers and streams; then the processor is gone.
"""

import argparse
import json
import pathlib
import tempfile

from asking import Checks
from gateway import chat, count, free_port, running, until_open, upstream

PROTOCOL = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("envoy", "processor", "safe", "unsafe", "word", "blocked"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


def address(host, port):
    return {"socket_address": {"address": host, "port_value": int(port)}}


def cluster(name, host, port, **more):
    endpoint = {"endpoint": {"address": address(host, port)}}
    load = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": name, "type": "STATIC", "connect_timeout": "2s", "load_assignment": load, **more}


def configuration(port, model, processor):
    """Everything passes the processor, which fails closed; it may ask for streams where an answer is one."""
    processing = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": {"envoy_grpc": {"cluster_name": "guard"}, "timeout": "30s"},
        "message_timeout": "30s", "failure_mode_allow": False, "allow_mode_override": True,
        "processing_mode": {"request_header_mode": "SEND", "response_header_mode": "SEND", "request_body_mode": "BUFFERED",
                            "response_body_mode": "BUFFERED"},
    }
    router = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "model", "timeout": "60s"}}
    connection = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "guarded",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "guard", "typed_config": processing}, {"name": "router", "typed_config": router}],
    }
    chain = {"filters": [{"name": "http", "typed_config": connection}]}
    http2 = {"typed_extension_protocol_options": {PROTOCOL: {
        "@type": f"type.googleapis.com/{PROTOCOL}", "explicit_http_config": {"http2_protocol_options": {}}}}}
    guard = cluster("guard", *processor.split(":"), **http2)
    listener = {"name": "clients", "address": address("127.0.0.1", port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster("model", "127.0.0.1", model), guard]}}


def guarded(args, port, model, checks):
    for stream in (False, True):
        how = "streamed" if stream else "whole"
        found = chat(port, "How do I clean a knife?", stream)
        checks.holds(f"{how}: a safe answer comes as it is", found == (200, args.safe), found)
        found = chat(port, "How do I clean a knife? #1", stream)
        checks.holds(f"{how}: of an unsafe answer no client reads the word", args.word not in found[1], found)
        checks.holds(f"{how}: in its place comes a refusal or an error", found[1].strip() != "", found)
        before = count(model)
        found = chat(port, args.blocked, stream)
        checks.holds(f"{how}: a refused prompt is a 4xx", 400 <= found[0] < 500, found)
        checks.holds(f"{how}: and the model is not asked", count(model) == before, count(model) - before)
    found = chat(port, "How do I clean a knife?", path="/v1/other")
    checks.holds("a path that the guard does not know is closed", found[0] >= 400 and args.safe not in found[1], found)


def without_processor(args, port, model, checks):
    before = count(model)
    for stream in (False, True):
        found = chat(port, "How do I clean a knife?", stream)
        closed = found[0] >= 500 and args.safe not in found[1]
        checks.holds(f"{'streamed' if stream else 'whole'}: without the processor nothing comes", closed, found)
    checks.holds("without the processor the model is not asked", count(model) == before, count(model) - before)


def with_envoy(args, folder, model, processor, check, checks):
    port, config, log = free_port(), folder / "envoy.json", folder / "envoy.log"
    config.write_text(json.dumps(configuration(port, model, processor)))
    command = [args.envoy, "--config-path", str(config), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"]
    with running(command, log) as process:
        until_open(port, log, process)
        check(args, port, model, checks)


def main():
    args, checks = arguments(), Checks()
    with tempfile.TemporaryDirectory() as name, upstream(pathlib.Path(name), [args.safe, args.unsafe]) as model:
        with_envoy(args, pathlib.Path(name), model, args.processor, guarded, checks)
        with_envoy(args, pathlib.Path(name), model, f"127.0.0.1:{free_port()}", without_processor, checks)
    checks.end()


if __name__ == "__main__":
    main()
