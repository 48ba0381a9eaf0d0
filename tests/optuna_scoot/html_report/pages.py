"""Studies with known trials, and their pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna

from optuna_scoot.cli.page import write_report


HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>{{7*7}}"
"""What breaks out of HTML, a script, or a template, where it is taken for more than text."""


def write(study: optuna.Study, folder: Path) -> Path:
    """Write a study's page into a folder."""
    return write_report(study, folder / "report.html")


def server_study(storage: Any = None, name: str | None = None) -> optuna.Study:
    """A study of a user's own: thirty configurations on a grid, of which the large ones crash.

    The value is |8 - threads|, so that the other parameter decides nothing but crashes.
    """
    study = optuna.create_study(storage=storage, study_name=name)
    sampler = optuna.samplers.GridSampler(
        {"threads": [1, 2, 4, 8, 16, 32], "memory": [1, 2, 4, 8, 16]}
    )
    study.sampler = sampler

    def objective(trial: optuna.Trial) -> float:
        threads = trial.suggest_int("threads", 1, 32, log=True)
        if trial.suggest_int("memory", 1, 16, log=True) >= 8:
            trial.set_user_attr("crash_reason", "out_of_memory")
            raise MemoryError
        return abs(8.0 - threads)

    study.optimize(objective, n_trials=30, catch=(MemoryError,))
    return study


def hostile_study() -> optuna.Study:
    """A study whose names, values, reasons and logs are all hostile."""
    study = optuna.create_study(study_name=f"chat {HOSTILE}", directions=["minimize", "maximize"])
    study.set_metric_names([f"loss {HOSTILE}", "speed"])
    study.set_user_attr("command_line", f"optuna-scoot tune {HOSTILE}")
    study.set_user_attr("versions", {HOSTILE: HOSTILE})
    serving = {
        "title": HOSTILE,
        "simulated": False,
        "default": {"x": 1},
        "args": {"model": HOSTILE},
    }
    study.set_user_attr("serving", serving)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        choice = trial.suggest_categorical(f"mode {HOSTILE}", ["a", HOSTILE])
        x = trial.suggest_int("x", 1, 64, log=True)
        if x > 40 or trial.number == 1:
            trial.set_user_attr("crash_reason", f"reason {HOSTILE}")
            trial.set_user_attr("crash_detail", f"detail {HOSTILE}")
            trial.set_user_attr("log", HOSTILE)
            trial.set_user_attr("log_tail", ["loading", f"ERROR {HOSTILE}"])
            raise MemoryError
        return x + (choice == "a"), x

    study.sampler = optuna.samplers.RandomSampler(seed=0)
    study.optimize(objective, n_trials=16, catch=(MemoryError,))
    return study
