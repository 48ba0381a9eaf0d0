"""The published page, written again from the published runs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from optuna_scoot.comparison.peers.modes import PeerMode
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.registry import select_problems
from optuna_scoot.comparison.reporting.comparison import Comparison
from optuna_scoot.comparison.reporting.markdown import write_report
from optuna_scoot.comparison.running.planning import parse_numbers
from optuna_scoot.comparison.running.planning import plan
from optuna_scoot.comparison.running.planning import split
from optuna_scoot.comparison.running.runs import Run
from optuna_scoot.comparison.running.runs import RunKey


def commands_of(page: str) -> list[str]:
    """Return the commands that a page names, as they are to be typed."""
    return [line for line in page.splitlines() if line.startswith("optuna-scoot")]


def planned_by(command: str) -> list[tuple[str, RunKey]]:
    """Return what a command runs, each with the mode that it stands for."""
    words = shlex.split(command)
    options = dict(zip(words[2::2], words[3::2], strict=True))
    return plan(
        select_problems(split(options["--problems"])),
        split(options["--samplers"]),
        [PeerMode.parse(mode) for mode in split(options["--modes"])],
        parse_numbers(options["--seeds"]),
        batches=parse_numbers(options.get("--batch", "1")),
    )


def write_again(page: str, published: Mapping[RunKey, Run]) -> str:
    """Return the page as the code of today writes it from the runs of its commands.

    Args:
        page: The page as it stands.
        published: The published runs.

    Raises:
        CompareError: If a run is missing.
    """
    commands = commands_of(page)
    planned = dict.fromkeys(pair for command in commands for pair in planned_by(command))
    for _, key in planned:
        if key not in published:
            raise CompareError(f"{key} is not among the published runs.")
    runs = [(mode, published[key]) for mode, key in planned]
    return write_report(Comparison(runs), commands)
