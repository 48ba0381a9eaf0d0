"""What a study found, before all figures: a sentence, and the command to copy."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING
from typing import Any

from rich.console import Group
from rich.text import Text

from optuna_scoot.cli.table import best_line
from optuna_scoot.tuning.serving_config import Serving


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from rich.console import Console
    from rich.console import RenderableType

    from optuna_scoot import tuning


_INDENT = "    "


def answer(result: tuning.TuningResult) -> RenderableType:
    """Return the sentence, and where something better than the default was found, how to serve it.

    Args:
        result: What the study found.
    """
    best = result.best
    if best is None or best is result.default:
        return Text(best_line(result), "bold")
    params = {**result.task.objective.space.default, **best.params}
    return sentence_and_command(best_line(result), result.task, params)


def sentence_and_command(
    sentence: str, task: tuning.TuningTask, params: Mapping[str, Any]
) -> RenderableType:
    """Return a sentence, and what serves the configuration that it is about.

    Args:
        sentence: Shown first.
        task: What was tuned.
        params: The configuration, a value for every parameter.
    """
    words = Serving.of(task).command(params)
    if task.simulated:
        lines = [Text(f"flags, by a simulated engine: {shlex.join(words)}")]
    else:
        lines = [Text(line, no_wrap=True) for line in shell_lines(words)]
    return Group(Text(sentence, "bold"), *lines)


def print_first(console: Console, found: RenderableType) -> None:
    """Print an answer; where there is no terminal, in lines that do not break.

    Args:
        console: Where to.
        found: As the other functions give it.
    """
    console.print(found, soft_wrap=not console.is_terminal)


def shell_lines(words: Sequence[str], width: int = 72) -> list[str]:
    """Return a command in lines that a shell takes as one.

    Args:
        words: Program and arguments.
        width: Of a line, in characters; a single option may be longer.
    """
    lines: list[str] = []
    for part in _parts(words):
        if lines and len(lines[-1]) + 1 + len(part) <= width:
            lines[-1] += f" {part}"
        else:
            lines.append(f"{_INDENT if lines else ''}{part}")
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _parts(words: Sequence[str]) -> list[str]:
    """Return the program with its subcommand, and each option with its values."""
    parts: list[str] = []
    for word in map(shlex.quote, words):
        if not parts or word.startswith("--"):
            parts.append(word)
        else:
            parts[-1] += f" {word}"
    return parts
