"""The load that an engine faces in every trial: a trace, and how its requests arrive."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from objectives.capacity import CapacityTest
from objectives.traces import Trace
from objectives.traces import load_trace
from objectives.workload import build_workload
from optuna_scoot.tuning.defaults import DEFAULT_DURATION
from optuna_scoot.tuning.errors import InputError


if TYPE_CHECKING:
    from collections.abc import Sequence

    from objectives.goals import Goal
    from objectives.goals import Limit
    from objectives.trace_formats.stamps import TimeUnit
    from objectives.workload import TooLong
    from objectives.workload import Workload


START_RATE = 1.0
"""Requests a second with which a capacity is first looked for where none is given."""


LIMITS_IN_DURATION = 20
"""A load as many times as long as the longest wait that is allowed tells rates 5 % apart."""


@dataclass(frozen=True)
class Load:
    """A trace, and how its requests arrive in every trial.

    Attributes:
        trace: "sql", "bot", "cls" or "rec" (bundled), a .jsonl or .csv file of requests, or a
            trace in memory; None is that of a simulated service.
        rate: Requests a second that arrive, needed unless ``replay``; None is that of a simulated
            service. Where the rate itself is maximized, that of the study's first load, which is
            ``START_RATE`` unless given.
        duration: Seconds of arrivals; where the rate is maximized, in each of a trial's loads.
        burstiness: 1 is Poisson, less comes in bursts.
        replay: Take the arrival times of the trace.
        trace_time_unit: What the times of the trace count, where its format does not tell it.
        too_long: What becomes of requests too long for the model; None refuses them, or clips
            them for a simulated service.
        seed: Of arrivals and prompts.
        shuffle_seed: Puts the trace's requests into another order (paper, section IV-H); None
            keeps that of the trace.
    """

    trace: str | Path | Trace | None = None
    rate: float | None = None
    duration: float = DEFAULT_DURATION
    burstiness: float = 1.0
    replay: bool = False
    trace_time_unit: TimeUnit | None = None
    too_long: TooLong | None = None
    seed: int = 0
    shuffle_seed: int | None = None

    def read(self) -> Trace:
        """Return the trace.

        Raises:
            TraceError: There is no such trace, or it cannot be read.
            InputError: None is named.
        """
        if self.trace is None:
            raise InputError("`trace` is missing: sql, bot, cls, rec, or a .jsonl or .csv file")
        if isinstance(self.trace, Trace):
            return self.trace
        return load_trace(self.trace, self.trace_time_unit)

    def schedule(self, trace: Trace, max_model_len: int | None) -> Workload:
        """Return the workload of a trace.

        Args:
            trace: From ``read``, with the tokens of its texts counted.
            max_model_len: The longest sequence that the model takes, None for any.

        Raises:
            WorkloadError: Trace and arrivals do not fit together, or requests are too long.
        """
        return build_workload(
            trace,
            rate=self.rate,
            duration=self.duration,
            burstiness=self.burstiness,
            seed=self.seed,
            replay=self.replay,
            max_model_len=max_model_len,
            too_long=self.too_long or "refuse",
            shuffle_seed=self.shuffle_seed,
        )

    def order(self, number: int) -> Load:
        """Return the same load with other arrivals, its requests in another order.

        Args:
            number: Of the order, from 1; the same number gives the same load.
        """
        # A child of the seed: orders of neighbouring workload seeds do not coincide.
        children = np.random.SeedSequence([self.seed, number]).generate_state(2)
        seed, shuffle_seed = (int(child) for child in children)
        return replace(self, seed=seed, shuffle_seed=shuffle_seed)

    def for_goals(self, goals: Sequence[Goal]) -> Load:
        """Return the load that goals need: one that maximizes the rate has to start somewhere.

        Raises:
            InputError: The rate is maximized, and arrivals have the rate of the trace.
        """
        if all(goal.metric.name != "rate" for goal in goals):
            return self
        if self.replay:
            raise InputError("`replay`: the trace's own times have one rate, not one to maximize")
        return replace(self, rate=START_RATE if self.rate is None else self.rate)

    def capacity_test(
        self, trace: Trace, max_model_len: int | None, *, alone: bool = False
    ) -> CapacityTest | None:
        """Return how a capacity is measured with this load, None where it has no rate.

        Args:
            trace: As for ``schedule``.
            max_model_len: As for ``schedule``.
            alone: See ``CapacityTest``.
        """
        if self.rate is None or self.replay:
            return None
        loads = RateLoads(self, trace, max_model_len)
        return CapacityTest(loads, self.rate, self.duration, alone=alone)

    def settings(self, workload: Workload) -> dict[str, Any]:
        """Return what determines the load, by names for a person."""
        return {
            **workload_settings(workload),
            "trace time unit": self.trace_time_unit,
            "rate": self.rate,
            "burstiness": self.burstiness,
            "replay": self.replay,
            "workload seed": self.seed,
        }


@dataclass(frozen=True)
class RateLoads:
    """Makes the loads of a trial that looks for a capacity; see ``objectives.capacity``.

    Attributes:
        load: Duration, burstiness, seed.
        trace: As for ``Load.schedule``.
        max_model_len: As for ``Load.schedule``.
    """

    load: Load
    trace: Trace
    max_model_len: int | None

    def __call__(self, rate: float, number: int, n_sent: int) -> Workload:
        """Return the load at a rate.

        Args:
            rate: Requests a second.
            number: How many loads came before it in the trial; gives it seeds of its own.
            n_sent: How many requests they had: it reads on in the trace there.

        Raises:
            WorkloadError: As ``Load.schedule``.
        """
        seeds = np.random.SeedSequence([self.load.seed, number]).generate_state(2).tolist()
        return build_workload(
            self.trace,
            rate=rate,
            duration=self.load.duration,
            burstiness=self.load.burstiness,
            seed=seeds[0],
            max_model_len=self.max_model_len,
            too_long=self.load.too_long or "refuse",
            shuffle_seed=self.load.shuffle_seed,
            # What is told is the rate itself: a draw of few arrivals must not pass for it.
            exact_rate=True,
            first=n_sent,
            prompt_seed=seeds[1],
        )


def workload_settings(workload: Workload) -> dict[str, Any]:
    """Return what can be told of a workload alone, by names for a person."""
    requests = [scheduled.request for scheduled in workload.requests]
    return {
        "trace": workload.name,
        "requests": len(requests),
        "tokens": sum(r.prompt_tokens + r.output_tokens for r in requests),
        "duration": workload.duration,
    }


def describe_load(workload: Workload, notes: tuple[str, ...] = ()) -> str:
    """Return the load in words, with what was done to requests that were too long.

    Args:
        workload: What the engine faces.
        notes: What there is to say of the trace besides.
    """
    text = (
        f"trace {workload.name}, {len(workload.requests)} requests in {workload.duration:g} s"
        f" ({workload.offered_rate:.3g} requests/s)"
    )
    if workload.n_clipped:
        text += f", {workload.n_clipped} clipped"
    if workload.n_dropped:
        text += f", {workload.n_dropped} of the trace too long and dropped"
    return "; ".join([text, *notes])


def describe_rate_loads(
    trace: Trace, test: CapacityTest, limits: Sequence[Limit], notes: tuple[str, ...] = ()
) -> str:
    """Return in words the loads of a trial that looks for a capacity, with what to beware of.

    Args:
        trace: Where the requests come from.
        test: How the loads are made.
        limits: What they have to keep.
        notes: What there is to say of the trace besides.
    """
    text = (
        f"trace {trace.name}, at most {test.most_loads} loads of {test.duration:g} s a trial,"
        f" the first at {test.start:g} requests/s"
    )
    waits = [x.bound / 1000 for x in limits if x.metric.name in ("ttft", "e2el")]
    longest = max(waits, default=0.0)
    if longest * LIMITS_IN_DURATION > test.duration:
        # What waits at the end of a load has piled up over all of it: at a rate r above what is
        # borne, a capacity c, for duration * (1 - c / r) seconds.
        notes += (
            f"with a limit of {longest:g} s, only loads of {LIMITS_IN_DURATION * longest:g} s or"
            " more tell a rate that is borne from one that a queue hides for a while",
        )
    if any(request.prompt is not None for request in trace.requests):
        notes += (
            f"after {len(trace.requests)} requests of a trial its texts come again, which a"
            " prefix cache knows",
        )
    return "; ".join([text, *notes])
