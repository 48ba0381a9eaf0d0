"""The flags that a service has now: what everything is compared with, instead of defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from objectives.redaction import without_secrets
from optuna_scoot.tuning.errors import InputError


# What this project sets itself for every trial.
_OWN = frozenset({"model", "host", "port", "served_model_name"})


def read_baseline(baseline: Mapping[str, Any] | str | Path | None) -> dict[str, Any]:
    """Return the flags of a baseline, named with underscores, without secrets.

    Args:
        baseline: Flags and values; or a file as ``vllm serve --config`` reads it; None for none.

    Raises:
        InputError: The file cannot be read, or holds something else than flags.
    """
    if baseline is None:
        return {}
    if isinstance(baseline, Mapping):
        return _flags(baseline)
    try:
        found = yaml.safe_load(Path(baseline).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise InputError(f"`baseline` {baseline}: {why}") from None
    except yaml.YAMLError as error:
        raise InputError(f"`baseline` {baseline}: it is not YAML{_where(error)}") from None
    if not isinstance(found, dict) or not found:
        raise InputError(
            f"`baseline` {baseline}: it holds no flags; write one a line, as in"
            " 'max-num-seqs: 128'"
        )
    return _flags(found)


def _where(error: yaml.YAMLError) -> str:
    """Return where the YAML ends to be any, without the line itself, which may hold a secret."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return ""
    return f": line {error.problem_mark.line + 1}: {error.problem}"


def _flags(entries: Mapping[Any, Any]) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    for key, value in entries.items():
        name = str(key).strip().removeprefix("--").replace("-", "_")
        if name.startswith("no_") and value is True:
            flags[name.removeprefix("no_")] = False
        elif name not in _OWN:
            flags[name] = value
    return without_secrets(flags)
