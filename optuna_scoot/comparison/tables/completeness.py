"""Whether a table's rows are all that its columns span, as far as the known constraints allow."""

from __future__ import annotations

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.tables.decoded import DecodedTable
from optuna_scoot.comparison.tables.decoded import decode
from optuna_scoot.comparison.tables.description import Table
from optuna_scoot.constraints.known import KnownConstraints


MOST_CONFIGURATIONS = 50_000_000
"""Of a box that is gone through for what the rules leave of it."""


def check_rows(table: Table) -> None:
    """Refuse a table whose rows and rules do not fit, or that lacks rows without a word on it.

    Args:
        table: The table.

    Raises:
        CompareError: If it cannot be used, with what to change.
    """
    decoded = decode(table)
    ran = decoded.ran
    broken = ~decoded.allowed(decoded.places(ran))
    if broken.any():
        key = ran[int(broken.argmax())]
        rule = KnownConstraints(table.known_constraints).violated(decoded.named(key))
        msg = f"{table.stem}: {broken.sum()} of {len(ran)} configurations that ran violate a "
        raise CompareError(f"{msg}known constraint, such as {rule[0] if rule else key}.")
    if table.missing_crashes:
        return
    rows = [*decoded.outcomes]
    n_rows = int(decoded.allowed(decoded.places(rows)).sum())
    n_allowed = _n_allowed(decoded)
    if n_allowed is None or n_rows < n_allowed:
        of = "more" if n_allowed is None else str(n_allowed)
        msg = (
            f"{table.stem} has {n_rows} rows of the {of} configurations that its columns span"
            f"{' within the known constraints' if decoded.rules else ''}: name the --constraint "
            "that the others break, or say --missing-crashes where they cannot run."
        )
        raise CompareError(msg)


def _n_allowed(decoded: DecodedTable) -> int | None:
    """Return how many configurations the rules leave, None where that is too long to count."""
    if not decoded.rules:
        return decoded.size
    if decoded.size > MOST_CONFIGURATIONS:
        return None
    return sum(int(decoded.allowed(places).sum()) for places in decoded.box())
