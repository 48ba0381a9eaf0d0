"""GPUs shared out among engines: locks of real processes, and engines that see theirs alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from objectives.engines.base import ExternalFailure
from objectives.engines.containers import gpu_fault
from objectives.engines.gpu_pool import GpuPool
from objectives.engines.gpu_pool import gpus_needed
from objectives.engines.gpu_pool import visible_gpus
from objectives.engines.vllm import VllmEngine


@pytest.fixture
def pool(tmp_path: Path) -> GpuPool:
    return GpuPool(("0", "1", "2", "3", "4"), tmp_path)


def test_engines_of_one_size_get_blocks_that_begin_at_its_multiples(pool: GpuPool) -> None:
    one, pair = pool.take(1), pool.take(2)
    assert (one.names, pair.names) == (("0",), ("2", "3"))
    assert pair.variables == {"CUDA_VISIBLE_DEVICES": "2,3"}
    assert pool.take(1).names == ("1",)
    one.give_back()
    one.give_back()  # which gives back nothing else
    assert pool.take(1).names == ("0",)


@pytest.mark.parametrize("n", [0, 6])
def test_more_gpus_than_there_are_is_an_error_and_no_wait(pool: GpuPool, n: int) -> None:
    with pytest.raises(ValueError, match=f"{n} of 5 GPUs"):
        pool.take(n)


def test_who_needs_many_waits_for_them_and_is_not_passed_by_who_needs_one(pool: GpuPool) -> None:
    first = pool.take(1)
    with ThreadPoolExecutor() as threads:
        many = threads.submit(pool.take, 4)
        time.sleep(0.1)
        one = threads.submit(pool.take, 1)  # GPU 4 is free, and 1 to 3 are
        time.sleep(0.5)
        assert not many.done()
        assert not one.done()
        first.give_back()
        assert many.result(10).names == ("0", "1", "2", "3")
        assert one.result(10).names == ("4",)


def test_no_gpu_is_ever_held_twice(pool: GpuPool) -> None:
    held: set[str] = set()
    lock = threading.Lock()

    def use(n: int) -> int:
        for _ in range(10):
            allotment = pool.take(n)
            with lock:
                assert held.isdisjoint(allotment.names)
                held.update(allotment.names)
            time.sleep(0.001)
            with lock:
                held.difference_update(allotment.names)
            allotment.give_back()
        return n

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(use, [1, 2, 4, 1, 2, 1])) == [1, 1, 1, 2, 2, 4]


def test_gpus_of_a_killed_process_are_free_again(pool: GpuPool) -> None:
    code = (
        "import sys, time; from pathlib import Path;"
        " from objectives.engines.gpu_pool import GpuPool;"
        " print(GpuPool(('0', '1'), Path(sys.argv[1])).take(2).names, flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", code, str(pool.folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "('0', '1')\n"
        assert pool.take(1).names == ("2",)
        process.send_signal(signal.SIGKILL)
    assert GpuPool(("0", "1"), pool.folder).take(2).names == ("0", "1")


@pytest.mark.parametrize(
    ("env", "n_devices", "names"),
    [
        ({}, 3, ("0", "1", "2")),
        ({}, 0, ()),
        ({"CUDA_VISIBLE_DEVICES": "5, 7"}, 2, ("5", "7")),
        ({"CUDA_VISIBLE_DEVICES": "GPU-8f1c,MIG-77"}, 2, ("GPU-8f1c", "MIG-77")),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,0"}, 1, ("1",)),  # CUDA stops at the first that is none
        ({"CUDA_VISIBLE_DEVICES": ""}, 0, ()),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, 0, ()),
    ],
)
def test_gpus_are_those_that_the_scheduler_of_the_cluster_gave(
    env: dict[str, str], n_devices: int, names: tuple[str, ...]
) -> None:
    assert visible_gpus({"PATH": "/nowhere", **env}, n_devices) == names


def test_an_engine_needs_the_product_of_its_parallel_sizes() -> None:
    assert gpus_needed({}, {}) == 1
    defaults = {"tensor_parallel_size": 1, "pipeline_parallel_size": None}
    assert gpus_needed(defaults, {"data_parallel_size": "2"}, {"tensor_parallel_size": 4}) == 8


Make = Callable[..., VllmEngine]


@pytest.fixture
def make(stand_in: list[str], model_dir: Path, tmp_path: Path) -> Make:
    """Makes an engine on two GPUs of a machine."""

    def make_engine(n_gpus: int = 1) -> VllmEngine:
        return VllmEngine(
            str(model_dir),
            command=stand_in,
            env={"CUDA_VISIBLE_DEVICES": "3,6"},
            engine_args={"tensor_parallel_size": n_gpus},
            log_dir=tmp_path / "logs",
            grace=0.3,
            gpu_locks=tmp_path,
        )

    return make_engine


def gpus_seen_by(pid: int) -> str:
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(v for v in variables if v.startswith(b"CUDA_VISIBLE_DEVICES=")).decode()


def test_engines_beside_each_other_see_a_gpu_each_and_say_which(make: Make) -> None:
    with make().start({}, "trial-0") as a, make().start({}, "trial-1") as b:
        assert gpus_seen_by(a.pid) == "CUDA_VISIBLE_DEVICES=3"
        assert gpus_seen_by(b.pid) == "CUDA_VISIBLE_DEVICES=6"
        assert b.info["gpus"] == "6"
    with make(2).start({}, "trial-2") as both:
        assert gpus_seen_by(both.pid) == "CUDA_VISIBLE_DEVICES=3,6"


def test_an_engine_that_does_not_start_gives_its_gpus_back(make: Make, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("")  # no folder
    for label in ("trial-0", "trial-1"):
        with pytest.raises(ExternalFailure, match="cannot be written"):
            make(2).start({}, label)
    assert GpuPool(("3", "6"), tmp_path).take(2).names == ("3", "6")


def test_an_engine_that_needs_more_gpus_than_there_are_is_refused(make: Make) -> None:
    with pytest.raises(ExternalFailure, match="needs 4 GPUs, and there are 2") as failure:
        make(4).start({}, "trial-0")
    assert failure.value.reason == "device_unfit"


def test_gpus_of_a_killed_worker_are_held_until_its_engine_has_gone(
    make: Make, tmp_path: Path
) -> None:
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        running = make(2).start({}, "trial-0")
        os.write(writes, str(running.pid).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    engine = Path("/proc") / os.read(reads, 16).decode()
    GpuPool(("3", "6"), tmp_path).take(2)
    assert not engine.exists()


def test_a_container_is_to_be_told_its_gpus() -> None:
    words = ["docker", "run", "--rm", "--gpus", "all", "--network", "host"]
    assert "--env CUDA_VISIBLE_DEVICES" in str(gpu_fault([*words, "vllm"]))
    assert "--env CUDA_VISIBLE_DEVICES" in str(
        gpu_fault([*words, "-eCUDA_VISIBLE_DEVICES=0", "v"])
    )
    assert gpu_fault([*words, "-e", "CUDA_VISIBLE_DEVICES", "vllm"]) is None
    assert gpu_fault(["vllm", "serve"]) is None
