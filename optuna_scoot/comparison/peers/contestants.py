"""The samplers of the comparison: Optuna's, other packages', and ScootSampler with its variants.

A label after ``@`` does nothing but keep results apart, for example those of two versions of the
code: ``scoot@before``.
"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from importlib.util import find_spec

from optuna.samplers import BaseSampler
from optuna.samplers import GPSampler
from optuna.samplers import NSGAIISampler
from optuna.samplers import QMCSampler
from optuna.samplers import RandomSampler
from optuna.samplers import TPESampler

from optuna_scoot.comparison.checkout import has_development
from optuna_scoot.comparison.peers.contestant import Contestant
from optuna_scoot.comparison.peers.contestant import SamplerFactory
from optuna_scoot.comparison.peers.modes import ALL_MODES
from optuna_scoot.comparison.peers.modes import FAIL
from optuna_scoot.comparison.peers.modes import VALUE_MODES
from optuna_scoot.comparison.peers.modes import CrashHandling
from optuna_scoot.comparison.peers.modes import PeerMode
from optuna_scoot.comparison.peers.scoot import ABLATIONS
from optuna_scoot.comparison.peers.scoot import Variant
from optuna_scoot.comparison.peers.scoot import make_scoot
from optuna_scoot.comparison.peers.scoot import parse_settings
from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.problem import Problem


_BLIND_MODES = (FAIL, PeerMode(CrashHandling.FAIL, known=True))
"""For samplers that look at no result, what is told of a crash makes no difference."""

_RANK_MODES = tuple(mode for mode in ALL_MODES if mode.crash is not CrashHandling.LARGE)
"""For samplers that look at the order of the values alone, large is the same as penalty."""


def _botorch(problem: Problem, seed: int) -> BaseSampler:
    from optuna_integration import BoTorchSampler  # type: ignore[import-untyped]

    _keep_from_compiling()
    sampler: BaseSampler = BoTorchSampler(seed=seed)
    return sampler


def _smac(problem: Problem, seed: int) -> BaseSampler:
    from optuna_scoot.comparison.peers.smac_peer import make_smac

    return make_smac(problem, seed)


def _ax(problem: Problem, seed: int) -> BaseSampler:
    from optuna_scoot.comparison.peers.ax_peer import make_ax

    _keep_from_compiling()
    return make_ax(problem, seed)


def _keep_from_compiling() -> None:
    """Have BoTorch do in Python what it would compile C++ for, with several objectives.

    That takes half a minute, in the home folder; where a run is killed meanwhile, all later ones
    wait for its lock for ever.
    """
    from botorch.acquisition.multi_objective import logei

    logei._load_attempted = True


def contestants() -> dict[str, Contestant]:
    """Return every sampler by name, those that cannot be run here included."""
    found = [
        Contestant("random", lambda _, seed: RandomSampler(seed=seed), _BLIND_MODES),
        Contestant("qmc", lambda _, seed: QMCSampler(seed=seed, scramble=True), _BLIND_MODES),
        Contestant("tpe", lambda _, seed: TPESampler(seed=seed), _RANK_MODES),
        Contestant(
            "nsga2", lambda _, seed: NSGAIISampler(seed=seed, population_size=10), _RANK_MODES
        ),
        # A model's maximum hardly moves when it is drawn again, and each draw costs a search.
        Contestant("gp", lambda _, seed: GPSampler(seed=seed), ALL_MODES, n_draws=5),
        _optional("botorch", _botorch, ALL_MODES, "optuna_integration", "optuna-integration"),
        _optional("smac", _smac, VALUE_MODES, "smac", "SMAC3"),
        _optional("ax", _ax, ALL_MODES, "ax", "Ax"),
    ]
    if has_development():
        from optuna_scoot.comparison.development.hebo_peer import hebo_contestant

        found.append(hebo_contestant())
    found += [_scoot_contestant(name, variant) for name, variant in ABLATIONS.items()]
    return {contestant.name: contestant for contestant in found}


def _optional(
    name: str, make: SamplerFactory, modes: tuple[PeerMode, ...], module: str, package: str
) -> Contestant:
    """Return a sampler that needs a package of the extra ``peers``."""
    missing = f"{name} needs {package}: pip install 'optuna-scoot[peers]'."
    # Once imported, optuna_integration has no spec any more.
    there = module in sys.modules or find_spec(module) is not None
    return Contestant(name, make, modes, n_draws=3, missing=None if there else missing)


def _scoot_contestant(name: str, variant: Variant) -> Contestant:
    return Contestant(
        name,
        lambda problem, seed: make_scoot(variant, problem, seed),
        (FAIL,),
        takes_known=True,
    )


def find_contestant(name: str) -> Contestant:
    """Return the sampler of a name, which may be a variant or labelled.

    Args:
        name: ``"tpe"``, ``"scoot@label"``, ``"scoot:caution=0.5"``, ...

    Raises:
        CompareError: If there is none.
    """
    plain, _, _ = name.partition("@")
    stem, _, settings = plain.partition(":")
    known = contestants()
    if stem not in known or (settings and stem not in ("scoot", "scoot-paper")):
        msg = f"No sampler is called {name!r}. There are: {', '.join(known)}."
        raise CompareError(msg)
    if not settings:
        return dataclasses.replace(known[stem], name=name)
    variant = dataclasses.replace(ABLATIONS[stem], method=parse_settings(settings))
    return _scoot_contestant(name, variant)


def make_peer(name: str, problem: Problem, mode: PeerMode, seed: int) -> BaseSampler:
    """Return a sampler, wrapped by rejection where the mode gives it the known constraints.

    Args:
        name: Its name.
        problem: What it is to solve.
        mode: How it is told of a crash.
        seed: Its seed.

    Raises:
        CompareError: If there is no such sampler, it cannot be run here, or a variant changes an
            option that does not exist.
    """
    from optuna_scoot.comparison.peers.rejection import RejectingSampler

    contestant = find_contestant(name)
    if contestant.missing is not None:
        raise CompareError(contestant.missing)
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
