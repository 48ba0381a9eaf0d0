from __future__ import annotations

import shlex
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from objectives.engines.command import EngineArgumentError
from objectives.engines.command import check_command
from objectives.engines.command import engine_command
from objectives.engines.command import interpreter_of
from objectives.engines.command import options
from objectives.engines.command import parse_engine_argument
from objectives.engines.command import parse_engine_arguments
from objectives.engines.command import split_secrets
from objectives.engines.command import split_variables
from objectives.redaction import is_secret
from objectives.redaction import redact


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
    assert interpreter_of(["/no/such/file"]) is None


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("#!/opt/v/bin/python3.12", "/opt/v/bin/python3.12"),
        ("#! /opt/v/bin/python -E", "/opt/v/bin/python"),
        ("#!/bin/sh\n'''exec' /a/long/python3 \"$0\" \"$@\"\n' '''", "/a/long/python3"),
        ("#!/bin/sh\n'''exec' \"/a b/python\" \"$0\" \"$@\"\n' '''", "/a b/python"),
        (
            '#!/bin/sh\n\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")"/\'python3\' "$0" '
            "\"$@\"\n' '''",
            "{folder}/python3",
        ),
        ("#!/usr/bin/env python3", "{folder}/python3"),
        ("#!/usr/bin/env -S python3 -E", "{folder}/python3"),
        ("#!/usr/bin/env PYTHONUTF8=1 python3", "{folder}/python3"),
        ("#!/usr/bin/env python9", None),  # not there
        ('#!/bin/sh\nexec /opt/v/bin/vllm "$@"', None),
        ('#!/bin/bash\nconda run -n vllm python "$@"', None),
        ("#!/usr/bin/perl", None),
        ("#!", None),
        ("no script", None),
        ("#!/bin/sh\n'''exec' 'unfinished", None),
    ],
)
def test_interpreter_that_a_script_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str, expected: str | None
) -> None:
    script(tmp_path / "python3", "#!/bin/sh")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = interpreter_of([script(tmp_path / "vllm", head), "serve"])
    assert found == (None if expected is None else expected.format(folder=tmp_path))


def test_python_that_is_a_script_stands_for_its_interpreter(tmp_path: Path) -> None:
    vllm = script(tmp_path / "vllm", f"#!{sys.executable}")
    assert engine_command(vllm, None)[0] == sys.executable
    wrapper = script(tmp_path / "my-python", '#!/bin/sh\nexec python3 "$@"')
    words = engine_command(wrapper, None)
    assert words[0] == wrapper
    assert interpreter_of(words) == wrapper  # said to be one


def test_arguments_given_several_times() -> None:
    given = ["lora-modules=a=/x", "lora-modules=b=/y", "middleware=a.b", "middleware=c.d", "tp=2"]
    assert options(parse_engine_arguments(given)) == [
        *("--lora-modules", "a=/x", "b=/y"),
        *("--middleware", "a.b", "--middleware", "c.d"),
        *("--tensor-parallel-size", "2"),
    ]
    same = ["max-num-seqs=64", "--max_num_seqs=64"]
    assert parse_engine_arguments(same) == {"max_num_seqs": "64"}
    for twice in (["max-num-seqs=64", "max_num_seqs=65"], ["-tp=2", "tensor-parallel-size=4"]):
        with pytest.raises(EngineArgumentError, match="is given twice"):
            parse_engine_arguments(twice)
    with pytest.raises(EngineArgumentError) as twice_a_secret:
        parse_engine_arguments(["api-key=sk-one-one", "api_key=sk-two-two"])
    assert "sk-" not in str(twice_a_secret.value)


def test_keys_of_arguments_that_are_mappings() -> None:
    name, value = parse_engine_argument("compilation-config.cudagraph_mode=NONE")
    assert (name, value) == ("compilation_config.cudagraph_mode", "NONE")
    assert options({name: value}) == ["--compilation-config.cudagraph_mode", "NONE"]


@pytest.mark.parametrize(
    "text",
    [
        "api-key",
        "api_key=",
        "api key=sk-secret",
        "api-key sk-secret",
        "api-key: sk-secret",
        "-k=sk-secret",
        "aws.secret.key!=sk-secret",
        "api-key=sk-secret\n",
        "api-key= sk-secret",
        "hf-token=sk-secrét",
        "ssl-keyfile=sk-secret",
    ],
)
def test_an_argument_that_cannot_be_used_is_refused_without_its_value(text: str) -> None:
    with pytest.raises(EngineArgumentError) as refused:
        split_secrets(parse_engine_arguments([text]))
    assert "sk-" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_token_of_the_hubs_own_login_is_no_text() -> None:
    assert split_secrets({"hf_token": True, "api_key": None}) == ({}, {})
    assert split_secrets({"api_key": 1234}) == ({}, {"VLLM_API_KEY": "1234"})
    for no_text in (True, ["a", "b"], {"a": "b"}):
        with pytest.raises(EngineArgumentError):
            split_secrets({"api_key": no_text})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("A=1 B='x y' vllm serve", ({"A": "1", "B": "x y"}, ["vllm", "serve"])),
        ("env A=1 vllm serve", ({"A": "1"}, ["vllm", "serve"])),
        ("/usr/bin/env vllm serve", ({}, ["vllm", "serve"])),
        ("env -i A=1 vllm", ({}, ["env", "-i", "A=1", "vllm"])),
        ("docker run -e A=1 image", ({}, ["docker", "run", "-e", "A=1", "image"])),
        ("A=1", ({}, ["A=1"])),
    ],
)
def test_variables_before_a_command(
    words: str, expected: tuple[dict[str, str], list[str]]
) -> None:
    assert split_variables(shlex.split(words)) == expected


@pytest.mark.parametrize(
    ("command", "match"),
    [
        ("vllm serve --api-key sk-1", "VLLM_API_KEY"),
        ("vllm serve --api-key=sk-1", "VLLM_API_KEY"),
        ("vllm serve --api_key sk-1", "VLLM_API_KEY"),
        ("vllm serve --api-k sk-1", "VLLM_API_KEY"),
        ("docker run -e VLLM_API_KEY=sk-1 image", "VLLM_API_KEY"),
        ("docker run --env=VLLM_API_KEY=sk-1 image", "VLLM_API_KEY"),
        ("docker run -eVLLM_API_KEY=sk-1 image", "VLLM_API_KEY"),
        ('sh -c \'exec vllm serve --api-key s"k-1" "$@"\' --', "VLLM_API_KEY"),
        ("sh -c 'VLLM_API_KEY=sk-1 vllm serve \"$@\"' --", "VLLM_API_KEY"),
        ("vllm serve --ssl-keyfile k.pem", "--ssl-keyfile, which asks for TLS"),
        ("vllm serve --ssl_certfile=c.pem", "--ssl-certfile"),
        ("sh -c 'vllm serve --ssl-certfile c.pem \"$@\"' --", "--ssl-certfile"),
    ],
)
def test_key_or_tls_within_a_command_is_refused(command: str, match: str) -> None:
    with pytest.raises(EngineArgumentError, match=match) as refused:
        check_command(shlex.split(command))
    assert "k-1" not in str(refused.value)


def test_key_that_a_container_is_passed_from_the_environment_is_none_in_the_command() -> None:
    check_command(shlex.split("docker run -e VLLM_API_KEY -e HF_TOKEN=x image --model"))


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
        ("PGPASSWORD", True),
        ("MYSQL_PWD", True),
        ("passwd", True),
        ("auth", True),
        ("HTTP_AUTH", True),
        ("SMTP_PASS", True),
        ("accessToken", True),
        ("privateKey", True),
        ("API_KEY_2", True),
        ("hf-tok", True),
        ("PWD", False),
        ("OLDPWD", False),
        ("SSH_AUTH_SOCK", False),
        ("XAUTHORITY", False),
        ("GIT_AUTHOR", False),
        ("bypass", False),
        ("hotkey", False),
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
