"""Notes and figures as optuna-dashboard keeps them: texts in numbered attributes of a study.

The form is that of optuna-dashboard 0.21 (``_note.py``, ``_custom_plot_data.py`` in its source).
It is written here, so that a worker needs neither the dashboard nor Plotly.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial


PIECE_CHARACTERS = 20_000
"""Of a text in one attribute. The dashboard takes any number; MySQL has room for 65,535 bytes, and
a quotation mark takes three of them as JSON in JSON."""
_FIGURE = "dashboard:plot_data:"


def save_note(study: Study, text: str, trial: FrozenTrial | None = None) -> None:
    """Save the note of a study, or of one of its trials, unless it is there already.

    Args:
        study: Any.
        text: In Markdown.
        trial: Finished or not; None for the study's own note.
    """
    storage, study_id = study._storage, study._study_id
    whose = _whose(trial)
    attrs = storage.get_study_system_attrs(study_id)
    if _text(attrs, f"{whose}note_str:") == text:
        return
    version = int(attrs.get(f"{whose}note_ver", 0)) + 1
    storage.set_study_system_attr(study_id, f"{whose}note_ver", version)
    _save(storage, study_id, attrs, f"{whose}note_str:", text)


def note_of(study: Study, trial: FrozenTrial | None = None) -> str:
    """Return the note of a study, or of one of its trials; empty where there is none.

    Args:
        study: Any.
        trial: Its trial; None for the study's own note.
    """
    attrs = study._storage.get_study_system_attrs(study._study_id)
    return _text(attrs, f"{_whose(trial)}note_str:")


def save_figure(study: Study, name: str, figure: Mapping[str, Any]) -> None:
    """Save a figure that the dashboard shows with the study, unless it is there already.

    Args:
        study: Any.
        name: Of the figure; letters, digits and hyphens. The same name replaces the figure.
        figure: As Plotly writes it: ``data`` and ``layout``, of what JSON takes.
    """
    storage, study_id = study._storage, study._study_id
    prefix = f"{_FIGURE}{name}:"
    text = json.dumps(figure, separators=(",", ":"), allow_nan=False)
    attrs = storage.get_study_system_attrs(study_id)
    if _text(attrs, prefix) != text:
        _save(storage, study_id, attrs, prefix, text)


def _whose(trial: FrozenTrial | None) -> str:
    return "dashboard:" if trial is None else f"dashboard:{trial._trial_id}:"


def _text(attrs: Mapping[str, Any], prefix: str) -> str:
    """Return the text that attributes hold in pieces."""
    n = sum(key.startswith(prefix) for key in attrs)
    return "".join(str(attrs.get(f"{prefix}{i}", "")) for i in range(n))


def _save(
    storage: BaseStorage, study_id: int, attrs: Mapping[str, Any], prefix: str, text: str
) -> None:
    """Write a text in pieces, and empty those of a longer one before: none can be deleted."""
    pieces = [text[at : at + PIECE_CHARACTERS] for at in range(0, len(text), PIECE_CHARACTERS)]
    n_before = sum(key.startswith(prefix) for key in attrs)
    pieces += [""] * (n_before - len(pieces))
    for i, piece in enumerate(pieces):
        if attrs.get(f"{prefix}{i}") != piece:
            storage.set_study_system_attr(study_id, f"{prefix}{i}", piece)
