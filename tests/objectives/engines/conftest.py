from __future__ import annotations

import sys
from pathlib import Path

import pytest

from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload
from tests.small_model import make_small_model


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder as far as the driver reads one: a tokenizer whose tokens are words."""
    folder = tmp_path_factory.mktemp("models") / "model"
    make_small_model(folder)
    return folder


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of the stand-in server: a shell script, as a container's command may be."""
    script = tmp_path_factory.mktemp("bin") / "serve"
    server = Path(__file__).with_name("stand_in_server.py")
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{server}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return [str(script)]


@pytest.fixture(scope="session")
def workload() -> Workload:
    """Twelve requests of 5 to 16 prompt tokens and 2 to 13 output tokens in 0.3 s."""
    requests = (TraceRequest(prompt_tokens=5 + i, output_tokens=2 + i) for i in range(12))
    scheduled = (ScheduledRequest(i, 0.025 * i, request) for i, request in enumerate(requests))
    return Workload(tuple(scheduled), "small", 0.3)
