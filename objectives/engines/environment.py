"""The environment that an engine inherits: this process's own, but for what is not for engines."""

from __future__ import annotations

import os
import re


# What opens a study's database is no business of an engine, nor of the models' code in it.
_DATABASE_NAMES = frozenset({"OPTUNA_SCOOT_STORAGE", "PGPASSWORD", "MYSQL_PWD"})
_DATABASE_URL = re.compile(r"(postgres(ql)?|mysql|mariadb|oracle|mssql)(\+\w+)?://")


def inherited() -> dict[str, str]:
    """Return the variables of this process without passwords and URLs of databases."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _DATABASE_NAMES and not _DATABASE_URL.match(value)
    }
