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
    whose = "" if trial is None else f"{trial.number}/"
    # The same file has the same id, whichever process saves it.
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{study.study_name}/{whose}{name}"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if isinstance(content, Path):
        link_file(folder, identity, content)
    else:
        write_file(folder, identity, content)
    mimetype, encoding = mimetypes.guess_type(name)
    listed = {
        "artifact_id": identity,
        "filename": name,
        "mimetype": mimetype or "text/plain",
        "encoding": encoding,
    }
    prefix = "artifacts:" if trial is None else f"dashboard:artifacts:{trial._trial_id}:"
    storage, study_id = study._storage, study._study_id
    attrs = storage.get_study_system_attrs(study_id)
    if attrs.get(f"{prefix}{identity}") != json.dumps(listed):
        storage.set_study_system_attr(study_id, f"{prefix}{identity}", json.dumps(listed))
