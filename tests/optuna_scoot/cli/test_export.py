"""``optuna-scoot export``: a trial of a study as a file for the engine."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from optuna_scoot.cli.main import run
from optuna_scoot.tuning import Load
from optuna_scoot.tuning import simulated_task
from optuna_scoot.tuning import tune


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with one tuned study of four trials and one crash, and its measurements."""
    url = f"sqlite:///{tmp_path_factory.mktemp('export')}/scoot.db"
    task = simulated_task("bot-2xa100-13b", Load(duration=5), slo=["p99 ttft <= 1 ms"])
    study = tune(task, n_trials=4, storage=url, study_name="chat", sampler="random", seed=0).study
    study.add_trial(
        optuna.trial.create_trial(
            state=TrialState.FAIL,
            params=study.trials[1].params,
            distributions=study.trials[1].distributions,
            user_attrs={"crash_reason": "out_of_memory"},
        )
    )
    study.optimize(lambda trial: (trial.suggest_int("foo", 0, 9), 1.0), n_trials=1)
    measured = optuna.create_study(storage=url, study_name="chat-verify")
    measured.set_user_attr("tuned_with", {})
    return url


def trial_of(storage: str, number: int) -> optuna.trial.FrozenTrial:
    return optuna.load_study(study_name="chat", storage=storage).trials[number]


def test_the_only_study_is_taken_and_the_file_holds_what_the_trial_changed(
    storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "--trial", "3", "--storage", storage]) == 0
    text = capsys.readouterr().out
    default, trial = trial_of(storage, 0), trial_of(storage, 3)
    changed = {k: v for k, v in trial.params.items() if default.params[k] != v}
    found = {k.replace("-", "_"): v for k, v in yaml.safe_load(text).items()}
    assert found == pytest.approx(changed)
    assert text.startswith("# trial 3 of study chat, by optuna-scoot\n# measured once: TTFT")
    assert "# misses p99 ttft <= 1 ms by " in text
    assert "simulated" in text


def test_it_is_written_where_it_is_wanted(storage: str, tmp_path: Path) -> None:
    target = tmp_path / "new" / "chat.yaml"
    words = ["--study", "chat", "--storage", storage, "--output", str(target)]
    assert run(["export", "--trial", "0", *words]) == 0
    assert yaml.safe_load(target.read_text()) is None  # the default changes nothing


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trial", "99"], "--trial 99: study 'chat' has no such trial"),
        (["--trial", "4"], "--trial 4: it has no values (out_of_memory)"),
        (["--trial", "5"], "--trial 5: it has foo, which the study does not tune"),
        (["--trial", "0", "--study", "x"], "there is no study 'x'"),
        (["--trial", "0", "--study", "chat-verify"], "does not say what its engine is served"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(
    storage: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", *words, "--storage", storage]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_of_several_studies_one_has_to_be_named(
    storage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/two.db"
    for name in ("a", "b"):
        optuna.create_study(storage=url, study_name=name).set_user_attr("tuned_with", {})
    assert run(["export", "--trial", "0", "--storage", url]) == 2
    assert "--study: storage" in (said := capsys.readouterr().err)
    assert "has the studies a, b: name one" in said


def test_a_database_that_is_not_there_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "none.db"
    assert run(["export", "--trial", "0", "--storage", f"sqlite:///{file}"]) == 2
    assert "there is no study in storage" in capsys.readouterr().err
    assert not file.exists()
