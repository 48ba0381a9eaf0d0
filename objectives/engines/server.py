"""The server process of one trial: ready, alive, ended and why, and gone with all that it held."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from objectives.engines import gpus
from objectives.engines import ports
from objectives.engines import readiness
from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.engines.failures import Phase
from objectives.engines.failures import classify_exit
from objectives.engines.failures import read_log
from objectives.engines.gpu_pool import Allotment
from objectives.engines.kernel_report import oom_kills
from objectives.engines.process import SupervisedProcess
from objectives.engines.signs_of_life import SignsOfLife


DEATH_WAIT_SECONDS = 10.0  # an API server notices the death of its core within 5 s


@dataclass
class EngineServer:
    """A server process and the address that it serves on.

    Attributes:
        process: The process, started.
        address: Where it will answer.
        log: File that it writes.
        tuned: Names of the trial's parameters.
        env: Its environment.
        memory_before: What ``gpus.used_memory_mib`` returned before it was started.
        clean: Takes the secrets out of a text.
        hang_timeout: Seconds without a sign of life after which it hangs, once it serves.
        gpus: What it has for itself, given back when it is stopped.
        is_here: Whether its processes are this machine's for certain.
    """

    process: SupervisedProcess
    address: readiness.Address
    log: Path
    tuned: Sequence[str]
    env: Mapping[str, str] = field(repr=False)
    memory_before: int | None
    clean: Callable[[str], str]
    hang_timeout: float
    gpus: Allotment = field(default_factory=Allotment)
    is_here: bool = True
    _oom_kills_before: int | None = field(default_factory=oom_kills, init=False)
    _stopped: bool = field(default=False, init=False)

    @property
    def returncode(self) -> int | None:
        """Return the exit code of the process, None while it runs."""
        return self.process.returncode

    def wait_until_ready(self, begin: float, timeout: float) -> None:
        """Wait until it serves; its own first request is not one of a workload.

        Args:
            begin: When it was started, on the clock of ``time.monotonic``.
            timeout: Seconds from then on.

        Raises:
            EngineCrash: It refused the parameters, ran out of memory, or did not start in time.
            ExternalFailure: It could not start for a reason outside the parameters.
        """
        deadline = begin + timeout
        try:
            readiness.wait_until_ready(self.address, self._watched_returncode, deadline)
            self.address = readiness.named(self.address)
            readiness.warm_up(self.address, self._watched_returncode, deadline)
        except readiness.EngineExited as error:
            raise self._exit_failure(error.returncode, Phase.STARTING) from error
        except readiness.StartupTimeout as error:
            raise EngineCrash(
                CrashReason.STARTUP_TIMEOUT, f"not ready to serve after {timeout:g} s"
            ) from error
        except readiness.StrangerOnPort as error:
            raise ExternalFailure(ExternalReason.PORT_TAKEN, str(error)) from error
        except readiness.RequestRefused as error:
            raise ExternalFailure(ExternalReason.REQUEST_REFUSED, self.clean(str(error))) from None
        except readiness.NotReady as error:
            raise EngineCrash(CrashReason.STARTUP_FAILED, self.clean(str(error))) from None

    def _watched_returncode(self) -> int | None:
        """Return its exit code, as long as nothing outside of it keeps it from getting ready.

        Raises:
            ExternalFailure: Its log cannot be written, or somebody has stopped it.
        """
        code = self.returncode
        self._check_log()
        self._check_not_stopped()
        return code

    def _check_log(self) -> None:
        if (error := self.process.log_error) is not None:
            raise ExternalFailure(
                ExternalReason.FILE_SYSTEM, f"the log {self.log} cannot be written: {error}"
            )

    def _check_not_stopped(self) -> None:
        if self.returncode is None and self.process.is_stopped:
            raise ExternalFailure(
                ExternalReason.INTERRUPTED,
                "somebody has stopped the engine or one of its processes (SIGSTOP), for "
                f"{self.hang_timeout:g} s by now",
            )

    def watch(self) -> Callable[[float], str | None]:
        """Return what looks, a few times a second under load, whether the server still works.

        It takes the time of the latest token, and returns why the load is to be called off, None
        while it is not. It never waits.
        """
        signs = SignsOfLife(
            self.log,
            lambda: readiness.who_answers(self.address) is not readiness.Answer.NOBODY,
            self.hang_timeout,
        )

        def trouble(token_at: float) -> str | None:
            if self.returncode is not None:
                return "the engine ended"
            if self.process.is_stopped:
                return "the engine is stopped"
            if signs.are_missing(token_at):
                return f"the engine has shown no sign of life for {self.hang_timeout:g} s"
            return None

        return trouble

    def check_alive(self, *, all_answered: bool) -> None:
        """Distinguish a server that died from one that did not answer all.

        Args:
            all_answered: Whether every request of the load completed.

        Raises:
            EngineCrash: It died under the load, or answers no more.
            ExternalFailure: Somebody ended or stopped it, its log could not be written, or another
                program answers on its port.
        """
        if not all_answered:
            self._await_health_or_exit()
        if (code := self.returncode) is not None:
            raise self._exit_failure(code, Phase.SERVING)

    def _await_health_or_exit(self) -> None:
        """Wait, after failed requests, until the server is known to be well or has ended."""
        deadline = time.monotonic() + DEATH_WAIT_SECONDS
        while self.returncode is None:
            self._check_not_stopped()
            answer = readiness.who_answers(self.address)
            if answer is readiness.Answer.OURS:
                return
            if time.monotonic() > deadline:
                if answer in (readiness.Answer.STRANGER, readiness.Answer.KEY_REFUSED):
                    raise ExternalFailure(
                        ExternalReason.PORT_TAKEN,
                        f"another program answers on {self.address.url}",
                    )
                raise EngineCrash(CrashReason.DIED_UNDER_LOAD, "it lives but answers no more")
            time.sleep(readiness.POLL_SECONDS)

    def _exit_failure(self, code: int, phase: Phase) -> EngineCrash | ExternalFailure:
        """Return the exception for a server that ended by itself, without secrets.

        Raises:
            ExternalFailure: Its log, which would tell why, could not be written.
        """
        self._check_log()
        failure = classify_exit(
            code,
            read_log(self.log),
            phase,
            self.tuned,
            killed_by_kernel=self._kernel_may_have_killed(),
        )
        detail = self.clean(failure.detail)
        if isinstance(failure, EngineCrash):
            return EngineCrash(failure.reason, detail)
        return ExternalFailure(failure.reason, detail)

    def _kernel_may_have_killed(self) -> bool:
        """Return whether it is not known that the kernel has killed nothing since the start."""
        before = self._oom_kills_before
        return not self.is_here or before is None or before != oom_kills()

    def stop(self, *, wait_for_port: bool = True) -> None:
        """End the server with all its processes; wait until its port and memory are free."""
        if self._stopped:
            return
        self._stopped = True
        try:
            self._stop(wait_for_port)
        finally:
            self.gpus.give_back()

    def _stop(self, wait_for_port: bool) -> None:
        self.process.stop()
        if wait_for_port and not ports.wait_until_free(self.address.host, self.address.port):
            warnings.warn(f"port {self.address.port} is still held", stacklevel=4)
        if not gpus.wait_until_released(self.memory_before, self.env):
            warnings.warn("the GPUs hold more memory than before the engine", stacklevel=4)
