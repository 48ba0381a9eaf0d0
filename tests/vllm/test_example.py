"""`examples/tune_vllm.py` on a real vLLM."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.vllm.conftest import ENVIRONMENT
from tests.vllm.conftest import ROOT


def test_tune_vllm_measures_the_default_and_a_suggestion(
    vllm_python: str, model: Path, tmp_path: Path
) -> None:
    command = [sys.executable, str(ROOT / "examples" / "tune_vllm.py"), str(model)]
    command += ["--python", vllm_python, "--rate", "4", "--duration", "2", "--trials", "2"]
    command += ["--max-model-len", "1024", "--enforce-eager"]
    for _ in range(3):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, **ENVIRONMENT},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        # The example refuses to measure while something else holds the machine up.
        if "this machine is too busy to measure" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("vLLM 0.")
    assert "2 trials; default [" in done.stdout
    assert "trial " in done.stdout
