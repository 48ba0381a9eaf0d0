"""Services in a file: read, run one after another, refused with line and key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import optuna
import pytest
import yaml

from optuna_scoot.cli.declared_options import options_of_tune
from optuna_scoot.cli.errors import BadInput
from optuna_scoot.cli.main import run
from optuna_scoot.cli.service_file import keys_of
from optuna_scoot.cli.service_file import read_services
from optuna_scoot.cli.service_schema import service_schema


SCHEMA = Path(__file__).parents[3] / "docs" / "service.schema.json"
TWO = """\
engine: simulated
duration: 3
trials: 2
seed: 0
verify: 0
services:
  sql:
    service: sql-2xa10-7b
    param:
      max-num-seqs: 64..256:log
      block-size: [8, 16]
    fix: {tensor-parallel-size: 2}
    minimize: p99 ttft
    slo: [mean tpot <= 900 ms]
  bot:
    service: bot-2xa100-13b
    trials: 3
    enqueue:
      - {max-num-seqs: 64, enable-prefix-caching: true}
"""
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write_file(text: str) -> Path:
        Path("services.yaml").write_text(text)
        return Path("services.yaml")

    return write_file


def test_services_are_tuned_one_after_another_as_the_file_says(write: Write) -> None:
    assert run(["tune", "--file", str(write(TWO))]) == 0
    storage = "sqlite:///scoot.db"
    sql, bot = (optuna.load_study(study_name=name, storage=storage) for name in ("sql", "bot"))
    assert (len(sql.trials), len(bot.trials)) == (2, 3)
    assert "tensor_parallel_size" not in sql.trials[0].params
    assert sql.trials[0].distributions["block_size"].choices == (8, 16)
    assert bot.trials[1].params["max_num_seqs"] == 64
    assert bot.trials[1].params["enable_prefix_caching"] is True
    result = json.loads(Path("runs/sql/result.json").read_text())
    assert list(result["options"]["slo"]) == ["mean tpot <= 900 ms"]


def test_the_command_line_goes_before_the_file_and_a_service_before_its_top(write: Write) -> None:
    write(TWO)
    assert run(["tune", "--file", "services.yaml", "--duration", "2", "--trials", "1"]) == 0
    for name in ("sql", "bot"):
        options = json.loads(Path(f"runs/{name}/result.json").read_text())["options"]
        assert (options["duration"], options["trials"], options["seed"]) == (2.0, 1, 0)


def test_one_that_fails_does_not_stop_the_others_and_the_exit_code_tells(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TWO.replace("mean tpot <= 900 ms", "p99 ttft <= 1 ms")
    path = str(write(text.replace("sql-2xa10-7b", "no-such-service")))
    assert run(["tune", "--file", path]) == 2
    said = capsys.readouterr().err
    assert "optuna-scoot: service sql: there is no simulated service 'no-such-service'" in said
    assert "service sql: not done, exit code 2\nservice bot: done" in said
    assert run(["tune", "--file", str(write(text))]) == 4


def test_all_services_are_checked_before_the_first_is_run(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write(TWO.replace("    trials: 3\n", "    model: m\n")))
    assert run(["tune", "--file", path]) == 2
    assert "service bot: --model: not with --engine simulated" in capsys.readouterr().err
    assert not Path("scoot.db").exists()


def test_a_file_of_one_service_needs_no_list(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write("engine: simulated\nservice: sql-2xa10-7b\nfix: block-size=8\n"))
    assert run(["space", "--file", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fixed"] == {"block_size": 8}


def test_variables_of_the_environment_stand_for_secrets(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCOOT_DB", "sqlite:///mine.db")
    (service,) = read_services(write("storage: ${SCOOT_DB}\nmodel: m\n"), options_of_tune())
    assert service.options["storage"] == "sqlite:///mine.db"
    assert "mine" not in repr(service)


WRONG = [
    ("", "services.yaml: the file is empty"),
    ("- a\n", ":1: write one 'option: value' a line"),
    ("trials: 5\nrate: 1\ntrials: 6\n", ":3: trials: it is in line 1 already"),
    ("trails: 5\n", ":1: there is no option trails; did you mean trials?"),
    ("rate: fast\n", ":1: rate: 'fast' is not a valid float"),
    ("trials: 0\n", ":1: trials: 0 is not in the range x>=1"),
    ("trials: 2.5\n", ":1: trials: '2.5' is not a valid integer"),
    ("model: m\nreplay: maybe\n", ":2: replay: write true or false"),
    ("model:\n", ":1: model: nothing is given"),
    ("model: [a, b]\n", ":1: model: one value is wanted"),
    ("engine: vlm\n", ":1: engine: 'vlm' is not one of 'vllm', 'sglang'"),
    ("param:\n  max-num-seqs: 9..3\n", ":2: param: max-num-seqs: 9..3: the low end"),
    ("model: m\n  rate: 3\n", ":2: it is not YAML"),
    ("storage: ${NO_SUCH}\n", ":1: storage: the environment has no variable NO_SUCH"),
    ("services: 5\n", ":1: services: write 'name:'"),
    ("services:\n  a: 5\n", ":2: services: a: write its options"),
    ("services:\n  a: {trails: 1}\n", ":2: there is no option trails"),
    ("services:\n  a: {rate: 1}\n  a: {rate: 2}\n", ":3: a: it is in line 2 already"),
    ("services:\n  a: {study: s}\n  b: {study: s}\n", "several have the study s"),
    ("output: o\nservices:\n  a: {rate: 1}\n  b: {rate: 1}\n", "several have the output o"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_is_said_with_line_and_key(write: Write, text: str, message: str) -> None:
    with pytest.raises(BadInput) as error:
        read_services(write(text), options_of_tune())
    assert message in error.value.message


def test_a_file_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", "--file", "/no/such.yaml"]) == 2
    assert "--file /no/such.yaml: No such file or directory" in capsys.readouterr().err


def test_the_published_schema_is_that_of_the_options() -> None:
    schema = json.loads(SCHEMA.read_text())
    assert schema == json.loads(json.dumps(service_schema(options_of_tune())))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"].keys() == {*keys_of(options_of_tune()), "services"}


@pytest.mark.parametrize("text", [TWO, "model: m\nrate: 5\nslo: p99 ttft <= 1 s\n"])
def test_the_schema_takes_what_is_right(write: Write, text: str) -> None:
    read_services(write(text), options_of_tune())
    jsonschema.validate(yaml.safe_load(text), service_schema(options_of_tune()))


@pytest.mark.parametrize(
    "text", [text for text, _ in WRONG[3:11]] + [text for text, _ in WRONG[14:17]]
)
def test_the_schema_refuses_what_the_command_refuses(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), service_schema(options_of_tune()))
