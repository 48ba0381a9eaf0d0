"""The short form of ``tests.chaos``: many faults in one study, and an audit of what is left."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.chaos import Chaos
from tests.postgres import Postgres


def test_a_study_under_faults_is_whole_in_the_end() -> None:
    with tempfile.TemporaryDirectory(prefix="chaos") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = Postgres.make(folder / "data")
        try:
            url = server.new_database("chaos")
            chaos = Chaos(server, url, folder, n_trials=25, n_workers=3, seed=3)
            checks = chaos.run(timeout_s=120.0)
        finally:
            server.stop()
        assert [(c.name, c.faults) for c in checks if not c.holds] == []
        assert chaos.tracebacks() == []
        assert sum(chaos.faults.values()) > 0
