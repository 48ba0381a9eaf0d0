"""From parameters to the engine's argument list, and what of it may be shown.

Parameters have the names of Python identifiers (`max_num_seqs`) and become options
(`--max-num-seqs`). No shell reads the result, so that nothing needs quoting. Secrets never stand
in a command line, which every user of the machine can read: they are moved to the environment.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Mapping
    from collections.abc import Sequence


API_SERVER_MODULE = "vllm.entrypoints.openai.api_server"
# What this project itself sets for every trial, so that a user cannot set it.
RESERVED = frozenset({"model", "served_model_name", "host", "port", "uds", "config"})
# Options that hold a secret, with the environment variable that the engine reads it from.
SECRET_VARIABLES = {"api_key": "VLLM_API_KEY", "hf_token": "HF_TOKEN"}
_SECRET_NAME = re.compile(r"(^|_)(api_key|key|token|secret|password)$")


class EngineArgumentError(ValueError):
    """An argument for the engine that cannot be used; the message says what to do."""


def parse_engine_argument(text: str) -> tuple[str, Any]:
    """Read one `name=value` of a command line; a name alone stands for true.

    Args:
        text: As in `"max-model-len=2048"`, `"enforce_eager"`, `"enable-prefix-caching=false"`.
            Leading dashes are allowed.

    Returns:
        The name as a Python identifier, and the value: a bool for `true` and `false`, else text.

    Raises:
        EngineArgumentError: When this is not an argument, or one that each trial sets itself.
    """
    name, separator, value = text.partition("=")
    identifier = name.strip().lstrip("-").replace("-", "_")
    if not identifier.isidentifier():
        raise EngineArgumentError(f"{text!r} is not an engine argument: write name=value")
    if separator and not value:
        raise EngineArgumentError(f"engine argument {text!r} has no value after its '='")
    if identifier.startswith("no_") and not separator:
        identifier, value = identifier.removeprefix("no_"), "false"
    parsed: Any = {"true": True, "false": False, "": True}.get(value.lower(), value)
    check_engine_arguments({identifier: parsed})
    return identifier, parsed


def check_engine_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse what each trial sets itself, and names that are not Python identifiers.

    Raises:
        EngineArgumentError: When an argument cannot be used.
    """
    for name in arguments:
        if not name.isidentifier():
            raise EngineArgumentError(f"{name!r} is not the name of an engine argument")
        if name in RESERVED:
            raise EngineArgumentError(f"engine argument {name!r} is set for every trial: drop it")


def engine_command(python: str | Path | None, command: Sequence[str] | None) -> list[str]:
    """The words that start the engine, up to and without the name of the model.

    Args:
        python: Interpreter of the environment that holds vLLM, or None.
        command: A whole command such as `["vllm", "serve"]` or a container's, or None. The
            model's name and the options are appended to it.

    Returns:
        `command` if given, else the API server's module run by `python` if given, else
        `vllm serve` if it is on the PATH, else the module run by this interpreter.

    Raises:
        EngineArgumentError: When both are given, or an empty command.
    """
    if python is not None and command is not None:
        raise EngineArgumentError("give the engine's interpreter or its command, not both")
    if command is not None:
        if not command or isinstance(command, str):
            raise EngineArgumentError("the engine's command is a list of at least one word")
        return [str(word) for word in command]
    if python is None and (vllm := shutil.which("vllm")) is not None:
        return [vllm, "serve"]
    return [str(python or sys.executable), "-m", API_SERVER_MODULE, "--model"]


def interpreter_of(words: Sequence[str]) -> str | None:
    """The Python interpreter that a command runs, None when that cannot be told.

    It is the first word itself, or the one on the first line of a script such as `vllm`.
    """
    found = shutil.which(words[0])
    if found is None:
        return None
    if re.fullmatch(r"(python|pypy)[\d.]*(\.exe)?", Path(found).name):
        return found
    with Path(found).open("rb") as file:
        first_line = file.readline(1024)
    match = re.fullmatch(rb"#!\s*(/\S*python[\d.]*)\s*", first_line)
    return match[1].decode() if match else None


def option(name: str) -> str:
    """The option of a parameter: `--max-num-seqs` for `max_num_seqs`."""
    return "--" + name.replace("_", "-")


def options(arguments: Mapping[str, Any], flags: Collection[str] = ()) -> list[str]:
    """Write arguments as options.

    Args:
        arguments: Names and values. None leaves an option out; a mapping is written as JSON.
        flags: The options that the engine accepts, when known: one that can only be switched on
            (`--enable-x` without `--no-enable-x`) is left out when it is false.

    Returns:
        The words, in the order of the arguments.
    """
    words: list[str] = []
    for name, value in arguments.items():
        if isinstance(value, bool):
            word = option(name) if value else option("no_" + name)
            if value or not flags or word in flags:
                words.append(word)
        elif isinstance(value, dict):
            words += [option(name), json.dumps(value)]
        elif isinstance(value, (list, tuple)):
            words += [option(name), *(str(item) for item in value)]
        elif value is not None:
            words += [option(name), str(value)]
    return words


def split_secrets(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Part arguments into those for the command line and environment variables for secrets.

    Raises:
        EngineArgumentError: For a secret for which the engine has no environment variable.
    """
    shown: dict[str, Any] = {}
    environment: dict[str, str] = {}
    for name, value in arguments.items():
        if name in SECRET_VARIABLES:
            environment[SECRET_VARIABLES[name]] = str(value)
        elif is_secret(name):
            raise EngineArgumentError(
                f"engine argument {name!r} looks like a secret, which a command line would show "
                "to every user of the machine: give it in the environment instead"
            )
        else:
            shown[name] = value
    return shown, environment


def is_secret(name: str) -> bool:
    """Whether the value of an argument or environment variable must not be shown."""
    return _SECRET_NAME.search(name.lower()) is not None


def redact(words: Sequence[str]) -> str:
    """Write a command line to show.

    The user's own command may hold secrets: what follows an option or a `NAME=` that looks like
    one is replaced by `***`.
    """
    shown: list[str] = []
    hide_next = False
    for word in words:
        name, separator, _ = word.lstrip("-").replace("-", "_").partition("=")
        secret = is_secret(name)
        shown.append("***" if hide_next else word)
        if secret and separator and not hide_next:
            shown[-1] = word.partition("=")[0] + "=***"
        hide_next = secret and not separator and word.startswith("-")
    return " ".join(_quoted(word) for word in shown)


def _quoted(word: str) -> str:
    """Quote as a shell needs it, so that a person can paste the line; keep *** readable."""
    if re.fullmatch(r"[\w@%+=:,./*-]+", word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
