"""How long trials take, what is left of a study, and whether another trial fits into the time.

Before the first trial has ended there is only what is known of the load; from then on the median
of the trials seen. Those that completed, crashed and were cut short are counted apart, because a
crash at start-up says nothing of how long a load runs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from optuna_scoot.tuning.bookkeeping import counts


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


TYPICAL_STARTUP_S = 60.0
"""What is assumed of the start-up of a real engine before one was seen: reading the weights,
profiling memory, capturing graphs."""
TYPICAL_LOADS = 6
"""What is assumed of the loads that a capacity takes: some rates up, then some between two."""


@dataclass(frozen=True)
class Prospect:
    """What is known of a trial's time before any has ended.

    Attributes:
        load_s: Seconds over which the requests of a load arrive, ≥ 0: no whole trial is shorter.
        startup_s: Seconds assumed for the start of the engine, ≥ 0.
        n_gpus: GPUs of the engine; 0 where there are none or it is not known.
        n_loads: Loads of a trial, ≥ 1; more than one is an assumption.
    """

    load_s: float
    startup_s: float = 0.0
    n_gpus: int = 0
    n_loads: int = 1

    @property
    def trial_s(self) -> float:
        """Return the seconds that a trial is expected to take."""
        return self.n_loads * self.load_s + self.startup_s


class Pace:
    """The times of the trials that one process runs, or watches several workers run.

    Args:
        prospect: What is known before any trial has ended; None where nothing is.
        clock: Seconds on any monotonic clock.

    Attributes:
        prospect: As given.
    """

    def __init__(
        self, prospect: Prospect | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.prospect = prospect
        self._clock = clock
        self._seen: dict[TrialState, list[float]] = {}
        self._began: dict[int, float] = {}

    @property
    def n_seen(self) -> int:
        """Return how many trials the estimate rests on."""
        return sum(map(len, self._seen.values()))

    def learn(self, trials: Iterable[FrozenTrial]) -> None:
        """Take the times of trials that earlier runs of a study have stored.

        A trial during which the clock was set back has none.
        """
        for trial in trials:
            if counts(trial) and trial.duration is not None:
                seconds = trial.duration.total_seconds()
                if seconds >= 0:
                    self._note(trial.state, seconds)

    def trial_began(self, worker: int = 0) -> None:
        """Note that a worker's trial begins now."""
        self._began[worker] = self._clock()

    def trial_ended(self, trial: FrozenTrial, worker: int = 0) -> float:
        """Take a worker's trial that ends now, and return its seconds.

        One that failed for a reason outside its configuration teaches nothing.
        """
        seconds = self.seconds_of(worker) or 0.0
        self._began.pop(worker, None)
        if counts(trial):
            self._note(trial.state, seconds)
        return seconds

    def trial_lost(self, worker: int) -> None:
        """Note that a worker has ended, with whatever it ran."""
        self._began.pop(worker, None)

    def seconds_of(self, worker: int) -> float | None:
        """Return for how long a worker's present trial has run, None when it runs none."""
        began = self._began.get(worker)
        return None if began is None else self._clock() - began

    @property
    def running_s(self) -> float | None:
        """Return for how long the longest of the present trials has run, None when none runs."""
        return self._clock() - min(self._began.values()) if self._began else None

    @property
    def whole_trial_s(self) -> float | None:
        """Return the seconds that a trial which does not crash is expected to take.

        None where nothing is known.
        """
        if done := self._seen.get(TrialState.COMPLETE):
            return median(self._with_running(done))
        if self.prospect is not None:
            return self.prospect.trial_s
        rest = [seconds for group in self._seen.values() for seconds in group]
        return median(self._with_running(rest)) if rest else None

    @property
    def trial_s(self) -> float | None:
        """Return the seconds of a trial on average: medians of each kind, by their frequency.

        None where nothing is known.
        """
        whole = self.whole_trial_s
        if whole is None:
            return None
        # As long as none has completed, one that will is still to be expected.
        n_whole = max(1, len(self._seen.get(TrialState.COMPLETE, [])))
        total, n = n_whole * whole, n_whole
        for state, group in self._seen.items():
            if state != TrialState.COMPLETE:
                total += len(group) * median(group)
                n += len(group)
        return total / n

    def left_s(self, n_left: int, n_workers: int = 1) -> float | None:
        """Return the seconds until a study's trials have ended, None where nothing is known.

        Args:
            n_left: Trials that have not ended, the running ones of all workers included.
            n_workers: Processes that run trials of the study, this one included, ≥ 1.
        """
        each = self.trial_s
        if each is None:
            return None
        if n_left <= 0:
            return 0.0
        running = self.running_s
        if running is None:
            return each * math.ceil(n_left / n_workers)
        longest = max((s for group in self._seen.values() for s in group), default=each)
        own = max(each - running, longest - running if running > each else 0.0, 0.0)
        return own + each * math.ceil(max(0, n_left - n_workers) / n_workers)

    def fits(self, seconds: float) -> bool:
        """Return whether one more trial is expected to end within so many seconds.

        The first trial of all has to fit with its load alone: the rest is an assumption.
        """
        if seconds <= 0:
            return False
        if not self._seen.get(TrialState.COMPLETE) and self.prospect is not None:
            return self.prospect.load_s <= seconds
        expected = self.whole_trial_s
        return expected is None or expected <= seconds

    def _note(self, state: TrialState, seconds: float) -> None:
        self._seen.setdefault(state, []).append(seconds)

    def _with_running(self, seen: list[float]) -> list[float]:
        """Return times with that of the running trial, once it is longer than expected."""
        running = self.running_s
        return [*seen, running] if running is not None and running > median(seen) else seen


class TimeBudget:
    """The time of a run, which begins when this is made.

    Args:
        seconds: How long the run may take; infinite by default.
        pace: The times of its trials.
        clock: Seconds on any monotonic clock.

    Attributes:
        pace: As given.
    """

    def __init__(
        self,
        seconds: float = math.inf,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pace = Pace(clock=clock) if pace is None else pace
        self._seconds = seconds
        self._clock = clock
        self._began = clock()

    def is_spent(self) -> str | None:
        """Return why no trial should begin now, in words; None where one may."""
        left = self._seconds - (self._clock() - self._began)
        if left <= 0:
            return "the time of `max_hours` is over"
        if self.pace.fits(left):
            return None
        return "the next trial is not expected to end within `max_hours`"
