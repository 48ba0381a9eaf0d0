"""The parent process of one engine, which ends it when its worker is gone.

This is a program, started by ``objectives.engines.process`` for every engine:

    worker --control pipe--> guardian --spawns--> engine (a process group of its own) --> ...
    worker <--report pipe--- guardian

End of file on the control pipe (standard input) means that the worker wants the engine gone, or
that the worker itself is gone: the kernel closes a pipe also for a worker that got SIGKILL. A
worker's forked children may hold the pipe open, so a change of the guardian's parent says the
same. Reports go to standard output, one JSON object a line:

    {"event": "started", "pid": 12}        the engine's main process runs
    {"event": "refused", "error": "..."}   the command could not be run
    {"event": "exited", "returncode": -9}  the engine's main process ended (-9: by signal 9)
    {"event": "stopped", "is": true}       a process of the engine has been stopped for long
    {"event": "log_failed", "error": ".."} the log cannot be written
    {"event": "gone", "left": []}          every process of the engine ended, but for those left

On Linux the guardian is a subreaper: whatever an engine's processes start, in whatever session or
process group, remains a descendant of the guardian and is found. Elsewhere only the engine's own
process group is ended. What the engine prints comes through a pipe, of which head and tail go to
its standard error, a file: neither an endless output nor a full disk stops the engine. What a
killed engine leaves behind, such as sockets, is in a folder that the guardian makes and removes.

All three are of one session. Linux shares the processor out by session first (autogroup), and an
engine's processes, which spin and yield while they wait for each other, kept everything outside
theirs from a core for more than a second on two cores with Linux 6.18: the load generator was
late.

Standard library only, and run in isolated mode: the environment it is given is the engine's. So is
what it imports.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from types import FrameType

from objectives.engines.bounded_log import BoundedLog
from objectives.engines.bounded_log import OutputPump


POLL_SECONDS = 0.1  # how late an exit or the end of the worker is noticed at most
GRACE_AFTER_EXIT_SECONDS = 5.0  # for what an engine leaves behind that ended by itself
TRACKER_SECONDS = 2.0  # for Python's resource tracker, which ends by itself after all others
KILL_BOUND_SECONDS = 30.0  # a process in an uninterruptible call cannot be killed
LONGEST_FOLDER = 64  # a socket's whole path may have 107 characters, its name has up to 42
LOOKS = 12  # a process is stopped for long when so many looks in a row found one stopped
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class Guardian:
    """The supervisor that spawns the engine, watches engine and worker, and clears up.

    Args:
        command: The engine's program and arguments.
        worker_pid: Process id of the worker, the parent of this process.
        grace: Seconds between SIGTERM and SIGKILL.
        stopped_for: Seconds after which a stopped process is reported.
        folder_variable: Environment variable that tells the engine of a folder of its own; empty
            for none.
    """

    def __init__(
        self,
        command: list[str],
        worker_pid: int,
        grace: float,
        stopped_for: float,
        folder_variable: str,
    ) -> None:
        self._command = command
        self._folder_variable = folder_variable
        self._worker_pid = worker_pid
        self._grace = grace
        self._look_seconds = stopped_for / LOOKS
        self._next_look = 0.0
        self._looks_stopped = 0
        self._output = OutputPump(BoundedLog(sys.stderr.fileno()), _report_log_failure)
        self._engine_pid = 0
        self._returncode: int | None = None
        self._stop_requested = False

    def run(self) -> None:
        """Stay until the engine and all its processes are gone."""
        if sys.platform == "linux":
            _prctl(PR_SET_CHILD_SUBREAPER, 1)
        # Handlers, not SIG_IGN: an ignored signal would stay ignored in the engine.
        signal.signal(signal.SIGINT, _do_nothing)
        signal.signal(signal.SIGHUP, _do_nothing)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        with _own_folder(self._folder_variable) as variables:
            self._run({**os.environ, **variables})

    def _run(self, env: dict[str, str]) -> None:
        if not self._spawn(env):
            return
        while self._returncode is None and not self._should_stop():
            self._reap()
            self._look_for_stopped()
        ended_alone = self._returncode is not None
        left = self._end_all(
            min(self._grace, GRACE_AFTER_EXIT_SECONDS) if ended_alone else self._grace
        )
        self._output.catch_up()
        _report(event="gone", left=left)

    def _spawn(self, env: dict[str, str]) -> bool:
        """Start the engine in a process group of its own."""
        try:
            engine = subprocess.Popen(
                self._command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=self._output.sink,
                stderr=self._output.sink,
                process_group=0,
                preexec_fn=_die_with_guardian if sys.platform == "linux" else None,
            )
        except OSError as error:
            program = self._command[0].partition("=")[0]  # NAME=VALUE may be secret
            _report(event="refused", error=f"{error.strerror}: {program}")
            return False
        self._output.start()
        engine.returncode = 0  # this object is not asked again: ``_reap`` waits for all children
        self._engine_pid = engine.pid
        _report(event="started", pid=engine.pid)
        return True

    def _should_stop(self) -> bool:
        """Wait for one poll interval, and return whether the engine has to go."""
        readable, _, _ = select.select([0], [], [], POLL_SECONDS)
        if readable and not os.read(0, 64):
            self._stop_requested = True
        return self._stop_requested or os.getppid() != self._worker_pid

    def _on_sigterm(self, signum: int, frame: FrameType | None) -> None:
        self._stop_requested = True

    def _reap(self) -> None:
        """Collect ended children, adopted ones too; report the engine's own end."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._engine_pid:
                self._returncode = os.waitstatus_to_exitcode(status)
                self._output.catch_up()  # why it ended stands there
                _report(event="exited", returncode=self._returncode)

    def _look_for_stopped(self) -> None:
        """Report a process that is found stopped again and again, and when it is so no more.

        It is looks that are counted and not seconds, as all may have been stopped together.
        """
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + self._look_seconds
        was_long = self._looks_stopped >= LOOKS
        stopped = any(_state_of(pid) == "T" for pid in descendants_of(os.getpid()))
        self._looks_stopped = self._looks_stopped + 1 if stopped else 0
        if (self._looks_stopped >= LOOKS) != was_long:
            _report(**{"event": "stopped", "is": not was_long})

    def _end_all(self, grace: float) -> list[int]:
        """Send SIGTERM, after the grace SIGKILL; return the processes that are left even then."""
        self._signal_all(signal.SIGTERM)
        self._signal_all(signal.SIGCONT)  # a stopped process heeds no other signal
        if self._wait_until_none(grace):
            return []
        began = time.monotonic()
        while (passed := time.monotonic() - began) < KILL_BOUND_SECONDS:
            # Again and again: they may still be forking. Shared memory that they leave behind is
            # removed by their resource tracker, which heeds no other signal either.
            self._signal_all(signal.SIGKILL, but_trackers=passed < TRACKER_SECONDS)
            if self._wait_until_none(POLL_SECONDS):
                return []
        return self._alive()

    def _wait_until_none(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            self._reap()
            if not self._alive():
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS / 4)

    def _alive(self) -> list[int]:
        """Return the process ids of the engine that are still there."""
        descendants = descendants_of(os.getpid())
        if not descendants and _group_exists(self._engine_pid):
            return [self._engine_pid]
        return descendants

    def _signal_all(self, signum: signal.Signals, *, but_trackers: bool = False) -> None:
        descendants = descendants_of(os.getpid())
        trackers = {pid for pid in descendants if but_trackers and _is_resource_tracker(pid)}
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if not trackers:
                os.killpg(self._engine_pid, signum)
        for pid in descendants:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if pid not in trackers and (trackers or os.getpgid(pid) != self._engine_pid):
                    os.kill(pid, signum)


@contextlib.contextmanager
def _own_folder(variable: str) -> Iterator[dict[str, str]]:
    """Make a folder, tell of it by a variable, and remove it with all that is in it.

    No folder where none can be made, or where its path is too long for a socket's.
    """
    folder = ""
    if variable and len(tempfile.gettempdir()) < LONGEST_FOLDER - len("/scoot-12345678"):
        with contextlib.suppress(OSError):
            folder = tempfile.mkdtemp(prefix="scoot-")
    try:
        yield {variable: folder} if folder else {}
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def descendants_of(ancestor: int) -> list[int]:
    """Return the living processes below ``ancestor``, from /proc; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if not entry.isdigit():
            continue
        parent = _parent_of(int(entry))
        if parent is not None:
            children.setdefault(parent, []).append(int(entry))
    found: list[int] = []
    waiting = [ancestor]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _parent_of(pid: int) -> int | None:
    """Return the parent of a process, None when it has ended meanwhile."""
    fields = _stat_of(pid)
    return int(fields[1]) if len(fields) > 1 else None


def _state_of(pid: int) -> str | None:
    """Return the letter of a process's state, None when it has ended meanwhile."""
    return next(iter(_stat_of(pid)), None)


def _stat_of(pid: int) -> list[str]:
    """Return what the kernel tells of a process behind its name; nothing when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name, in parentheses, may itself hold spaces and parentheses.
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def _is_resource_tracker(pid: int) -> bool:
    """Return whether it is what ``multiprocessing`` starts to clear up after all its processes."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"multiprocessing.resource_tracker" in file.read()
    except OSError:
        return False


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _die_with_guardian() -> None:
    """Have the kernel kill the engine with the guardian; runs in it before its program."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _do_nothing(signum: int, frame: FrameType | None) -> None:
    """Keep the guardian alive; whoever interrupts the worker makes the worker stop it."""


def _report(**fields: object) -> None:
    """Report to the worker, if there still is one."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), (json.dumps(fields) + "\n").encode())


def _report_log_failure(error: str) -> None:
    _report(event="log_failed", error=error)


def main() -> None:
    """Run with the arguments of ``Guardian``, the command last."""
    _, worker_pid, grace, stopped_for, folder_variable, *command = sys.argv
    Guardian(command, int(worker_pid), float(grace), float(stopped_for), folder_variable).run()
