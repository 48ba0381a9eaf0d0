"""Which runs a comparison is made of."""

from __future__ import annotations

from collections.abc import Sequence

from optuna_scoot.comparison.peers.contestants import find_contestant
from optuna_scoot.comparison.peers.modes import PeerMode
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.registry import make_problem
from optuna_scoot.comparison.problems.registry import may_crash
from optuna_scoot.comparison.running.runs import RunKey


MOST_NUMBERS = 100_000


def split(text: str) -> list[str]:
    """Return the words of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_numbers(text: str) -> list[int]:
    """Return ``"0-2,7"`` as ``[0, 1, 2, 7]``.

    Raises:
        CompareError: If it is not such a list, is empty, or is endless.
    """
    numbers: list[int] = []
    example = "write for example 0-4 or 0,3,1000-1009."
    for part in split(text):
        first, _, last = part.partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            msg = f"{text!r} is not a list of whole numbers; {example}"
            raise CompareError(msg)
        if not 0 <= int(last or first) - int(first) < MOST_NUMBERS:
            msg = f"{part!r} is no range from a number up to another, {MOST_NUMBERS} at most."
            raise CompareError(msg)
        numbers.extend(range(int(first), int(last or first) + 1))
    if not numbers:
        msg = f"{text!r} has no number; {example}"
        raise CompareError(msg)
    return numbers


def plan(
    problems: Sequence[str],
    samplers: Sequence[str],
    modes: Sequence[PeerMode] | None,
    seeds: Sequence[int],
    *,
    batches: Sequence[int] = (1,),
    n_trials: int = 30,
) -> list[tuple[str, RunKey]]:
    """Return what is to be run, each with the mode that it stands for.

    Args:
        problems: Names of problems.
        samplers: Names of samplers.
        modes: The modes wanted, or None for all of each sampler's.
        seeds: Seeds.
        batches: Trials suggested at a time, at least 1.
        n_trials: Budget of each run.

    Returns:
        PeerMode asked for and run, seeds outermost so that an interrupted comparison is even.

    Raises:
        CompareError: If there is no problem or sampler, one does not exist, or a batch is 0.
    """
    for what, names in (("problem", problems), ("sampler", samplers)):
        if not names:
            msg = f"No {what} is named."
            raise CompareError(msg)
    if min(batches, default=0) < 1:
        msg = "A batch has at least 1 trial."
        raise CompareError(msg)
    contestants = [find_contestant(sampler) for sampler in samplers]
    planned: list[tuple[str, RunKey]] = []
    for seed in seeds:
        for name in problems:
            problem = make_problem(name, seed)
            crashes = may_crash(name)
            for contestant in contestants:
                own = contestant.modes
                wanted = own if modes is None else [mode for mode in own if mode in modes]
                for mode in wanted or own[:1]:
                    actual = str(mode.on(problem, may_crash=crashes))
                    for batch in batches:
                        key = RunKey(name, contestant.name, actual, seed, batch, n_trials)
                        planned.append((str(mode), key))
    return planned
