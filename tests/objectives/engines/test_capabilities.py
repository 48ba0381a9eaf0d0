from __future__ import annotations

import sys
from pathlib import Path

import pytest

from objectives.engines.base import ExternalFailure
from objectives.engines.capabilities import ask_engine
from objectives.engines.capabilities import flags_in_help
from objectives.engines.command import API_SERVER_MODULE


HELP = """usage: vllm serve [model_tag] [options]
options:
  --max-num-seqs MAX_NUM_SEQS
                        Maximum number of sequences (default: None), see --max-num-batched-tokens.
  --enable-prefix-caching, --no-enable-prefix-caching
  -tp, --tensor-parallel-size N   dashes like -- or ---x are no options
"""


def command(path: Path, body: str) -> list[str]:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return [str(path)]


def test_options_in_a_help_text() -> None:
    assert flags_in_help(HELP) == {
        "--max-num-seqs",
        "--max-num-batched-tokens",
        "--enable-prefix-caching",
        "--no-enable-prefix-caching",
        "--tensor-parallel-size",
    }


def test_any_command_is_asked_for_help_once(tmp_path: Path) -> None:
    body = f"echo asked >> {tmp_path}/count\n[ \"$*\" = '--help=all' ] && echo '{HELP}'"
    words = command(tmp_path / "serve", body)
    for _ in range(2):
        answer = ask_engine([*words, "--model"], "some/model", [], {})
        assert answer.version is None
        assert answer.accepts("max_num_seqs")
        assert not answer.accepts("scheduler_delay_factor")
    assert (tmp_path / "count").read_text(encoding="utf-8") == "asked\n"


def test_old_command_without_groups_of_help(tmp_path: Path) -> None:
    body = f"[ \"$1\" = '--help' ] && echo '{HELP}' || (echo 'x: error: argument -h'; exit 2)"
    answer = ask_engine(command(tmp_path / "serve", body), "some/model", [], {})
    assert answer.accepts("tensor_parallel_size")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/bin/true"], "/bin/true does not start vLLM: asked with --help, it names no option"),
        (["/bin/false", "-x"], "/bin/false -x ended with exit code 1 when it was asked what it"),
        (["sh", "-c", "exit 3"], "sh -c 'exit 3' ended with exit code 3 .* it wrote nothing"),
        (["/bin/ls", "-m", API_SERVER_MODULE], "/bin/ls ended with exit code 2"),
    ],
)
def test_a_program_of_another_kind_is_named_and_not_taken_for_an_engine(
    words: list[str], message: str
) -> None:
    with pytest.raises(ExternalFailure, match=message):
        ask_engine(words, "some/model", [], {})


def test_command_that_fails(tmp_path: Path) -> None:
    words = command(tmp_path / "serve", "echo 'Cannot connect to the Docker daemon'; exit 125")
    with pytest.raises(ExternalFailure, match="Docker daemon"):
        ask_engine(words, "some/model", [], {})


def test_interpreter_without_vllm(tmp_path: Path) -> None:
    # -S: an interpreter that finds no installed packages, whatever is installed here.
    words = command(tmp_path / "python3", f'exec {sys.base_prefix}/bin/python3 -S "$@"')
    with pytest.raises(ExternalFailure, match="No module named 'vllm'") as failure:
        ask_engine(words, "some/model", [], {})
    assert failure.value.reason == "engine_missing"


def test_an_option_that_is_none_is_told_with_the_nearest_that_is_one(tmp_path: Path) -> None:
    # As the probe does: its options are written before those of the user are read.
    flags = '{"flags": ["--max-num-seqs", "--max-model-len"]}'
    body = f"echo '{flags}' > $2; echo 'x: error: unrecognized arguments: --max-num-seq=4'; exit 2"
    words = command(tmp_path / "python3", body)
    with pytest.raises(ExternalFailure, match="did you mean --max-num-seqs") as failure:
        ask_engine(words, "some/model", ["--max-num-seq=4"], {})
    assert failure.value.reason == "bad_engine_argument"
