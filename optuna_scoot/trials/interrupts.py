"""What Optuna's loop knows of a trial's end and tells no sampler.

Optuna catches ``KeyboardInterrupt`` as it catches what an objective raises, stores the same
``FAIL`` for both, and tells a sampler nothing but that state. What was raised stands in a local
variable of its loop, from which the sampler is called.
"""

from __future__ import annotations

import sys
from types import FrameType

from optuna.exceptions import OptunaError
from optuna.exceptions import TrialPruned
from optuna.study import _optimize


def objective_was_interrupted() -> bool:
    """Return whether the trial that Optuna's loop ends now was interrupted from outside.

    By the user, or by an error of Optuna's own, such as a storage that is away. False outside of
    that loop, where nothing is known.
    """
    error = _raised_by_objective()
    if isinstance(error, OptunaError):
        return not isinstance(error, TrialPruned)
    return isinstance(error, KeyboardInterrupt)


def is_in_loop() -> bool:
    """Return whether ``study.optimize`` asks or tells, and not the user or another process."""
    return _loop() is not None


def _raised_by_objective() -> BaseException | None:
    loop = _loop()
    error = None if loop is None else loop.f_locals.get("func_err")
    return error if isinstance(error, BaseException) else None


def _loop() -> FrameType | None:
    """Return the frame of the innermost loop that runs a trial in this thread."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not _optimize._run_trial.__code__:
        frame = frame.f_back
    return frame
