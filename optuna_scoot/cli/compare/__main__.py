"""``python -m optuna_scoot.cli.compare``: the same as ``optuna-scoot compare``."""

from __future__ import annotations

from optuna_scoot.cli.compare.command import compare_command


compare_command()
