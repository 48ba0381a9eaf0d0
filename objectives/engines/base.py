"""What an engine is to an objective, and the two ways in which a trial on one can fail.

A new engine is started for every trial with that trial's parameters, serves one workload, and
is stopped. A failure either says something about the parameters (``EngineCrash``, which a
sampler learns hidden constraints from; section IV-G of the SCOOT paper, arXiv 2408.04323) or
it does not (``ExternalFailure``: a busy port, a model that does not exist), and then no sampler
may learn from it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol
from typing import Self
from typing import runtime_checkable


if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from objectives.metrics import LoadResult
    from objectives.workload import Workload


LOG = "log"
"""Name of the engine's log file in its ``info``, and so of a trial's attribute."""


class CrashReason(StrEnum):
    """Why an engine could not serve the workload with these parameters."""

    KNOWN_CONSTRAINT = "known_constraint"
    """The engine refused the combination of parameters before it loaded anything."""
    OUT_OF_MEMORY = "out_of_memory"
    """Not enough device or host memory, or too little left for the KV cache."""
    STARTUP_FAILED = "startup_failed"
    """The engine ended during start-up for another reason."""
    STARTUP_TIMEOUT = "startup_timeout"
    """The engine was alive but not ready when the start-up time was over."""
    DIED_UNDER_LOAD = "died_under_load"
    """The engine served and then ended, or its core did, before it was asked to stop."""
    REQUEST_TIMEOUTS = "request_timeouts"
    """Too many requests were not answered in time."""
    TOO_FEW_COMPLETED = "too_few_completed"
    """Too many requests failed for other reasons than time."""
    UNMEASURABLE = "unmeasurable"
    """The load cannot be sent in time with this engine running, though it can with others."""


class ExternalReason(StrEnum):
    """Why a trial failed although nothing is known to be wrong with its parameters."""

    PORT_TAKEN = "port_taken"
    """Another program listens where this trial's engine should."""
    NO_SUCH_MODEL = "no_such_model"
    """The model or its tokenizer cannot be found or read."""
    ENGINE_MISSING = "engine_missing"
    """The engine, or the interpreter or command that should start it, is not installed."""
    BAD_ENGINE_ARGUMENT = "bad_engine_argument"
    """The engine does not know an argument that the user passes to it, or not its value."""
    DEVICE_BUSY = "device_busy"
    """Another program holds the device's memory."""
    DEVICE_UNFIT = "device_unfit"
    """There is no device, or it or its driver does not work."""
    FILE_SYSTEM = "file_system"
    """A file is not there, or cannot be read or written: a full disk, no permission."""
    HUB_UNREACHABLE = "hub_unreachable"
    """The model's hub does not answer at the moment."""
    CONTAINER_FAILED = "container_failed"
    """The container or job that should hold the engine did not start."""
    ENVIRONMENT = "environment"
    """Something else around the engine: a limit, a variable, shared memory, a compiler."""
    REQUEST_REFUSED = "request_refused"
    """The engine serves, but not such requests: another key, another kind of model."""
    LATE_GENERATOR = "late_generator"
    """The load generator could not send the requests when they were due."""
    GENERATOR_SHARE = "generator_share"
    """Too much of what was measured is the load generator's own time."""
    OPEN_FILES = "open_files"
    """This process may not open the connections that the load may need at once."""
    INTERRUPTED = "interrupted"
    """Somebody stopped the run, or its engine."""


class EngineCrash(Exception):
    """The engine failed in a way that says something about the configuration.

    Args:
        reason: The class of the failure.
        detail: One line for a person: the engine's own message where there is one.

    Attributes:
        info: The ``RunningEngine.info`` of an engine that did not get to run, as far as known.
    """

    def __init__(self, reason: CrashReason, detail: str) -> None:
        super().__init__(reason, detail)  # both, so that the exception pickles
        self.reason = reason
        self.detail = detail
        self.info: Mapping[str, Any] = {}

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"


class ExternalFailure(Exception):
    """The trial failed in a way that says nothing about the configuration.

    Args:
        reason: The class of the failure, an ``ExternalReason`` or another short identifier.
        detail: One line for a person that says what to do.

    Attributes:
        info: The ``RunningEngine.info`` of an engine that did not get to run, as far as known.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = str(reason)
        self.detail = detail
        self.info: Mapping[str, Any] = {}

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@runtime_checkable
class RunningEngine(Protocol):
    """One started engine, ready to serve; a context manager that stops it.

    An engine matches by its methods alone, or inherits from this to work in a ``with``.
    """

    @property
    def info(self) -> Mapping[str, Any]:
        """Return JSON-like facts for the trial's user attributes: command, version, log file."""
        ...

    def serve(self, workload: Workload) -> LoadResult:
        """Send the workload's requests at their times and return what happened to each.

        An engine whose ``serve`` also takes ``should_end`` (see ``objectives.metrics.ShouldEnd``)
        lets hopeless trials end early: it asks about once a second, and where it gets a text,
        returns what it has, with the text as ``LoadResult.ended_early``.

        Raises:
            EngineCrash: The engine died under the load.
            ExternalFailure: The measurement is worthless for a reason outside the engine.
        """
        ...

    def stop(self) -> None:
        """End the engine and wait until all it held is free. Harmless when called again."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


@runtime_checkable
class Engine(Protocol):
    """A recipe that starts engines, one a trial, with the parameters of that trial."""

    @property
    def description(self) -> str:
        """Return what runs, with its version: "vLLM 0.32.0", "simulated engine bot-2xa100-13b"."""
        ...

    def start(self, params: Mapping[str, Any], label: str) -> RunningEngine:
        """Start an engine with these parameters and return it once it can serve.

        Args:
            params: Parameter names (Python identifiers) and values of one trial.
            label: A short name for this run, used in file names: "trial-12".

        Raises:
            EngineCrash: The engine refused the parameters or could not start with them.
            ExternalFailure: It could not start for a reason outside the parameters.
        """
        ...
