"""The tokenizer of the model that an engine serves: where it is, and what to do without it."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.engines.containers import container_variables
from objectives.engines.containers import host_path
from objectives.prompts import NoTokenizer
from objectives.prompts import PromptError
from objectives.prompts import Prompts
from objectives.prompts import write_prompts
from objectives.redaction import fits_header
from objectives.workload import Workload


@dataclass(frozen=True)
class TokenizerSource:
    """Where the tokenizer of an engine's model is.

    Attributes:
        place: A folder on this machine, or a name on the hub.
        revision: Branch, tag or commit on the hub; None: its main branch.
        token: For the hub; None: what the hub's library finds in this process.
    """

    place: str
    revision: str | None
    token: str | None = field(repr=False)


def find_tokenizer(
    named: str | None,
    model: str,
    engine_args: Mapping[str, Any],
    command: Sequence[str],
    env: Mapping[str, str],
) -> TokenizerSource:
    """Find the tokenizer that an engine takes.

    Args:
        named: Where the user says that it is; then a container's mounts are ignored.
        model: The engine's model.
        engine_args: The user's arguments for the engine.
        command: The words that start the engine.
        env: The engine's own environment variables.

    Raises:
        ExternalFailure: The hub's token cannot be sent.
    """
    place = named or str(engine_args.get("tokenizer") or model)
    if named is None and not Path(place).exists():
        place = str(host_path(command, place))
    revision = engine_args.get("tokenizer_revision") or engine_args.get("revision")
    token = _hub_token({**env, **container_variables(command)})
    for value in (token, _hub_token(os.environ)):
        if value is not None and not fits_header(value):
            raise ExternalFailure(
                ExternalReason.BAD_ENGINE_ARGUMENT,
                "HF_TOKEN cannot be sent in an HTTP header: it has to be visible ASCII characters",
            )
    return TokenizerSource(place, None if revision is None else str(revision), token)


@contextlib.contextmanager
def tokenizer_needed(place: str, clean: Callable[[str], str]) -> Iterator[None]:
    """Explain what to do where a tokenizer cannot be read or used.

    Args:
        place: See ``TokenizerSource``.
        clean: Takes the secrets out of a text.

    Raises:
        ExternalFailure: Instead of a ``PromptError``.
    """
    try:
        yield
    except PromptError as error:
        if isinstance(error, NoTokenizer) and is_missing_path(place):
            raise ExternalFailure(
                ExternalReason.NO_SUCH_MODEL,
                f"there is no {place} on this machine, where the prompts are written: give a "
                "container the model under the same path, or name the tokenizer on the hub "
                "(engine argument tokenizer)",
            ) from None
        raise ExternalFailure(
            ExternalReason.NO_SUCH_MODEL,
            f"{clean(str(error))} (the engine argument tokenizer names another folder or hub "
            "name)",
        ) from None


@functools.lru_cache(maxsize=8)
def written_once(workload: Workload, source: TokenizerSource, added: int) -> Prompts:
    """Return the prompts of a workload, made once in a process; see ``write_prompts``."""
    return write_prompts(
        workload, source.place, added, revision=source.revision, token=source.token
    )


def is_missing_path(model: str) -> bool:
    """Return whether this is a path, no name on a hub, and nothing is there."""
    return model.startswith(("/", "./", "../", "~")) and not Path(model).expanduser().exists()


def _hub_token(env: Mapping[str, str]) -> str | None:
    names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    return next((value for name in names if (value := env.get(name, "").strip())), None)
