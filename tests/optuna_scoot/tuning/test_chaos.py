"""The short form of ``tests.chaos``: many faults in one study, and an audit of what is left."""

from __future__ import annotations

from pathlib import Path

from tests.chaos import Chaos
from tests.postgres import temporary_server


def test_a_study_under_faults_is_whole_in_the_end(tmp_path: Path) -> None:
    with temporary_server() as server:
        url = server.new_database("chaos")
        chaos = Chaos(server, url, tmp_path, n_trials=25, n_workers=3, seed=3)
        checks = chaos.run(timeout_s=120.0)
    assert [(c.name, c.faults) for c in checks if not c.holds] == []
    assert chaos.tracebacks() == []
    assert sum(chaos.faults.values()) > 0
