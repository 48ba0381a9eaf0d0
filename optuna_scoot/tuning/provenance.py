"""What a study writes down of itself so that it can be told and repeated without its engine.

The known constraints that recommendations satisfy, lengths and arrivals of the load, versions, and
the command line. All of it is an attribute of the study: whoever reaches its storage has it.
"""

from __future__ import annotations

import platform
from dataclasses import asdict
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from optuna_scoot import __version__
from optuna_scoot.constraints.known import ConstraintError
from optuna_scoot.constraints.known import KnownConstraints


if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.study import Study

    from objectives.spaces import EngineSpace
    from objectives.workload import Workload


CONSTRAINTS = "known_constraints"
"""Study attribute: what every recommended configuration satisfies, as expressions."""
LOAD_PROFILE = "load_profile"
"""Study attribute: ``LoadProfile`` as a mapping."""
VERSIONS = "versions"
"""Study attribute: package to version, of the process that measured last."""
COMMAND_LINE = "command_line"
"""Study attribute: the words after ``optuna-scoot`` that measured last, without secrets."""

_PACKAGES = ("optuna", "botorch", "torch", "scikit-learn", "numpy")
_LENGTH_BINS = 24
_ARRIVAL_BINS = 50


@dataclass(frozen=True)
class Histogram:
    """How many values lie between two neighbouring edges.

    Attributes:
        edges: Of the n bins, n + 1 of them, increasing.
        counts: Of the values within each, n of them; the last bin holds its upper edge too.
        median: Of all values.
        p95: The 95th percentile.
        largest: The largest value.
    """

    edges: Sequence[float]
    counts: Sequence[int]
    median: float
    p95: float
    largest: float


@dataclass(frozen=True)
class LoadProfile:
    """Lengths and arrivals of a load.

    Attributes:
        requests: How many.
        prompt_tokens: Their prompts' lengths, in bins of equal width on a logarithm.
        output_tokens: Their answers' lengths, likewise.
        arrivals: When they are due, in seconds, in bins of equal width.
    """

    requests: int
    prompt_tokens: Histogram
    output_tokens: Histogram
    arrivals: Histogram

    @classmethod
    def of(cls, workload: Workload) -> LoadProfile:
        """Return the profile of a workload."""
        requests = [scheduled.request for scheduled in workload.requests]
        times = np.array([scheduled.time for scheduled in workload.requests])
        end = max(workload.duration, float(times.max()))
        return cls(
            requests=len(requests),
            prompt_tokens=_lengths([r.prompt_tokens for r in requests]),
            output_tokens=_lengths([r.output_tokens for r in requests]),
            arrivals=_histogram(times, np.linspace(0.0, end, _ARRIVAL_BINS + 1)),
        )


def record(study: Study, space: EngineSpace, workload: Workload) -> None:
    """Write down what a study is measured with; the same again changes nothing.

    Args:
        study: Of the trials to come.
        space: What is tuned, the user's constraints included.
        workload: What its engines face.
    """
    found = study.user_attrs
    wanted: dict[str, Any] = {
        CONSTRAINTS: list(space.known_constraints),
        VERSIONS: _versions(),
        LOAD_PROFILE: asdict(LoadProfile.of(workload)),
    }
    for name, value in wanted.items():
        if found.get(name) != value:
            study.set_user_attr(name, value)


def known_constraints(study: Study) -> KnownConstraints | None:
    """Return what a study's recommendations satisfy; None where it does not tell."""
    specs = study.user_attrs.get(CONSTRAINTS)
    if not isinstance(specs, list):
        return None
    serving = study.user_attrs.get("serving")
    names = serving.get("default", {}) if isinstance(serving, dict) else {}
    try:
        return KnownConstraints(specs, names=names)
    except ConstraintError:  # an attribute that somebody else has written
        return None


def load_profile(study: Study) -> LoadProfile | None:
    """Return lengths and arrivals of a study's load; None where it does not tell."""
    found = study.user_attrs.get(LOAD_PROFILE)
    if not isinstance(found, dict):
        return None
    named = {k: Histogram(**found[k]) for k in ("prompt_tokens", "output_tokens", "arrivals")}
    return LoadProfile(requests=found["requests"], **named)


def _versions() -> dict[str, str]:
    found = {"optuna-scoot": __version__, "Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _lengths(tokens: Sequence[int]) -> Histogram:
    values = np.maximum(np.array(tokens, dtype=float), 1.0)
    low, high = values.min(), values.max()
    if low == high:
        return _histogram(values, np.array([low - 0.5, high + 0.5]))
    # Bins of a whole token at least: between 1 and 2 there is no length.
    edges = np.unique(np.round(np.geomspace(low, high, _LENGTH_BINS + 1)))
    return _histogram(values, edges)


def _histogram(values: np.ndarray, edges: np.ndarray) -> Histogram:
    counts, _ = np.histogram(values, edges)
    median, p95 = np.quantile(values, [0.5, 0.95])
    return Histogram(
        edges=[round(float(edge), 3) for edge in edges],
        counts=[int(n) for n in counts],
        median=float(median),
        p95=float(p95),
        largest=float(values.max()),
    )
