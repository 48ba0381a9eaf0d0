"""The verdict on finalists that were measured under several arrival orders next to a baseline.

Only numbers in: no study, no engine. ``verify`` measures them.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from optuna_scoot.tuning.paired import Change
from optuna_scoot.tuning.paired import Summary
from optuna_scoot.tuning.paired import centre
from optuna_scoot.tuning.paired import paired_change
from optuna_scoot.tuning.paired import summarise


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from optuna_scoot.tuning.paired import Floats
    from optuna_scoot.tuning.report import Metric


class Kind(StrEnum):
    """What the measurements say of the best finalist next to the baseline."""

    KEEP = "keep"
    """Better in some objective and worse in none, or the baseline does not hold and it does."""
    MIXED = "mixed"
    """Better in some objective, worse in another."""
    NO_GAIN = "no gain shown"
    """No difference beyond noise, or less than 1 %."""
    WORSE = "worse"
    """Worse and in no objective better, or no finalist holds and the baseline does."""
    NOTHING_HOLDS = "nothing holds"
    """Each configuration failed or missed a limit under some order."""


@dataclass(frozen=True)
class Measured:
    """A configuration under k arrival orders.

    Attributes:
        name: "default", "trial 14", "trial 14 simplified".
        params: Its parameters.
        values: Of the m objectives, shape (k, m); NaN in a row in which it failed, and in one that
            was not measured.
        excess: By which share each of the l limits was missed, ≤ 0 where it was kept, (k, l).
        limits: The limits' names.
        crashes: Why it failed, by the order's number from 1.
        number: Its trial in the tuned study, None where there is none.
        allowed: Whether it satisfies the known constraints.
        simplifies: The name of the finalist that it has fewer overrides than.
        not_taken: Parameters that the engine did not have as asked, with what it had instead.
        n_unmeasured: Orders that were left out, as it had failed or missed a limit before.
    """

    name: str
    params: Mapping[str, Any]
    values: Floats = field(default_factory=lambda: np.empty((0, 0)))
    excess: Floats = field(default_factory=lambda: np.empty((0, 0)))
    limits: tuple[str, ...] = ()
    crashes: Mapping[int, str] = field(default_factory=dict)
    number: int | None = None
    allowed: bool = True
    simplifies: str | None = None
    not_taken: Mapping[str, Any] = field(default_factory=dict)
    n_unmeasured: int = 0

    @property
    def n_measured(self) -> int:
        """Return under how many orders it was measured."""
        return len(self.values) - self.n_unmeasured

    @property
    def missed(self) -> dict[str, int]:
        """Return under how many orders each limit was missed, for those that were."""
        counts = np.sum(self.excess > 0.0, axis=0)
        return {name: int(n) for name, n in zip(self.limits, counts, strict=True) if n}

    @property
    def holds(self) -> bool:
        """Return whether it may be used: allowed, ran and kept every limit under every order."""
        return self.allowed and not np.isnan(self.values).any() and not self.missed

    @property
    def fault(self) -> str:
        """Return why it does not hold, in words; empty where it does."""
        orders = self.n_measured
        parts = [] if self.allowed else ["violates a known constraint"]
        n_failed = int(np.isnan(self.values).any(axis=1).sum()) - self.n_unmeasured
        if n_failed:
            reasons = Counter(detail.partition(":")[0] for detail in self.crashes.values())
            why = f" ({', '.join(reasons)})" if reasons else ""
            parts.append(f"fails under {n_failed} of {orders} orders{why}")
        parts += [f"misses {name} under {n} of {orders} orders" for name, n in self.missed.items()]
        return ", ".join(parts)

    def summary(self, j: int, maximise: bool) -> Summary:
        """Return what it reached in the objective of index j."""
        return summarise(self.values[:, j], maximise)

    def change(self, other: Measured, j: int) -> Change | None:
        """Return its change over another in the objective of index j, paired by order."""
        return paired_change(self.values[:, j], other.values[:, j])


@dataclass(frozen=True)
class Verdict:
    """What to do, by measurements under several arrival orders.

    Attributes:
        kind: What was found.
        sentence: The same for a person, with figures.
        best: The best finalist of those that hold, None where none does.
        recommended: What to use: ``best`` or the baseline; None where nothing holds.
    """

    kind: Kind
    sentence: str
    best: Measured | None
    recommended: Measured | None


def decide(
    baseline: Measured, finalists: Sequence[Measured], metrics: Sequence[Metric]
) -> Verdict:
    """Return the verdict on finalists next to a baseline.

    A finalist that failed or missed a limit under some order gives way to the others. The best of
    those left is compared with the baseline in each objective.

    Args:
        baseline: Usually the default configuration.
        finalists: In order of preference; may be empty.
        metrics: The m objectives.
    """
    holding = [finalist for finalist in finalists if finalist.holds]
    best = _best(holding, baseline, metrics)
    kind = _kind(best, baseline, metrics, any_finalist=bool(finalists))
    recommended = best if kind is Kind.KEEP else baseline if baseline.holds else None
    sentence = _sentence(kind, best, baseline, finalists, metrics)
    return Verdict(kind, sentence, best, recommended)


def _best(
    holding: Sequence[Measured], baseline: Measured, metrics: Sequence[Metric]
) -> Measured | None:
    """Return the best trade-off (paper, eq. 11) by the mean over the orders.

    Its simplified version takes its place where no objective is shown to be worse with it.
    """
    if not holding:
        return None
    signs = np.array([1.0 if m.maximise else -1.0 for m in metrics])
    centres = [centre(finalist.values) * signs for finalist in holding]
    complete = not np.isnan(baseline.values).any()
    reference = centre(baseline.values) * signs if complete else np.min(centres, axis=0)
    scale = np.where(reference == 0.0, 1.0, np.abs(reference))

    def score(i: int) -> tuple[float, float]:
        gains = (centres[i] - reference) / scale
        return math.prod(np.maximum(gains, 0.0)), float(gains.sum())

    best = holding[max(range(len(holding)), key=score)]
    simpler = [f for f in holding if f.simplifies == best.name]
    return next((f for f in simpler if not _differences(f, best, metrics)[1]), best)


def _differences(
    one: Measured, other: Measured, metrics: Sequence[Metric]
) -> tuple[list[Metric], list[Metric]]:
    """Return the objectives in which one is shown to be better than another, and worse."""
    changes = [(m, one.change(other, j)) for j, m in enumerate(metrics)]
    better = [m for m, c in changes if c is not None and c.is_better(m.maximise)]
    return better, [m for m, c in changes if c is not None and c.is_worse(m.maximise)]


def _kind(
    best: Measured | None, baseline: Measured, metrics: Sequence[Metric], *, any_finalist: bool
) -> Kind:
    if not baseline.holds:
        return Kind.NOTHING_HOLDS if best is None else Kind.KEEP
    if best is None:
        return Kind.WORSE if any_finalist else Kind.NO_GAIN
    better, worse = _differences(best, baseline, metrics)
    if better:
        return Kind.MIXED if worse else Kind.KEEP
    return Kind.WORSE if worse else Kind.NO_GAIN


def _sentence(
    kind: Kind,
    best: Measured | None,
    baseline: Measured,
    finalists: Sequence[Measured],
    metrics: Sequence[Metric],
) -> str:
    orders = f"{len(baseline.values)} arrival orders"
    parts = []
    if best is not None:
        figures = describe_changes(best, baseline, metrics)
        compared = [f"{', '.join(figures)} against {baseline.name}"] if figures else []
        parts.append(" ".join([*compared, f"under {orders} ({best.name})"]))
        if best.limits:
            parts.append("every limit is kept under each")
    elif kind is Kind.WORSE:
        parts.append(f"no finalist holds under {orders}")
    elif kind is Kind.NO_GAIN:
        parts.append(f"no configuration was better than {baseline.name} while tuning")
    fallen = [f for f in (*finalists, baseline) if not f.holds]
    parts += [f"{f.name} {f.fault}" for f in fallen]
    if kind in (Kind.NO_GAIN, Kind.WORSE):
        parts.append(f"stay with {baseline.name}")
    return f"{kind}: {'; '.join(parts)}"


def describe_changes(one: Measured, other: Measured, metrics: Sequence[Metric]) -> list[str]:
    """Return each objective's change with its interval, as in "TTFT p99 -31 % [-36, -27]"."""
    changes = [(m, one.change(other, j)) for j, m in enumerate(metrics)]
    return [f"{_short(m.name)} {describe_change(c)}" for m, c in changes if c is not None]


def describe_change(change: Change) -> str:
    """Return a change with its interval in per cent, as in "-31 % [-36, -27]"."""
    mean, low, high = (_percent(x) for x in (change.mean, change.low, change.high))
    return f"{mean} % [{low}, {high}]"


def _percent(share: float) -> str:
    percent = 100.0 * share
    return f"{percent:+.0f}" if abs(percent) >= 9.95 else f"{percent:+.1f}"


def _short(name: str) -> str:
    """Return an objective's name without its unit."""
    return name.rpartition(" (")[0] or name
