"""Signs of life of trials in a storage that has none of its own: a journal, a proxy.

A database keeps Optuna's heartbeats, by its own clock. Elsewhere the worker writes the time by its
own clock into its trial. Clocks of machines differ, so that an old time alone says little: whoever
reads it watches whether it changes (``lost_trials``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


HEARTBEAT_SECONDS = 10
GRACE_SECONDS = 60
BEAT = "scoot:heartbeat"
"""System attribute of a trial: when its worker last lived, in seconds since 1970."""


def beat_of(trial: FrozenTrial) -> float | None:
    """Return a trial's last sign of life, None where its worker gives none in this way."""
    return trial.system_attrs.get(BEAT)


def has_stopped(trial: FrozenTrial) -> bool:
    """Return whether a trial's last sign of life is too old, as far as clocks agree."""
    beat = beat_of(trial)
    return beat is not None and time.time() - beat > GRACE_SECONDS
