"""Whether this is a checkout, with the folder ``development`` that the wheel lacks."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec


@cache
def has_development() -> bool:
    """Return whether the tuning problems, HEBO and the searches for optima are there.

    What they add to problems and samplers is imported where this says so, in worker processes
    as well.
    """
    spec = find_spec("optuna_scoot.comparison.development")
    # A folder left behind with nothing but a cache counts as a package without an origin.
    return spec is not None and spec.origin is not None
