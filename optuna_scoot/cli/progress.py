"""What a person sees while trials run: a line for each that ended, and a live line below them.

The live line (a bar, the trial that runs, time left, best so far, crashes) needs a terminal;
elsewhere, in a log file or a pipe, there are the lines alone.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING
from typing import Self

from optuna.trial import TrialState
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from objectives.serving import CRASH_DETAIL
from objectives.serving import CRASH_REASON
from objectives.serving import ENDED_EARLY
from objectives.serving import EXTERNAL_REASON
from objectives.serving import is_external
from optuna_scoot.cli.console import format_seconds
from optuna_scoot.cli.console import print_line
from optuna_scoot.cli.table import describe_values
from optuna_scoot.tuning.formats import describe_missed
from optuna_scoot.tuning.formats import format_params
from optuna_scoot.tuning.observer import Observer
from optuna_scoot.tuning.pace import Pace
from optuna_scoot.tuning.report import flags_not_taken
from optuna_scoot.tuning.report import make_report


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence
    from types import TracebackType

    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from rich.console import Console

    from objectives.loadgen import Progress
    from optuna_scoot.constraints.known import KnownConstraints
    from optuna_scoot.tuning.pace import Prospect
    from optuna_scoot.tuning.report import Report


REFRESHES_A_SECOND = 2
DETAIL_LENGTH = 110


class LoadWatch:
    """Remembers how far the load of the running trial is; an engine's ``on_progress``."""

    def __init__(self) -> None:
        self._latest: tuple[int, int] | None = None

    def __call__(self, progress: Progress) -> None:
        """Take the latest state."""
        self.note(progress.completed + progress.failed, progress.total)

    def note(self, done: int, total: int) -> None:
        """Take how many of the requests are done, completed or failed."""
        self._latest = (done, total)

    def forget(self) -> None:
        """Forget the latest state: no load runs."""
        self._latest = None

    def describe(self) -> str:
        """Return what goes on: "engine starts", "12 of 50 requests done"."""
        if self._latest is None:
            return "engine starts"
        done, total = self._latest
        return f"{done} of {total} requests done"


class TrialsDisplay(Observer):
    """Shows the trials of a study as they end; a context manager.

    Args:
        console: Where to write.
        heading: Lines to write before the first trial.
        clock: Seconds on any monotonic clock.
        watches: Of each worker the one that its engine tells how far the load is.
        should_stop: Asked whether to end the run before the next trial.
        prospect: What is known of a trial's time before any has ended.
        max_hours: Hours that the run may take at most.

    Attributes:
        n_ended: Trials that have ended while this was shown.
    """

    def __init__(
        self,
        console: Console,
        *,
        heading: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
        watches: Sequence[LoadWatch] = (),
        should_stop: Callable[[], bool] = lambda: False,
        prospect: Prospect | None = None,
        max_hours: float | None = None,
    ) -> None:
        self._console = console
        self._heading = heading
        self._watches = watches
        self._should_stop = should_stop
        self._pace = Pace(prospect, clock)
        self._clock = clock
        self._end = math.inf if max_hours is None else clock() + 3600.0 * max_hours
        self._max_hours = max_hours
        self.n_ended = 0
        self._running: dict[int, int] = {}  # the number of the trial that a worker runs
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def run_began(
        self, study: Study, n_trials: int, known: KnownConstraints | None = None
    ) -> None:
        """Write the heading, and begin the live line where there is a terminal.

        Args:
            study: Read after every trial.
            n_trials: The study's total of observations.
            known: What every configuration that is recommended has to satisfy.
        """
        self._study = study
        self._n_trials = n_trials
        self._known = known
        self._report = make_report(study, known)
        self._pace.learn(study.get_trials(deepcopy=False))
        for line in self._heading:
            self.note(line)
        if self._heading:
            self.note(self._time_line())
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._render,
                console=self._console,
                refresh_per_second=REFRESHES_A_SECOND,
                transient=True,
            )
            self._live.start()

    def should_stop(self) -> bool:
        """Return whether the run should end before its next trial."""
        return self._should_stop()

    def trial_began(self, number: int, worker: int = 0) -> None:
        """Show that a trial runs now.

        Args:
            number: The trial's number in its study.
            worker: Which of several workers runs it, from 0.
        """
        self._pace.trial_began(worker)
        self._running[worker] = number
        for watch in self._watches[worker : worker + 1]:
            watch.forget()

    def trial_ended(self, trial: FrozenTrial, worker: int = 0) -> None:
        """Write the line of a trial that ended.

        Args:
            trial: As stored, in a finished state.
            worker: Which of several workers ran it, from 0.
        """
        seconds = self._pace.trial_ended(trial, worker)
        self.n_ended += 1
        self._running.pop(worker, None)
        self._report = make_report(self._study, self._known)
        self.note(trial_line(self._report, trial, self._n_trials, seconds, self.seconds_left()))

    def worker_ended(self, worker: int) -> None:
        """Show no trial of a worker that has ended, however it did.

        Args:
            worker: Which of several, from 0.
        """
        self._pace.trial_lost(worker)
        self._running.pop(worker, None)

    def note(self, line: str) -> None:
        """Write one line above the live one."""
        print_line(self._console, line)

    def seconds_left(self) -> float | None:
        """Return the expected seconds to the end of the study, over all trials to go.

        None where nothing is known before the first one has ended. At most the time that is left
        of ``max_hours``.
        """
        n_left = self._n_trials - self._report.counted
        left = self._pace.left_s(n_left, self._n_workers)
        return None if left is None else max(0.0, min(left, self._end - self._clock()))

    @property
    def _n_workers(self) -> int:
        """Return how many processes run trials of the study, as far as can be seen from here."""
        return max(len(self._watches), 1 + self._report.running)

    def _time_line(self) -> str:
        """Return what the run is expected to take, and on what that rests."""
        left = self._pace.left_s(self._n_trials - self._report.counted, self._n_workers)
        prospect = self._pace.prospect
        parts = []
        if left is not None:
            expected = f"about {format_seconds(left)}"
            if prospect is not None and prospect.n_gpus:
                gpu_hours = left / 3600.0 * prospect.n_gpus
                expected += f" ({gpu_hours:.1f} GPU-hours on {prospect.n_gpus} GPUs)"
            parts.append(f"{expected}, {self._basis()}")
        else:
            parts.append("not known before the first trial has ended")
        if self._max_hours is not None:
            parts.append(f"at most {format_seconds(3600.0 * self._max_hours)}")
        return f"time: {'; '.join(parts)}"

    def _basis(self) -> str:
        if self._pace.n_seen:
            n = self._pace.n_seen
            return f"by the {n} trial{'s' * (n > 1)} so far"
        prospect = self._pace.prospect
        assert prospect is not None
        load = f"a trial's load takes {format_seconds(prospect.load_s)}"
        if prospect.n_loads > 1:
            each = format_seconds(prospect.load_s)
            load = f"a trial is thought to take {prospect.n_loads} loads of {each}"
        return (
            f"as {load} and {prospect.startup_s:g} s are assumed for each start of the engine;"
            " corrected as trials end"
        )

    def _render(self) -> Group:
        report = self._report
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(f"{min(report.counted, self._n_trials)}/{self._n_trials}"),
            ProgressBar(total=self._n_trials, completed=report.counted, width=30),
            Text(self._activity()),
        )
        several = [Text(self._of_worker(n)) for n in range(len(self._watches))]
        return Group(bar, *(several if len(several) > 1 else []), Text(self._last_line()))

    def _last_line(self) -> str:
        return best_line(self._report)

    def _activity(self) -> str:
        parts = []
        if len(self._watches) <= 1 and self._running:
            parts.append(self._running_trial(0))
        left = self.seconds_left()
        if left:
            parts.append(f"about {format_seconds(left)} left")
        parts.append(count_crashes(self._report))
        return ", ".join(parts)

    def _of_worker(self, worker: int) -> str:
        does = self._running_trial(worker) if worker in self._running else "between two trials"
        return f"worker {worker + 1}: {does}"

    def _running_trial(self, worker: int) -> str:
        """Return what a worker does: "trial 7 for 41 s, 12 of 50 requests done"."""
        seconds = format_seconds(self._pace.seconds_of(worker) or 0.0)
        parts = [f"trial {self._running[worker]} for {seconds}"]
        parts += [watch.describe() for watch in self._watches[worker : worker + 1]]
        return ", ".join(parts)


def trial_line(
    report: Report, trial: FrozenTrial, n_trials: int, seconds: float, left: float | None
) -> str:
    """Return one trial's outcome in a line.

    As in "[3/30] trial 2: TTFT 503 (-12 %), ... in 41 s; 1 crash, about 18 min left".

    Args:
        report: The study's, with this trial in it.
        trial: As stored, in a finished state.
        n_trials: The study's total of observations.
        seconds: How long the trial took.
        left: Expected seconds to the end, None when unknown.
    """
    end = f" in {format_seconds(seconds)}; {count_crashes(report)}"
    if left is not None and report.counted < n_trials:
        end += f", about {format_seconds(left)} left"
    return f"[{report.counted}/{n_trials}] trial {trial.number}: {outcome(report, trial)}{end}"


def outcome(report: Report, trial: FrozenTrial) -> str:
    """Return what became of a trial: its values, or why it has none."""
    if trial.state == TrialState.COMPLETE:
        mark = ", best so far" if report.best is not None and _same(report.best, trial) else ""
        if missed := describe_missed(trial):
            mark = f", misses {missed}"
        if other := flags_not_taken(trial):
            mark += f", the engine has {format_params(other)}"
        return describe_values(report, trial) + mark
    if trial.state == TrialState.PRUNED:
        return f"ended early: {trial.user_attrs.get(ENDED_EARLY, 'it was pruned')};"
    if is_external(trial):
        reason = trial.user_attrs.get(EXTERNAL_REASON, "a reason outside the configuration")
        return f"failed, not counted ({reason})"
    detail = str(trial.user_attrs.get(CRASH_DETAIL, ""))
    if len(detail) > DETAIL_LENGTH:
        detail = detail[: DETAIL_LENGTH - 3] + "..."
    reason = f"crashed ({trial.user_attrs.get(CRASH_REASON, 'unknown')})"
    return f"{reason}: {detail};" if detail else reason


def best_line(report: Report) -> str:
    """Return the best so far in one line."""
    if report.best is None:
        return "best so far: none yet"
    return f"best so far: trial {report.best.number}, {describe_values(report, report.best)}"


def count_crashes(report: Report) -> str:
    """Return the crashes so far: "no crash", "1 crash", "3 crashes"."""
    if report.crashed == 0:
        return "no crash"
    return "1 crash" if report.crashed == 1 else f"{report.crashed} crashes"


def _same(a: FrozenTrial, b: FrozenTrial) -> bool:
    return a.number == b.number
