"""Every figure is one that Plotly knows, in colours that both palettes have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import optuna
import plotly.graph_objects as go
import pytest

import optuna_scoot.html_report
from optuna_scoot.html_report.contents import Words
from optuna_scoot.html_report.contents import gather
from optuna_scoot.html_report.figures.base import Figure
from optuna_scoot.html_report.page import all_figures
from optuna_scoot.tuning import Load
from optuna_scoot.tuning import simulated_task
from optuna_scoot.tuning import tune
from optuna_scoot.tuning.report import make_report
from tests.optuna_scoot.html_report.pages import hostile_study
from tests.optuna_scoot.html_report.pages import server_study
from tests.optuna_scoot.tuning.notes import Notes
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import tuned_study
from tests.optuna_scoot.tuning.studies import two_objective_study


TEMPLATES = Path(optuna_scoot.html_report.__file__).parent / "templates"


def figures(study: optuna.Study) -> dict[str, Figure]:
    report = make_report(study)
    drawn = all_figures(gather(study, report, Words("a sentence"), None, None))
    return {figure.name: figure for figure in drawn}


def capacity_study() -> optuna.Study:
    task = simulated_task(
        "sql-2xa10-7b",
        Load(duration=5),
        objective=["maximize rate"],
        slo=["p99 ttft <= 1 s", "mean tpot <= 60 ms"],
    )
    return tune(task, n_trials=3, sampler="random", seed=0, observer=Notes()).study


def suggested_study() -> optuna.Study:
    study = two_objective_study(("value",), ("minimize",))
    for i, pof in enumerate([0.9, 0.6, 0.8]):
        values = None if i == 1 else (float(i),)
        attrs = {"scoot:phase": "model", "scoot:pof": pof, "scoot:threshold": 0.5 + 0.05 * (i > 1)}
        add(study, values, attrs, max_num_seqs=2**i)
    return study


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (tuned_study, "front convergence"),
        (server_study, "convergence importance feasibility"),
        (suggested_study, "convergence feasibility threshold"),
        (capacity_study, "convergence capacity time lengths"),
    ],
)
def test_figures_are_plotlys_in_colours_of_both_palettes(make: Any, names: str) -> None:
    found = figures(make())
    assert set(names.split()) <= found.keys()
    style = (TEMPLATES / "style.css").read_text()
    light, dark = style.split("prefers-color-scheme: dark", 1)
    for figure in found.values():
        text = json.dumps({"data": figure.data, "layout": figure.layout})
        for role in re.findall(r'"role:([\w-]+)"', text):
            assert f"--{role}:" in light
            assert f"--{role}:" in dark
        go.Figure(json.loads(re.sub(r'"role:[\w-]+"', '"#123456"', text)))  # which looks at all


def test_no_text_of_a_study_is_a_tag_to_plotly() -> None:
    for figure in figures(hostile_study()).values():
        text = json.dumps({"data": figure.data, "layout": figure.layout})
        assert set(re.findall(r"<(/?\w+)", text)) <= {"b", "/b", "br", "extra", "/extra"}


def test_the_front_is_drawn_from_its_trials() -> None:
    study = tuned_study()
    front = figures(study)["front"]
    traces = {trace["name"]: trace for trace in front.data}
    of_front = [study.trials[i].values for i in (1, 2, 3)]
    assert sorted(zip(traces["front"]["x"], traces["front"]["y"], strict=True)) == sorted(
        map(tuple, of_front)
    )
    assert (traces["default"]["x"], traces["default"]["y"]) == ([1000.0], [100.0])
    assert (traces["best"]["x"], traces["best"]["y"]) == ([500.0], [50.0])


def test_the_threshold_is_drawn_with_what_each_suggestion_promised() -> None:
    told = {trace["name"]: trace for trace in figures(suggested_study())["threshold"].data}
    assert told["Δ"]["y"] == [0.5, 0.5, 0.55]
    assert (told["ran"]["x"], told["ran"]["y"]) == ([0, 2], [0.9, 0.8])
    assert (told["crashed"]["x"], told["crashed"]["y"]) == ([1], [0.6])


def test_a_capacity_is_drawn_at_its_loads_with_its_limits() -> None:
    study = capacity_study()
    figure = figures(study)["capacity"]
    default = study.trials[0].user_attrs["capacity"]
    first = next(trace for trace in figure.data if trace["name"] == "default, trial 0")
    points = [point for point in default["curve"] if "tpot_ms_mean" in point]
    assert first["x"] == [point["rate"] for point in points]
    assert first["y"] == [point["tpot_ms_mean"] for point in points]
    limits = {s["yref"]: s["y0"] for s in figure.layout["shapes"] if s["line"]["dash"] == "dot"}
    assert limits == {"y": 60.0, "y2": 1000.0}
