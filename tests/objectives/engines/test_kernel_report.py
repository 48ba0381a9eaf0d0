from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from objectives.engines import server
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.kernel_report import oom_kills
from objectives.engines.vllm import VllmEngine
from objectives.workload import Workload


SERVER = Path(__file__).with_name("stand_in_server.py")


def test_count_is_that_of_the_kernel(tmp_path: Path) -> None:
    counters = tmp_path / "vmstat"
    counters.write_text("pgfault 7\noom_kill 3\noom_kill_x 9\n", encoding="ascii")
    assert oom_kills(counters) == 3
    counters.write_text("pgfault 7\n", encoding="ascii")
    assert oom_kills(counters) is None
    assert oom_kills(tmp_path / "none") is None
    assert oom_kills() is not None  # Linux 4.13 and later


@pytest.mark.parametrize("n_more", [0, 1, None])
def test_an_engine_that_somebody_kills_under_load_teaches_nothing(
    model_dir: Path,
    workload: Workload,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    n_more: int | None,
) -> None:
    docker = tmp_path / "docker"  # whose processes are this machine's
    docker.write_text(
        'while [ "$1" != image ]; do shift; done; shift; '
        f'exec "{sys.executable}" "{SERVER}" "$@"\n',
        encoding="utf-8",
    )
    engine = VllmEngine(
        str(model_dir),
        command=["sh", str(docker), "run", "--rm", "--network", "host", "image"],
        env={"STAND_IN": "slow 5"},
        log_dir=tmp_path,
        on_progress=lambda _: kill(),
    )

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)

    running = engine.start({}, "trial-0")
    before = oom_kills()
    if n_more != 0:  # what a kernel would say that has killed one meanwhile, or says nothing
        told = None if n_more is None else int(before or 0) + n_more
        monkeypatch.setattr(server, "oom_kills", lambda: told)
    try:
        with pytest.raises(ExternalFailure if n_more == 0 else EngineCrash) as failure:
            running.serve(workload)
    finally:
        running.stop()
    assert failure.value.reason == ("interrupted" if n_more == 0 else "out_of_memory")
