"""When a trial need not be run to its end: it cannot become the best, or misses its limits.

``EarlyEnd`` is asked with the records so far while a load runs. It says why the run may end:

- a limit is certain to be missed, or the goal certain to be worse than the best so far, from the
  requests that are already late (``objectives.outlook.certain``);
- requests come faster than the engine has ever admitted them, so that the queue grows without
  bound, and with it the latencies, beyond limit or best by a margin
  (``objectives.outlook.likely``).

Nothing ends before another trial has a value to compare with. What a run would
have come to is no value of its configuration: it is a report, from which a sampler may learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from objectives.outlook import Outlook
from objectives.outlook import certain
from objectives.outlook import likely
from objectives.outlook import so_far


if TYPE_CHECKING:
    from objectives.goals import Goal
    from objectives.goals import Limit
    from objectives.metrics import GoodputSLO
    from objectives.metrics import RequestRecord
    from objectives.workload import Workload


MARGIN = 0.1
"""Share by which what is likely, not certain, has to be worse than best or limit, while no
request has its first token; in the end, ``LEAST_MARGIN``."""
LEAST_MARGIN = 0.02


@dataclass(frozen=True)
class Verdict:
    """Why a trial may end.

    Attributes:
        reason: In words.
        value: An estimate of what the goal would have come to: by the requests sent so far, by
            the pace so far, or the best that was possible, whichever is worst.
        excess: Of each limit in words the share by which it is missed, alike.
        is_certain: Whether no engine could still turn it.
    """

    reason: str
    value: float
    excess: Mapping[str, float]
    is_certain: bool


class EarlyEnd:
    """Judges a run while it goes on; the ``should_end`` of an engine's ``serve``.

    Args:
        workload: All requests.
        goal: What is to improve.
        best: The best value so far, in the goal's unit.
        limits: What has to be kept.
        slo: What goodput counts by.

    Attributes:
        verdict: Why the run ended; None while nothing speaks against it.
    """

    def __init__(
        self,
        workload: Workload,
        goal: Goal,
        best: float,
        limits: Sequence[Limit] = (),
        slo: GoodputSLO | None = None,
    ) -> None:
        self._workload = workload
        self._goal = goal
        self._best = best
        self._limits = limits
        self._slo = slo
        self.verdict: Verdict | None = None

    def __call__(self, records: Sequence[RequestRecord], now: float) -> str | None:
        """Return why the run should end now, None where it should go on.

        Args:
            records: The requests that were sent, as far as they have come.
            now: Seconds since the start of the run.
        """
        self.verdict = None
        seen = self._workload, records, now
        outlook, margin = certain(*seen), 0.0
        reason = self._reason(outlook, margin)
        if reason is None and (optimistic := likely(*seen)) is not None:
            outlook = optimistic
            margin = LEAST_MARGIN + (MARGIN - LEAST_MARGIN) * (1.0 - outlook.share_begun)
            reason = self._reason(outlook, margin)
        if reason is not None:
            plain = likely(*seen, optimism=1.0)
            told = [outlook, so_far(*seen), *([] if plain is None else [plain])]
            self.verdict = self._verdict(reason, told, is_certain=margin == 0.0)
        return reason

    def _verdict(self, reason: str, told: Sequence[Outlook], *, is_certain: bool) -> Verdict:
        """Return what is told of a run that ends: of several outlooks the worst."""
        worst = min if self._goal.direction == "maximize" else max
        value = worst(outlook.best(self._goal.metric, self._slo) for outlook in told)
        excess = {
            str(limit): max(limit.excess(o.best(limit.metric, self._slo)) for o in told)
            for limit in self._limits
        }
        return Verdict(reason, value, excess, is_certain)

    def _reason(self, outlook: Outlook, margin: float) -> str | None:
        """Return why the run may end, where limit or best is out of reach by a margin."""
        bound = outlook.best(self._goal.metric, self._slo)
        excess = {
            str(limit): limit.excess(outlook.best(limit.metric, self._slo))
            for limit in self._limits
        }
        words = "is certain" if margin == 0.0 else "is to be expected, as the queue grows,"
        missed = [name for name, share in excess.items() if share > margin]
        if missed:
            return f"it {words} to miss {', '.join(missed)}"
        if self._is_worse(bound, margin):
            return (
                f"its {self._goal.metric} {words} to be no better than {bound:.4g}"
                f" {self._goal.metric.unit}, and the best so far has {self._best:.4g}"
            )
        return None

    def _is_worse(self, bound: float, margin: float) -> bool:
        if self._goal.direction == "maximize":
            return bound < self._best / (1.0 + margin)
        return bound > self._best * (1.0 + margin)
