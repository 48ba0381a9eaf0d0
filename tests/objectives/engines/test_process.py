"""Faults of real processes under supervision: nothing of an engine may be left, ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from objectives.engines.base import ExternalFailure
from objectives.engines.bounded_log import HEAD_BYTES
from objectives.engines.bounded_log import TAIL_BYTES
from objectives.engines.process import SupervisedProcess


FOREVER = "import time\nwhile True: time.sleep(0.1)\n"
IGNORES_SIGTERM = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
# A grandchild in a session of its own, as an engine's core may be; prints its process id.
SPAWNS_IN_ANOTHER_SESSION = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session=True)
print(child.pid, flush=True)
"""
SPAWNS = SPAWNS_IN_ANOTHER_SESSION.format(child=IGNORES_SIGTERM + FOREVER)


def start(
    code: str, log: Path, grace: float = 5.0, stopped_for: float = 60.0
) -> SupervisedProcess:
    return SupervisedProcess(
        [sys.executable, "-c", code],
        env=dict(os.environ),
        log_path=log,
        grace=grace,
        stopped_for=stopped_for,
    )


def wait_until(condition: Callable[[], object]) -> None:
    """Poll; the bound is there only so that a broken build does not hang."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "nothing happened for 30 s"
        time.sleep(0.02)


def exists(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be collected."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def pid_in(log: Path) -> int:
    wait_until(lambda: log.exists() and log.read_text(encoding="utf-8").strip())
    return int(log.read_text(encoding="utf-8").split()[0])


def test_exit_code_and_output_of_a_program_that_ends_at_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start("import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)", log)
    wait_until(lambda: process.returncode is not None)
    process.stop()
    assert process.returncode == 7
    assert sorted(log.read_text(encoding="utf-8").split()) == ["err", "out"]


def test_death_by_signal_is_a_negative_exit_code(tmp_path: Path) -> None:
    process = start("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", tmp_path / "log")
    wait_until(lambda: process.returncode is not None)
    assert process.returncode == -signal.SIGKILL
    process.stop()


def test_stop_ends_a_program_by_sigterm_and_may_be_called_again(tmp_path: Path) -> None:
    process = start(FOREVER, tmp_path / "log")
    assert process.returncode is None
    process.stop()
    process.stop()
    assert process.returncode == -signal.SIGTERM
    assert not exists(process.pid)


def test_stop_kills_a_program_that_ignores_sigterm(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(IGNORES_SIGTERM + "print(1, flush=True)\n" + FOREVER, log, grace=0.2)
    pid_in(log)  # the handler is in place
    process.stop()
    assert process.returncode == -signal.SIGKILL
    assert not exists(process.pid)


def test_stop_finds_a_grandchild_in_another_session(tmp_path: Path) -> None:
    process = start(SPAWNS + FOREVER, tmp_path / "log", grace=0.2)
    grandchild = pid_in(tmp_path / "log")
    assert exists(grandchild)
    process.stop()
    assert not exists(grandchild)


def test_what_an_engine_leaves_behind_at_its_own_end_is_ended(tmp_path: Path) -> None:
    process = start(SPAWNS + "sys.exit(3)", tmp_path / "log", grace=0.2)
    grandchild = pid_in(tmp_path / "log")
    wait_until(lambda: process.returncode is not None)
    process.stop()
    assert process.returncode == 3
    assert not exists(grandchild)


WORKER = """
import os, sys, time
from pathlib import Path
from objectives.engines.process import SupervisedProcess

process = SupervisedProcess([sys.executable, "-c", sys.argv[1]], env=dict(os.environ),
                            log_path=Path(sys.argv[2]), grace=0.2)
print(process.pid, flush=True)
if len(sys.argv) > 3:  # a forked child holds the worker's end of the pipe open
    if os.fork() == 0:
        print("forked", flush=True)
        time.sleep(600)
        os._exit(0)
time.sleep(600)
"""


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_no_engine_outlives_its_worker(tmp_path: Path, signum: signal.Signals) -> None:
    log = tmp_path / "log"
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, SPAWNS + FOREVER, str(log)], stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        engine = int(worker.stdout.readline())
        grandchild = pid_in(log)
        assert exists(engine)
        worker.send_signal(signum)
        worker.wait()
        wait_until(lambda: not exists(engine) and not exists(grandchild))


# Leaves a socket where the variable says, or says that there is no such variable.
LEAVES_A_SOCKET = """
import os, socket
folder = os.environ.get("FOLDER", "")
if folder:
    socket.socket(socket.AF_UNIX).bind(os.path.join(folder, "0" * 36))
print(f"[{folder}]", flush=True)
"""


def start_with_folder(log: Path, **env: str) -> SupervisedProcess:
    return SupervisedProcess(
        [sys.executable, "-c", IGNORES_SIGTERM + LEAVES_A_SOCKET + FOREVER],
        env={**os.environ, **env},
        log_path=log,
        grace=0.2,
        folder_variable="FOLDER",
    )


def folder_in(log: Path) -> str:
    wait_until(lambda: "]" in log.read_text(encoding="utf-8"))
    return log.read_text(encoding="utf-8").strip()[1:-1]


def test_folder_of_an_engine_goes_with_it(tmp_path: Path) -> None:
    process = start_with_folder(tmp_path / "log")
    folder = Path(folder_in(tmp_path / "log"))
    assert [path.is_socket() for path in folder.iterdir()] == [True]
    process.stop()
    assert process.returncode == -signal.SIGKILL
    assert not folder.exists()


SHARES_MEMORY = """
from multiprocessing import shared_memory
print(f"[{shared_memory.SharedMemory(create=True, size=4096).name}]", flush=True)
"""


def test_shared_memory_of_a_killed_engine_is_removed(tmp_path: Path) -> None:
    process = start(IGNORES_SIGTERM + SHARES_MEMORY + FOREVER, tmp_path / "log", grace=0.2)
    shared = Path("/dev/shm") / folder_in(tmp_path / "log")
    assert shared.exists()
    process.stop()
    assert process.returncode == -signal.SIGKILL
    assert not shared.exists()


def test_folder_that_the_user_names_stays(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as own:  # of a short path
        process = start_with_folder(tmp_path / "log", FOLDER=own)
        assert folder_in(tmp_path / "log") == own
        process.stop()
        assert len(list(Path(own).iterdir())) == 1


def test_no_folder_where_a_sockets_path_would_be_too_long(tmp_path: Path) -> None:
    long = tmp_path / ("t" * 100)
    long.mkdir()
    process = start_with_folder(tmp_path / "log", TMPDIR=str(long))
    assert folder_in(tmp_path / "log") == ""
    process.stop()
    assert list(long.iterdir()) == []


def test_no_engine_outlives_a_killed_worker_whose_fork_holds_the_pipe(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, FOREVER, str(log), "fork"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as worker:
        assert worker.stdout is not None
        engine = int(worker.stdout.readline())
        assert worker.stdout.readline() == b"forked\n"
        worker.kill()
        worker.wait()
        wait_until(lambda: not exists(engine))
        os.killpg(worker.pid, signal.SIGKILL)  # the forked child


def test_engine_is_killed_when_its_guardian_is(tmp_path: Path) -> None:
    process = start(FOREVER, tmp_path / "log")
    os.kill(process._guardian.pid, signal.SIGKILL)
    wait_until(lambda: process.returncode is not None)
    wait_until(lambda: not exists(process.pid))
    assert process.returncode == -signal.SIGKILL
    process.stop()


# A grandchild in the engine's own process group, as its worker processes are; prints its id.
SPAWNS_IN_ITS_GROUP = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {FOREVER!r}])
print(child.pid, flush=True)
"""


@pytest.mark.parametrize("stopped", [False, True], ids=["asked", "stopped"])
def test_the_engines_group_is_killed_when_its_guardian_is(tmp_path: Path, stopped: bool) -> None:
    """The kernel kills the engine's main process alone: its workers would keep the GPU."""
    process = start(SPAWNS_IN_ITS_GROUP + FOREVER, tmp_path / "log")
    grandchild = pid_in(tmp_path / "log")
    assert os.getpgid(grandchild) == process.pid
    os.kill(process._guardian.pid, signal.SIGKILL)
    if stopped:
        process.stop()
    else:
        wait_until(lambda: process.returncode is not None)
    wait_until(lambda: not exists(grandchild) and not exists(process.pid))
    assert process.returncode == -signal.SIGKILL
    process.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does this on Linux alone")
def test_an_engine_whose_guardian_is_killed_ends_without_being_asked_after(tmp_path: Path) -> None:
    """The worker may be dead as well, or busy."""
    process = start(FOREVER, tmp_path / "log")
    os.kill(process._guardian.pid, signal.SIGKILL)
    wait_until(lambda: not exists(process.pid))
    process.stop()
    assert process.returncode == -signal.SIGKILL


def test_engine_and_guardian_have_process_groups_of_their_own(tmp_path: Path) -> None:
    """What a terminal sends to the worker's group, as Ctrl-C, reaches neither."""
    process = start(FOREVER, tmp_path / "log")
    assert os.getpgid(process.pid) == process.pid
    assert os.getpgid(process._guardian.pid) == process._guardian.pid
    process.stop()


def test_engine_is_in_the_session_of_its_worker(tmp_path: Path) -> None:
    """Linux shares the processor out by session: see ``objectives.engines.guardian``."""
    process = start(FOREVER, tmp_path / "log")
    assert os.getsid(process.pid) == os.getsid(process._guardian.pid) == os.getsid(0)
    process.stop()


@pytest.mark.parametrize("missing", ["/no/such/python", "no-such-command-anywhere"])
def test_missing_program_says_nothing_about_the_parameters(tmp_path: Path, missing: str) -> None:
    with pytest.raises(ExternalFailure, match=missing) as failure:
        SupervisedProcess([missing], env=dict(os.environ), log_path=tmp_path / "log")
    assert failure.value.reason == "engine_missing"


def test_environment_is_given_to_the_engine_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    # PYTHONHOME would keep any Python that heeds it from starting: the guardian must not.
    process = SupervisedProcess(
        ["/usr/bin/env"], env={"PYTHONHOME": "/nowhere", "MARK": "1"}, log_path=log
    )
    wait_until(lambda: process.returncode is not None)
    process.stop()
    lines = log.read_text(encoding="utf-8").split()
    assert {"PYTHONHOME=/nowhere", "MARK=1"} <= set(lines)


PRINTS_100_MB = """
import os, sys
os.write(1, b"first words\\n")
for _ in range(1000): os.write(1, b"x" * 99_999 + b"\\n")
os.write(2, b"last words\\n")
sys.exit(3)
"""


def test_of_an_endless_output_head_and_tail_are_kept(tmp_path: Path) -> None:
    process = start(PRINTS_100_MB, tmp_path / "log")
    wait_until(lambda: process.returncode is not None)
    text = (tmp_path / "log").read_bytes()  # whole by the time that the end is known
    process.stop()
    assert process.returncode == 3
    assert text.startswith(b"first words\n")
    assert text.endswith(b"x\nlast words\n")
    assert HEAD_BYTES + TAIL_BYTES / 2 < len(text) < HEAD_BYTES + 2 * TAIL_BYTES + 100
    assert process.log_error is None


def test_what_a_program_prints_is_in_its_log_while_it_runs(tmp_path: Path) -> None:
    process = start("print(12, flush=True)\n" + FOREVER, tmp_path / "log")
    assert pid_in(tmp_path / "log") == 12
    process.stop()


@pytest.mark.parametrize("disk", ["full", "hangs"])
def test_no_program_waits_for_the_disk_of_its_log(tmp_path: Path, disk: str) -> None:
    """A pipe that nobody reads is as a disk that does not answer."""
    log, reader = Path("/dev/full"), None
    if disk == "hangs":
        log = tmp_path / "log"
        os.mkfifo(log)
        reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    process = start(PRINTS_100_MB, log, grace=0.2)
    wait_until(lambda: process.returncode is not None)
    assert process.returncode == 3
    if disk == "full":
        assert process.log_error == "No space left on device"
    process.stop()
    if reader is not None:
        os.close(reader)


STOPS_ITSELF = "import os, signal, time\nos.kill(os.getpid(), signal.SIGSTOP)\n"


@pytest.mark.skipif(sys.platform != "linux", reason="known on Linux alone")
@pytest.mark.parametrize("grandchild", [False, True])
def test_a_stopped_process_is_noticed_and_ended_by_sigterm(
    tmp_path: Path, grandchild: bool
) -> None:
    spawns = SPAWNS_IN_ANOTHER_SESSION.format(child=STOPS_ITSELF + FOREVER) + FOREVER
    code = spawns if grandchild else STOPS_ITSELF + FOREVER
    process = start(code, tmp_path / "log", grace=600.0, stopped_for=0.5)
    assert not process.is_stopped
    wait_until(lambda: process.is_stopped)
    assert process.returncode is None
    process.stop()  # returns long before the grace is over
    assert process.returncode == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="known on Linux alone")
def test_a_process_that_goes_on_is_no_longer_stopped(tmp_path: Path) -> None:
    process = start(STOPS_ITSELF + "print(1, flush=True)\n" + FOREVER, tmp_path / "log", 5.0, 0.5)
    wait_until(lambda: process.is_stopped)
    os.kill(process.pid, signal.SIGCONT)
    wait_until(lambda: not process.is_stopped)
    assert process.returncode is None
    process.stop()
