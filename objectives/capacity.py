"""The capacity of a configuration: the highest request rate at which it keeps every limit.

Found within one trial, on one running engine, by a load at each rate that ``objectives.bracket``
asks for. A load is kept when all its requests completed, every limit holds, and at least 0.99 of
the requests keep, each on its own, all limits that speak of nearly every request (a percentile of
99 or more). A limit on a mean or a lower percentile means what it says, over the whole load.

Every load has arrivals and prompts of its own seed, and reads on in the trace where the last one
ended, so that no cache is warm that would not be in life. It counts from its first request on,
and as many requests arrive in it as its rate says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from objectives.bracket import MOST_LOADS
from objectives.bracket import RESOLUTION
from objectives.bracket import Bracket
from objectives.bracket import find_capacity
from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.goals import Goal
from objectives.goals import GoalError
from objectives.goals import Limit
from objectives.goals import goodput_slo
from objectives.metrics import GoodputSLO
from objectives.metrics import ServingMetrics
from objectives.workload import Workload


CAPACITY = "capacity"
"""User attribute of a trial: what ``Capacity.as_dict`` returns."""
LEAST_SHARE = 0.99
LEAST_REQUESTS = 20
"""A load has so many requests at the lowest rate that is tried."""
_STANDS_FOR_ALL = 99.0  # percentile
_NOT_MEASURED = (
    ExternalReason.LATE_GENERATOR,
    ExternalReason.GENERATOR_SHARE,
    ExternalReason.OPEN_FILES,
)

MadeLoad = Callable[[float, int, int], Workload]
"""Returns the load at a rate, given how many loads and requests the trial's engine has seen."""
Measured = tuple[ServingMetrics, Mapping[str, float]]
"""The metrics of a load, and all that is to be told of it under flat names."""


@dataclass(frozen=True, slots=True)
class CapacityTest:
    """How a configuration's capacity is measured.

    Attributes:
        make_load: Makes the load of a rate.
        start: Requests a second of the study's first load, > 0.
        duration: Seconds over which a load's requests arrive, > 0.
        resolution: See ``find_capacity``.
        most_loads: The most loads of a trial, >= 1.
        alone: Whether each configuration is measured as if there were no other, as one that is to
            be compared with others over several measurements has to be.
    """

    make_load: MadeLoad
    start: float
    duration: float
    resolution: float = RESOLUTION
    most_loads: int = MOST_LOADS
    alone: bool = False

    @property
    def least(self) -> float:
        """Return the lowest rate that is tried, in requests a second."""
        return LEAST_REQUESTS / self.duration


@dataclass(frozen=True, slots=True)
class RateLoad:
    """What a load showed.

    Attributes:
        rate: Requests a second that arrived.
        requests: How many there were.
        failed: How many of them failed; all where too few completed to measure anything.
        share: Share of the requests that keep, each on its own, the limits that speak of nearly
            every request; of those that completed where there is no such limit.
        values: Each limited metric under its flat name; empty where too few completed.
        excess: Of each limit, by its words: the share of it by which it is missed, ≤ 0 where it
            is kept.
        metrics: All metrics under flat names.
        why: Where nothing was measured, the reason of the failure; else empty.
    """

    rate: float
    requests: int
    failed: int
    share: float
    values: Mapping[str, float]
    excess: Mapping[str, float]
    metrics: Mapping[str, float]
    why: str = ""

    @classmethod
    def unmeasured(cls, rate: float, requests: int, failed: int, why: str) -> RateLoad:
        """Return a load of which nothing is known but that it was not kept."""
        return cls(rate, requests, failed, 0.0, {}, {}, {}, why)

    @property
    def kept(self) -> bool:
        """Return whether the load passed."""
        held = bool(self.excess) and all(over <= 0.0 for over in self.excess.values())
        return held and self.failed == 0 and self.share >= LEAST_SHARE


@dataclass(frozen=True, slots=True)
class Capacity:
    """The capacity of a configuration.

    Attributes:
        bracket: The highest rate that was kept and the lowest that was missed.
        loads: All loads, in the order in which they ran.
    """

    bracket: Bracket
    loads: tuple[RateLoad, ...]

    @property
    def rate(self) -> float:
        """Return the highest rate that was kept; 0 where none was.

        A configuration that serves, though within the limits at no rate that was tried, has not
        crashed: told as a crash, it would teach the sampler that such engines do not run. Zero is
        the lower end of what is known of it, as for every other configuration.
        """
        return self.bracket.low

    @property
    def shown(self) -> RateLoad:
        """Return the load that stands for the trial: at its capacity, else at the lowest rate."""
        measured = [load for load in self.loads if load.values]
        return next(
            (load for load in measured if load.kept and load.rate == self.rate),
            min(measured, key=lambda load: load.rate),
        )

    @property
    def excess(self) -> dict[str, float]:
        """Return by how much each limit is missed by ``shown``; all ≤ 0 where it is kept."""
        load = self.shown
        if load.kept or any(over > 0.0 for over in load.excess.values()):
            return dict(load.excess)
        # Each limit holds over the whole load, and yet too many requests miss one or failed.
        return dict.fromkeys(load.excess, max(1.0 - load.share, load.failed / load.requests))

    def as_dict(self) -> dict[str, Any]:
        """Return rate, lowest rate that was missed, and the curve, as JSON has it."""
        return {
            "rate": self.rate,
            "missed_at": None if math.isinf(self.bracket.high) else self.bracket.high,
            "loads": self.bracket.n_loads,
            "curve": [
                {
                    "rate": load.rate,
                    "requests": load.requests,
                    "failed": load.failed,
                    "share_within_limits": load.share,
                    "kept": load.kept,
                    **({"why": load.why} if load.why else {}),
                    **load.values,
                }
                for load in sorted(self.loads, key=lambda load: load.rate)
            ],
        }


def measure_capacity(
    test: CapacityTest,
    limits: Sequence[Limit],
    measure: Callable[[Workload], Measured],
    earlier: Sequence[float] = (),
) -> Capacity:
    """Measure the capacity of a running engine.

    Args:
        test: Makes the loads.
        limits: What has to be kept.
        measure: Runs a load on the engine, with the goodput of ``request_slo(limits)``.
        earlier: Capacities of other configurations in requests a second: unless the test is
            ``alone``, the search begins at the best, or at the lowest rate where all are 0.

    Raises:
        EngineCrash: The engine ended, or did not serve at any rate.
        ExternalFailure: As of ``measure``; of a load that could not be sent, only before a rate
            was kept.
    """
    loads: list[RateLoad] = []
    failures: list[EngineCrash] = []

    def keeps(rate: float) -> bool:
        workload = test.make_load(rate, len(loads), sum(load.requests for load in loads))
        try:
            loads.append(_judge(rate, *measure(workload), limits))
        except EngineCrash as crash:
            # An engine that is asked for too much answers late or not at all, which is what the
            # search is for; one that ends has crashed at whatever rate.
            if crash.reason not in (CrashReason.REQUEST_TIMEOUTS, CrashReason.TOO_FEW_COMPLETED):
                raise
            failures.append(crash)
            n = len(workload.requests)
            loads.append(RateLoad.unmeasured(rate, n, n, str(crash.reason)))
        except ExternalFailure as failure:
            # A rate that cannot be sent from here is not shown to be kept; what was kept is.
            if failure.reason not in _NOT_MEASURED or not any(load.kept for load in loads):
                raise
            loads.append(RateLoad.unmeasured(rate, len(workload.requests), 0, failure.reason))
        return loads[-1].kept

    known = [] if test.alone else list(earlier)
    best = max(known, default=0.0)
    bracket = find_capacity(
        keeps,
        test.least if known and best == 0.0 else test.start,
        least=test.least,
        best=best,
        resolution=test.resolution,
        most_loads=test.most_loads,
    )
    if len(failures) == len(loads):
        raise failures[-1]
    return Capacity(bracket, tuple(loads))


def request_slo(limits: Sequence[Limit]) -> GoodputSLO | None:
    """Return the limits that nearly every request has to keep on its own; None without any."""
    return goodput_slo([x for x in limits if (x.metric.percentile or 0.0) >= _STANDS_FOR_ALL])


def check_aims(goals: Sequence[Goal], limits: Sequence[Limit]) -> bool:
    """Return whether the capacity is what is optimised.

    Raises:
        GoalError: It is, and something else with it, or the limits do not make one.
    """
    if all(goal.metric.name != "rate" for goal in goals):
        return False
    if len(goals) > 1:
        raise GoalError("maximize rate: it stands alone, for all other goals change with the rate")
    names = {limit.metric.name for limit in limits}
    if not names & {"ttft", "e2el"}:
        # Where requests queue, only their own wait grows; the tokens come as fast as before.
        raise GoalError(
            "maximize rate: say what it has to keep, with a limit on ttft or e2el at least, such "
            "as 'p99 ttft <= 500 ms'"
        )
    if rates := names - {"ttft", "tpot", "itl", "e2el"}:
        raise GoalError(
            f"maximize rate: a limit on {', '.join(sorted(rates))} is missed where few requests "
            "come: limit latencies alone"
        )
    return True


def _judge(
    rate: float, metrics: ServingMetrics, flat: Mapping[str, float], limits: Sequence[Limit]
) -> RateLoad:
    total = metrics.completed + metrics.failed
    within = metrics.completed
    if metrics.goodput is not None:
        within = round(metrics.goodput * metrics.duration_s)
    values = {limit.metric.flat: metrics.value(limit.metric.flat) for limit in limits}
    excess = {str(limit): limit.excess(values[limit.metric.flat]) for limit in limits}
    return RateLoad(rate, total, metrics.failed, within / total, values, excess, flat)
