"""An engine's command that runs a container: what of it cannot work, and where its files are.

``docker run``, and the programs that take the same options. Every trial's engine gets a port of
its own on this machine, stays in the foreground and is gone after its trial; a container has to
allow that. Other commands that end in a container, such as a script, are taken as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from pathlib import PurePosixPath


_PROGRAMS = ("docker", "podman", "nerdctl")
# Options without a value; any other takes the next word, unless it has a "=".
_SWITCHES = frozenset(
    {
        "--detach",
        "--disable-content-trust",
        "--init",
        "--interactive",
        "--no-healthcheck",
        "--no-hosts",
        "--oom-kill-disable",
        "--privileged",
        "--publish-all",
        "--quiet",
        "--read-only",
        "--replace",
        "--rm",
        "--tty",
    }
)
_LETTERS = "ditPq"  # switches of one letter, which may stand together: -it
_LONG = {
    "d": "--detach",
    "i": "--interactive",
    "t": "--tty",
    "P": "--publish-all",
    "q": "--quiet",
    "e": "--env",
    "v": "--volume",
    "p": "--publish",
    "w": "--workdir",
    "u": "--user",
    "h": "--hostname",
    "l": "--label",
    "m": "--memory",
    "c": "--cpu-shares",
    "a": "--attach",
}


def run_options(words: Sequence[str]) -> list[tuple[str, str]] | None:
    """Return the options of ``docker run`` before the image, None for any other command.

    Returns:
        Long names and values, in order; "" for a switch. ``--net`` is ``--network``.
    """
    rest = iter(words)
    for word in rest:
        if Path(word).name in _PROGRAMS:
            break
    else:
        return None
    before = ""
    for word in rest:
        if word == "run":
            return list(_options(rest))
        if word != "container" and not word.startswith("-") and not before.startswith("-"):
            return None  # another of its commands
        before = word
    return None


def _options(rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    for word in rest:
        if not word.startswith("-") or word == "--":
            return
        if word.startswith("--"):
            name, separator, value = word.partition("=")
            name = "--network" if name == "--net" else name
            takes_next = not separator and name not in _SWITCHES
            yield name, next(rest, "") if takes_next else value
            continue
        letters = word[1:]
        while letters and letters[0] in _LETTERS:
            yield _LONG[letters[0]], ""
            letters = letters[1:]
        if letters:
            name = _LONG.get(letters[0], f"-{letters[0]}")
            yield name, letters[1:].removeprefix("=") or next(rest, "")


def container_fault(words: Sequence[str]) -> str | None:
    """Return what of a container's command can only fail, and what to do; None: nothing known."""
    options = run_options(words)
    if options is None:
        return None
    given = dict(options)
    name = Path(next(word for word in words if Path(word).name in _PROGRAMS)).name
    if given.get("--detach", "false") in ("", "true"):
        return f"{name} run has to stay in the foreground: leave -d out"
    if not given.get("--network", "").startswith(("host", "container:", "ns:")):
        return (
            f"{name} run needs --network host: every engine listens on a port of its own of this "
            "machine"
        )
    if "--name" in given and "--rm" not in given:
        return f"{name} run --name needs --rm: the name would still be taken at the second engine"
    if given.get("--tty", "false") in ("", "true"):
        return f"{name} run has no terminal here: leave -t out"
    return None


def gpu_fault(words: Sequence[str]) -> str | None:
    """Return why a container would not keep to the GPUs that it is given, None where it would.

    Args:
        words: Its command, started with CUDA_VISIBLE_DEVICES in the environment.
    """
    options = run_options(words)
    if options is None or ("--env", "CUDA_VISIBLE_DEVICES") in options:
        return None
    return (
        "each of several engines gets GPUs of its own, and a container is told of them by"
        " --env CUDA_VISIBLE_DEVICES, without a value: add it"
    )


def container_variables(words: Sequence[str]) -> dict[str, str]:
    """Return the environment variables that a container's command sets by value."""
    options = run_options(words) or []
    pairs = [value.partition("=") for name, value in options if name == "--env"]
    return {name: value for name, separator, value in pairs if separator}


def host_path(words: Sequence[str], path: str) -> Path:
    """Return where a file of a container is on this machine.

    Args:
        words: The command, whose bind mounts are looked into.
        path: As the container names it.

    Returns:
        The path below the innermost mount that holds it; the path itself where none does.
    """
    wanted = PurePosixPath(path)
    mounts = [
        (PurePosixPath(inside), outside)
        for inside, outside in _mounts(run_options(words) or []).items()
        if wanted.is_relative_to(inside)
    ]
    if not mounts:
        return Path(path)
    inside, outside = max(mounts, key=lambda mount: len(mount[0].parts))
    return Path(outside).expanduser() / wanted.relative_to(inside)


def _mounts(options: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Return folders of the container and where they are on this machine."""
    mounts: dict[str, str] = {}
    for name, value in options:
        if name == "--volume":
            outside, inside, *_ = [*value.split(":"), "", ""]
            if re.match(r"[/.~]", outside):  # else the name of a volume
                mounts[inside] = outside
        elif name == "--mount":
            fields = dict(part.partition("=")[::2] for part in value.split(","))
            outside = fields.get("source") or fields.get("src") or ""
            inside = fields.get("target") or fields.get("dst") or fields.get("destination") or ""
            if fields.get("type", "bind") == "bind" and outside:
                mounts[inside] = outside
    return mounts
