"""``ScootSampler``: the Optuna face of SCOOT. Reads the study, picks the phase, gives a point.

The sampler keeps no state that another worker would lack: threshold, place in the start-up design,
running points and all that the models learn from come from the storage at every suggestion.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import TrialPruned
from optuna.samplers import BaseSampler
from optuna.samplers import RandomSampler
from optuna.storages._heartbeat import is_heartbeat_enabled
from optuna.study import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from optuna_scoot.constraints.domain import Domain
from optuna_scoot.constraints.known import ConstraintError
from optuna_scoot.constraints.known import ConstraintSpec
from optuna_scoot.constraints.known import KnownConstraints
from optuna_scoot.feasibility.threshold import FeasibilityThreshold
from optuna_scoot.method import Method
from optuna_scoot.seeds import entropy
from optuna_scoot.seeds import seed_of
from optuna_scoot.space.search_space import SearchSpace
from optuna_scoot.suggestion import Suggestion
from optuna_scoot.suggestion import suggest
from optuna_scoot.suggestion import suggest_startup
from optuna_scoot.threads import single_thread
from optuna_scoot.trials.fixed import enqueued_values
from optuna_scoot.trials.fixed import partially_fixed
from optuna_scoot.trials.fixed import single_values
from optuna_scoot.trials.history import History
from optuna_scoot.trials.interrupts import is_in_loop
from optuna_scoot.trials.interrupts import objective_was_interrupted
from optuna_scoot.trials.name_check import NameCheck
from optuna_scoot.trials.outcomes import EXTERNAL_FAILURE_ATTR
from optuna_scoot.trials.outcomes import TOLD_ATTR
from optuna_scoot.trials.outcomes import WATCHED_ATTR
from optuna_scoot.trials.outcomes import enqueued_params
from optuna_scoot.trials.reading import observe
from optuna_scoot.trials.sharing import chosen_meanwhile
from optuna_scoot.trials.sharing import known_params
from optuna_scoot.trials.sharing import share
from optuna_scoot.trials.spaces import conditional_space
from optuna_scoot.trials.spaces import infer_search_space
from optuna_scoot.trials.spaces import infer_singles


# Below Optuna's own logger, so that its verbosity holds.
_logger = optuna.logging.get_logger(f"optuna.{__name__}")

_LOOP, _HEARTBEAT = "loop", "heartbeat"  # by which a trial's worker is watched
_MOST_COLLISIONS = 4  # suggestions repeated because another worker shared the same point

# The threads of n_jobs ask in the same instant: each must see what the one before it chose. One
# core works on a suggestion at a time in any case.
_one_at_a_time = threading.RLock()


class ScootSampler(BaseSampler):
    """Bayesian optimisation that learns from crashed trials (SCOOT, arXiv 2408.04323).

    Every Optuna sampler but this one throws failed trials away. Here they teach a forest where a
    configuration is likely to run. Suggestions keep to a probability of feasibility of at least Δ,
    a threshold that rises with each crash and falls after a streak without one (paper, section
    IV-G); a power of that probability, which grows with Δ, weighs them too. Known constraints
    prune the space before anything is suggested (section IV-E3).

    A search starts with Sobol points that cover the levels of categorical parameters (section
    IV-A). Then Gaussian processes with a Matérn 3/2 kernel and an additive one learn the
    objectives, averaged over draws of their hyper-parameters (section IV-C). The logarithm of the
    expected improvement, or with several objectives of the hypervolume's, is climbed from many
    points (sections IV-B, IV-D and IV-E). Points that run elsewhere are believed to reach what is
    predicted there (section IV-F). Measured constraints, ``trial.set_constraint``, weigh the
    acquisition function.

    That is the default, which differs from the paper where that did better on problems that it
    was developed on (``docs/paper.md``); :meth:`paper` gives the paper's choices.

    Example:
        .. code-block:: python

            import optuna


            def objective(trial):
                x, y = trial.suggest_int("x", 0, 9), trial.suggest_int("y", 0, 9)
                if x + y > 10:
                    raise MemoryError
                return x + y


            study = optuna.create_study(direction="maximize", sampler=ScootSampler())
            study.optimize(objective, n_trials=40, catch=(MemoryError,))

    Args:
        search_space: The parameters to suggest together. None: those that earlier trials have
            asked for, from the study's second trial on.
        known_constraints: Strings such as ``"max_num_seqs <= max_num_batched_tokens"``, true
            where satisfied, or callables that take the parameters and return a float, satisfied
            where ≤ 0. No suggestion violates one, as far as the parameters already drawn allow.
        n_startup_trials: Points of the start-up design, enqueued trials not counted, ≥ 0. None:
            a share of the number of parameters (the paper: as many as parameters). With several
            workers the design goes on until half of that number has finished.
        reference_point: Of the hypervolume, one value an objective in the study's own units. None:
            the values of the default configuration, that is of the trial whose user attribute
            ``default_configuration`` is True; where it crashed or there is none, a little beyond
            the worst values seen.
        feasibility: The five numbers that move the threshold Δ.
        failure_filter: Takes a failed trial, or one pruned before it reported anything, and tells
            whether that says something about its parameters. A trial with the user attribute
            ``failure_is_external`` set to True, one whose worker was lost or interrupted, and one
            that a retry lists in its ``retry_history`` never do.
        seed: Same seed, same history, same suggestion.
        independent_sampler: Draws parameters that no trial has asked for yet, or that change
            their range. None: at random, with the seed and the trial's number.
        warn_independent_sampling: Whether to log a warning when that happens after start-up.
        method: The choices in which the paper and the default differ, for ablations.

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
        method: Method = Method(),  # noqa: B008 (frozen)
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
        self._method = method
        self._design_seed = seed
        self._seed = entropy() if seed is None else seed
        self._independent_sampler = independent_sampler
        self._warn_independent_sampling = warn_independent_sampling
        self._names = NameCheck(self._known, are_known=self._search_space is not None)

    @classmethod
    def paper(cls, *args: Any, **kwargs: Any) -> ScootSampler:
        """Return a sampler with exactly the paper's choices; the arguments are the constructor's.

        Sobol points under the known constraints by rejection, as many as parameters; Matérn 3/2
        with warping on untransformed outputs; MACE by NSGA-II for one objective and EHVI for more,
        several points at a time from one search; the random forest with 100 trees as a constraint
        alone. ``docs/paper.md`` says where the paper's text and its authors' code differ.
        """
        return cls(*args, method=Method.paper(), **kwargs)

    def reseed_rng(self) -> None:
        """Draw a fresh seed; the start-up design stays what all workers share."""
        self._seed = entropy()
        if self._independent_sampler is not None:
            self._independent_sampler.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Note whether a failure will be told by the trial's own worker, or else it was lost."""
        if is_in_loop() or is_heartbeat_enabled(study._storage):
            watched = _LOOP if is_in_loop() else _HEARTBEAT
            study._storage.set_trial_system_attr(trial._trial_id, WATCHED_ATTR, watched)
        if self._independent_sampler is not None:
            self._independent_sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Note whether the parameters are to blame where the trial failed.

        Raises:
            ConstraintError: When the trial completed, and a known constraint names a parameter
                that it does not have. The trial's values are stored nevertheless.
        """
        if state == TrialState.FAIL:
            if objective_was_interrupted():
                _mark_external(study, trial)
            if is_in_loop() or trial.system_attrs.get(WATCHED_ATTR) == _HEARTBEAT:
                study._storage.set_trial_system_attr(trial._trial_id, TOLD_ATTR, True)
        if self._independent_sampler is not None:
            self._independent_sampler.after_trial(study, trial, state, values)
        if state == TrialState.COMPLETE and not self._names.are_known:
            self._names.check([*_completed(study), trial])

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters suggested together: the constructor's or those asked for."""
        if self._search_space is not None:
            return {k: d for k, d in self._search_space.items() if not d.single()}
        return infer_search_space(study._get_trials(deepcopy=False, use_cache=True))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Suggest values for all of ``search_space`` that the trial will ask for.

        Raises:
            ConstraintError: When no configuration satisfies the known constraints. Where values
                that the user enqueued leave none, it is a ``TrialPruned`` as well, which ends
                the trial and not the study.
        """
        if not search_space:
            return {}
        with _one_at_a_time, single_thread(), self._without_blame(study, trial):
            if not self._names.are_known:
                self._names.check(_completed(study))
            shared = ""
            for _ in range(_MOST_COLLISIONS):
                # The cache of finished trials would hide what other workers run now.
                trials = study._get_trials(deepcopy=False, use_cache=False)
                space, suggestion = self._suggest(study, trial, trials, search_space)
                params = space.asked_for(suggestion.point)
                shared = share(study, trial, params, shared)
                if not chosen_meanwhile(study, trial, trials, params):
                    break
            if suggestion.phase != "startup":
                self._names.warn_of_unasked(trials, search_space)
            for key, value in suggestion.explanation(_signs(study)).items():
                study._storage.set_trial_user_attr(trial._trial_id, f"scoot:{key}", value)
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
            ConstraintError: When no value satisfies them with the parameters already drawn. It
                is a ``TrialPruned`` as well, which ends the trial and not the study.
        """
        self._warn_of_independent(study, trial, param_name, param_distribution)
        with self._without_blame(study, trial):
            sampler = self._independent_sampler or RandomSampler(
                seed=seed_of(self._seed, f"independent/{param_name}", trial.number)
            )
            value = sampler.sample_independent(study, trial, param_name, param_distribution)
            fixed = {**partially_fixed(study), **known_params(trial)}
            if self._known.satisfied({**fixed, param_name: value}):
                return value
            return self._constrained_value(trial, fixed, param_name, param_distribution)

    def _warn_of_independent(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> None:
        if not self._warn_independent_sampling:
            return
        if self._search_space is not None and self._search_space.get(name) == distribution:
            return
        if _completed(study):
            _logger.warning(
                f"Trial {trial.number}: {name} is drawn on its own, not by the model: no trial "
                "has asked for it before, or its range is not what it was. Pass search_space to "
                "ScootSampler to have it modelled; warn_independent_sampling=False silences this."
            )

    @contextmanager
    def _without_blame(self, study: Study, trial: FrozenTrial) -> Iterator[None]:
        """Have a trial that the sampler itself ends say nothing about its parameters."""
        try:
            yield
        except _Refused as refusal:
            _logger.warning(f"Trial {trial.number} is given up: {refusal}")
            _mark_external(study, trial)
            raise
        except Exception:
            with suppress(Exception):  # the first error is the one to show
                _mark_external(study, trial)
            raise

    def _suggest(
        self,
        study: Study,
        trial: FrozenTrial,
        trials: list[FrozenTrial],
        search_space: dict[str, BaseDistribution],
    ) -> tuple[SearchSpace, Suggestion]:
        """Suggest a point by the start-up design or by the model (paper, algorithm 1).

        Raises:
            ConstraintError: When no point satisfies the known constraints.
            _Refused: When that is so for what the user enqueued.
        """
        history = History.of(trials, self._failure_filter)
        records = history.records(search_space, without=trial.number)
        known, pinned = self._fixed_by_user(study, trial, trials, search_space)
        space = conditional_space(records, search_space, pinned)
        domain = Domain(space, known)
        observations = observe(
            history,
            space,
            study.directions,
            records=records,
            reference_point=self._reference_point,
        )
        design_seed = self._shared_seed(study)
        try:
            place = history.startup_place(trial.number, space.names)
            if len(observations.x) == 0 or self._method.startup.is_under_way(
                place.informative, place.finished, space.typical_size, self._n_startup_trials
            ):
                return space, suggest_startup(
                    observations, domain, self._method, index=place.index, design_seed=design_seed
                )
            n_finished = len(observations.finished_points)
            return space, suggest(
                observations,
                domain,
                self._method,
                self._feasibility,
                model_seed=seed_of(self._seed, "model", n_finished),
                draw_seed=seed_of(self._seed, "draw", trial.number),
                design_seed=design_seed,
            )
        except ConstraintError as error:
            enqueued = enqueued_params(trial)
            if not enqueued:
                raise
            raise _Refused(f"with the enqueued {_listed(enqueued)}: {error}") from error

    def _fixed_by_user(
        self,
        study: Study,
        trial: FrozenTrial,
        trials: Sequence[FrozenTrial],
        search_space: Mapping[str, BaseDistribution],
    ) -> tuple[KnownConstraints, dict[str, Any]]:
        """Return the known constraints and what the user has fixed of this trial.

        Raises:
            _Refused: When that alone violates a known constraint.
        """
        known = self._constraints_given(study, trial, trials, search_space)
        pinned = enqueued_values(trial, search_space)
        violated = known.violated(pinned) if pinned or enqueued_params(trial) else []
        if violated:
            raise _Refused(f"what was enqueued violates {'; '.join(violated)}.")
        return known, pinned

    def _shared_seed(self, study: Study) -> int:
        """Return the seed of the start-up design, which workers without a seed share as well."""
        return seed_of(
            self._design_seed, "design", study.study_name if self._design_seed is None else ""
        )

    def _constraints_given(
        self,
        study: Study,
        trial: FrozenTrial,
        trials: Sequence[FrozenTrial],
        search_space: Mapping[str, BaseDistribution],
    ) -> KnownConstraints:
        """Return the known constraints with the trial's other, already fixed parameters put in."""
        completed = [t for t in trials if t.state == TrialState.COMPLETE]
        singles = infer_singles(completed) if self._known else {}
        singles |= single_values(self._search_space or {})
        fixed = {**singles, **partially_fixed(study), **enqueued_params(trial), **trial.params}
        return self._known.given({n: v for n, v in fixed.items() if n not in search_space})

    def _constrained_value(
        self,
        trial: FrozenTrial,
        fixed: Mapping[str, Any],
        name: str,
        distribution: BaseDistribution,
    ) -> Any:
        space = SearchSpace({name: distribution})
        rng = np.random.default_rng(seed_of(self._seed, name, trial.number))
        domain = Domain(space, self._known.given(fixed))
        try:
            point = domain.repair(space.snap(rng.random((1, 1)))[0], rng)
        except ConstraintError as error:
            violated = self._known.violated(fixed)
            raise _Refused(
                f"what is fixed violates {'; '.join(violated)}."
                if violated
                else f"no value of {name} satisfies the known constraints with "
                f"{_listed(fixed)}. Pass search_space to ScootSampler, so that the parameters "
                "are drawn together."
            ) from error
        return space.to_params(point)[name]


class _Refused(ConstraintError, TrialPruned):
    """One trial cannot be given parameters: Optuna ends it alone, as pruned."""


def _completed(study: Study) -> list[FrozenTrial]:
    return study._get_trials(deepcopy=False, states=(TrialState.COMPLETE,), use_cache=True)


def _mark_external(study: Study, trial: FrozenTrial) -> None:
    study._storage.set_trial_user_attr(trial._trial_id, EXTERNAL_FAILURE_ATTR, True)


def _listed(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in params.items())


def _signs(study: Study) -> np.ndarray:
    maximised = [d == StudyDirection.MAXIMIZE for d in study.directions]
    return np.where(maximised, -1.0, 1.0)
