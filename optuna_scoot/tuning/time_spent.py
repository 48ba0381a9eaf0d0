"""Where the time of a study's workers went: written down in each trial, added up by worker.

A worker's time is cut at every end of a trial. What lies between two cuts belongs to the trial
that ends it, and every second to one part: the sampler, the engine's start and end, the load, the
storage wherever it was asked, or the rest.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError

from objectives.serving import ENGINE
from objectives.serving import LOAD
from objectives.serving import OTHER
from objectives.serving import SUGGESTION
from objectives.serving import ServingObjective
from objectives.trial_metrics import written_together
from optuna_scoot.tuning.patient_storage import PatientStorage
from optuna_scoot.tuning.worker_identity import WORKER


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial


TIME_SPENT = "time_spent"
"""User attribute in studies of version 0.1: seconds by part."""
STORAGE = "storage"
PARTS = (LOAD, ENGINE, SUGGESTION, STORAGE, OTHER)
ATTRIBUTES = {part: f"seconds in {part}" for part in PARTS}
"""User attributes: the seconds of a worker in each part, since the end of its trial before."""


class Stopwatch:
    """Takes the time of one worker, from now on.

    Args:
        study: Whose trials it runs. Of a storage in memory the time in it is not known.
        clock: Seconds on any monotonic clock.
    """

    def __init__(self, study: Study, clock: Callable[[], float] = time.monotonic) -> None:
        storage = study._storage
        self._storage = storage if isinstance(storage, PatientStorage) else None
        self._clock = clock
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._phase = OTHER
        self._now, self._in_storage = clock(), self._storage_seconds()

    @contextmanager
    def watching(self, objective: Callable[[Trial], Any]) -> Iterator[None]:
        """Be told of the phases of an objective's trials meanwhile, where it has any."""
        if not isinstance(objective, ServingObjective):
            yield
            return
        before, objective.on_phase = objective.on_phase, self.began
        try:
            yield
        finally:
            objective.on_phase = before

    def began(self, phase: str) -> None:
        """Note that a phase begins now, and that the one before it has ended.

        Args:
            phase: One of ``PARTS``.
        """
        now, in_storage = self._clock(), self._storage_seconds()
        stored = in_storage - self._in_storage
        self._seconds[STORAGE] += stored
        self._seconds[self._phase] += max(0.0, now - self._now - stored)
        self._phase, self._now, self._in_storage = phase, now, in_storage

    def store(self, trial: Trial) -> None:
        """Write down in a trial that is about to end what has passed since the one before it."""
        self.began(OTHER)
        spent = {part: round(seconds, 4) for part, seconds in self._seconds.items()}
        self._seconds = dict.fromkeys(PARTS, 0.0)
        with contextlib.suppress(UpdateFinishedTrialError), written_together(trial):
            for part, seconds in spent.items():  # one that was taken for lost is finished
                trial.set_user_attr(ATTRIBUTES[part], seconds)

    def _storage_seconds(self) -> float:
        return 0.0 if self._storage is None else self._storage.seconds


def time_spent(trials: Iterable[FrozenTrial]) -> dict[str, dict[str, float]]:
    """Return the seconds of each worker by part; of one that was lost, its trials before.

    Args:
        trials: All of a study.

    Returns:
        Worker to part to seconds.
    """
    workers: dict[str, dict[str, float]] = {}
    for trial in trials:
        attrs = trial.user_attrs
        stored = {part: attrs[name] for part, name in ATTRIBUTES.items() if name in attrs}
        spent = stored or attrs.get(TIME_SPENT)
        if not isinstance(spent, dict):
            continue
        total = workers.setdefault(str(trial.user_attrs.get(WORKER)), dict.fromkeys(PARTS, 0.0))
        for part in PARTS:
            total[part] += float(spent.get(part, 0.0))
    return workers
