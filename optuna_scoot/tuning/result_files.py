"""What a study found as ``result.json`` and ``trials.csv``, and the folder that they go to."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from optuna.trial import TrialState

from objectives.serving import DEFAULT_CONFIGURATION
from objectives.trial_metrics import METRICS
from objectives.trial_metrics import metrics_of
from objectives.trial_metrics import without_metrics
from optuna_scoot import __version__
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.report import limits_of
from optuna_scoot.tuning.report import relative_change
from optuna_scoot.tuning.worker_identity import WORKER


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from optuna.trial import FrozenTrial

    from optuna_scoot.tuning.report import Report


SCHEMA_VERSION = 1
BEST_FILE = "best.yaml"
RESULT_FILE = "result.json"
TRIALS_FILE = "trials.csv"
LEAST_FREE_BYTES = 20_000_000  # an engine's log takes about 100 kB, its traceback more


def check_output_dir(path: Path, study_name: str) -> None:
    """See that the output folder can be made and has room, without making it.

    Args:
        path: The folder.
        study_name: Of the study whose results it is to hold.

    Raises:
        InputError: It cannot be made or written to, or holds the results of another study.
    """
    check_not_anothers(path, study_name)
    existing = next(p for p in (path, *path.absolute().parents) if os.path.exists(p))
    if not existing.is_dir():
        raise InputError(f"`output` {path}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"`output` {path}: files cannot be written in {existing}")
    check_room(existing, f"`output` {path}")


def check_not_anothers(path: Path, study_name: str) -> None:
    """See that a folder does not hold the results of another study, which would be lost.

    Raises:
        InputError: It does.
    """
    try:
        found = json.loads((path / RESULT_FILE).read_text(encoding="utf-8"))["study"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return  # nothing that this program has written
    if found != study_name:
        raise InputError(
            f"`output` {path}: holds the results of study {found!r}: give another folder for"
            f" those of {study_name!r}"
        )


def check_room(folder: Path, what: str) -> None:
    """See that a folder's disk has room for logs, results and a small database.

    Raises:
        InputError: It has not; ``what`` opens the message.
    """
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise InputError(f"{what}: the disk has {free // 1_000_000} MB left: make room")


def make_output_dir(path: Path) -> Path:
    """Make the output folder and see that files can be written there.

    Raises:
        InputError: It cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"`output` {path}: {error.strerror or error}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"`output` {path}: files cannot be written there")
    return path


def result_json(report: Report, facts: Mapping[str, Any]) -> str:
    """Return the report as JSON.

    Args:
        report: What the study found.
        facts: What was run: ``study``, ``engine``, ``simulated``, ``options`` without secrets,
            ``seconds``.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "optuna_scoot": __version__,
        **facts,
        "metrics": [
            {"name": m.name, "direction": "maximize" if m.maximise else "minimize"}
            for m in report.metrics
        ],
        "trials": {
            "counted": report.counted,
            "completed": report.completed,
            "ended_early": report.cut,
            "crashed": report.crashed,
            "external_failures": report.external,
            "running": report.running,
        },
        "crashes": dict(report.crashes),
        "limits": {"names": list(report.limits), "kept_by": report.kept},
        "default": _trial_json(report, report.default),
        "best": _trial_json(report, report.best),
        "nearest": _trial_json(report, report.nearest),
        "front": [_trial_json(report, trial) for trial in report.front],
    }
    return json.dumps(finite(document), indent=2, allow_nan=False) + "\n"


def _trial_json(report: Report, trial: FrozenTrial | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    names = [metric.name for metric in report.metrics]
    values = None if trial.values is None else dict(zip(names, trial.values, strict=True))
    change = None
    if values is not None and report.reference is not None:
        pairs = zip(names, trial.values, report.reference, strict=True)
        change = {name: relative_change(value, base) for name, value, base in pairs}
    return {
        "number": trial.number,
        "state": trial.state.name,
        "params": dict(trial.params),
        "values": values,
        "relative_change": change,
        "limits_missed_by": limits_of(trial),
        "user_attrs": _nested_attrs(trial),
    }


def _nested_attrs(trial: FrozenTrial) -> dict[str, Any]:
    """Return the attributes with all metrics as one mapping, by their flat names."""
    others = {k: v for k, v in without_metrics(trial.user_attrs).items() if k != WORKER}
    metrics = metrics_of(trial)
    return {**others, METRICS: metrics} if metrics else others


def finite(value: Any) -> Any:
    """Return the same with numbers that JSON lacks, such as inf, as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value


def trials_csv(trials: Sequence[FrozenTrial], metric_names: Sequence[str]) -> str:
    """Return every trial on a line: number, state, seconds, values, parameters, attributes.

    Args:
        trials: The study's trials.
        metric_names: Names of the objectives, in the study's order.
    """
    params = _ordered_keys(t.params for t in trials)
    attrs = _ordered_keys(_plain_attrs(t) for t in trials)
    attrs = [a for a in attrs if a != DEFAULT_CONFIGURATION]
    limits = _ordered_keys(limits_of(t) for t in trials)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["number", "state", "seconds", DEFAULT_CONFIGURATION, *metric_names]
        + [f"param:{name}" for name in params]
        + [f"limit:{name}" for name in limits]
        + attrs
    )
    for trial in sorted(trials, key=lambda t: t.number):
        plain = _plain_attrs(trial)
        seconds = trial.duration.total_seconds() if trial.duration is not None else ""
        # Optuna gives a trial that was ended early its last report as value; it is none.
        done = trial.state == TrialState.COMPLETE
        values = trial.values if done else [""] * len(metric_names)
        default = bool(trial.user_attrs.get(DEFAULT_CONFIGURATION))
        writer.writerow(
            [trial.number, trial.state.name, seconds, default, *values]
            + [trial.params.get(name, "") for name in params]
            + [limits_of(trial).get(name, "") for name in limits]
            + [plain.get(name, "") for name in attrs]
        )
    return buffer.getvalue()


def _plain_attrs(trial: FrozenTrial) -> dict[str, Any]:
    """Return the attributes that fit into a cell, those of a mapping as "metrics.ttft_ms_p95"."""
    plain: dict[str, Any] = {}
    for name, value in _nested_attrs(trial).items():
        if isinstance(value, dict):
            plain |= {f"{name}.{k}": v for k, v in value.items()}
        else:
            plain[name] = value
    return {k: v for k, v in plain.items() if isinstance(v, str | int | float | bool)}


def _ordered_keys(mappings: Any) -> list[str]:
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))
