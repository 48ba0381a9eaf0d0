"""A started server of an engine: sent loads, looked after meanwhile, and ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

from objectives import loadgen
from objectives.engines import readiness
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.engines.base import RunningEngine
from objectives.engines.log_tail import LOG_TAIL
from objectives.engines.log_tail import log_tail
from objectives.engines.prompt_check import check_counts
from objectives.engines.prompt_check import tokens_added
from objectives.loadgen import LoadOptions
from objectives.loadgen import Progress
from objectives.metrics import LoadResult
from objectives.metrics import ShouldEnd
from objectives.prompts import Prompts
from objectives.workload import Workload


if TYPE_CHECKING:
    from collections.abc import Callable

    from objectives.engines.server import EngineServer


class Recipe(Protocol):
    """What a running server asks of the recipe that it was started by."""

    @property
    def load(self) -> LoadOptions:
        """Return the limits of the load generator."""
        ...

    @property
    def on_progress(self) -> Callable[[Progress], None] | None:
        """Return what is called a few times a second while a workload runs."""
        ...

    def secrets(self) -> frozenset[str]:
        """Return what must not be shown."""
        ...

    def written_prompts(self, workload: Workload, added: int = 0) -> Prompts:
        """Return the prompts of a workload."""
        ...


class RunningServer(RunningEngine):
    """One server of an engine; see ``RunningEngine``. Made by ``ServerEngine.start``.

    Args:
        engine: The recipe that it was started by.
        server: The server, ready.
        info: Engine and version, command line without secrets, log file, seconds of the start.
    """

    def __init__(self, engine: Recipe, server: EngineServer, info: Mapping[str, Any]) -> None:
        self._engine = engine
        self._server = server
        self._info = info

    @property
    def info(self) -> Mapping[str, Any]:
        """Return the facts for the trial's user attributes."""
        return self._info

    @property
    def address(self) -> readiness.Address:
        """Return where it serves, and under which model name."""
        return self._server.address

    @property
    def pid(self) -> int:
        """Return the process id of the server."""
        return self._server.process.pid

    def serve(self, workload: Workload, should_end: ShouldEnd | None = None) -> LoadResult:
        """Send the workload's requests at their times.

        Args:
            workload: The requests.
            should_end: Asked about once a second whether to end the run.

        Raises:
            EngineCrash: The server died under the load.
            ExternalFailure: The load could not be generated, or another program answered.
        """
        server, prompts = self._server, self._prompts(workload)
        limits = dataclasses.replace(
            self._engine.load, api_key=self.address.api_key, secrets=self._engine.secrets()
        )
        trouble = server.watch()
        token_at = 0.0

        def note(progress: Progress) -> None:
            nonlocal token_at
            token_at = progress.last_token_s
            if self._engine.on_progress is not None:
                self._engine.on_progress(progress)

        try:
            result = loadgen.run(
                self.address.url,
                self.address.model_name,
                workload,
                prompts.texts,
                limits,
                on_progress=note,
                should_abort=lambda: trouble(token_at),
                should_end=should_end,
            )
        except loadgen.TooFewFiles as error:
            raise ExternalFailure(ExternalReason.OPEN_FILES, str(error)) from error
        except loadgen.LoadError as error:
            raise ExternalFailure(ExternalReason.ENVIRONMENT, str(error)) from error
        try:
            server.check_alive(all_answered=not result.failed)
        except (EngineCrash, ExternalFailure) as error:
            error.info = {LOG_TAIL: log_tail(server.log, server.clean)}
            raise
        check_counts(result, prompts)
        return result

    def _prompts(self, workload: Workload) -> Prompts:
        """Return the prompts of a workload, with the lengths that this server counts."""
        prompts = self._engine.written_prompts(workload)
        added = tokens_added(
            prompts, lambda text: readiness.count_prompt_tokens(self.address, text)
        )
        return self._engine.written_prompts(workload, added) if added else prompts

    def stop(self) -> None:
        """End the server with all its processes; wait until its port and memory are free."""
        self._server.stop()
