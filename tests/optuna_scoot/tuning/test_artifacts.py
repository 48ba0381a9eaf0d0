"""Files are where Optuna's artifact store and optuna-dashboard look for them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import optuna
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts import download_artifact
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState
from optuna_dashboard.artifact._backend import list_trial_artifacts

from optuna_scoot.tuning.artifacts import save_artifact


def test_optuna_finds_the_file_of_a_study_under_its_name(tmp_path: Path) -> None:
    study = optuna.create_study()
    folder = tmp_path / "artifacts"
    save_artifact(study, folder, "result.json", "{}")
    save_artifact(study, folder, "trials.csv", "a,b\n")
    save_artifact(study, folder, "result.json", '{"é": 1}')
    found = {meta.filename: meta for meta in get_all_artifact_meta(study)}
    assert set(found) == {"result.json", "trials.csv"}
    assert found["result.json"].mimetype == "application/json"
    download_artifact(
        artifact_store=FileSystemArtifactStore(str(folder)),
        artifact_id=found["result.json"].artifact_id,
        file_path=str(tmp_path / "got"),
    )
    assert (tmp_path / "got").read_text(encoding="utf-8") == '{"é": 1}'


def test_the_dashboard_finds_the_file_of_a_trial_that_has_ended(tmp_path: Path) -> None:
    study = optuna.create_study()
    for _ in range(2):
        study.tell(study.ask(), state=TrialState.FAIL)
    first, second = study.trials
    save_artifact(study, tmp_path, "engine.log", "first", first)
    save_artifact(study, tmp_path, "engine.log", "second", second)
    attrs = study._storage.get_study_system_attrs(study._study_id)
    for trial, text in ((first, "first"), (second, "second")):
        (listed,) = list_trial_artifacts(attrs, {}, trial)
        assert listed["filename"] == "engine.log"
        assert (tmp_path / listed["artifact_id"]).read_text() == text


def test_files_and_their_folder_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        save_artifact(optuna.create_study(), tmp_path / "a", "engine.log", "x")
    finally:
        os.umask(before)
    (file,) = (tmp_path / "a").iterdir()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a", file)]
    assert modes == [0o700, 0o600]
