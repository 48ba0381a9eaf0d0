from __future__ import annotations

import shlex
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from objectives.engines.command import EngineArgumentError
from objectives.engines.command import engine_command
from objectives.engines.command import interpreter_of
from objectives.engines.command import is_secret
from objectives.engines.command import options
from objectives.engines.command import parse_engine_argument
from objectives.engines.command import redact
from objectives.engines.command import split_secrets


def test_options_of_every_kind() -> None:
    words = options(
        {
            "max_num_seqs": 64,
            "scheduler_delay_factor": 0.2,
            "enable_prefix_caching": True,
            "enable_chunked_prefill": False,
            "block_size": None,
            "dtype": "bfloat16",
            "compilation_config": {"mode": 3},
            "cudagraph_capture_sizes": [1, 2],
            "chat_template": "a b; rm -rf /",
        }
    )
    assert words == [
        *("--max-num-seqs", "64"),
        *("--scheduler-delay-factor", "0.2"),
        "--enable-prefix-caching",
        "--no-enable-chunked-prefill",
        *("--dtype", "bfloat16"),
        *("--compilation-config", '{"mode": 3}'),
        *("--cudagraph-capture-sizes", "1", "2"),
        *("--chat-template", "a b; rm -rf /"),
    ]


def test_option_that_can_only_be_switched_on_is_left_out_when_off() -> None:
    flags = {"--use-v2-block-manager", "--enable-x", "--no-enable-x"}
    arguments = {"use_v2_block_manager": False, "enable_x": False}
    assert options(arguments, flags) == ["--no-enable-x"]
    assert options({"use_v2_block_manager": True}, flags) == ["--use-v2-block-manager"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max-model-len=2048", ("max_model_len", "2048")),
        ("--dtype=bfloat16", ("dtype", "bfloat16")),
        ("enforce_eager", ("enforce_eager", True)),
        ("enable-prefix-caching=False", ("enable_prefix_caching", False)),
        ("no-enable-prefix-caching", ("enable_prefix_caching", False)),
        ("override=a=b", ("override", "a=b")),
    ],
)
def test_arguments_of_a_command_line(text: str, expected: tuple[str, Any]) -> None:
    assert parse_engine_argument(text) == expected


@pytest.mark.parametrize("text", ["", "=3", "a b=3", "dtype=", "port=8000", "--model=x", "1x=2"])
def test_arguments_that_are_none(text: str) -> None:
    with pytest.raises(EngineArgumentError):
        parse_engine_argument(text)


def script(path: Path, first_line: str) -> str:
    path.write_text(first_line + "\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_command_is_vllm_serve_when_it_is_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vllm = script(tmp_path / "vllm", "#!/opt/vllm/bin/python3.12")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert engine_command(None, None) == [vllm, "serve"]
    assert interpreter_of([vllm, "serve"]) == "/opt/vllm/bin/python3.12"
    module = ["-m", "vllm.entrypoints.openai.api_server", "--model"]
    assert engine_command("/opt/python", None) == ["/opt/python", *module]
    monkeypatch.setenv("PATH", "/nowhere")
    assert engine_command(None, None) == [sys.executable, *module]


def test_command_of_the_user() -> None:
    assert engine_command(None, ["docker", "run", "image"]) == ["docker", "run", "image"]
    for python, command in [("/opt/python", ["vllm", "serve"]), (None, []), (None, "vllm serve")]:
        with pytest.raises(EngineArgumentError):
            engine_command(python, command)


def test_interpreter_of_other_commands(tmp_path: Path) -> None:
    assert interpreter_of([sys.executable, "-m", "x"]) == sys.executable
    assert interpreter_of([script(tmp_path / "a", "#!/bin/sh")]) is None
    assert interpreter_of([script(tmp_path / "b", "#!/usr/bin/env python3")]) is None
    assert interpreter_of(["/no/such/file"]) is None


def test_secrets_go_to_the_environment() -> None:
    shown, environment = split_secrets({"api_key": "sk-1", "hf_token": "hf-2", "dtype": "auto"})
    assert shown == {"dtype": "auto"}
    assert environment == {"VLLM_API_KEY": "sk-1", "HF_TOKEN": "hf-2"}
    with pytest.raises(EngineArgumentError, match="aws_secret"):
        split_secrets({"aws_secret": "x"})


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("OPENAI_API_KEY", True),
        ("HF_TOKEN", True),
        ("token", True),
        ("POSTGRES_PASSWORD", True),
        ("max_num_batched_tokens", False),
        ("long_prefill_token_threshold", False),
        ("ssl_keyfile", False),
        ("tokenizer", False),
    ],
)
def test_what_is_a_secret(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


def test_shown_command_holds_no_secret_and_can_be_pasted() -> None:
    words = [
        "docker",
        "run",
        "-e",
        "HF_TOKEN=hf_abc",
        "--api-key",
        "sk-1",
        "image",
        "--x",
        "a b'c",
    ]
    shown = redact(words)
    assert "hf_abc" not in shown
    assert "sk-1" not in shown
    assert shlex.split(shown)[-3:] == ["image", "--x", "a b'c"]
    assert "--api-key *** image" in shown
