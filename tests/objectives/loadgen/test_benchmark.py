"""The benchmark that docs/metrics.md names runs, and prints a line a client and rate."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


ROOT = Path(__file__).parents[3]


def test_the_command_of_the_docs_prints_both_clients_at_each_rate() -> None:
    words = "python -m tests.objectives.loadgen.benchmark"
    assert words in (ROOT / "docs" / "metrics.md").read_text()
    command = [sys.executable, *words.split()[1:], "--rates", "40", "--seconds", "0.5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert "added mean" in heading
    assert [re.match(r" *40/s +(.+?)  ", line).group(1) for line in lines] == [
        "this project",
        "aiohttp",
    ]
