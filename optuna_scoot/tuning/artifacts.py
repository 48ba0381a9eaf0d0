"""Files that optuna-dashboard offers with a study or a trial, in a folder of their own.

    optuna-dashboard STORAGE --artifact-dir FOLDER

The folder is one of ``optuna.artifacts.FileSystemArtifactStore``, but for its files' being their
owner's alone. Those of a trial are listed with its study: a finished trial takes no attribute.
"""

from __future__ import annotations

import json
import mimetypes
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from optuna_scoot.tuning.private_files import link_file
from optuna_scoot.tuning.private_files import write_file


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


def save_artifact(
    study: Study, folder: Path, name: str, content: str | Path, trial: FrozenTrial | None = None
) -> None:
    """Save a file, in place of an earlier one of the same name.

    Args:
        study: What it belongs to.
        folder: Made where it is missing, for its owner alone.
        name: Of the file, as it is shown.
        content: Its text; or a file that is never changed in place, which is linked to.
        trial: Finished; None for a file of the study.

    Raises:
        InputError: It cannot be written.
    """
    identity, attribute = _named(study, name, trial)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if isinstance(content, Path):
        link_file(folder, identity, content)
    else:
        write_file(folder, identity, content)
    mimetype, encoding = mimetypes.guess_type(name)
    listed = json.dumps(
        {
            "artifact_id": identity,
            "filename": name,
            "mimetype": mimetype or "text/plain",
            "encoding": encoding,
        }
    )
    storage, study_id = study._storage, study._study_id
    if storage.get_study_system_attrs(study_id).get(attribute) != listed:
        storage.set_study_system_attr(study_id, attribute, listed)


def is_saved(study: Study, folder: Path, name: str, trial: FrozenTrial | None = None) -> bool:
    """Return whether a file is there, whatever is in it.

    Args:
        study: What it belongs to.
        folder: As for ``save_artifact``.
        name: Of the file.
        trial: Its trial; None for a file of the study.
    """
    identity, attribute = _named(study, name, trial)
    listed = study._storage.get_study_system_attrs(study._study_id)
    return attribute in listed and (folder / identity).is_file()


def _named(study: Study, name: str, trial: FrozenTrial | None) -> tuple[str, str]:
    """Return the id of a file, the same whichever process saves it, and its attribute's name."""
    whose = "" if trial is None else f"{trial.number}/"
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{study.study_name}/{whose}{name}"))
    prefix = "artifacts:" if trial is None else f"dashboard:artifacts:{trial._trial_id}:"
    return identity, f"{prefix}{identity}"
