"""Samplers compared at an equal budget on crash-prone and ordinary problems.

Importing the package is light: a worker process says first whose package ``objectives`` is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from optuna_scoot.comparison.api import compare
    from optuna_scoot.comparison.peers.modes import CrashHandling
    from optuna_scoot.comparison.peers.modes import PeerMode
    from optuna_scoot.comparison.problems.problem import CompareError
    from optuna_scoot.comparison.reporting.comparison import Comparison
    from optuna_scoot.comparison.tables.description import describe_table


__all__ = ["CompareError", "Comparison", "CrashHandling", "PeerMode", "compare", "describe_table"]

_HOMES = {
    "CompareError": "optuna_scoot.comparison.problems.problem",
    "Comparison": "optuna_scoot.comparison.reporting.comparison",
    "CrashHandling": "optuna_scoot.comparison.peers.modes",
    "PeerMode": "optuna_scoot.comparison.peers.modes",
    "compare": "optuna_scoot.comparison.api",
    "describe_table": "optuna_scoot.comparison.tables.description",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
