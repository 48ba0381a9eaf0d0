"""The point that the paper suggests next (paper, sections IV-E to IV-G).

All suggestions on the same finished trials are drawn from one search by NSGA-II: running trials
are no part of it, and are left out of what it found.
"""

from __future__ import annotations

import numpy as np

from optuna_scoot.acquisition.paper import log_ehvi
from optuna_scoot.acquisition.paper import mace_functions
from optuna_scoot.model import Model
from optuna_scoot.search.nsga2 import Nsga2
from optuna_scoot.search.nsga2 import search_best
from optuna_scoot.search.nsga2 import search_front
from optuna_scoot.space.points import without


def suggest_as_in_paper(
    model: Model,
    effort: Nsga2,
    starts: np.ndarray,
    taken: set[bytes],
    *,
    model_seed: int,
    draw_seed: int,
) -> np.ndarray | None:
    """Suggest the next of the k points that the paper suggests at a time.

    One objective: they are drawn at random from the front of UCB, PI and EI (MACE, section IV-E1).
    Several: they are the k of the largest expected hypervolume improvement (section IV-E2).

    Args:
        model: What finished trials teach.
        effort: How long NSGA-II searches.
        starts: Points that join its first population, shape (s, d).
        taken: Keys of what was evaluated, crashed, or runs now.
        model_seed: Of the search: the same for suggestions on the same finished trials.
        draw_seed: Of this suggestion alone.

    Returns:
        The point, shape (d,); None where all that was found is taken.
    """

    def margin(x: np.ndarray) -> np.ndarray:
        return model.pof(x) - model.threshold

    if model.n_objectives == 1:
        front = search_front(
            mace_functions(model), model.domain, margin, starts, effort, model_seed
        )
        left = np.random.default_rng(draw_seed).permutation(without(front, taken))
    else:
        best = search_best(log_ehvi(model), model.domain, margin, starts, effort, model_seed)
        left = without(best, taken)
    return np.asarray(left[0]) if len(left) else None
