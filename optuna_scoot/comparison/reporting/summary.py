"""Runs to rows: mean scores, crash share and seconds of each sampler and mode in each family."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_scoot.comparison.peers.modes import ALL_MODES
from optuna_scoot.comparison.problems.problem import Family
from optuna_scoot.comparison.problems.registry import family_of
from optuna_scoot.comparison.reporting.costs import Case
from optuna_scoot.comparison.reporting.costs import case_of
from optuna_scoot.comparison.reporting.costs import costs_of
from optuna_scoot.comparison.reporting.costs import equal_costs
from optuna_scoot.comparison.reporting.scoring import crash_share
from optuna_scoot.comparison.reporting.scoring import score_curve
from optuna_scoot.comparison.reporting.scoring import suggestion_seconds
from optuna_scoot.comparison.running.runs import Run


FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Entry:
    """The runs of one sampler in one mode on the problems of one group.

    Attributes:
        group: The family, or the problem where problems are shown one by one.
        sampler: The sampler.
        mode: The mode asked for.
        batch: Trials suggested at a time.
        cases: What was run, in the order of the arrays' rows.
        curves: Score after each trial, shape ``(n_cases, n_trials)``.
        crashes: Crash share of each run, shape ``(n_cases,)``.
        seconds: Mean seconds of a suggestion of each run, shape ``(n_cases,)``.
        n_known_violations: Suggestions that violated a known constraint, over all runs.
        errors: Messages of the runs that the sampler ended.
        spending: Total cost of each run over the equal cost of its case, shape ``(n_cases,)``;
            None where the problems do not say what a trial costs.
        over_cost: Score of each run at shares of the equal cost, shape ``(n_cases,
            len(SHARES))``, or None.
    """

    group: str
    sampler: str
    mode: str
    batch: int
    cases: tuple[Case, ...]
    curves: FloatArray
    crashes: FloatArray
    seconds: FloatArray
    n_known_violations: int
    errors: tuple[str, ...]
    spending: FloatArray | None = None
    over_cost: FloatArray | None = None

    @property
    def final(self) -> float:
        """Return the mean score after the last trial."""
        return float(self.curves[:, -1].mean())

    @property
    def at_cost(self) -> FloatArray | None:
        """Return the score of each run at the equal cost, shape ``(n_cases,)``, or None."""
        return None if self.over_cost is None else np.asarray(self.over_cost[:, -1])

    def at(self, trial: int) -> float:
        """Return the mean score after a trial, counted from 1; beyond the end the last one's."""
        return float(self.curves[:, min(trial, self.curves.shape[1]) - 1].mean())


def make_entry(
    group: str, mode: str, runs: Sequence[Run], budgets: Mapping[Case, float] | None = None
) -> Entry:
    """Summarise runs of one sampler; they are ordered by problem and seed."""
    ordered = sorted(runs, key=lambda run: run.key)
    key = ordered[0].key
    spending, over_cost = costs_of(ordered, budgets or {}) or (None, None)
    return Entry(
        group=group,
        sampler=key.sampler,
        mode=mode,
        batch=key.batch,
        cases=tuple(case_of(run) for run in ordered),
        curves=np.array([score_curve(run) for run in ordered]),
        crashes=np.array([crash_share(run) for run in ordered]),
        seconds=np.array([suggestion_seconds(run) for run in ordered]),
        n_known_violations=sum(t.violates_known for run in ordered for t in run.trials),
        errors=tuple(run.error for run in ordered if run.error is not None),
        spending=spending,
        over_cost=over_cost,
    )


def group_runs(
    runs: Iterable[tuple[str, Run]], *, by_problem: bool = False
) -> dict[tuple[str, str, str, int], Entry]:
    """Group runs by family (or problem), sampler, mode and batch.

    Args:
        runs: PeerMode asked for, and run. One run may stand for several modes.
        by_problem: Group by problem rather than by family.

    Returns:
        Entries by group, sampler, mode and batch.
    """
    grouped: defaultdict[tuple[str, str, str, int], list[Run]] = defaultdict(list)
    runs = [*runs]
    budgets = equal_costs(run for _, run in runs)
    for mode, run in runs:
        group = run.key.problem if by_problem else str(family_of(run.key.problem))
        grouped[group, run.key.sampler, mode, run.key.batch].append(run)
    return {key: make_entry(key[0], key[2], members, budgets) for key, members in grouped.items()}


def best_modes(entries: Iterable[Entry]) -> dict[tuple[str, str, int], Entry]:
    """Return the best mode of each sampler in each group, by the mean score at the end.

    Of modes that score the same, the first of ``ALL_MODES``.

    Returns:
        Entries by group, sampler and batch, best first within a group.
    """
    best: dict[tuple[str, str, int], Entry] = {}
    rank = {str(mode): index for index, mode in enumerate(ALL_MODES)}
    for entry in sorted(entries, key=lambda entry: rank[entry.mode]):
        key = (entry.group, entry.sampler, entry.batch)
        if key not in best or entry.final > best[key].final:
            best[key] = entry
    order = {str(family): index for index, family in enumerate(Family)}
    return dict(
        sorted(
            best.items(),
            key=lambda item: (order.get(item[0][0], 0), item[0][0], -item[1].final),
        )
    )
