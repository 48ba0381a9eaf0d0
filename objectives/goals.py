"""What is to improve and what has to hold, in words: ``p99 ttft``, ``p99 ttft <= 500 ms``.

    metric     [mean | pNN] ttft | tpot | itl | e2el      a latency over all requests
               throughput | output_throughput | goodput   a rate over the whole run
               rate                                       of arrivals, a goal alone
    goal       minimize or maximize a metric
    limit      metric <= value unit, or >= for a rate
    units      ms, s; requests/s, tokens/s (or /s)

A percentile is any of ``p0`` to ``p100``, as in ``p99.9``. Goodput counts the requests that keep
every limit on a latency, each on its own. The rate is the highest one at which every limit is kept
(``objectives.capacity``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from typing import cast
from typing import get_args

from objectives.metrics import GoodputSLO


Direction = Literal["minimize", "maximize"]
Mode = Literal["ttft-tpot", "p95-latency", "throughput"]
"""Goals with a name of their own: the paper's (section III)."""

LATENCIES = {
    "ttft": "TTFT",
    "tpot": "TPOT",
    "itl": "ITL",
    "e2el": "end-to-end latency",
}
# Name: (flat name among the metrics of a run, as a person reads it, unit).
_RATES = {
    "throughput": ("request_throughput", "throughput", "requests/s"),
    "output_throughput": ("output_throughput", "output throughput", "tokens/s"),
    "goodput": ("goodput", "goodput", "requests/s"),
    "rate": ("rate", "rate that keeps the limits", "requests/s"),
}
_UNITS = {"ms": 1.0, "s": 1000.0}
_LIMIT = re.compile(r"(.+?)\s*(<=|>=|<|>|=+)\s*([\d.]+(?:e[+-]?\d+)?)\s*(\S*)")
_KNOWN = (
    "write ttft, tpot, itl or e2el with mean or a percentile before it, as in 'p99 ttft', or "
    "throughput, output_throughput, goodput or, as a goal, rate"
)


class GoalError(ValueError):
    """A metric, goal or limit that cannot be read; the message says what to write."""


@dataclass(frozen=True)
class Metric:
    """One number of a run.

    Attributes:
        name: ``ttft``, ``tpot``, ``itl``, ``e2el``, ``throughput``, ``output_throughput``,
            ``goodput`` or ``rate``.
        statistic: Of a latency: ``mean`` or a percentile, as in ``p99``; empty for a rate.
    """

    name: str
    statistic: str = ""

    @classmethod
    def parse(cls, text: str) -> Metric:
        """Return the metric that a text names.

        Raises:
            GoalError: It names none.
        """
        words = text.lower().replace("-", "_").split()
        name = words[-1] if words else ""
        statistic = " ".join(words[:-1])
        if name in _RATES and not statistic:
            return cls(name)
        if name in LATENCIES and not statistic:
            raise GoalError(f"{text.strip()!r}: say which, as in 'mean {name}' or 'p99 {name}'")
        percentile = re.fullmatch(r"p(\d+(?:\.\d+)?)", statistic)
        if name in LATENCIES and (
            statistic == "mean" or (percentile and float(percentile[1]) <= 100.0)
        ):
            return cls(name, statistic)
        raise GoalError(f"{text.strip()!r} is not a metric: {_KNOWN}")

    @property
    def percentile(self) -> float | None:
        """Return the percentile, within [0, 100]; None for a mean and for a rate."""
        return float(self.statistic[1:]) if self.statistic.startswith("p") else None

    @property
    def flat(self) -> str:
        """Return its name among the metrics of a run, as in ``ttft_ms_p99``."""
        if self.name in _RATES:
            return _RATES[self.name][0]
        return f"{self.name}_ms_{self.statistic}"

    @property
    def unit(self) -> str:
        """Return the unit of its values."""
        return _RATES[self.name][2] if self.name in _RATES else "ms"

    @property
    def label(self) -> str:
        """Return it as a person reads it, as in ``TTFT p99 (ms)``."""
        if self.name in _RATES:
            return f"{_RATES[self.name][1]} ({self.unit})"
        return f"{LATENCIES[self.name]} {self.statistic} ({self.unit})"

    def __str__(self) -> str:
        return f"{self.statistic} {self.name}".strip()


@dataclass(frozen=True)
class Goal:
    """A metric that is to improve.

    Attributes:
        metric: The metric.
        direction: Which way is better.
    """

    metric: Metric
    direction: Direction

    @classmethod
    def parse(cls, text: str, direction: Direction) -> Goal:
        """Return the goal to bring the metric that a text names down, or up.

        Raises:
            GoalError: It names none, or the way leads to a worse service.
        """
        metric = Metric.parse(text)
        better: Direction = "maximize" if metric.name in _RATES else "minimize"
        if direction != better:
            more = "better" if metric.name in _RATES else "worse"
            raise GoalError(f"{metric}: more of it is {more}; {better} it")
        return cls(metric, direction)


PRESETS: dict[Mode, tuple[Goal, ...]] = {
    "ttft-tpot": (
        Goal(Metric("ttft", "mean"), "minimize"),
        Goal(Metric("tpot", "mean"), "minimize"),
    ),
    "p95-latency": (Goal(Metric("e2el", "p95"), "minimize"),),
    "throughput": (Goal(Metric("throughput"), "maximize"),),
}
"""What each mode optimises."""


def parse_goals(objective: str | Sequence[str]) -> tuple[Goal, ...]:
    """Return the goals that words name.

    Args:
        objective: A mode, or goals as in ``["minimize p99 ttft", "maximize goodput"]``.

    Raises:
        GoalError: They name none.
    """
    if isinstance(objective, str) and objective in PRESETS:
        return PRESETS[objective]
    texts = [objective] if isinstance(objective, str) else list(objective)
    return tuple(_parse_goal(text) for text in texts)


def _parse_goal(text: str) -> Goal:
    direction, _, metric = text.strip().partition(" ")
    if direction not in get_args(Direction):
        raise GoalError(
            f"{text!r} is not a goal: write {', '.join(PRESETS)}, 'minimize p99 ttft' or "
            "'maximize goodput'"
        )
    return Goal.parse(metric, cast("Direction", direction))


@dataclass(frozen=True)
class Limit:
    """What a configuration has to keep.

    Attributes:
        metric: What is limited.
        bound: In the metric's unit, > 0: a latency's largest value, a rate's least one.
    """

    metric: Metric
    bound: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Return the limit that a text says, as in ``p99 ttft <= 500 ms``.

        Raises:
            GoalError: It says none.
        """
        found = _LIMIT.fullmatch(text.strip())
        if found is None:
            raise GoalError(
                f"{text.strip()!r} is not a limit: write for example 'p99 ttft <= 500 ms' or "
                "'goodput >= 6 requests/s'"
            )
        metric = Metric.parse(found[1])
        if metric.name == "rate":
            raise GoalError(
                f"{text.strip()!r}: the rate is no limit but what arrives: measure at that rate, "
                "or maximize it"
            )
        is_rate = metric.name in _RATES
        if found[2] != (">=" if is_rate else "<="):
            wanted = ">=" if is_rate else "<="
            raise GoalError(f"{text.strip()!r}: a limit on {metric} is written with {wanted}")
        return cls(metric, _in_unit(found[3], found[4], metric, text))

    def excess(self, value: float) -> float:
        """Return by how much a value misses the limit, as a share of it; ≤ 0 where it is kept."""
        over = (value - self.bound) / self.bound
        return -over if self.metric.name in _RATES else over

    @property
    def is_rate(self) -> bool:
        """Return whether a rate is limited, of which more is better."""
        return self.metric.name in _RATES

    def value(self, excess: float) -> float:
        """Return the value that misses the limit by this share of it."""
        share = -excess if self.is_rate else excess
        return self.bound * (1.0 + share)

    def __str__(self) -> str:
        sign = ">=" if self.metric.name in _RATES else "<="
        return f"{self.metric} {sign} {self.bound:g} {self.metric.unit}"


def _in_unit(number: str, unit: str, metric: Metric, text: str) -> float:
    """Return a bound in the metric's unit.

    Raises:
        GoalError: The number is not positive, or the unit is missing or another metric's.
    """
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not value > 0.0:
        raise GoalError(f"{text.strip()!r}: a limit is a positive number")
    if metric.name in _RATES:
        if unit.lower() not in ("/s", metric.unit, metric.unit.replace("requests", "req")):
            raise GoalError(f"{text.strip()!r}: the unit is {metric.unit}")
        return value
    if unit.lower() not in _UNITS:
        raise GoalError(f"{text.strip()!r}: the unit is ms or s")
    return value * _UNITS[unit.lower()]


def goodput_slo(limits: Sequence[Limit]) -> GoodputSLO | None:
    """Return the limits that each request has to keep on its own; None where there is none.

    Of several limits on one latency the tightest counts; one on ITL has no single request.
    """
    tightest: dict[str, float] = {}
    for limit in limits:
        key = f"{limit.metric.name}_ms"
        if limit.metric.name in ("ttft", "tpot", "e2el"):
            tightest[key] = min(limit.bound, tightest.get(key, limit.bound))
    return GoodputSLO(**tightest) if tightest else None
