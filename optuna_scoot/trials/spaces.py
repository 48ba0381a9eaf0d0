"""Search spaces of define-by-run studies, from what their trials have asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.space.activity import Activity
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.trials.history import Record
from optuna_scoot.trials.outcomes import Outcome


_MOST_PARAMETERS = 128  # of a space that is inferred: some objectives name theirs by trial


def infer_search_space(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Return the parameters that trials asked for, those with one distribution in all of them.

    Optuna's ``IntersectionSearchSpace`` keeps to what completed trials have in common: a study
    that begins with crashes has no space at all, nor have the branches of a conditional one. Here
    a parameter belongs to the space once a finished trial has it. Completed trials decide on its
    distribution, others where it is in none of these.
    """
    found: dict[str, BaseDistribution] = {}
    changed: set[str] = set()
    count: Counter[str] = Counter()
    finished = [t for t in trials if t.state.is_finished()]
    for completed in (True, False):
        of_these: dict[str, BaseDistribution] = {}
        for trial in finished:
            if (trial.state == TrialState.COMPLETE) != completed:
                continue
            for name, distribution in trial.distributions.items():
                count[name] += 1
                if name not in found and of_these.setdefault(name, distribution) != distribution:
                    changed.add(name)
        found.update(of_these)
    usual = {name for name, _ in count.most_common(_MOST_PARAMETERS)} - changed
    return {name: d for name, d in sorted(found.items()) if name in usual and not d.single()}


def infer_singles(completed: Sequence[FrozenTrial]) -> dict[str, Any]:
    """Return the parameters, with their values, that have one value in all completed trials."""
    if not completed:
        return {}
    first = completed[0]
    return {
        name: first.params[name]
        for name, distribution in first.distributions.items()
        if distribution.single()
        and all(t.distributions.get(name) == distribution for t in completed)
    }


def conditional_space(
    records: Sequence[Record],
    distributions: Mapping[str, BaseDistribution],
    pinned: Mapping[str, Any] | None = None,
) -> SearchSpace:
    """Return the search space, with what trials show of which parameters are asked for when.

    Args:
        records: Of the trials that say something about the parameters.
        distributions: Of the parameters.
        pinned: Values of parameters that are fixed.
    """
    finished = [r.params for r in records if r.outcome is not Outcome.RUNNING]
    asked = np.array([[name in p for name in distributions] for p in finished], dtype=bool)
    if asked.all():
        return SearchSpace(distributions, pinned)
    space = SearchSpace(distributions)
    features = space.features(space.to_unit(finished))
    activity = Activity(features, space.is_level, asked)
    return SearchSpace(distributions, pinned, activity)
