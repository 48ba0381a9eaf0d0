"""The tokenizer is read from the hub as the engine reads it: by its revision and its token."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


TOKEN = "hf_right"
# The hub's library reads its address when it is imported: a process of its own.
PROGRAM = """
import json, sys
from objectives.engines.base import ExternalFailure
from objectives.engines.vllm import VllmEngine
from objectives.traces import Trace, TraceRequest
from objectives.workload import build_workload
workload = build_workload(Trace("t", (TraceRequest(9, 5),)), rate=2, duration=3)
settings = json.loads(sys.argv[1])
try:
    print("prompts", len(VllmEngine(**settings).prompts(workload)) == len(workload.requests))
except ExternalFailure as failure:
    print(failure)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """Repositories of one tokenizer: org/gated wants the token; revisions main and v2."""

    tokenizer = b""
    seen: list[tuple[str, str | None]]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self.wfile.write(self._answer())

    def _answer(self) -> bytes:
        _, _, repository, _, revision, name = self.path.split("/")
        authorization = self.headers.get("Authorization")
        self.seen.append((revision, authorization))
        refused = repository == "gated" and authorization != f"Bearer {TOKEN}"
        missing = name != "tokenizer.json" or revision not in ("main", "v2")
        body = b"" if refused or missing else self.tokenizer
        self.send_response(401 if refused else 404 if missing else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", hashlib.sha1(revision.encode()).hexdigest())
        if refused:
            self.send_header("X-Error-Code", "GatedRepo")
            self.send_header("X-Error-Message", "Access to model org/gated is restricted.")
        self.end_headers()
        return body


@pytest.fixture
def hub(model_dir: Path) -> Iterator[str]:
    Hub.tokenizer = (model_dir / "tokenizer.json").read_bytes()
    Hub.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("settings", "variables", "revision", "works"),
    [
        ({"model": "org/open"}, {}, "main", True),
        ({"model": "org/open", "engine_args": {"revision": "v2"}}, {}, "v2", True),
        ({"model": "org/open", "engine_args": {"tokenizer_revision": "v2"}}, {}, "v2", True),
        (
            {"model": "/m", "engine_args": {"tokenizer": "org/open", "revision": "v2"}},
            {},
            "v2",
            True,
        ),
        ({"model": "org/gated", "engine_args": {"hf_token": TOKEN}}, {}, "main", True),
        ({"model": "org/gated", "env": {"HF_TOKEN": TOKEN}}, {}, "main", True),
        ({"model": "org/gated", "command": [f"HF_TOKEN={TOKEN}", "vllm"]}, {}, "main", True),
        (
            {"model": "org/gated", "command": ["docker", "run", "-e", f"HF_TOKEN={TOKEN}", "i"]},
            {},
            "main",
            True,
        ),
        ({"model": "org/gated"}, {"HF_TOKEN": TOKEN}, "main", True),
        ({"model": "org/gated"}, {}, "main", False),
        ({"model": "org/gated", "engine_args": {"hf_token": "hf_wrong"}}, {}, "main", False),
    ],
)
def test_revision_and_token_are_the_engines(
    hub: str,
    tmp_path: Path,
    settings: dict[str, object],
    variables: dict[str, str],
    revision: str,
    works: bool,
) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("HF_TOKEN", "HF_HUB_OFFLINE")}
    more = {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(settings)],
        env={**env, **more, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {seen[0] for seen in Hub.seen} == {revision}
    if works:
        assert done.stdout == "prompts True\n"
    else:
        assert done.stdout.startswith("no_such_model: no tokenizer for model 'org/gated': 401")
        assert "hf_wrong" not in done.stdout + done.stderr
