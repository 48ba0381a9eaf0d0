"""Stands in for SGLang's and TensorRT-LLM's servers, and for any other.

    python stand_in_others.py sglang | trtllm | other  OPTIONS

It takes the options that these take, as far as they are tuned, and refuses all others; it answers
as ``stand_in_server`` does, with the paths and names that are theirs.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import sys
from pathlib import Path
from typing import NoReturn


sys.path.insert(0, str(Path(__file__).parent))
from stand_in_server import BEHAVIOUR
from stand_in_server import WORDS
from stand_in_server import Handler


SGLANG = {
    "--model-path": str,
    "--served-model-name": str,
    "--host": str,
    "--port": int,
    "--tensor-parallel-size": int,
    "--max-running-requests": int,
    "--chunked-prefill-size": int,
    "--schedule-policy": str,
    "--schedule-conservativeness": float,
    "--num-continuous-decode-steps": int,
    "--max-prefill-tokens": int,
    "--mem-fraction-static": float,
    "--enable-mixed-chunk": None,
    "--disable-radix-cache": None,
    "--disable-overlap-schedule": None,
    "--disable-custom-all-reduce": None,
}
TRTLLM = {
    "--host": str,
    "--port": int,
    "--tensor_parallel_size": int,
    "--max_batch_size": int,
    "--max_num_tokens": int,
    "--max_seq_len": int,
    "--free_gpu_memory_fraction": float,
    "--num_postprocess_workers": int,
    "--enable_chunked_prefill": None,
}
OTHER = {"-m": str, "--port": int, "--alias": str, "--threads": int, "--flash": None}


class SglangHandler(Handler):
    """Tells its configuration, and generates a token for a health check unless told not to."""

    given: dict

    def do_GET(self) -> None:
        quick = os.environ.get("SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION") == "false"
        if self.path == "/version":
            self._send(404, b"")
        elif self.path == "/health" and not quick:
            self._send(503, b"")  # the second that it takes is more than is waited for
        elif self.path == "/server_info":
            self._send(200, json.dumps({**self.given, "version": "0.5.23"}).encode())
        else:
            super().do_GET()


class OtherHandler(Handler):
    """Has no path for its health."""

    def do_GET(self) -> None:
        if self.path == "/health":
            self._send(404, b"")
        else:
            super().do_GET()


def parser(options: dict, model: bool) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="server", allow_abbrev=False)
    if model:
        made.add_argument("model")
    for name, kind in options.items():
        if kind is None:
            made.add_argument(name, action="store_true")
        else:
            made.add_argument(name, type=kind)
    return made


def die_as_sglang() -> NoReturn:
    """End as SGLang does where its scheduler fails: by killing itself."""
    print(
        f"[2026-11-26 10:00:00 TP0] Scheduler hit an exception: Traceback {WORDS[1]}", flush=True
    )
    print(
        "[2026-11-26 10:00:01] Received sigquit from a child process. It usually means the child"
        " failed.",
        flush=True,
    )
    os.kill(os.getpid(), 9)
    raise SystemExit


def main() -> None:
    kind, *words = sys.argv[1:]
    if kind == "sglang":
        arguments = parser(SGLANG, model=False).parse_args(words)
        handler, name = SglangHandler, arguments.served_model_name
        given = {k: v for k, v in vars(arguments).items() if v is not None}
        given["tp_size"] = given.pop("tensor_parallel_size", 1)
        given["chunked_prefill_size"] = 2048  # whatever it is asked for
        SglangHandler.given = given
        if BEHAVIOUR == "die":
            die_as_sglang()
    elif kind == "trtllm":
        if words.pop(0) != "serve":
            sys.exit("Error: there is no such command")
        arguments = parser(TRTLLM, model=True).parse_args(words)
        handler, name = Handler, Path(arguments.model).name
    else:
        arguments = parser(OTHER, model=False).parse_args(words)
        handler, name = OtherHandler, arguments.alias or arguments.m
    Handler.name = name
    print("arguments", words, flush=True)
    host = getattr(arguments, "host", None) or "127.0.0.1"
    server = http.server.ThreadingHTTPServer((host, arguments.port), handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
