"""Whether a run of a workload is a measurement, a crash of the engine, or neither."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.loadgen import blames_request
from objectives.metrics import LATENCIES
from objectives.metrics import FailureKind


if TYPE_CHECKING:
    from collections.abc import Sequence

    from objectives.goals import Metric
    from objectives.metrics import LoadResult
    from objectives.metrics import OwnShare
    from objectives.metrics import RequestRecord
    from objectives.metrics import ServingMetrics


_TIMEOUTS = (FailureKind.TIMEOUT, FailureKind.DRAIN_TIMEOUT)


def check_measurement(result: LoadResult) -> None:
    """Refuse a run in which the load generator itself failed.

    Raises:
        ExternalFailure: It sent requests late, or could not open connections.
    """
    if result.too_late:
        raise ExternalFailure(
            ExternalReason.LATE_GENERATOR,
            f"a hundredth of the requests was sent {result.p99_lateness_s:.3f} s late or more "
            f"(the limit is {result.lateness_limit_s:g} s): this machine is too busy to measure",
        )
    own_faults = result.failures()[FailureKind.CLIENT]
    if own_faults:
        raise ExternalFailure(
            ExternalReason.LATE_GENERATOR,
            f"{own_faults} requests could not be sent from here: {_an_error(result)}",
        )


def check_own_share(share: OwnShare, metrics: ServingMetrics, wanted: Sequence[Metric]) -> None:
    """Refuse a run of which too much, in what is wanted of it, is the load generator's own.

    Args:
        share: Of the run.
        metrics: Of the run.
        wanted: What they are measured for.

    Raises:
        ExternalFailure: Names the latency.
    """
    measured = metrics.as_dict()
    for metric in wanted:
        value = measured.get(metric.flat)
        if metric.name not in LATENCIES or value is None:
            continue
        if share.spoils(metric.name, metric.percentile, value):
            own = share.milliseconds(metric.name, metric.percentile)
            raise ExternalFailure(
                ExternalReason.GENERATOR_SHARE,
                f"{own:.3g} ms of {value:.3g} ms of {metric} are the load generator's own, not "
                "the engine's: this machine is too busy to measure; leave it a core",
            )


def check_completed(result: LoadResult, share: float) -> None:
    """Refuse a run in which too few requests completed.

    Raises:
        EngineCrash: With the more frequent cause, time or another, as its reason.
        ExternalFailure: The server refused the requests themselves.
    """
    total = len(result.records)
    if result.completed >= share * total and result.completed > 0:
        return
    failures = result.failures()
    refused = [str(record.error) for record in result.records if _is_refused(record)]
    if refused and 2 * len(refused) >= result.failed:
        raise ExternalFailure(
            ExternalReason.REQUEST_REFUSED,
            f"the engine refused {len(refused)} of {total} requests: {refused[0]}",
        )
    timeouts = sum(failures[kind] for kind in _TIMEOUTS)
    reason = (
        CrashReason.REQUEST_TIMEOUTS
        if 2 * timeouts >= result.failed
        else CrashReason.TOO_FEW_COMPLETED
    )
    raise EngineCrash(
        reason, f"{result.completed} of {total} requests completed: {_an_error(result)}"
    )


def _is_refused(record: RequestRecord) -> bool:
    """Return whether the server said that the request itself is at fault."""
    status = re.match(rf"{FailureKind.HTTP_STATUS}: (\d+)", record.error or "")
    return status is not None and blames_request(int(status[1]))


def _an_error(result: LoadResult) -> str:
    """Return one request's error of the most frequent kind."""
    kind = result.failures().most_common(1)[0][0]
    return next(str(r.error) for r in result.records if r.failure_kind is kind)
