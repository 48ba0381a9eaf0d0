"""Several worker processes of one ``tune`` command on this machine, with one display for all.

Each worker is a process like any other on the study's storage; what happens in it comes here as
events (``optuna_scoot.cli.worker``). They are process groups of their own, so that Ctrl-C reaches
this process, which ends them: once politely, the second time at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.engines.gpu_pool import gpus_needed
from objectives.engines.server_engine import ServerEngine
from optuna_scoot.cli.errors import BadInput
from optuna_scoot.cli.signals import EXIT_INTERRUPTED
from optuna_scoot.cli.worker import order_for


if TYPE_CHECKING:
    from optuna.study import Study

    from optuna_scoot.cli.options import TuneOptions
    from optuna_scoot.cli.progress import LoadWatch
    from optuna_scoot.cli.progress import TrialsDisplay
    from optuna_scoot.tuning.task import TuningTask


OUTPUT_FILE = "worker.log"
"""What a worker prints that is no event, as Python's own errors are. Mostly there is nothing."""


@contextlib.contextmanager
def shared_gpus(n_workers: int) -> Iterator[Path | None]:
    """Have a folder by which workers share the GPUs; none where there is one worker.

    Raises:
        BadInput: It cannot be made.
    """
    if n_workers == 1:
        yield None
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix="optuna-scoot-")
    except OSError as error:
        raise BadInput(f"no file can be written in {tempfile.gettempdir()}: {error}") from error
    with folder as path:
        yield Path(path)


def check_sharing(options: TuneOptions, task: TuningTask) -> list[str]:
    """Return what is to be known of how workers share this machine, in lines.

    Raises:
        BadInput: There are too few GPUs for so many.
    """
    engine, n = task.objective.engine, options.workers
    if n == 1 or not isinstance(engine, ServerEngine):
        return [] if n == 1 else [f"{n} workers"]
    pool = engine.gpu_pool
    space = task.objective.space
    least = gpus_needed(engine.capabilities.defaults, engine.engine_args, space.default)
    if pool is None:
        if options.n_gpus is not None:
            raise BadInput("--gpus-per-worker: no GPU is seen: name them in CUDA_VISIBLE_DEVICES")
        return [f"{n} workers, whose engines share the processors and slow each other down"]
    each = options.n_gpus or least
    if n * each > len(pool.names):
        raise BadInput(
            f"--workers {n}: with {each} GPUs each they need {n * each}, and there are"
            f" {len(pool.names)}"
        )
    return [f"{n} workers on the GPUs {', '.join(pool.names)}, one engine on each at a time"]


@dataclass
class _Worker:
    """A worker process, from its start to its end."""

    number: int
    process: subprocess.Popen[bytes]
    printed: Path
    unread: bytes = b""
    n_ended: int = 0
    last_words: dict[str, Any] = field(default_factory=dict)

    @property
    def events(self) -> Any:
        """Return the pipe that its events come by."""
        return self.process.stdout

    @property
    def died(self) -> bool:
        """Return whether it ended without a word of why."""
        return not self.last_words and self.process.returncode != EXIT_INTERRUPTED

    def describe_end(self) -> str:
        """Return how it ended: "killed by signal 9", "exit code 1: see FILE"."""
        code = self.process.returncode
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return f"{how}: see {self.printed}" if self.printed.stat().st_size else how


class Workers:
    """Runs a study's trials in several processes.

    Args:
        options: Of the command.
        display: Shows what happens in all of them.
        watches: Of each the one that is told how far its load is.
        log_dir: Holds a folder for each worker's engine logs.
        unstored: Folder of what is measured while the storage is away.
        gpu_locks: Folder by which they share the GPUs; None where they share none.
    """

    def __init__(
        self,
        options: TuneOptions,
        display: TrialsDisplay,
        watches: list[LoadWatch],
        log_dir: Path,
        unstored: Path,
        gpu_locks: Path | None,
    ) -> None:
        self._options = options
        self._display = display
        self._watches = watches
        self._log_dir = log_dir
        self._unstored = unstored
        self._gpu_locks = gpu_locks
        self._began = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._ended: list[_Worker] = []
        self._is_ending = False

    def run(self, study: Study) -> str | None:
        """Have the workers run the trials that are missing.

        A worker that is killed is replaced, as long as the one before it got a trial to its end.

        Returns:
            Why they ended before the study's total, None where they did not.

        Raises:
            ExternalFailure: All have ended, and not because the study is complete.
            KeyboardInterrupt: Somebody stopped the run; all workers and engines have ended.
        """
        self._study = study
        try:
            for number in range(self._options.workers):
                self._start(number)
            self._look_until_all_ended()
        except KeyboardInterrupt:
            self._is_ending = True
            self._signal_all(signal.SIGTERM)
            self._look_until_all_ended()
            raise
        finally:
            self._signal_all(signal.SIGKILL)
            for worker in self._working():
                worker.process.wait()
            self._selector.close()
        return self._outcome()

    def _start(self, number: int) -> None:
        log_dir = self._log_dir / f"worker-{number + 1}"
        log_dir.mkdir(parents=True, exist_ok=True)
        printed = log_dir / OUTPUT_FILE
        n_threads = max(1, (os.cpu_count() or 1) // self._options.workers)
        order = order_for(
            self._options_now(),
            log_dir=log_dir,
            unstored=self._unstored,
            gpu_locks=self._gpu_locks,
            n_threads=n_threads,
        )
        with os.fdopen(os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)) as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "optuna_scoot.cli.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                process_group=0,
            )
        worker = _Worker(number, process, printed)
        self._selector.register(worker.events, selectors.EVENT_READ, worker)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the end of its events tells that it has ended
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()

    def _options_now(self) -> TuneOptions:
        """Return the options of a worker that starts now: what is enqueued is so already."""
        options = replace(self._options, enqueue=())
        if options.max_hours is None:
            return options
        spent = (time.monotonic() - self._began) / 3600.0
        return replace(options, max_hours=max(options.max_hours - spent, 1e-9))

    def _working(self) -> list[_Worker]:
        return [key.data for key in self._selector.get_map().values()]

    def _look_until_all_ended(self) -> None:
        while self._working():
            for key, _ in self._selector.select():
                self._read(key.data)

    def _read(self, worker: _Worker) -> None:
        """Take in what a worker tells."""
        chunk = os.read(worker.events.fileno(), 65536)
        if not chunk:
            self._on_end(worker)
            return
        *lines, worker.unread = (worker.unread + chunk).split(b"\n")
        for line in lines:
            self._on_event(worker, json.loads(line))

    def _on_event(self, worker: _Worker, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "began":
            self._display.trial_began(event["number"], worker.number)
        elif kind == "load":
            self._watches[worker.number].note(event["done"], event["total"])
        elif kind == "ended":
            worker.n_ended += 1
            trials = self._study.get_trials(deepcopy=False)
            trial = next(t for t in trials if t.number == event["number"])
            self._display.trial_ended(trial, worker.number)
        elif kind == "note":
            self._note(worker, event["line"])
        else:
            worker.last_words = event
            if kind == "failed":
                self._note(worker, f"stopped: {event['detail']}")

    def _on_end(self, worker: _Worker) -> None:
        self._selector.unregister(worker.events)
        worker.process.wait()
        worker.events.close()
        self._display.worker_ended(worker.number)
        if worker.died:
            self._note(worker, f"{worker.describe_end()}; its trial does not count")
        if worker.died and worker.n_ended and not self._is_ending:
            self._start(worker.number)
            return
        if not worker.printed.stat().st_size:
            worker.printed.unlink()
        self._ended.append(worker)

    def _note(self, worker: _Worker, line: str) -> None:
        self._display.note(f"worker {worker.number + 1}: {line}")

    def _signal_all(self, signum: signal.Signals) -> None:
        for worker in self._working():
            worker.process.send_signal(signum)

    def _outcome(self) -> str | None:
        """Return why the workers ended early, None where the study is complete.

        Raises:
            ExternalFailure: Each ended for a fault.
        """
        finished = [w for w in self._ended if w.last_words.get("event") == "finished"]
        if finished:
            reasons = [w.last_words["why"] for w in finished]
            return None if None in reasons else str(reasons[0])
        failed = [w.last_words for w in self._ended if w.last_words]
        if failed:
            reason = failed[0]["reason"] or ExternalReason.ENVIRONMENT
            raise ExternalFailure(reason, failed[0]["detail"])
        ends = ", ".join(f"worker {w.number + 1} {w.describe_end()}" for w in self._ended)
        raise ExternalFailure(ExternalReason.INTERRUPTED, f"all workers have ended: {ends}")
