"""From parameters to the engine's argument list, and what of it may be shown.

Parameters have the names of Python identifiers (``max_num_seqs``) and become options
(``--max-num-seqs``). No shell reads the result, so that nothing needs quoting. Secrets never stand
in a command line, which every user of the machine can read: they are moved to the environment.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from objectives.redaction import fits_header
from objectives.redaction import is_secret


if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Mapping
    from collections.abc import Sequence


API_SERVER_MODULE = "vllm.entrypoints.openai.api_server"
# What this project itself sets for every trial, so that a user cannot set it.
RESERVED = frozenset({"model", "served_model_name", "host", "port", "uds", "config"})
# TLS, which the load generator does not speak.
UNSUPPORTED = frozenset(
    {
        "enable_ssl_refresh",
        "ssl_ca_certs",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_ciphers",
        "ssl_keyfile",
    }
)
# Short forms of options whose long name has to be known here.
ALIASES = {
    "tp": "tensor_parallel_size",
    "pp": "pipeline_parallel_size",
    "dp": "data_parallel_size",
    "q": "quantization",
    "asc": "api_server_count",
    "cc": "compilation_config",
    "ac": "attention_config",
    "sc": "speculative_config",
    "O": "optimization_level",
}
# Arguments that take several values: behind one option, or with an option for each.
LISTS = frozenset(
    {
        "allowed_media_domains",
        "collect_detailed_traces",
        "cpu_offload_params",
        "cudagraph_capture_sizes",
        "ignore_patterns",
        "kv_cache_dtype_skip_layers",
        "logits_processors",
        "lora_modules",
        "lora_target_modules",
        "middleware",
        "offload_params",
        "prompt_adapters",
    }
)
REPEATED_OPTIONS = frozenset({"middleware"})
# Options that hold a secret, with the environment variable that the engine reads it from.
SECRET_VARIABLES = {"api_key": "VLLM_API_KEY", "hf_token": "HF_TOKEN"}


class EngineArgumentError(ValueError):
    """An argument for the engine cannot be used; the message says what to do."""


def parse_engine_arguments(texts: Sequence[str]) -> dict[str, Any]:
    """Read several ``name=value`` of a command line.

    Args:
        texts: As ``parse_engine_argument`` reads them. An argument that takes several values, such
            as ``lora-modules``, may be given several times.

    Raises:
        EngineArgumentError: As for one, or when one is given twice with different values.
    """
    arguments: dict[str, Any] = {}
    for text in texts:
        name, value = parse_engine_argument(text)
        if name in LISTS and name in arguments:
            before = arguments[name]
            arguments[name] = [*(before if isinstance(before, list) else [before]), value]
        elif arguments.setdefault(name, value) != value:
            raise EngineArgumentError(
                f"engine argument {name!r} is given twice, with different values"
            )
    return arguments


def parse_engine_argument(text: str) -> tuple[str, Any]:
    """Read one ``name=value`` of a command line; a name alone stands for true.

    Args:
        text: As in ``"max-model-len=2048"``, ``"enforce_eager"``,
            ``"enable-prefix-caching=false"``, ``"compilation-config.cudagraph_mode=NONE"``.
            Leading dashes are allowed, and so are short forms such as ``-tp=2``.

    Returns:
        The name as a Python identifier, with a key behind a dot where one is set of several, and
        the value: a bool for ``true`` and ``false``, else text.

    Raises:
        EngineArgumentError: When this is not an argument, or one that each trial sets itself. The
            message holds no value, which may be a secret.
    """
    given, separator, value = text.partition("=")
    word = given.strip().lstrip("-")
    if match := re.fullmatch(r"O(\d)", word):  # -O3
        word, separator, value = "O", "=", match[1]
    head, dot, key = word.partition(".")
    name = head.replace("-", "_")
    name = ALIASES.get(name, name) + dot + key
    shown = re.split(r"\s", given.strip(), maxsplit=1)[0]
    if not _is_name(name):
        raise EngineArgumentError(f"{shown!r} is not an engine argument: write name=value")
    if given.strip().startswith("-") and not given.strip().startswith("--") and head == name:
        raise EngineArgumentError(f"{shown!r} is a short option: write its long name")
    if (separator and not value) or (is_secret(name) and name != "hf_token" and not separator):
        raise EngineArgumentError(f"engine argument {shown!r} has no value: write {shown}=value")
    if name.startswith("no_") and not separator:
        name, value = name.removeprefix("no_"), "false"
    parsed: Any = {"true": True, "false": False, "": True}.get(value.lower(), value)
    check_engine_arguments({name: parsed})
    return name, parsed


def _is_name(name: str) -> bool:
    """Return whether this names an argument, or a key of one: ``compilation_config.mode``."""
    head, *keys = name.split(".")
    return head.isidentifier() and all(re.fullmatch(r"[\w-]+", key) for key in keys)


def check_engine_arguments(arguments: Mapping[str, Any], reserved: Collection[str] = ()) -> None:
    """Refuse what each trial sets itself, what is not measured, and what is not a name.

    Args:
        arguments: By name.
        reserved: What is set besides for an engine of this kind.

    Raises:
        EngineArgumentError: When an argument cannot be used.
    """
    for name in arguments:
        if not _is_name(name):
            raise EngineArgumentError(f"{name!r} is not the name of an engine argument")
        if name in RESERVED or name in reserved:
            raise EngineArgumentError(f"engine argument {name!r} is set for every trial: drop it")
        if name in UNSUPPORTED:
            raise EngineArgumentError(
                f"engine argument {name!r} asks for TLS, which is not measured: drop it"
            )


def engine_command(python: str | Path | None, command: Sequence[str] | None) -> list[str]:
    """Return the words that start the engine, up to and without the name of the model.

    Args:
        python: Interpreter of the environment that holds vLLM, or None.
        command: A whole command such as ``["vllm", "serve"]`` or a container's, or None. The
            model's name and the options are appended to it.

    Returns:
        ``command`` if given, else the API server's module run by ``python`` if given, else
        ``vllm serve`` if it is on the PATH, else the module run by this interpreter.

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
    interpreter = str(python or sys.executable)
    if python is not None and shutil.which(interpreter) and not _is_python(interpreter):
        interpreter = interpreter_of([interpreter]) or interpreter  # a script, such as vllm itself
    return [interpreter, "-m", API_SERVER_MODULE, "--model"]


def split_variables(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Split a command into the variables that it sets first, as a shell reads them, and the rest.

    Args:
        words: As in ``["VLLM_USE_V1=1", "vllm", "serve"]``, also behind ``env``.
    """
    rest = list(words)
    if len(rest) > 1 and Path(rest[0]).name == "env" and not rest[1].startswith("-"):
        rest.pop(0)
    variables: dict[str, str] = {}
    while len(rest) > 1 and re.match(r"[A-Za-z_]\w*=", rest[0]):
        name, _, value = rest.pop(0).partition("=")
        variables[name] = value
    return variables, rest


def check_command(words: Sequence[str]) -> None:
    """Refuse a command that gives the engine what only an argument of its own can.

    Raises:
        EngineArgumentError: It holds the API key, which the load generator needs too, or asks for
            TLS. The message does not show the key.
    """
    for word in words:
        if re.search(r"(^|\s)--api[-_]k(ey?)?\b|(^|[\s=e])VLLM_API_KEY=", word):
            raise EngineArgumentError(
                "the engine's command holds its API key, which the load generator needs too and "
                "every user of the machine can read: leave it out, and set VLLM_API_KEY in the "
                "environment (a container is passed it with -e VLLM_API_KEY)"
            )
        if match := re.search(r"(^|\s)--((enable-)?ssl-[\w-]+)", word.replace("_", "-")):
            raise EngineArgumentError(
                f"the engine's command has --{match[2]}, which asks for TLS, which is not "
                "measured: leave it out"
            )


def options_in(words: Sequence[str]) -> set[str]:
    """Return the arguments that a command sets itself, by the names of parameters."""
    names = [re.sub(r"[=.].*", "", word) for word in words if word.startswith("-")]
    identifiers = {name.lstrip("-").replace("-", "_") for name in names}
    return {ALIASES.get(name, name).removeprefix("no_") for name in identifiers}


def interpreter_of(words: Sequence[str]) -> str | None:
    """Return the Python interpreter that a command runs, None when that is not known.

    It is the first word itself, or what a script such as ``vllm`` names at its head: in
    its first line, through ``env``, or, as pip and uv write it for long paths, in a second line
    that the shell executes.
    """
    found = shutil.which(words[0])
    if found is None:
        return None
    if _is_python(found) or list(words[1:3]) == ["-m", API_SERVER_MODULE]:
        return found
    try:
        with Path(found).open("rb") as file:
            first, second = (file.readline(4096).decode(errors="replace") for _ in range(2))
    except OSError:
        return None
    if not first.startswith("#!"):
        return None
    try:
        named = shlex.split(first[2:])
        if named and Path(named[0]).name == "env":
            named = [word for word in named[1:] if not re.match(r"-|\w+=", word)]
        if named and Path(named[0]).name in ("sh", "bash") and second.startswith("'''exec' "):
            named = _executed(second, found)
    except ValueError:
        return None
    if not named or not _is_python(named[0]):
        return None
    return named[0] if Path(named[0]).is_absolute() else shutil.which(named[0])


def _executed(line: str, script: str) -> list[str]:
    """Return what ``'''exec' PROGRAM "$0" "$@"`` runs, perhaps by the script's own folder."""
    program = line.removeprefix("'''exec' ").rpartition(' "$0"')[0]
    sibling = re.fullmatch(r"""["']?\$\(dirname .*\)["']*/(?P<name>.*)""", program)
    if sibling is not None:
        return [str(Path(script).resolve().parent / sibling["name"].strip("\"'"))]
    return shlex.split(program)


def _is_python(path: str) -> bool:
    return re.fullmatch(r"(python|pypy)[\d.]*(\.exe)?", Path(path).name) is not None


def option(name: str) -> str:
    """Return the option of a parameter: ``--max-num-seqs`` for ``max_num_seqs``."""
    head, dot, key = name.partition(".")
    return "--" + head.replace("_", "-") + dot + key


def spelt(name: str, flags: Collection[str]) -> str:
    """Return the option of a parameter as an engine spells it, with underscores where it does.

    Args:
        name: Of the parameter.
        flags: The options that the engine accepts; empty: not known.
    """
    usual, other = option(name), "--" + name
    return other if usual not in flags and other in flags else usual


def options(arguments: Mapping[str, Any], flags: Collection[str] = ()) -> list[str]:
    """Write arguments as options.

    Args:
        arguments: Names and values. None leaves an option out; a mapping is written as JSON.
        flags: The options that the engine accepts, when known: one that can only be switched on
            (``--enable-x`` without ``--no-enable-x``) is left out when it is false.

    Returns:
        The words, in the order of the arguments.
    """
    words: list[str] = []
    for name, value in arguments.items():
        flag = spelt(name, flags)
        if isinstance(value, bool):
            word = flag if value else spelt("no_" + name, flags)
            if value or not flags or word in flags:
                words.append(word)
        elif isinstance(value, dict):
            words += [flag, json.dumps(value)]
        elif isinstance(value, (list, tuple)) and name in REPEATED_OPTIONS:
            words += [word for item in value for word in (flag, str(item))]
        elif isinstance(value, (list, tuple)):
            words += [flag, *(str(item) for item in value)]
        elif value is not None:
            words += [flag, str(value)]
    return words


def split_secrets(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Split arguments into those for the command line and environment variables for secrets.

    Raises:
        EngineArgumentError: For a secret for which the engine has no environment variable.
    """
    shown: dict[str, Any] = {}
    environment: dict[str, str] = {}
    for name, value in arguments.items():
        if value is None:
            continue
        if name == "hf_token" and value is True:
            continue  # the token of the hub's own login, which is taken anyhow
        if name in SECRET_VARIABLES:
            if not isinstance(value, (str, int)) or value is True or not fits_header(str(value)):
                raise EngineArgumentError(
                    f"engine argument {name!r} cannot be sent in an HTTP header: it is one text "
                    "of visible ASCII characters, without a line end or blanks around it"
                )
            environment[SECRET_VARIABLES[name]] = str(value)
        elif is_secret(name):
            raise EngineArgumentError(
                f"engine argument {name!r} looks like a secret, which a command line would show "
                "to every user of the machine: give it in the environment instead"
            )
        else:
            shown[name] = value
    return shown, environment
