"""SCOOT for Optuna: a sampler that learns from crashed trials.

Importing the package is light; torch and BoTorch load with the first suggestion of the model.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from optuna_scoot.constraints.known import ConstraintError
    from optuna_scoot.constraints.known import KnownConstraints
    from optuna_scoot.feasibility.threshold import FeasibilityThreshold
    from optuna_scoot.method import Method
    from optuna_scoot.sampler import ScootSampler


__all__ = [
    "ConstraintError",
    "FeasibilityThreshold",
    "KnownConstraints",
    "Method",
    "ScootSampler",
]
__version__ = "0.1.0"

_HOMES = {
    "ConstraintError": "optuna_scoot.constraints.known",
    "FeasibilityThreshold": "optuna_scoot.feasibility.threshold",
    "KnownConstraints": "optuna_scoot.constraints.known",
    "Method": "optuna_scoot.method",
    "ScootSampler": "optuna_scoot.sampler",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
