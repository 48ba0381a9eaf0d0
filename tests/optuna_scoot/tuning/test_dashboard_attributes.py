"""Notes and figures are where optuna-dashboard itself looks for them."""

from __future__ import annotations

import json
from typing import Any

import optuna
import optuna_dashboard
import pytest
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import get_note_from_system_attrs
from optuna_dashboard._note import version_is_incremented

from optuna_scoot.tuning.dashboard_attributes import PIECE_CHARACTERS
from optuna_scoot.tuning.dashboard_attributes import note_of
from optuna_scoot.tuning.dashboard_attributes import save_figure
from optuna_scoot.tuning.dashboard_attributes import save_note


LONG = "".join(chr(0x391 + i % 50) for i in range(2 * PIECE_CHARACTERS + 7))


def attrs_of(study: optuna.Study) -> dict[str, Any]:
    return study._storage.get_study_system_attrs(study._study_id)


def failed(study: optuna.Study) -> optuna.trial.FrozenTrial:
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    return study.trials[-1]


@pytest.mark.parametrize("texts", [["short"], [LONG], [LONG, "short"], ["short", LONG, "", "b"]])
def test_the_dashboard_reads_the_last_note(texts: list[str]) -> None:
    study = optuna.create_study()
    trial = failed(study)
    for text in texts:
        save_note(study, text)
        save_note(study, f"of a trial: {text}", trial)
    assert optuna_dashboard.get_note(study) == note_of(study) == texts[-1]
    of_trial = get_note_from_system_attrs(attrs_of(study), trial._trial_id)
    assert of_trial["body"] == note_of(study, trial) == f"of a trial: {texts[-1]}"
    assert of_trial["version"] == len(texts)


def test_a_note_that_somebody_has_written_in_the_dashboard_is_read_and_replaced() -> None:
    study = optuna.create_study()
    optuna_dashboard.save_note(study, "ours" * 2000)
    assert note_of(study) == "ours" * 2000
    save_note(study, "short")
    assert optuna_dashboard.get_note(study) == "short"
    assert version_is_incremented(attrs_of(study), None, 3)


def test_the_same_again_writes_nothing() -> None:
    study = optuna.create_study()
    save_note(study, "a")
    save_figure(study, "front", {"data": [], "layout": {}})
    before = dict(attrs_of(study))
    save_note(study, "a")
    save_figure(study, "front", {"data": [], "layout": {}})
    assert attrs_of(study) == before


@pytest.mark.parametrize("n", [1, 9000])
def test_the_dashboard_reads_the_last_figure_of_a_name(n: int) -> None:
    study = optuna.create_study()
    figure = {"data": [{"type": "scatter", "y": list(range(n))}], "layout": {"title": "é <b>"}}
    save_figure(study, "front", {"data": [{"y": list(range(20_000))}], "layout": {}})
    save_figure(study, "front", figure)
    found = get_plotly_graph_objects(attrs_of(study))
    assert {name: json.loads(text) for name, text in found.items()} == {"front": figure}


def test_a_figure_of_the_dashboards_own_is_replaced() -> None:
    go = pytest.importorskip("plotly.graph_objects")
    study = optuna.create_study()
    whole = go.Figure(go.Scatter(y=[1.0, 2.0] * 5000))
    optuna_dashboard.save_plotly_graph_object(study, whole, graph_object_id="front")
    save_figure(study, "front", {"data": [], "layout": {}})
    found = get_plotly_graph_objects(attrs_of(study))
    assert json.loads(found["front"]) == {"data": [], "layout": {}}
