"""The samplers of the comparison: Optuna's, HEBO where installed, and ScootSampler with ablations.

A variant of ScootSampler needs no entry: ``scoot:KEY=VALUE/KEY=VALUE`` changes options of its
`Method`, for example ``scoot:pof_weight=0.0/kernel.warp=True``. A label behind ``@`` does nothing
but keep results apart, for example those of two versions of the code: ``scoot@before``.
"""

from __future__ import annotations

import ast
import dataclasses
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.samplers import BaseSampler

from optuna_scoot.comparison.development.hebo_peer import PYTHON_VARIABLE
from optuna_scoot.comparison.development.hebo_peer import HeboSampler
from optuna_scoot.comparison.development.hebo_peer import hebo_python
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.problem import Problem
from optuna_scoot.comparison.samplers.modes import ALL_MODES
from optuna_scoot.comparison.samplers.modes import FAIL
from optuna_scoot.comparison.samplers.modes import CrashHandling
from optuna_scoot.comparison.samplers.modes import Mode


SamplerFactory = Callable[[Problem, int], BaseSampler]
"""Problem and seed to sampler."""


@dataclass(frozen=True)
class Contestant:
    """A sampler of the comparison.

    Attributes:
        name: Its name.
        make: Makes it for a problem and a seed.
        modes: The ways in which it is run.
        n_draws: With known constraints: suggestions drawn before a random valid one is taken.
        takes_known: Whether it takes the known constraints itself.
    """

    name: str
    make: SamplerFactory
    modes: tuple[Mode, ...]
    n_draws: int = 50
    takes_known: bool = False


_BLIND_MODES = (FAIL, Mode(CrashHandling.FAIL, known=True))
"""For samplers that look at no result, what is told of a crash makes no difference."""

_RANK_MODES = tuple(mode for mode in ALL_MODES if mode.crash is not CrashHandling.LARGE)
"""For samplers that look at the order of the values alone, large is the same as penalty."""


def _random(problem: Problem, seed: int) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


def _qmc(problem: Problem, seed: int) -> BaseSampler:
    return optuna.samplers.QMCSampler(seed=seed, scramble=True)


def _tpe(problem: Problem, seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed)


def _nsga2(problem: Problem, seed: int) -> BaseSampler:
    return optuna.samplers.NSGAIISampler(seed=seed, population_size=10)


def _gp(problem: Problem, seed: int) -> BaseSampler:
    return optuna.samplers.GPSampler(seed=seed)


def _botorch(problem: Problem, seed: int) -> BaseSampler:
    from optuna_integration import BoTorchSampler  # type: ignore[import-untyped]

    sampler: BaseSampler = BoTorchSampler(seed=seed)
    return sampler


def _hebo(problem: Problem, seed: int) -> BaseSampler:
    python = hebo_python()
    assert python is not None
    return HeboSampler(python, problem.space, seed=seed)


def _scoot(changes: Mapping[str, Any], problem: Problem, seed: int) -> BaseSampler:
    from optuna_scoot.method import Method

    return _scoot_with(changed(Method(), changes), problem, seed)


def _scoot_paper(changes: Mapping[str, Any], problem: Problem, seed: int) -> BaseSampler:
    from optuna_scoot.method import Method

    return _scoot_with(changed(Method.paper(), changes), problem, seed)


def _scoot_with(method: Any, problem: Problem, seed: int) -> BaseSampler:
    from optuna_scoot import ScootSampler

    return ScootSampler.variant(
        method, dict(problem.space), known_constraints=problem.known_constraints, seed=seed
    )


ABLATIONS: dict[str, dict[str, Any]] = {
    "scoot-no-forest": {"use_forest": False},
    "scoot-random-forest": {"forest.extra": False, "forest.pairs": False},
    "scoot-mode": {"kernel.n_draws": 0},
    "scoot-no-main-effects": {"kernel.main_effects": False},
    "scoot-no-known": {"use_known_constraints": False},
    "scoot-fixed-threshold": {"fixed_threshold": True},
    "scoot-warp": {"kernel.warp": True},
    "scoot-no-log": {"log_outputs": False},
    "scoot-mace": {"single": "mace", "solver": "nsga2"},
    "scoot-nsga2": {"solver": "nsga2"},
    "scoot-no-weight": {"pof_weight": 0.0},
    "scoot-rejected-startup": {"balanced_startup": False},
    "scoot-no-covering": {"covering_startup": False},
    "scoot-no-bold": {"bold_every": 0},
    "scoot-endless-chances": {"level_chances": 10_000},
    "scoot-no-least-gain": {"least_gain": 0.0},
    "scoot-no-crash-cost": {"crash_cost": 0.0},
}
"""What each ablation changes in the default `Method`."""


def contestants() -> dict[str, Contestant]:
    """Every sampler that can run here, by name; HEBO only where it is installed."""
    peers = [
        Contestant("random", _random, _BLIND_MODES),
        Contestant("qmc", _qmc, _BLIND_MODES),
        Contestant("tpe", _tpe, _RANK_MODES),
        Contestant("nsga2", _nsga2, _RANK_MODES),
        # A model's maximum hardly moves when it is drawn again, and each draw costs a search.
        Contestant("gp", _gp, ALL_MODES, n_draws=5),
        Contestant("botorch", _botorch, ALL_MODES, n_draws=3),
    ]
    if hebo_python() is not None:
        # It knows no constraints: what they would tell it is the value beside them.
        modes = tuple(mode for mode in ALL_MODES if mode.crash is not CrashHandling.CONSTRAINT)
        peers.append(Contestant("hebo", _hebo, modes, n_draws=3))
    scoots = [_scoot_contestant(name, _scoot, changes) for name, changes in ABLATIONS.items()]
    scoots = [
        _scoot_contestant("scoot", _scoot, {}),
        _scoot_contestant("scoot-paper", _scoot_paper, {}),
        *scoots,
    ]
    return {contestant.name: contestant for contestant in (*peers, *scoots)}


def _scoot_contestant(
    name: str,
    make: Callable[[Mapping[str, Any], Problem, int], BaseSampler],
    changes: Mapping[str, Any],
) -> Contestant:
    return Contestant(
        name,
        lambda problem, seed: make(changes, problem, seed),
        (FAIL,),
        takes_known=True,
    )


def find_contestant(name: str) -> Contestant:
    """The sampler of that name, which may be a variant or labelled.

    Args:
        name: ``"tpe"``, ``"scoot@label"``, ``"scoot:pof_weight=0.5"``, ...

    Returns:
        The sampler.

    Raises:
        CompareError: If there is none, a variant changes an option that does not exist, or HEBO's
            Python is not known.
    """
    plain, _, _ = name.partition("@")
    stem, _, settings = plain.partition(":")
    known = contestants()
    if stem == "hebo" and stem not in known:
        msg = f"HEBO runs in a Python of its own: set {PYTHON_VARIABLE} to one that has it."
        raise CompareError(msg)
    if stem not in known or (settings and stem not in ("scoot", "scoot-paper")):
        msg = f"No sampler is called {name!r}. There are: {', '.join(known)}."
        raise CompareError(msg)
    if not settings:
        return dataclasses.replace(known[stem], name=name)
    changes = _parse_settings(settings)
    return _scoot_contestant(name, _scoot if stem == "scoot" else _scoot_paper, changes)


def _parse_settings(settings: str) -> dict[str, Any]:
    """``"a=1/b.c=True"`` as a dictionary of Python values."""
    changes: dict[str, Any] = {}
    for setting in settings.split("/"):
        key, _, text = setting.partition("=")
        try:
            changes[key] = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            changes[key] = text
    return changes


def changed(options: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of a dataclass with some fields changed.

    Args:
        options: A dataclass instance.
        changes: Field names to values; ``"kernel.warp"`` reaches into a field.

    Returns:
        The changed copy.

    Raises:
        CompareError: If a field does not exist, or values do not go together.
    """
    new: dict[str, Any] = {}
    for key, value in changes.items():
        first, _, rest = key.partition(".")
        if first not in {field.name for field in dataclasses.fields(options)}:
            names = ", ".join(field.name for field in dataclasses.fields(options))
            msg = f"ScootSampler has no option {first!r}: {names}."
            raise CompareError(msg)
        held = new.get(first, getattr(options, first))
        new[first] = changed(held, {rest: value}) if rest else value
    try:
        return dataclasses.replace(options, **new)
    except ValueError as error:
        raise CompareError(str(error)) from error


def is_scoot(name: str) -> bool:
    """Whether a sampler is ScootSampler, in whatever variant."""
    return name.startswith("scoot")


def make_sampler(name: str, problem: Problem, mode: Mode, seed: int) -> BaseSampler:
    """The sampler, wrapped by rejection where the mode gives it the known constraints."""
    from optuna_scoot.comparison.samplers.rejection import RejectingSampler

    contestant = find_contestant(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = contestant.make(problem, seed)
    if not mode.known or contestant.takes_known:
        return sampler
    return RejectingSampler(
        sampler,
        problem.space,
        problem.known_constraints,
        n_draws=contestant.n_draws,
        seed=seed,
    )
