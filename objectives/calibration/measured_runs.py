"""Runs that were measured on a real engine: the material of a calibration, and its file.

A measured run is a configuration, the workload that was sent, and the metrics that a client saw.
The file is JSON: workloads as columns, each written once, and the runs with the index of theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectives.engines.base import Engine
from objectives.engines.simulated.hardware import ModelShape
from objectives.metrics import summarize
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


class CalibrationError(ValueError):
    """The measured runs cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """One configuration as it was measured.

    Attributes:
        params: Parameters of the configuration, as ``SimulatedEngine.start`` takes them.
        workload: What was sent.
        metrics: Flat names and values of ``ServingMetrics.as_dict``.
    """

    params: Mapping[str, Any]
    workload: Workload
    metrics: Mapping[str, float]


def measure_runs(
    engine: Engine, workload: Workload, settings: Sequence[Mapping[str, Any]]
) -> Iterator[MeasuredRun]:
    """Measure configurations one by one, each on a fresh engine.

    Args:
        engine: A real one, as a rule.
        workload: Sent to each. Runs repeat best with more load than the engine can bear.
        settings: Parameters, which the simulated engine must know too.

    Yields:
        Each run when it is over, its metrics rounded to four decimals.

    Raises:
        EngineCrash: A configuration does not run: leave it out.
        ExternalFailure: The measurement failed.
    """
    for number, params in enumerate(settings):
        with engine.start(params, f"calibrate-{number}") as running:
            result = running.serve(workload)
        metrics = summarize(result.records, result.duration).as_dict()
        yield MeasuredRun(params, workload, {name: round(v, 4) for name, v in metrics.items()})


def write_measured_runs(path: Path, runs: Sequence[MeasuredRun]) -> None:
    """Write measured runs as JSON; a workload that several runs share is written once."""
    workloads: list[Workload] = []
    rows = []
    for run in runs:
        if run.workload not in workloads:
            workloads.append(run.workload)
        rows.append(
            {
                "params": dict(run.params),
                "workload": workloads.index(run.workload),
                "metrics": dict(run.metrics),
            }
        )
    document = {"workloads": [_workload_columns(w) for w in workloads], "runs": rows}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_measured_runs(path: Path) -> list[MeasuredRun]:
    """Read what ``write_measured_runs`` wrote.

    Raises:
        CalibrationError: The file cannot be read or is of another form.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        workloads = [_workload(columns) for columns in document["workloads"]]
        return [
            MeasuredRun(row["params"], workloads[row["workload"]], row["metrics"])
            for row in document["runs"]
        ]
    except OSError as error:
        raise CalibrationError(f"cannot read measured runs from {path}: {error}") from error
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CalibrationError(f"{path} does not hold measured runs: {error!r}") from error


def _workload_columns(workload: Workload) -> dict[str, Any]:
    requests = workload.requests
    return {
        "name": workload.name,
        "duration": workload.duration,
        "times": [round(scheduled.time, 4) for scheduled in requests],
        "prompt_tokens": [scheduled.request.prompt_tokens for scheduled in requests],
        "output_tokens": [scheduled.request.output_tokens for scheduled in requests],
        "prefix_ids": [scheduled.request.prefix_id for scheduled in requests],
        "prefix_tokens": [scheduled.request.prefix_tokens for scheduled in requests],
    }


def _workload(columns: Mapping[str, Any]) -> Workload:
    fields = ("times", "prompt_tokens", "output_tokens", "prefix_ids", "prefix_tokens")
    rows = zip(*(columns[name] for name in fields), strict=True)
    requests = tuple(
        ScheduledRequest(
            i,
            float(time),
            TraceRequest(prompt, output, prefix_id=prefix_id, prefix_tokens=prefix_tokens),
        )
        for i, (time, prompt, output, prefix_id, prefix_tokens) in enumerate(rows)
    )
    return Workload(requests, columns["name"], columns["duration"])


def read_model_shape(folder: Path, max_model_len: int | None = None) -> ModelShape:
    """Read the shape of a Llama-like model from the ``config.json`` in its folder.

    Args:
        folder: The model's folder.
        max_model_len: Longest sequence that is served; by default the model's own.

    Raises:
        CalibrationError: There is no such file, or it does not describe such a model.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        hidden, layers = config["hidden_size"], config["num_hidden_layers"]
        heads, intermediate = config["num_attention_heads"], config["intermediate_size"]
        kv_heads = config.get("num_key_value_heads") or heads
        attention = hidden * hidden * (2.0 + 2.0 * kv_heads / heads)
        output = hidden * config["vocab_size"]  # the input embedding is looked up, not multiplied
        return ModelShape(
            folder.name,
            layers * (attention + 3.0 * hidden * intermediate) + output,
            layers,
            hidden,
            intermediate,
            heads,
            kv_heads,
            config["vocab_size"],
            max_model_len or config["max_position_embeddings"],
        )
    except OSError as error:
        raise CalibrationError(f"cannot read the model's configuration: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise CalibrationError(f"{folder} holds no Llama-like model: {error!r}") from error
