"""What a tuning run gives: the study's outcome, and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot.tuning.bench_files import bench_files
from optuna_scoot.tuning.private_files import write_file
from optuna_scoot.tuning.report import Report
from optuna_scoot.tuning.report import make_report
from optuna_scoot.tuning.result_files import BEST_FILE
from optuna_scoot.tuning.result_files import RESULT_FILE
from optuna_scoot.tuning.result_files import TRIALS_FILE
from optuna_scoot.tuning.result_files import check_not_anothers
from optuna_scoot.tuning.result_files import make_output_dir
from optuna_scoot.tuning.result_files import result_json
from optuna_scoot.tuning.result_files import trials_csv
from optuna_scoot.tuning.serving_config import Serving
from optuna_scoot.tuning.time_spent import time_spent


if TYPE_CHECKING:
    from optuna.study import Study

    from optuna_scoot.constraints.known import KnownConstraints
    from optuna_scoot.tuning.task import TuningTask


@dataclass(frozen=True)
class TuningResult(Report):
    """The outcome of a study so far, with what was tuned.

    Attributes:
        study: Holds all trials.
        task: What was tuned.
        options: How it was searched, without secrets.
        seconds: How long this run took.
        ended_early: Why it ended before the study's total, None where it did not.
    """

    study: Study
    task: TuningTask = field(repr=False)
    options: Mapping[str, Any]
    seconds: float
    ended_early: str | None = None

    @classmethod
    def of(
        cls,
        study: Study,
        task: TuningTask,
        known: KnownConstraints,
        options: Mapping[str, Any],
        seconds: float,
        ended_early: str | None = None,
    ) -> TuningResult:
        """Return what a study holds now; ``known`` is what every recommendation satisfies."""
        report = vars(make_report(study, known))
        return cls(
            **report,
            study=study,
            task=task,
            options=options,
            seconds=seconds,
            ended_early=ended_early,
        )

    def save(self, output: str | Path, *, options: Mapping[str, Any] | None = None) -> list[Path]:
        """Write ``best.yaml`` (where there is a best), ``result.json`` and ``trials.csv``.

        Where a real engine was measured, ``default.bench.json`` and ``best.bench.json`` have the
        layout of ``vllm bench serve --save-result``.

        Args:
            output: Folder of the files, made where it is missing.
            options: What to write as options instead of this result's, without secrets.

        Returns:
            The files' paths.

        Raises:
            InputError: A file cannot be written, or the folder holds the results of another study.
        """
        folder = make_output_dir(Path(output))
        check_not_anothers(folder, self.study.study_name)
        names = [metric.name for metric in self.metrics]
        facts = self._facts(self.options if options is None else options)
        texts = {
            RESULT_FILE: result_json(self, facts),
            TRIALS_FILE: trials_csv(self.study.get_trials(deepcopy=False), names),
            **bench_files(self, self.task),
        }
        if self.best is not None:
            params = {**self.task.objective.space.default, **self.best.params}
            heading = f"trial {self.best.number} of study {self.study.study_name}, by optuna-scoot"
            best = Serving.of(self.task).yaml(params, [heading])
            texts = {BEST_FILE: best, **texts}
        if BEST_FILE not in texts:
            (folder / BEST_FILE).unlink(missing_ok=True)  # of an earlier run, and true no more
        return [write_file(folder, name, text) for name, text in texts.items()]

    def _facts(self, options: Mapping[str, Any]) -> dict[str, Any]:
        trials = self.study.get_trials(deepcopy=False)
        durations = [t.duration for t in trials if t.duration is not None]
        return {
            "simulated": self.task.simulated,
            "engine": self.task.objective.engine.description,
            "load": self.task.load,
            "study": self.study.study_name,
            "options": dict(options),
            "default_configuration": self.task.objective.space.default,
            "ended_early": self.ended_early,
            "seconds": {
                "this_run": round(self.seconds, 3),
                "all_trials": round(sum(d.total_seconds() for d in durations), 3),
                "workers": [
                    {part: round(seconds, 3) for part, seconds in spent.items()}
                    for spent in time_spent(trials).values()
                ],
            },
        }
