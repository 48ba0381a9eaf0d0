from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from objectives.engines.containers import container_fault
from objectives.engines.containers import container_variables
from objectives.engines.containers import host_path
from objectives.engines.containers import run_options


GOOD = "docker run --rm --init --network host --gpus all -v /data:/models -e A=1 image --model"


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (GOOD, None),
        ("sudo podman run --net=host -i --ipc=host image", None),
        ("docker run --rm --name x --network=host image -d -t --network none", None),
        ("docker container run --network host image", None),
        ("docker run --network container:other image", None),
        ("vllm serve", None),
        ("./start.sh docker", None),
        ("docker compose run vllm", None),
        ("docker run image", "--network host"),
        ("docker run -p 8000:8000 image", "--network host"),
        ("docker run --network bridge image", "--network host"),
        ("docker run --entrypoint host image --network host", "--network host"),
        ("nerdctl run -d --network host image", "foreground"),
        ("docker run -itd --network host image", "foreground"),
        ("docker run --detach --network host image", "foreground"),
        ("docker run -it --network host image", "terminal"),
        ("docker run --name x --network host image", "--rm"),
    ],
)
def test_what_of_a_container_can_only_fail(command: str, fault: str | None) -> None:
    found = container_fault(shlex.split(command))
    assert found is None if fault is None else found is not None and fault in found


def test_options_before_the_image() -> None:
    words = shlex.split("docker run -itv/a:/b -e A=1 --env=B=2 --rm --shm-size=2g --gpus all i -x")
    assert run_options(words) == [
        ("--interactive", ""),
        ("--tty", ""),
        ("--volume", "/a:/b"),
        ("--env", "A=1"),
        ("--env", "B=2"),
        ("--rm", ""),
        ("--shm-size", "2g"),
        ("--gpus", "all"),
    ]
    assert container_variables(words) == {"A": "1", "B": "2"}
    assert container_variables(["docker", "run", "-e", "HF_TOKEN", "image"]) == {}


@pytest.mark.parametrize(
    ("mounts", "path", "expected"),
    [
        ("-v /data/llms:/models", "/models/m", "/data/llms/m"),
        ("-v /data/llms:/models:ro", "/models", "/data/llms"),
        ("--volume=/data/llms:/models", "/models/a/b", "/data/llms/a/b"),
        ("-v /a:/models -v /b:/models/inner", "/models/inner/m", "/b/m"),
        ("--mount type=bind,source=/data,target=/models,readonly", "/models/m", "/data/m"),
        ("--mount src=/data,dst=/models", "/models/m", "/data/m"),
        ("-v /data:/model", "/models/m", "/models/m"),
        ("-v named-volume:/models", "/models/m", "/models/m"),
        ("--mount type=volume,source=/data,target=/models", "/models/m", "/models/m"),
        ("-v /data:/models", "org/name", "org/name"),
        ("", "/models/m", "/models/m"),
    ],
)
def test_where_a_containers_files_are(mounts: str, path: str, expected: str) -> None:
    words = shlex.split(f"docker run {mounts} --network host image")
    assert host_path(words, path) == Path(expected)
