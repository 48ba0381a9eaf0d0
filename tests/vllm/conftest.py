"""The real vLLM. Its interpreter is VLLM_PYTHON, by default that of .venv-vllm; without it, these
tests fail: `make test` installs it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from objectives.engines.vllm import VllmEngine


ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


@pytest.fixture(scope="session")
def vllm_python() -> str:
    """The interpreter of the environment with vLLM."""
    python = os.environ.get("VLLM_PYTHON", str(ROOT / ".venv-vllm" / "bin" / "python"))
    assert Path(python).is_file(), f"no vLLM at {python}: run `make test`, or set VLLM_PYTHON"
    return python


@pytest.fixture(scope="session")
def model(vllm_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 5 million random weights."""
    folder = tmp_path_factory.mktemp("models") / "llama-5m"
    script = ROOT / "examples" / "make_random_llama.py"
    subprocess.run([vllm_python, script, folder, "--size", "5m"], check=True)
    return folder


@pytest.fixture(scope="session")
def engine(vllm_python: str, model: Path, tmp_path_factory: pytest.TempPathFactory) -> VllmEngine:
    """Starts vLLM with that model."""
    return VllmEngine(
        str(model),
        python=vllm_python,
        engine_args={"max_model_len": 2048, "dtype": "float32", "enforce_eager": True},
        env=ENVIRONMENT,
        log_dir=tmp_path_factory.mktemp("logs"),
    )
