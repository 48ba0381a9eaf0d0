"""What an engine says of its own configuration, next to what it was asked for.

An engine may change a flag without an error: prefix caching that a model cannot have, blocks that
a kernel wants larger. A server in vLLM's development mode tells its whole configuration
(``/server_info``); others write a part of it into their log when they start.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING
from typing import Any


if TYPE_CHECKING:
    from collections.abc import Mapping


FLAGS = "flags"
"""Among an engine's facts: what ``compare`` returned."""
_HAS = "engine has "

# "Initializing a V1 LLM engine (v0.32.0) with config: model='m', ..., enable_prefix_caching=True".
# The same words since vLLM 0.2: "Initializing an LLM engine (v0.5.4) with config: ...".
_FIRST = ("scheduler_config", "cache_config", "parallel_config")  # the word of these counts
_IN_LOG = re.compile(r"Initializing an? (?:V\d )?LLM engine .{0,40}?with config: (.*?)\)?$", re.M)


def stated_config(server_info: Mapping[str, Any] | None, log: str) -> dict[str, Any]:
    """Return the settings that an engine states, by their names.

    Args:
        server_info: What ``/server_info?config_format=json`` gave, None where it gave nothing.
        log: What the engine wrote.
    """
    config = (server_info or {}).get("vllm_config")
    if not isinstance(config, dict):
        found = _IN_LOG.search(log)
        return _from_text(found[1]) if found else {}
    parts = [config.get(name) for name in _FIRST] + list(config.values())
    stated: dict[str, Any] = {}
    for part in parts:
        if isinstance(part, dict):
            stated = {**part, **stated}
    return stated


def _from_text(text: str) -> dict[str, Any]:
    """Return the plain settings of "a=1, b='x', c=Config(d=2)"; c and d are left out."""
    stated: dict[str, Any] = {}
    for name, value in re.findall(r"(\w+)=([^,()\[\]{}]+)(?:, |$)", _without_groups(text)):
        try:
            stated.setdefault(name, ast.literal_eval(value))
        except (ValueError, SyntaxError):
            stated.setdefault(name, value)
    return stated


def _without_groups(text: str) -> str:
    """Return a text without what stands in brackets, of any kind and depth."""
    innermost = re.compile(r"[\w.]*(?:\([^()\[\]{}]*\)|\[[^()\[\]{}]*\]|\{[^()\[\]{}]*\})")
    while (shorter := innermost.sub("", text)) != text:
        text = shorter
    return text


def compare(asked: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return which flags the engine has as asked, which it has not, and which it does not state.

    Args:
        asked: Names and values of the trial's parameters; None stands for the engine's own.
        stated: What ``stated_config`` returned.

    Returns:
        ``confirmed`` and ``unstated``, lists of names, and ``changed``, by name ``asked`` and
        ``has``. Fit for JSON.
    """
    # Words are spelt in several ways ("float32" is "torch.float32"): only equal ones tell.
    told = {
        name: stated[name]
        for name, value in asked.items()
        if isinstance(stated.get(name), bool | int | float)
        or (isinstance(value, str) and stated.get(name) == value)
    }
    changed = {
        name: {"asked": asked[name], "has": value}
        for name, value in told.items()
        if asked[name] is not None and asked[name] != value
    }
    return {
        "confirmed": [name for name in told if name not in changed],
        "changed": changed,
        "unstated": [name for name in asked if name not in told],
    }


def as_attributes(compared: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``compare`` returned as user attributes of a trial, one a fact.

    Args:
        compared: What it returned.
    """
    told = {
        "flags confirmed": ", ".join(compared["confirmed"]),
        "flags not stated": ", ".join(compared["unstated"]),
    }
    changed = {f"{_HAS}{name}": one["has"] for name, one in compared["changed"].items()}
    return {**{name: names for name, names in told.items() if names}, **changed}


def changed_flags(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that an engine does not have as asked, with what it has instead.

    Args:
        attrs: A trial's user attributes, of this version or an earlier one.
    """
    found = {k.removeprefix(_HAS): v for k, v in attrs.items() if k.startswith(_HAS)}
    earlier = attrs.get(FLAGS, {}).get("changed", {})
    return {**{name: one["has"] for name, one in earlier.items()}, **found}
