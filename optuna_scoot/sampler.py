"""``ScootSampler``: the Optuna face of SCOOT. Reads the study, picks the phase, gives a point.

The sampler keeps no state that another worker would lack: threshold, place in the start-up design,
running points and all that the models learn from come from the storage at every suggestion.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import PartialFixedSampler
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.constraints import ConstraintError
from optuna_scoot.constraints import ConstraintSpec
from optuna_scoot.constraints import KnownConstraints
from optuna_scoot.design import Domain
from optuna_scoot.feasibility import FeasibilityThreshold
from optuna_scoot.method import Method
from optuna_scoot.observations import PHASE_ATTR
from optuna_scoot.observations import RELATIVE_PARAMS_ATTR
from optuna_scoot.observations import enqueued_params
from optuna_scoot.observations import infer_search_space
from optuna_scoot.observations import is_crash
from optuna_scoot.observations import is_enqueued
from optuna_scoot.observations import known_params
from optuna_scoot.observations import observe
from optuna_scoot.observations import retried_numbers
from optuna_scoot.space import SearchSpace
from optuna_scoot.suggestion import Suggestion
from optuna_scoot.suggestion import suggest
from optuna_scoot.suggestion import suggest_startup
from optuna_scoot.threads import single_thread


_logger = optuna.logging.get_logger("optuna_scoot")

_RDB_VALUE_LENGTH = 2045  # the longest system attribute that Optuna's RDB storage takes
_MOST_COLLISIONS = 4  # suggestions made anew because another worker shared the same point

# The threads of n_jobs ask in the same instant: each must see what the one before it chose. One
# core works on a suggestion at a time in any case.
_one_at_a_time = threading.RLock()


class ScootSampler(BaseSampler):
    """Bayesian optimisation that learns from crashed trials (SCOOT, arXiv 2408.04323).

    Every Optuna sampler but this one throws failed trials away. Here they teach a random forest
    where a configuration is likely to run, and suggestions keep to a probability of feasibility
    of at least Δ, a threshold that rises with each crash and falls after a streak without one
    (paper, section IV-G). Known constraints prune the space before anything is suggested (section
    IV-E3). A scrambled Sobol design starts the search (section IV-A); then Gaussian processes with
    a Matérn 3/2 kernel (section IV-C) and an acquisition function choose the points (section IV-D
    and IV-E). Constraints that are measured, ``trial.set_constraint``, weigh the acquisition
    function.

    The default differs from the paper where that did better on problems set aside for development
    (``docs/sampler.md``); :meth:`paper` gives the paper's choices.

    Example:
        .. code-block:: python

            import optuna
            from optuna_scoot import ScootSampler


            def objective(trial):
                x, y = trial.suggest_int("x", 0, 9), trial.suggest_int("y", 0, 9)
                if x + y > 10:
                    raise MemoryError
                return x + y


            study = optuna.create_study(direction="maximize", sampler=ScootSampler())
            study.optimize(objective, n_trials=40, catch=(MemoryError,))

    Args:
        search_space: The parameters to suggest together. None: those that the study's trials
            have in common, from its second trial on.
        known_constraints: Strings such as ``"max_num_seqs <= max_num_batched_tokens"``, true
            where satisfied, or callables that take the parameters and return a float, satisfied
            where ≤ 0. No suggestion violates one, as far as the parameters already drawn allow.
        n_startup_trials: Points of the start-up design, enqueued trials not counted, ≥ 0. None:
            a share of the number of parameters (the paper: as many as parameters). With several
            workers the design goes on until half of that number has finished.
        reference_point: Of the hypervolume, one value an objective in the study's own units. None:
            the values of the default configuration, that is of the trial whose user attribute
            ``default_configuration`` is True, otherwise of the first enqueued trial; where it
            crashed or there is none, a little beyond the worst values seen.
        feasibility: The five numbers that move the threshold Δ.
        failure_filter: Takes a failed trial and tells whether its failure says something about
            its parameters. A trial with the user attribute ``failure_is_external`` set to True,
            or one that a retry lists in its ``retry_history``, never does.
        seed: Same seed, same history, same suggestion.
        independent_sampler: Draws parameters outside the common space. None: ``RandomSampler``.
        warn_independent_sampling: Whether to log a warning when that happens after start-up.

    Raises:
        ConstraintError: When a known constraint is malformed or names a parameter that
            ``search_space`` lacks. It is a ``ValueError``.
        ValueError: When ``n_startup_trials`` is negative.
    """

    def __init__(
        self,
        search_space: dict[str, BaseDistribution] | None = None,
        *,
        known_constraints: Sequence[ConstraintSpec] = (),
        n_startup_trials: int | None = None,
        reference_point: Sequence[float] | None = None,
        feasibility: FeasibilityThreshold = FeasibilityThreshold(),  # noqa: B008 (frozen)
        failure_filter: Callable[[FrozenTrial], bool] | None = None,
        seed: int | None = None,
        independent_sampler: BaseSampler | None = None,
        warn_independent_sampling: bool = True,
    ) -> None:
        if n_startup_trials is not None and n_startup_trials < 0:
            raise ValueError(f"n_startup_trials must be at least 0, got {n_startup_trials}.")
        self._search_space = None if search_space is None else dict(search_space)
        self._known = KnownConstraints(known_constraints, names=self._search_space or ())
        if self._search_space is not None:
            self._known.check_names(self._search_space)
        self._n_startup_trials = n_startup_trials
        self._reference_point = reference_point
        self._feasibility = feasibility
        self._failure_filter = failure_filter
        self._method = Method()
        self._design_seed = seed
        self._seed = _entropy() if seed is None else seed
        self._independent_sampler = independent_sampler or RandomSampler(seed=seed)
        self._warn_independent_sampling = warn_independent_sampling

    @classmethod
    def paper(cls, *args: Any, **kwargs: Any) -> ScootSampler:
        """Build a sampler with exactly the paper's choices; the arguments are the constructor's.

        Sobol points under the known constraints by rejection, as many as parameters; Matérn 3/2
        with warping on untransformed outputs; MACE by NSGA-II for one objective and EHVI for more;
        the random forest with 100 trees as a constraint alone.
        """
        return cls.variant(Method.paper(), *args, **kwargs)

    @classmethod
    def variant(cls, method: Method, *args: Any, **kwargs: Any) -> ScootSampler:
        """Build a sampler of another method, for ablations; the rest is the constructor's.

        Args:
            method: The choices.
            args: The constructor's.
            kwargs: The constructor's.
        """
        sampler = cls(*args, **kwargs)
        sampler._method = method
        if not method.use_known_constraints:
            sampler._known = KnownConstraints()
        return sampler

    def reseed_rng(self) -> None:
        """Draw a fresh seed; the start-up design stays what all workers share."""
        self._seed = _entropy()
        self._independent_sampler.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Pass on to the independent sampler."""
        self._independent_sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Pass on to the independent sampler."""
        self._independent_sampler.after_trial(study, trial, state, values)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Give the parameters suggested together: the constructor's or the trials' common ones."""
        if self._search_space is not None:
            return {k: d for k, d in self._search_space.items() if not d.single()}
        return infer_search_space(study._get_trials(deepcopy=False, use_cache=True))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Suggest values for all of ``search_space`` at once.

        Raises:
            ConstraintError: When no configuration satisfies the known constraints.
        """
        if not search_space:
            return {}
        space = SearchSpace(search_space, _enqueued_values(trial, search_space))
        domain = Domain(space, self._constraints_given(study, trial, search_space))
        shared = ""
        with _one_at_a_time, single_thread():
            for _ in range(_MOST_COLLISIONS):
                # The cache of finished trials would hide what other workers run now.
                trials = study._get_trials(deepcopy=False, use_cache=False)
                suggestion = self._suggest(study, trial, trials, domain)
                params = space.to_params(suggestion.point)
                shared = self._share(study, trial, params, shared)
                if not self._chosen_meanwhile(study, trial, trials, params):
                    break
        self._explain(study, trial, suggestion)
        return params

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one parameter alone, within the known constraints that it completes.

        Raises:
            ConstraintError: When no value satisfies them beside the parameters already drawn.
        """
        if self._warn_independent_sampling:
            completed = study._get_trials(
                deepcopy=False, states=(TrialState.COMPLETE,), use_cache=True
            )
            if completed:
                _logger.warning(
                    f"Trial {trial.number}: {param_name} is not in the search space common to "
                    f"all trials and is drawn by {type(self._independent_sampler).__name__}. "
                    "Pass search_space to ScootSampler to have it modelled; "
                    "warn_independent_sampling=False silences this."
                )
        value = self._independent_sampler.sample_independent(
            study, trial, param_name, param_distribution
        )
        settled = {**_partially_fixed(study), **known_params(trial)}
        if self._known.satisfied({**settled, param_name: value}):
            return value
        return self._constrained_value(trial, settled, param_name, param_distribution)

    def _suggest(
        self, study: Study, trial: FrozenTrial, trials: list[FrozenTrial], domain: Domain
    ) -> Suggestion:
        observations = observe(
            trials,
            domain.space,
            study.directions,
            failure_filter=self._failure_filter,
            reference_point=self._reference_point,
            before=trial.number,
        )
        place = self._startup_place(trial, trials)
        if len(observations.x) == 0 or self._in_startup(place, domain.space.n_dimensions):
            return suggest_startup(
                observations,
                domain,
                self._method,
                index=place.index,
                design_seed=self._shared_seed(study),
            )
        finished = len(observations.x) + len(observations.crashed) + len(observations.pruned)
        return suggest(
            observations,
            domain,
            self._method,
            self._feasibility,
            model_seed=_seed_of(self._seed, "model", finished),
            draw_seed=_seed_of(self._seed, "draw", trial.number),
        )

    def _in_startup(self, place: _StartupPlace, n_dimensions: int) -> bool:
        """Tell whether the start-up design is still under way.

        Enough points must have been given out, and of these enough finished: a model of the
        default alone would choose the rest of a first large batch.
        """
        n = self._n_startup_trials
        if n is None:
            n = max(
                self._method.startup_least, math.ceil(self._method.startup_share * n_dimensions)
            )
        return place.informative < n or place.finished < n * self._method.startup_finished

    def _startup_place(self, trial: FrozenTrial, trials: list[FrozenTrial]) -> _StartupPlace:
        """Count the trials before this one that the user did not enqueue."""
        retried = retried_numbers(trials)
        index = informative = finished = 0
        for other in trials:
            if other.number >= trial.number or is_enqueued(other):
                continue
            index += 1
            says = other.state != TrialState.FAIL or is_crash(other, retried, self._failure_filter)
            informative += says
            finished += says and other.state.is_finished()
        return _StartupPlace(index, informative, finished)

    def _shared_seed(self, study: Study) -> int:
        """Give the seed of the start-up design, which workers without a seed share as well."""
        return _seed_of(
            self._design_seed, "design", study.study_name if self._design_seed is None else ""
        )

    def _constraints_given(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> KnownConstraints:
        """Give the known constraints with the trial's other, already fixed parameters put in."""
        fixed = {**_partially_fixed(study), **enqueued_params(trial), **trial.params}
        fixed = {name: value for name, value in fixed.items() if name not in search_space}
        singles = self._search_space or {}
        for name, distribution in singles.items():
            if distribution.single() and name not in fixed:
                fixed[name] = distribution.to_external_repr(_only_value(distribution))
        return self._known.given(fixed)

    def _constrained_value(
        self,
        trial: FrozenTrial,
        settled: Mapping[str, Any],
        name: str,
        distribution: BaseDistribution,
    ) -> Any:
        space = SearchSpace({name: distribution})
        rng = np.random.default_rng(_seed_of(self._seed, name, trial.number))
        domain = Domain(space, self._known.given(settled))
        try:
            point = domain.repair(space.snap(rng.random((1, 1)))[0], rng)
        except ConstraintError as error:
            drawn = ", ".join(f"{k}={v}" for k, v in settled.items())
            raise ConstraintError(
                f"No value of {name} satisfies the known constraints beside {drawn}. Pass "
                "search_space to ScootSampler, so that the parameters are drawn together."
            ) from error
        return space.to_params(point)[name]

    def _share(self, study: Study, trial: FrozenTrial, params: dict[str, Any], before: str) -> str:
        """Show the point to other workers; give the text that does, over the one ``before``."""
        # Padded, so that no end of a longer text stays behind it. A choice that JSON cannot hold
        # is no other worker's either: Optuna keeps such choices in memory alone.
        text = json.dumps(params, default=str).ljust(len(before))
        for i, start in enumerate(range(0, len(text), _RDB_VALUE_LENGTH)):
            chunk = text[start : start + _RDB_VALUE_LENGTH]
            study._storage.set_trial_system_attr(
                trial._trial_id, f"{RELATIVE_PARAMS_ATTR}:{i}", chunk
            )
        return text

    def _chosen_meanwhile(
        self, study: Study, trial: FrozenTrial, seen: list[FrozenTrial], params: dict[str, Any]
    ) -> bool:
        """Tell whether a worker that asked in the same instant chose the same point.

        Both have shared their point before they look; the younger trial gives way.
        """
        running = study._get_trials(deepcopy=False, states=(TrialState.RUNNING,), use_cache=False)
        now, before = (
            {
                t.number
                for t in trials
                if t.state == TrialState.RUNNING and params.items() <= known_params(t).items()
            }
            for trials in (running, seen)
        )
        return any(number < trial.number for number in now - before)

    def _explain(self, study: Study, trial: FrozenTrial, suggestion: Suggestion) -> None:
        """Say in user attributes why the point was suggested."""
        attributes: dict[str, Any] = {PHASE_ATTR: suggestion.phase}
        if suggestion.mean is not None and suggestion.std is not None:
            maximised = [d == optuna.study.StudyDirection.MAXIMIZE for d in study.directions]
            signs = np.where(maximised, -1.0, 1.0)
            attributes["scoot:predicted_mean"] = (signs * suggestion.mean).tolist()
            attributes["scoot:predicted_std"] = suggestion.std.tolist()
            attributes["scoot:pof"] = suggestion.pof
            attributes["scoot:threshold"] = suggestion.threshold
        for key, value in attributes.items():
            study._storage.set_trial_user_attr(trial._trial_id, key, value)


@dataclass(frozen=True)
class _StartupPlace:
    """Where a trial stands among those that a sampler chose.

    Args:
        index: How many came before it, whatever became of them: its Sobol number. Numbers are
            unique in every storage, so that no two workers draw the same point.
        informative: How many of these run or say something about their parameters.
        finished: How many of the informative ones run no more.
    """

    index: int
    informative: int
    finished: int


def _enqueued_values(
    trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
) -> dict[str, Any]:
    """Give the values that the user enqueued of parameters in the space, where they lie in it."""
    values: dict[str, Any] = {}
    for name, value in enqueued_params(trial).items():
        distribution = search_space.get(name)
        if distribution is not None and SearchSpace({name: distribution}).covers({name: value}):
            values[name] = value
    return values


def _partially_fixed(study: Study) -> dict[str, Any]:
    """Give what a ``PartialFixedSampler`` around this sampler fixes.

    It takes these out of the search space and puts them in later, where the known constraints
    would not see them.
    """
    around = getattr(study, "sampler", None)
    return dict(around._fixed_params) if isinstance(around, PartialFixedSampler) else {}


def _only_value(distribution: BaseDistribution) -> float:
    low = getattr(distribution, "low", None)
    return 0.0 if low is None else float(low)


def _seed_of(seed: int | None, purpose: str, number: int | str) -> int:
    """Derive a seed, the same in every process whatever its hash seed is."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _entropy() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
