"""The configuration file for ``vllm serve``."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
import yaml

from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.load import Load
from optuna_scoot.tuning.run import tune
from optuna_scoot.tuning.serving_config import Serving
from optuna_scoot.tuning.simulated import simulated_task


def serving(**fields: Any) -> Serving:
    default = {"max_num_seqs": 256, "enable_chunked_prefill": True, "scheduler_delay_factor": 0.0}
    return Serving(**{"title": "vLLM 0, a load", "simulated": False, "default": default, **fields})


def test_overrides_alone_with_hyphens_and_types_and_the_default_beside_them() -> None:
    text = serving(args={"model": "some/model", "max_model_len": "2048"}).yaml(
        {
            "max_num_seqs": 64,
            "enable_chunked_prefill": True,
            "scheduler_delay_factor": 0.2 * 7,
        },
        ["made for a test", "two\nlines"],
    )
    assert yaml.safe_load(text) == {
        "model": "some/model",
        "max-model-len": 2048,
        "max-num-seqs": 64,
        "scheduler-delay-factor": 1.4,
    }
    assert text.startswith("# made for a test\n# two lines\n# vLLM 0, a load\n")
    assert "max-num-seqs: 64  # the default: 256\n" in text
    assert "scheduler-delay-factor: 1.4  #" in text  # not 1.4000000000000001


def test_what_the_engine_would_not_have_by_itself_is_always_written() -> None:
    found = serving(explicit=["max_num_seqs"])
    text = found.yaml(found.default, [])
    assert yaml.safe_load(text) == {"max-num-seqs": 256}


def test_the_baseline_is_what_was_before() -> None:
    found = serving(baseline=["max_num_seqs"], explicit=["max_num_seqs"])
    assert "max-num-seqs: 8  # before: 256\n" in found.yaml({"max_num_seqs": 8}, [])


def test_false_is_written_as_the_option_that_the_engine_has_for_it() -> None:
    params = {"enable_chunked_prefill": False, "disable_all_reduce": False, "enforce_eager": True}
    flags = ["--enable-chunked-prefill", "--no-enable-chunked-prefill", "--disable-all-reduce"]
    text = serving(flags=flags).yaml(params, [])
    assert yaml.safe_load(text) == {"no-enable-chunked-prefill": True, "enforce-eager": True}


def test_tuned_parameters_win_over_engine_arguments_of_either_spelling() -> None:
    text = serving(args={"max-num-seqs": 1, "max_model_len": 8}).yaml({"max_num_seqs": 64}, [])
    assert yaml.safe_load(text) == {"max-num-seqs": 64, "max-model-len": 8}


def test_secrets_are_named_and_a_simulation_is_called_one() -> None:
    text = serving(secrets=["api_key"], simulated=True).yaml({}, [])
    assert "# left out, for it is a secret: api_key\n" in text
    assert "of a simulated engine" in text


def test_a_study_keeps_it() -> None:
    task = simulated_task("sql-2xa10-7b", Load(duration=5))
    study = tune(task, n_trials=1).study
    assert Serving.load(study).yaml({"block_size": 8}, []) == Serving.of(task).yaml(
        {"block_size": 8}, []
    )
    with pytest.raises(InputError, match="does not say"):
        Serving.load(optuna.create_study())
