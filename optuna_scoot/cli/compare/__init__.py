"""The comparison of samplers on crash-prone and ordinary problems: ``optuna-scoot compare``."""

from __future__ import annotations

from optuna_scoot.cli.compare.command import compare_command


__all__ = ["compare_command"]
