"""The sampler of the package ``optuna-scoot``, for OptunaHub."""

from optuna_scoot import ConstraintError
from optuna_scoot import FeasibilityThreshold
from optuna_scoot import KnownConstraints
from optuna_scoot import Method
from optuna_scoot import ScootSampler


__all__ = [
    "ConstraintError",
    "FeasibilityThreshold",
    "KnownConstraints",
    "Method",
    "ScootSampler",
]
