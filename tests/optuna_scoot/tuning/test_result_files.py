"""The files that a tuning run leaves behind."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.report import make_report
from optuna_scoot.tuning.result_files import check_output_dir
from optuna_scoot.tuning.result_files import make_output_dir
from optuna_scoot.tuning.result_files import result_json
from optuna_scoot.tuning.result_files import trials_csv
from tests.optuna_scoot.tuning.studies import add
from tests.optuna_scoot.tuning.studies import tuned_study
from tests.optuna_scoot.tuning.studies import two_objective_study


def test_result_json_holds_the_front_with_its_change_against_the_default() -> None:
    document = json.loads(result_json(make_report(tuned_study()), {"simulated": True}))
    assert document["schema_version"] == 1
    assert document["simulated"] is True
    assert document["metrics"][0] == {"name": "TTFT", "direction": "minimize"}
    assert [entry["number"] for entry in document["front"]] == [1, 2, 3]
    assert document["best"]["params"]["max_num_seqs"] == 64
    assert document["best"]["relative_change"] == {"TTFT": -0.5, "TPOT": -0.5}
    assert document["default"]["values"] == {"TTFT": 1000.0, "TPOT": 100.0}
    assert document["crashes"] == {"out_of_memory": 2}
    assert document["trials"]["external_failures"] == 1


def test_result_json_is_strict_json_when_a_value_is_infinite() -> None:
    study = two_objective_study()
    add(study, (float("inf"), 1.0))
    text = result_json(make_report(study), {})
    assert "Infinity" not in text
    assert json.loads(text)["front"][0]["values"] == {"TTFT": None, "TPOT": 1.0}


def test_trials_csv_has_a_line_for_every_trial() -> None:
    study = tuned_study()
    rows = list(csv.DictReader(trials_csv(study.trials, ["TTFT", "TPOT"]).splitlines()))
    assert [row["number"] for row in rows] == [str(i) for i in range(8)]
    assert rows[2]["TTFT"] == "500.0"
    assert rows[2]["param:max_num_seqs"] == "64"
    assert rows[0]["default_configuration"] == "True"
    assert rows[1]["default_configuration"] == "False"
    assert rows[5]["state"] == "FAIL"
    assert rows[5]["TTFT"] == ""
    assert rows[5]["crash_reason"] == "out_of_memory"
    assert rows[7]["failure_is_external"] == "True"


def test_output_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"`output` .*Not a directory"):
        make_output_dir(tmp_path / "file" / "results")


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "[" * 10_000, '{"study": "mine"}'])
def test_a_folder_with_anything_but_another_studys_results_is_taken(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "result.json").write_text(text)
    check_output_dir(tmp_path, "mine")


def test_a_folder_with_another_studys_results_is_refused(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"study": "theirs"}')
    with pytest.raises(InputError, match=r"`output` .*: holds the results of study 'theirs'"):
        check_output_dir(tmp_path, "mine")
