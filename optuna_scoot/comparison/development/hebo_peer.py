"""HEBO as a sampler (A. Cowen-Rivers et al., 2022), the paper's strongest baseline.

The environment variable ``OPTUNA_SCOOT_HEBO_PYTHON`` names a Python that has HEBO; see
``hebo_server`` for why it is another one. With one objective it runs ``HEBO``, with several
``GeneralBO``, both with their defaults.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.comparison.peers.contestant import Contestant
from optuna_scoot.comparison.peers.encoding import decode
from optuna_scoot.comparison.peers.encoding import encode
from optuna_scoot.comparison.peers.encoding import levels
from optuna_scoot.comparison.peers.encoding import n_steps
from optuna_scoot.comparison.peers.modes import VALUE_MODES
from optuna_scoot.comparison.problems.problem import Problem


PYTHON_VARIABLE = "OPTUNA_SCOOT_HEBO_PYTHON"


def hebo_contestant() -> Contestant:
    """Return HEBO as a sampler of the comparison."""
    missing = None
    if PYTHON_VARIABLE not in os.environ:
        missing = f"HEBO runs in a Python of its own: set {PYTHON_VARIABLE} to one that has it."
    return Contestant("hebo", _hebo, VALUE_MODES, n_draws=3, missing=missing)


def _hebo(problem: Problem, seed: int) -> BaseSampler:
    return HeboSampler(os.environ[PYTHON_VARIABLE], problem.space, seed=seed)


class HeboSampler(BaseSampler):
    """Suggests what HEBO suggests from the completed trials.

    Args:
        python: A Python that has HEBO.
        search_space: Every parameter.
        seed: Of HEBO.
    """

    def __init__(
        self, python: str, search_space: Mapping[str, BaseDistribution], *, seed: int
    ) -> None:
        self._python = python
        self._search_space = dict(search_space)
        self._seed = seed
        self._random = RandomSampler(seed=seed)
        self._process: subprocess.Popen[str] | None = None
        # Open as long as the sampler lives.
        self._complaints = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115
        self._n_told = 0

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the whole space."""
        return self._search_space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return HEBO's next suggestion.

        Raises:
            RuntimeError: If HEBO's process ended.
        """
        if self._process is None:
            self._process = self._start(study)
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        signs = [1 if d is StudyDirection.MINIMIZE else -1 for d in study.directions]
        news = [
            (
                {k: encode(d, other.params[k]) for k, d in self._search_space.items()},
                [sign * value for sign, value in zip(signs, other.values, strict=True)],
            )
            for other in complete[self._n_told :]
        ]
        self._n_told = len(complete)
        answer = self._ask({"observe": news})
        return {k: decode(d, answer[k]) for k, d in self._search_space.items()}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return a random value, for a parameter outside the space."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _start(self, study: Study) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [self._python, str(Path(__file__).with_name("hebo_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        weakref.finalize(self, _stop, process)
        space = [record(name, d) for name, d in self._search_space.items()]
        setup = {"space": space, "n_objectives": len(study.directions), "seed": self._seed}
        assert process.stdin is not None
        process.stdin.write(json.dumps(setup) + "\n")
        return process

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(self._why_it_ended())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _why_it_ended(self) -> str:
        self._complaints.seek(0)
        lines = [line.strip() for line in self._complaints if line.strip()]
        last = f" ({lines[-1]})" if lines else ""
        return f"HEBO ended{last}; does {self._python} -c 'import hebo.optimizers.hebo' work?"


def _stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def record(name: str, distribution: BaseDistribution) -> dict[str, Any]:
    """Return a parameter as HEBO's design space has it; a stepped number by that of its step."""
    if isinstance(distribution, CategoricalDistribution):
        return {"name": name, "type": "cat", "categories": levels(distribution)}
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, last = distribution.low, distribution.high, n_steps(distribution)
    if distribution.log:
        kind = "pow" if isinstance(distribution, FloatDistribution) else "pow_int"
        return {"name": name, "type": kind, "lb": low, "ub": high, "base": 10}
    if last is not None:
        return {"name": name, "type": "int", "lb": 0, "ub": last}
    return {"name": name, "type": "num", "lb": low, "ub": high}
