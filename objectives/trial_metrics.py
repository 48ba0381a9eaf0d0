"""The metrics of a run as user attributes of its trial: one each, with a name that people read.

    "TTFT p99 (ms)": 412.7, "throughput (requests/s)": 6.13, "failed requests": 2

optuna-dashboard, ``trials_dataframe`` and every other reader of a study sees a column a metric.
Code takes them from ``metrics_of`` by their flat names, as ``ttft_ms_p99``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextlib import nullcontext
from typing import TYPE_CHECKING
from typing import Any

from objectives.goals import LATENCIES


if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial


METRICS = "metrics"
"""User attribute in studies of version 0.1: all metrics as one mapping."""
_TOTALS = {
    "completed": "completed requests",
    "failed": "failed requests",
    "duration_s": "duration (s)",
    "request_throughput": "throughput (requests/s)",
    "output_throughput": "output throughput (tokens/s)",
    "total_token_throughput": "total throughput (tokens/s)",
    "goodput": "goodput (requests/s)",
    "arrival_rate": "arrivals (requests/s)",
    "admission_rate": "taken up (requests/s)",
    "total_input_tokens": "prompt tokens",
    "total_output_tokens": "output tokens",
    "max_concurrent_requests": "most concurrent requests",
    "max_output_tokens_per_s": "most output tokens in a second",
    "max_lateness_s": "lateness max (s)",
    "p99_lateness_s": "lateness p99 (s)",
    "short_outputs": "answers shorter than asked for",
    "prompt_length_mismatches": "prompts of another length than asked for",
}
_OTHERS = "metric "
"""Before the flat name of a metric that has no other."""
_FLAT_TOTALS = {label: flat for flat, label in _TOTALS.items()}
_FLAT_LATENCIES = {label: name for name, label in LATENCIES.items()}
# Which latency: as it was seen, from when the request was due, or the load generator's part of it.
_KINDS = {"": "", "scheduled_": " from when due", "own_": " by the load generator"}
_FLAT_KINDS = {words: prefix for prefix, words in _KINDS.items()}
_FLAT = re.compile(rf"({'|'.join(_KINDS)})({'|'.join(LATENCIES)})_ms_(mean|std|p[\d.]+)")
_LABEL = re.compile(
    rf"({'|'.join(_FLAT_LATENCIES)}) (mean|std|p[\d.]+)({'|'.join(_FLAT_KINDS)}) \(ms\)"
)


def label_of(flat: str) -> str:
    """Return a metric's name as people read it, as in ``TTFT p99 (ms)``.

    Args:
        flat: Its flat name, as in ``ttft_ms_p99``.
    """
    if (found := _FLAT.fullmatch(flat)) is not None:
        kind, latency, statistic = found.groups()
        return f"{LATENCIES[latency]} {statistic}{_KINDS[kind]} (ms)"
    return _TOTALS.get(flat, f"{_OTHERS}{flat}")


def flat_of(label: str) -> str | None:
    """Return the flat name of the metric that ``label_of`` names so, None where it is none's."""
    if (found := _LABEL.fullmatch(label)) is not None:
        latency, statistic, kind = found.groups()
        return f"{_FLAT_KINDS[kind]}{_FLAT_LATENCIES[latency]}_ms_{statistic}"
    if label.startswith(_OTHERS):
        return label.removeprefix(_OTHERS)
    return _FLAT_TOTALS.get(label)


def store_metrics(trial: optuna.Trial, metrics: Mapping[str, float]) -> None:
    """Set each metric as a user attribute of a trial.

    Args:
        trial: It runs.
        metrics: By their flat names.
    """
    with written_together(trial):
        for flat, value in metrics.items():
            trial.set_user_attr(label_of(flat), value)


def metrics_of(trial: FrozenTrial | optuna.Trial) -> dict[str, float]:
    """Return the metrics of a trial by their flat names; none where it did not serve its load.

    Args:
        trial: Of this version or an earlier one.
    """
    found = {
        flat: value
        for name, value in trial.user_attrs.items()
        if (flat := flat_of(name)) is not None
    }
    return {**trial.user_attrs.get(METRICS, {}), **found}


def without_metrics(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's user attributes but those that hold its metrics."""
    return {k: v for k, v in attrs.items() if k != METRICS and flat_of(k) is None}


def written_together(trial: optuna.Trial) -> AbstractContextManager[None]:
    """Have what is set of a trial meanwhile stored at the end, in one go where the storage can.

    A database takes as long for fifty attributes then as for one. A storage that can has a method
    ``together``, a context manager, which takes the trial's id.
    """
    together = getattr(getattr(trial, "storage", None), "together", None)
    return nullcontext() if together is None else together(trial._trial_id)
