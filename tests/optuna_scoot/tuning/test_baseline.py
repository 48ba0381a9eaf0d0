"""The user's present flags as what everything is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from optuna_scoot.tuning import InputError
from optuna_scoot.tuning import Load
from optuna_scoot.tuning import simulated_task
from optuna_scoot.tuning import tune
from optuna_scoot.tuning.baseline import read_baseline


def test_flags_are_named_as_parameters_whatever_they_are_spelt_like() -> None:
    flags = {"--max-num-seqs": 9000, "no-enable-prefix-caching": True, "port": 8000, "model": "m"}

    assert read_baseline(flags) == {"max_num_seqs": 9000, "enable_prefix_caching": False}
    assert read_baseline(None) == {}


def test_a_file_of_vllm_serve_is_read_without_its_secrets(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("model: m\nmax-num-seqs: 64\napi-key: s\ndtype: float16\n")

    assert read_baseline(file) == {"max_num_seqs": 64, "dtype": "float16"}


@pytest.mark.parametrize(
    ("text", "match"),
    [(None, "No such file"), ("", "holds no flags"), ("- a", "holds no flags"), ("a: [", "YAML")],
)
def test_a_file_that_is_none_is_told(text: str | None, match: str, tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=match):
        read_baseline(file)


@pytest.mark.parametrize("line", ["api-key: very: secret", 'api-key: "verysecret', "k: @secret"])
def test_what_is_wrong_in_a_file_is_told_without_its_lines(line: str, tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text(f"max-num-seqs: 64\n{line}\n")
    with pytest.raises(InputError, match=r"it is not YAML: line [23]: ") as refused:
        read_baseline(file)
    assert "secret" not in str(refused.value).removeprefix(f"`baseline` {file}")


def test_the_baseline_is_measured_first_also_outside_of_the_tuned_ranges() -> None:
    baseline: dict[str, Any] = {"max_num_seqs": 9000, "max_num_batched_tokens": 9500}
    task = simulated_task("sql-2xa10-7b", Load(duration=5), baseline=baseline)
    result = tune(task, n_trials=3, sampler="random", seed=0)

    first = result.study.trials[0]
    assert first.params.items() >= baseline.items()
    assert result.default is not None
    assert result.default.number == 0
    # What it does not set is the engine's default.
    assert first.params["block_size"] == 16
    assert task.objective.space.parameters["max_num_seqs"].high == 9000  # type: ignore[attr-defined]


def test_another_baseline_is_another_study(tmp_path: Path) -> None:
    place: Any = {"storage": f"sqlite:///{tmp_path / 's.db'}", "study_name": "s"}
    load = Load(duration=5)
    first = simulated_task("sql-2xa10-7b", load, baseline={"max_num_seqs": 64})
    tune(first, n_trials=1, sampler="random", **place)
    with pytest.raises(InputError, match=r"was tuned differently .*baseline"):
        tune(simulated_task("sql-2xa10-7b", load), n_trials=2, sampler="random", **place)


@pytest.mark.parametrize(
    ("baseline", "match"),
    [
        ({"speed": 1}, "speed: not tuned here"),
        ({"max_num_seqs": "many"}, "is not a value like those"),
        ({"max_num_seqs": 0}, "is not a value like those"),
        ({"enable_prefix_caching": 1.5}, "is not a value like those"),
    ],
)
def test_a_baseline_that_the_engine_cannot_have_is_told(
    baseline: dict[str, Any], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        simulated_task("sql-2xa10-7b", Load(duration=5), baseline=baseline)
