"""The load that an engine faces in every trial: a trace, and how its requests arrive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from objectives.traces import Trace
from objectives.traces import load_trace
from objectives.workload import build_workload


if TYPE_CHECKING:
    from objectives.trace_formats.stamps import TimeUnit
    from objectives.workload import TooLong
    from objectives.workload import Workload


DEFAULT_DURATION = 100.0
"""Seconds of arrivals in the stress test of the paper (section V-A)."""


@dataclass(frozen=True)
class Load:
    """A trace and how its requests arrive.

    Attributes as the arguments of ``vllm_task``; ``time_unit`` is that of the trace, ``seed`` the
    workload's.
    """

    trace: str | Path | Trace
    rate: float | None
    duration: float
    burstiness: float
    replay: bool
    time_unit: TimeUnit | None
    too_long: TooLong
    seed: int

    def read(self) -> Trace:
        """Return the trace.

        Raises:
            TraceError: There is no such trace, or it cannot be read.
        """
        if isinstance(self.trace, Trace):
            return self.trace
        return load_trace(self.trace, self.time_unit)

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
            too_long=self.too_long,
        )

    def settings(self, workload: Workload) -> dict[str, Any]:
        """Return what determines the load, by names for a person."""
        return {
            **workload_settings(workload),
            "trace time unit": self.time_unit,
            "rate": self.rate,
            "burstiness": self.burstiness,
            "replay": self.replay,
            "workload seed": self.seed,
        }


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
