"""The trials of a study, what each says, and where a further one stands among them."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.trials.outcomes import FailureFilter
from optuna_scoot.trials.outcomes import Outcome
from optuna_scoot.trials.outcomes import enqueued_params
from optuna_scoot.trials.outcomes import is_enqueued
from optuna_scoot.trials.outcomes import outcomes_of
from optuna_scoot.trials.sharing import known_params


@dataclass(frozen=True)
class Record:
    """A trial that says something about its parameters.

    Attributes:
        trial: The trial.
        params: Its parameters, those of the search space alone.
        outcome: What it says; never ``Outcome.NOTHING``.
    """

    trial: FrozenTrial
    params: Mapping[str, Any]
    outcome: Outcome


@dataclass(frozen=True)
class StartupPlace:
    """Where a trial stands among those that a sampler chose.

    Attributes:
        index: How many came before it, whatever became of them: its Sobol number. Numbers are
            unique in every storage, so that no two workers draw the same point.
        informative: How many of these run or say something about their parameters.
        finished: How many of the informative ones have finished.
    """

    index: int
    informative: int
    finished: int


@dataclass(frozen=True)
class History:
    """All trials of a study, in the order of their numbers.

    Attributes:
        trials: The trials.
        outcomes: What each of them says about its parameters.
    """

    trials: Sequence[FrozenTrial]
    outcomes: Sequence[Outcome]

    @classmethod
    def of(
        cls, trials: Sequence[FrozenTrial], failure_filter: FailureFilter | None = None
    ) -> History:
        """Return the history that the trials of a study make.

        Args:
            trials: All of them, in the order of their numbers.
            failure_filter: Says of a failed trial whether it tells something about its
                parameters.
        """
        return cls(trials, outcomes_of(trials, failure_filter))

    def records(
        self, distributions: Mapping[str, BaseDistribution], without: int | None = None
    ) -> list[Record]:
        """Return the trials that say something about the parameters of a search space.

        Those that have none of its parameters, or a value outside of it, are passed over.

        Args:
            distributions: Of the parameters.
            without: The number of the trial that asks; its own entry is passed over.
        """
        space = SearchSpace(distributions)
        records = []
        for trial, outcome in zip(self.trials, self.outcomes, strict=True):
            if outcome is Outcome.NOTHING or trial.number == without:
                continue
            params = known_params(trial)
            if space.covers(params):
                own = {name: params[name] for name in space.names if name in params}
                records.append(Record(trial, own, outcome))
        return _without_half_ways(records, distributions)

    def startup_place(self, number: int, names: Collection[str]) -> StartupPlace:
        """Return where a trial stands among those that the user did not enqueue whole.

        Args:
            number: The trial's.
            names: Of the parameters of the search space.
        """
        index = informative = finished = 0
        for trial, outcome in zip(self.trials, self.outcomes, strict=True):
            if trial.number >= number:
                continue
            index += not set(names) <= enqueued_params(trial).keys()
            if is_enqueued(trial):
                continue
            says = outcome is not Outcome.NOTHING
            informative += says
            finished += says and trial.state.is_finished()
        return StartupPlace(index, informative, finished)


def _without_half_ways(
    records: list[Record], distributions: Mapping[str, BaseDistribution]
) -> list[Record]:
    """Return the records without trials that crashed before all of their parameters were drawn.

    One lacks parameters that another trial with the same categorical levels has. Where some trial
    has completed with the same parameters, they were all.
    """
    levels = [n for n, d in distributions.items() if isinstance(d, CategoricalDistribution)]

    def shape(params: Mapping[str, Any]) -> tuple[frozenset[str], str]:
        return frozenset(params), repr([params[n] for n in levels if n in params])

    whole = {frozenset(r.params) for r in records if r.outcome is Outcome.COMPLETED}
    shapes = {shape(r.params): r.params for r in records if r.outcome is not Outcome.RUNNING}

    def is_half_way(record: Record) -> bool:
        own = record.params
        if record.outcome is not Outcome.CRASHED or frozenset(own) in whole:
            return False
        return any(
            own.keys() < other.keys() and all(own[n] == other[n] for n in levels if n in own)
            for other in shapes.values()
        )

    return [record for record in records if not is_half_way(record)]
