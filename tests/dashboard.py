"""The real optuna-dashboard on a study, for tests and for the screenshots of its page in docs/."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.simple_server import make_server

from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import wsgi


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@dataclass(frozen=True)
class Dashboard:
    """A dashboard that runs."""

    address: str

    def get(self, path: str) -> bytes:
        """What it answers."""
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            body: bytes = answer.read()
        return body

    def study(self, name: str) -> dict[str, Any]:
        """All that its page of a study gets to know of it."""
        summaries = json.loads(self.get("/api/studies"))["study_summaries"]
        study_id = next(s["study_id"] for s in summaries if s["study_name"] == name)
        found: dict[str, Any] = json.loads(self.get(f"/api/studies/{study_id}"))
        return {**found, "study_id": study_id}


@contextmanager
def dashboard(storage: str, artifacts: Path) -> Iterator[Dashboard]:
    """Run optuna-dashboard, as `optuna-dashboard STORAGE --artifact-dir ARTIFACTS` does."""
    app = wsgi(storage, artifact_store=FileSystemArtifactStore(str(artifacts)))
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Dashboard(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
