"""Samplers compared at an equal budget on crash-prone and ordinary problems."""

from __future__ import annotations

from optuna_scoot.comparison.api import compare
from optuna_scoot.comparison.peers.modes import CrashHandling
from optuna_scoot.comparison.peers.modes import Mode
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.reporting.comparison import Comparison


__all__ = ["CompareError", "Comparison", "CrashHandling", "Mode", "compare"]
