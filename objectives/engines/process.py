"""An engine's processes as one object: start, ask whether it lives, end all of them.

The engine is not a child of this process but of a small guardian
(``objectives.engines.guardian``), which ends it when this process is gone, by whatever signal, and
which finds all that the engine itself started.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from objectives.engines import guardian
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence


SPAWN_TIMEOUT_SECONDS = 30.0
STOPPED_SECONDS = 60.0
_RUN_GUARDIAN = (
    f"import sys; sys.path.append({str(Path(guardian.__file__).parents[2])!r});"
    " from objectives.engines.guardian import main; main()"
)


class SupervisedProcess:
    """A running program with everything it starts.

    Args:
        command: Program and arguments; no shell reads them.
        env: The whole environment of the program.
        log_path: File that standard output and standard error are appended to, as far as
            ``objectives.engines.bounded_log`` keeps them.
        grace: Seconds between SIGTERM and SIGKILL when it is stopped.
        stopped_for: Seconds after which a process that somebody stopped (SIGSTOP) is noticed.
        held: File descriptors that the guardian keeps open until all processes are gone.
        folder_variable: Environment variable that is to name a folder which exists for as long as
            the processes do, unless ``env`` has it; None for no folder.

    Attributes:
        pid: Process id of the engine's main process.

    Raises:
        ExternalFailure: The program cannot be run: not found, or not executable.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log_path: Path,
        grace: float = 20.0,
        stopped_for: float = STOPPED_SECONDS,
        held: Sequence[int] = (),
        folder_variable: str | None = None,
    ) -> None:
        self._grace = grace
        self._lock = threading.Lock()  # reports may be read by several threads
        self._unread = b""
        self._returncode: int | None = None
        self._error = ""
        self._left: list[int] = []
        self._is_stopped = False
        self._log_error: str | None = None
        self.pid = 0
        if folder_variable in env:
            folder_variable = None
        with log_path.open("ab") as log:
            self._guardian = subprocess.Popen(
                _guardian_command(command, grace, stopped_for, folder_variable),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(env),
                pass_fds=held,
                process_group=0,  # Ctrl-C in the terminal reaches the worker alone
            )
        self._wait_for_start()

    @property
    def returncode(self) -> int | None:
        """Return the exit code of the engine's main process (-9: by signal 9), None while it runs.

        A guardian that was killed took the engine with it: that is -9 as well.
        """
        with self._lock:
            self._read_reports(timeout=0.0)
            return self._returncode

    @property
    def is_stopped(self) -> bool:
        """Return whether somebody has stopped one of its processes, for ``stopped_for`` at least.

        Known on Linux alone.
        """
        with self._lock:
            self._read_reports(timeout=0.0)
            return self._is_stopped

    @property
    def log_error(self) -> str | None:
        """Return why its log cannot be written, None while it can."""
        with self._lock:
            self._read_reports(timeout=0.0)
            return self._log_error

    def stop(self) -> None:
        """End all processes of the engine and wait until they are gone.

        Raises:
            RuntimeError: Some processes cannot be killed, such as one that hangs in a driver.
        """
        with contextlib.suppress(OSError):
            _pipe(self._guardian.stdin).close()
        bound = self._grace + guardian.KILL_BOUND_SECONDS + SPAWN_TIMEOUT_SECONDS
        try:
            self._guardian.wait(bound)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
            self._guardian.wait()
        with self._lock:
            self._read_reports(timeout=0.0)
            if not _pipe(self._guardian.stdout).closed:
                _pipe(self._guardian.stdout).close()
        if self._left:
            raise RuntimeError(f"processes {self._left} of the engine cannot be killed")

    def _wait_for_start(self) -> None:
        with self._lock:
            while not self.pid and not self._error:
                if not self._read_reports(timeout=SPAWN_TIMEOUT_SECONDS) and not self.pid:
                    self._error = self._error or "its guardian process ended"
        if self._error:
            self.stop()
            raise ExternalFailure(
                ExternalReason.ENGINE_MISSING, f"cannot start the engine: {self._error}"
            )

    def _read_reports(self, timeout: float) -> bool:
        """Take in what the guardian reported; return False once it will report no more."""
        stream = _pipe(self._guardian.stdout)
        if stream.closed:
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while selector.select(timeout):
                chunk = os.read(stream.fileno(), 65536)
                if not chunk:
                    self._on_guardian_end()
                    return False
                *lines, self._unread = (self._unread + chunk).split(b"\n")
                for line in lines:
                    self._on_report(json.loads(line))
                timeout = 0.0
        return True

    def _on_report(self, report: dict[str, Any]) -> None:
        if report["event"] == "started":
            self.pid = report["pid"]
        elif report["event"] == "refused":
            self._error = report["error"]
        elif report["event"] == "exited":
            self._returncode = report["returncode"]
        elif report["event"] == "stopped":
            self._is_stopped = report["is"]
        elif report["event"] == "log_failed":
            self._log_error = report["error"]
        elif report["event"] == "gone":
            self._left = report["left"]

    def _on_guardian_end(self) -> None:
        """End the engine too where the guardian is gone before it."""
        if self.pid and self._returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._returncode = -signal.SIGKILL


def _guardian_command(
    command: Sequence[str], grace: float, stopped_for: float, folder_variable: str | None
) -> list[str]:
    """Return the guardian's command: isolated, for the environment is the engine's."""
    own = [str(os.getpid()), str(grace), str(stopped_for), folder_variable or ""]
    return [sys.executable, "-I", "-S", "-c", _RUN_GUARDIAN, *own, *command]


def _pipe(stream: Any) -> Any:
    """Return a pipe that was asked for; the type checker does not know that it is there."""
    assert stream is not None
    return stream
