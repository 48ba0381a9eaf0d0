"""Waiting for GPU memory, with a stand-in for nvidia-smi that prints what the driver would."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from objectives.engines import gpus


@pytest.fixture
def smi(tmp_path: Path) -> Path:
    """A folder with an ``nvidia-smi`` that prints the file ``rows`` beside it."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/rows\n", encoding="utf-8")
    program.chmod(0o755)
    return tmp_path


def env(folder: Path, **more: str) -> dict[str, str]:
    return {"PATH": f"{folder}:{os.defpath}", **more}


def test_memory_of_the_visible_gpus(smi: Path) -> None:
    rows = "0, GPU-aa11, 100\n1, GPU-bb22, 20\n2, GPU-cc33, 3\n"
    (smi / "rows").write_text(rows, encoding="utf-8")
    assert gpus.used_memory_mib(env(smi)) == 123
    assert gpus.used_memory_mib(env(smi, CUDA_VISIBLE_DEVICES="0,2")) == 103
    assert gpus.used_memory_mib(env(smi, CUDA_VISIBLE_DEVICES="GPU-bb")) == 20
    assert gpus.used_memory_mib(env(smi, CUDA_VISIBLE_DEVICES="")) == 0


def test_no_gpu_means_nothing_to_wait_for(tmp_path: Path) -> None:
    nowhere = {"PATH": str(tmp_path)}
    assert gpus.used_memory_mib(nowhere) is None
    assert gpus.wait_until_released(None, nowhere)


def test_broken_driver_means_nothing_to_wait_for(smi: Path) -> None:
    (smi / "rows").write_text("No devices were found\n", encoding="utf-8")
    assert gpus.used_memory_mib(env(smi)) is None
    (smi / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    assert gpus.used_memory_mib(env(smi)) is None


def test_release_is_awaited_within_a_bound(smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = smi / "rows"
    rows.write_text("0, GPU-aa, 5000\n", encoding="utf-8")
    # Each query leaves less: 5000, then 700, which is within the tolerance of 300 + 512.
    program = f"#!/bin/sh\ncat {rows}\necho '0, GPU-aa, 700' > {rows}\n"
    (smi / "nvidia-smi").write_text(program, encoding="utf-8")
    assert gpus.wait_until_released(300, env(smi))
    assert "700" in rows.read_text(encoding="utf-8")
    monkeypatch.setattr(gpus, "RELEASE_BOUND_SECONDS", 0.0)
    assert not gpus.wait_until_released(100, env(smi))


def test_gpus_that_are_named_and_not_there(smi: Path) -> None:
    rows = "0, GPU-aa11, 100\n1, GPU-bb22, 20\n"
    (smi / "rows").write_text(rows, encoding="utf-8")
    assert gpus.missing(env(smi)) == []
    assert gpus.missing(env(smi, CUDA_VISIBLE_DEVICES="")) == []
    assert gpus.missing(env(smi, CUDA_VISIBLE_DEVICES="1,GPU-aa")) == []
    assert gpus.missing(env(smi, CUDA_VISIBLE_DEVICES="0, 2,GPU-cc,MIG-x")) == ["2", "GPU-cc"]
    assert gpus.missing({"PATH": "/nowhere", "CUDA_VISIBLE_DEVICES": "7"}) == []
