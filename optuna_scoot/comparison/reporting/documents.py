"""What the tables of a comparison hold, as documents for a program."""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from optuna_scoot.comparison.peers.contestants import contestants
from optuna_scoot.comparison.problems.registry import registry
from optuna_scoot.comparison.reporting.comparison import Comparison
from optuna_scoot.comparison.reporting.statistics import Interval
from optuna_scoot.comparison.reporting.statistics import Paired
from optuna_scoot.comparison.reporting.summary import Entry
from optuna_scoot.comparison.reporting.summary import FloatArray


SHOWN_TRIALS = (10, 20, 30)


def comparison_document(comparison: Comparison, entries: Iterable[Entry]) -> dict[str, Any]:
    """Return scores, and the subject against each peer; null stands for what is not a number.

    Args:
        comparison: Of which the pairs are told.
        entries: Those that are shown.
    """
    return {
        "subject": comparison.subject,
        "entries": [_entry(entry) for entry in entries],
        "pairs": [
            {"group": group, **_pair(pair)}
            for group in comparison.groups
            for pair in comparison.pairs(group)
        ],
    }


def names_document() -> dict[str, Any]:
    """Return the problems, and the samplers that can be run with their modes."""
    return {
        "problems": [
            {"name": p.name, "family": str(p.family), "set": str(p.problem_set)}
            for p in registry().values()
        ],
        "samplers": {
            c.name: [str(mode) for mode in c.modes]
            for c in contestants().values()
            if c.missing is None
        },
    }


def suggestion_times_document(times: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Return the median seconds of a suggestion by study and sampler."""
    return {"median_seconds": {study: dict(by_name) for study, by_name in times.items()}}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "group": entry.group,
        "sampler": entry.sampler,
        "mode": entry.mode,
        "batch": entry.batch,
        "runs": len(entry.cases),
        "score_at": {str(trial): _number(entry.at(trial)) for trial in SHOWN_TRIALS},
        "crashes": _number(entry.crashes.mean()),
        "known_violations": entry.n_known_violations,
        "seconds": _number(entry.seconds.mean()),
        "errors": list(entry.errors),
        "cost": _mean(entry.spending),
        "score_at_cost": _mean(entry.at_cost),
    }


def _pair(pair: Paired) -> dict[str, Any]:
    return {
        "peer": pair.theirs.sampler,
        "mode": pair.theirs.mode,
        "cases": pair.n_cases,
        "difference": _interval(pair.difference),
        "wins": _interval(pair.wins),
        "median_trial": _number(pair.median_trial),
        "difference_at_cost": None if pair.at_cost is None else _interval(pair.at_cost),
    }


def _interval(interval: Interval) -> dict[str, float | None]:
    return {
        "estimate": _number(interval.estimate),
        "low": _number(interval.low),
        "high": _number(interval.high),
    }


def _mean(values: FloatArray | None) -> float | None:
    return None if values is None else _number(values.mean())


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
