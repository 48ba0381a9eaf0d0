"""What an installed engine is and takes: version, options, defaults, devices.

Options come and go from version to version. Where the engine's interpreter is known, a probe
(``objectives.engines.vllm_probe``) runs in it; of any other command, such as a container's, the
help text is read, which has the options but neither version nor defaults.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from objectives.engines import vllm_probe
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.engines.command import interpreter_of
from objectives.engines.command import spelt
from objectives.engines.environment import inherited
from objectives.engines.failures import DETAIL_CHARACTERS
from objectives.engines.failures import Phase
from objectives.engines.failures import classify_exit
from objectives.engines.log_lines import statements
from objectives.redaction import hide
from objectives.redaction import redact
from objectives.redaction import secrets_in


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence


PROBE_TIMEOUT_SECONDS = 600.0  # an engine on a cold network disk takes minutes to import


@dataclass(frozen=True)
class EngineCapabilities:
    """What the installed engine is, for one model.

    Attributes:
        version: As in "0.32.0"; None when the engine did not say.
        flags: Options that it accepts, as in "--max-num-seqs" and "--no-enable-prefix-caching".
        defaults: Values that it takes for parameters that are not given; None: not known.
        max_model_len: Longest sequence in tokens, prompt and answer; None: not known.
        n_attention_heads: Of the model; None: not known.
        n_kv_heads: Heads of keys and values; None: not known, or never split.
        intermediate_size: Of its MLP or its experts; None: not known, or not split.
        vocabulary: Number of its tokens; None: not known.
        weight_bytes: Size of the model's weights; None: not known.
        device: "cuda", "cpu", ...; None: not known.
        n_devices: Number of GPUs it sees.
        device_bytes: Memory of one of them; None: not known.
        groups: Its options by the groups of its help; empty: not known.
        choices: What parameters take of which it lists the values.
    """

    version: str | None
    flags: frozenset[str]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    max_model_len: int | None = None
    n_attention_heads: int | None = None
    n_kv_heads: int | None = None
    intermediate_size: int | None = None
    vocabulary: int | None = None
    weight_bytes: int | None = None
    device: str | None = None
    n_devices: int = 0
    device_bytes: int | None = None
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    choices: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def accepts(self, parameter: str) -> bool:
        """Return whether the engine knows a parameter, named as in ``max_num_seqs``."""
        return spelt(parameter, self.flags) in self.flags


def ask_engine(
    command: Sequence[str], model: str, options: Sequence[str], env: Mapping[str, str]
) -> EngineCapabilities:
    """Ask the engine that a command starts; the answer is remembered in this process.

    Args:
        command: The words that start the engine, up to and without the model's name.
        model: Folder or name of the model.
        options: The user's own options for the engine.
        env: Environment variables for the engine, over this process's own.

    Raises:
        ExternalFailure: The engine is not there, or cannot serve this model with these options.
    """
    return _ask(tuple(command), model, tuple(options), tuple(sorted(env.items())))


@functools.lru_cache(maxsize=32)
def _ask(
    command: tuple[str, ...],
    model: str,
    options: tuple[str, ...],
    env: tuple[tuple[str, str], ...],
) -> EngineCapabilities:
    interpreter = interpreter_of(command)
    environment = {**inherited(), **dict(env)}
    if interpreter is None:
        return _from_help(command, environment)
    try:
        with tempfile.TemporaryDirectory(prefix="vllm-probe-") as folder:
            result = Path(folder) / "answer.json"
            words = [interpreter, vllm_probe.__file__, str(result), "--model", model, *options]
            try:
                log = _run(words, environment)
            except ExternalFailure as failure:
                raise _with_nearest(failure, _told(result)) from None
            answer = _told(result)
    except OSError as error:
        raise ExternalFailure(
            ExternalReason.FILE_SYSTEM,
            f"no file can be written in {tempfile.gettempdir()}: {error.strerror}",
        ) from error
    if "version" not in answer:
        said = hide(" ".join(log.split())[-DETAIL_CHARACTERS:], secrets_in(environment, words))
        raise ExternalFailure(
            ExternalReason.BAD_ENGINE_ARGUMENT, f"the engine said nothing of itself: {said}"
        )
    return EngineCapabilities(**{**answer, "flags": frozenset(answer["flags"])})


def _told(result: Path) -> dict[str, Any]:
    """Return what a probe has written, nothing where it has not come to it."""
    return dict(json.loads(result.read_text(encoding="utf-8"))) if result.exists() else {}


def _with_nearest(failure: ExternalFailure, answer: Mapping[str, Any]) -> ExternalFailure:
    """Return a failure that names the option that one which is none is nearest to."""
    found = re.search(r"unrecognized arguments: (--[\w-]+)", failure.detail)
    if found is None:
        return failure
    nearest = difflib.get_close_matches(found[1], answer.get("flags", ()), n=1)
    meant = f"; did you mean {nearest[0]}?" if nearest else ""
    return ExternalFailure(failure.reason, failure.detail + meant)


def ask_for_help(command: Sequence[str], env: Mapping[str, str], kind: str) -> EngineCapabilities:
    """Ask a server of any kind for its help text; the answer is remembered in this process.

    Args:
        command: The words that start it.
        env: Environment variables for it, over this process's own.
        kind: What it should be, for messages.

    Raises:
        ExternalFailure: It is not there, or names no option.
    """
    return _help_of(tuple(command), tuple(sorted(env.items())), kind)


@functools.lru_cache(maxsize=32)
def _help_of(
    command: tuple[str, ...], env: tuple[tuple[str, str], ...], kind: str
) -> EngineCapabilities:
    return _from_help(command, {**inherited(), **dict(env)}, kind)


def _from_help(
    command: tuple[str, ...], env: dict[str, str], kind: str = "vLLM"
) -> EngineCapabilities:
    """Read the options from the engine's help text."""
    # A command may end with an option that the model's name follows.
    words = list(command[:-1] if command[-1].startswith("--") else command)
    try:
        text = _run([*words, "--help=all" if kind == "vLLM" else "--help"], env)
    except ExternalFailure as failure:
        if failure.reason == ExternalReason.ENGINE_MISSING or kind != "vLLM":
            raise
        text = _run([*words, "--help"], env)  # before help came in groups
    if not (flags := flags_in_help(text)):
        raise ExternalFailure(
            ExternalReason.ENGINE_MISSING,
            f"{_shown(words, env)} does not start {kind}: asked with --help, it names no option",
        )
    return EngineCapabilities(version=None, flags=flags)


def _shown(words: list[str], env: Mapping[str, str]) -> str:
    """Return a command as far as it names the program, without secrets."""
    ends = [i for i, word in enumerate(words) if word.startswith("--")]
    ends += [i for i, word in enumerate(words) if word == vllm_probe.__file__]
    return hide(redact(words[: min(ends)] if ends else words), secrets_in(env, words))


def flags_in_help(text: str) -> frozenset[str]:
    """Return the options that a help text names."""
    return frozenset(re.findall(r"(?<![\w-])--[a-z][\w-]*[a-z0-9]", text))


def _run(words: list[str], env: dict[str, str]) -> str:
    """Run a program to its end and return what it printed."""
    try:
        done = subprocess.run(
            words,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PROBE_TIMEOUT_SECONDS,
            check=False,
        )
    except OSError as error:
        raise ExternalFailure(
            ExternalReason.ENGINE_MISSING, f"cannot run {redact(words[:1])}: {error.strerror}"
        ) from None
    except subprocess.TimeoutExpired:
        raise ExternalFailure(
            ExternalReason.ENGINE_MISSING,
            f"no answer within {PROBE_TIMEOUT_SECONDS:.0f} s: "
            f"{hide(redact(words), secrets_in(env, words))}",
        ) from None
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        failure = classify_exit(done.returncode, text, Phase.STARTING, tuned=())
        detail = hide(failure.detail, secrets_in(env, words))
        if isinstance(failure, EngineCrash):  # nothing is tuned yet: these are the user's options
            if not any(statement.strong for statement in statements(text)):
                # A program of another kind, whose words say little without its name.
                code = f"{_shown(words, env)} ended with exit code {done.returncode}"
                detail = f"{code} when it was asked what it takes; it said: {detail}"
            raise ExternalFailure(ExternalReason.BAD_ENGINE_ARGUMENT, detail)
        raise ExternalFailure(failure.reason, detail)
    return text
