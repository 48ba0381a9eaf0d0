"""What ``verify`` gives: the measurements under several arrival orders, the verdict, its files."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot import __version__
from optuna_scoot.tuning.private_files import write_file
from optuna_scoot.tuning.result_files import BEST_FILE
from optuna_scoot.tuning.result_files import check_not_anothers
from optuna_scoot.tuning.result_files import finite
from optuna_scoot.tuning.result_files import make_output_dir
from optuna_scoot.tuning.serving_config import Serving


if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.study import Study

    from objectives.goals import Limit
    from optuna_scoot.tuning.report import Metric
    from optuna_scoot.tuning.task import TuningTask
    from optuna_scoot.tuning.verdict import Measured
    from optuna_scoot.tuning.verdict import Verdict


SLO_FILE = "slo.json"
SLO_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Verification:
    """Finalists and baseline under several arrival orders, and what follows from it.

    Attributes:
        metrics: The objectives.
        limits: What has to be kept.
        baseline: The default configuration.
        finalists: The others, the best by its tuning trial first.
        verdict: What to do.
        orders: How many arrival orders.
        study: The tuned study.
        measurements: The study that holds a trial for each measurement.
        task: What was tuned.
    """

    metrics: tuple[Metric, ...]
    limits: tuple[Limit, ...]
    baseline: Measured
    finalists: tuple[Measured, ...]
    verdict: Verdict
    orders: int
    study: Study = field(repr=False)
    measurements: Study = field(repr=False)
    task: TuningTask = field(repr=False)

    @property
    def configurations(self) -> tuple[Measured, ...]:
        """Return all that was measured, the baseline first."""
        return (self.baseline, *self.finalists)

    def changed(self, one: Measured) -> dict[str, Any]:
        """Return the parameters in which a configuration differs from the baseline."""
        base = self.baseline.params
        return {k: v for k, v in one.params.items() if k not in base or base[k] != v}

    def limit_values(self, one: Measured, j: int) -> list[float]:
        """Return what the limit of index j restricts, under each order; NaN where it failed."""
        return [self.limits[j].value(float(excess)) for excess in one.excess[:, j]]

    def save(self, output: str | Path) -> list[Path]:
        """Write ``slo.json``, and ``best.yaml`` with what is recommended, where anything is.

        ``best.yaml`` holds what differs from the engine's defaults alone, that is what differs
        from the baseline, with the baseline's value beside it, and the flags of a baseline that
        stay as they are.

        Args:
            output: Folder of the files, made where it is missing.

        Returns:
            The files' paths.

        Raises:
            InputError: A file cannot be written, or the folder holds the results of another study.
        """
        folder = make_output_dir(Path(output))
        check_not_anothers(folder, self.study.study_name)
        texts = {SLO_FILE: self.slo_json()}
        chosen = self.verdict.recommended
        if chosen is not None:
            heading = [
                f"{chosen.name} of study {self.study.study_name}, by optuna-scoot",
                self.verdict.sentence,
            ]
            texts[BEST_FILE] = Serving.of(self.task).yaml(chosen.params, heading)
        return [write_file(folder, name, text) for name, text in texts.items()]

    def slo_json(self) -> str:
        """Return everything as JSON; ``docs/tune.md`` describes the schema."""
        verdict = self.verdict
        document = {
            "schema_version": SLO_SCHEMA_VERSION,
            "optuna_scoot": __version__,
            "simulated": self.task.simulated,
            "engine": self.task.objective.engine.description,
            "load": self.task.load,
            "study": self.study.study_name,
            "measurements": self.measurements.study_name,
            "orders": self.orders,
            "verdict": {
                "kind": verdict.kind.value,
                "sentence": verdict.sentence,
                "best": None if verdict.best is None else verdict.best.name,
                "recommended": None if verdict.recommended is None else verdict.recommended.name,
            },
            "configurations": [self._configuration_json(one) for one in self.configurations],
        }
        return json.dumps(finite(document), indent=2, allow_nan=False) + "\n"

    def _configuration_json(self, one: Measured) -> dict[str, Any]:
        return {
            "name": one.name,
            "trial": one.number,
            "params": dict(one.params),
            "changed": self.changed(one),
            "simplifies": one.simplifies,
            "not_taken": dict(one.not_taken),
            "measured": one.n_measured,
            "holds": one.holds,
            "crashes": {str(order): why for order, why in one.crashes.items()},
            "metrics": {m.name: self._metric_json(one, j) for j, m in enumerate(self.metrics)},
            "limits": {
                str(limit): _limit_json(self.limit_values(one, j), one.missed.get(str(limit), 0))
                for j, limit in enumerate(self.limits)
            },
        }

    def _metric_json(self, one: Measured, j: int) -> dict[str, Any]:
        metric = self.metrics[j]
        change = None if one is self.baseline else one.change(self.baseline, j)
        return {
            "direction": "maximize" if metric.maximise else "minimize",
            "values": [float(value) for value in one.values[:, j]],
            **vars(one.summary(j, metric.maximise)),
            "change": None if change is None else vars(change),
        }


def _limit_json(values: list[float], n_missed: int) -> Mapping[str, Any]:
    n_failed = sum(math.isnan(value) for value in values)
    return {"values": values, "kept_under": len(values) - n_missed - n_failed}
