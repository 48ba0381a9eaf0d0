"""The method: every choice in which the paper, the default and an ablation differ."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import Literal

from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.surrogate.kernel import KernelChoice


@dataclass(frozen=True)
class Method:
    """How a point is suggested. The defaults are this project's; see :meth:`paper`.

    Args:
        balanced_startup: Repair start-up points that violate a known constraint (True) or skip
            them (False, the paper).
        startup_share: Start-up points as a share of the number of dimensions (the paper: 1).
        kernel: Of the Gaussian processes.
        log_outputs: Whether an output may be modelled on a logarithmic scale, and very bad values
            are capped.
        startup_least: Start-up points at the least.
        startup_finished: Share of the start-up points that must have finished before the model
            takes over; 0 counts running ones alike.
        covering_startup: Choose the categorical levels of start-up points so that levels, and
            pairs of levels, that no trial had come first.
        single: Acquisition for one objective: ``"mace"`` (the paper), whose front the solver
            ``"nsga2"`` alone finds, or ``"log_ei"``.
        solver: ``"nsga2"`` (the paper, pymoo) or ``"climb"``.
        least_gain: Improvements below this share of what separates the incumbent from the median
            count as none (log-EI and log-EHVI).
        use_forest: Whether crashed trials teach a random forest.
        forest: How it is grown.
        pof_weight: Exponent of the probability of feasibility as a factor of the acquisition
            function; 0 leaves it a constraint alone (the paper).
        crash_cost: What a crash costs the search, as a share of what has been gained: the
            hypervolume, or the incumbent's lead over the median; 0 for nothing (the paper).
        fixed_threshold: Whether Δ stays at its initial value.
        bold_every: After so many suggestions of the model that gained nothing, the forest of the
            next one does not see the categorical levels; 0 for never (the paper).
        level_chances: After so many crashes of the model's suggestions, a level that never ran is
            seen even then.
        use_known_constraints: Whether known constraints prune the space.
        population: Of NSGA-II.
        generations: Of NSGA-II.

    Raises:
        ValueError: When MACE is to be searched by another solver than NSGA-II.
    """

    balanced_startup: bool = True
    startup_share: float = 0.6
    startup_least: int = 4
    startup_finished: float = 0.5
    covering_startup: bool = True
    kernel: KernelChoice = field(default_factory=KernelChoice)
    log_outputs: bool = True
    single: Literal["mace", "log_ei"] = "log_ei"
    solver: Literal["nsga2", "climb"] = "climb"
    least_gain: float = 0.01
    use_forest: bool = True
    forest: ForestChoice = field(default_factory=ForestChoice)
    pof_weight: float = 2.0
    crash_cost: float = 0.1
    fixed_threshold: bool = False
    bold_every: int = 4
    level_chances: int = 2
    use_known_constraints: bool = True
    population: int = 100
    generations: int = 100

    def __post_init__(self) -> None:
        if self.single == "mace" and self.solver != "nsga2":
            raise ValueError(
                'Method(single="mace") needs solver="nsga2": MACE draws from a Pareto front of '
                f"three acquisition functions, and solver={self.solver!r} climbs one."
            )

    @classmethod
    def paper(cls) -> Method:
        """Give the paper's choices (sections IV-A to IV-G)."""
        return cls(
            balanced_startup=False,
            covering_startup=False,
            startup_finished=0.0,
            startup_share=1.0,
            startup_least=1,
            least_gain=0.0,
            kernel=KernelChoice(
                nu=1.5,
                outputscale_prior=(0.4, 0.8),
                noise_prior=(-5.0, 1.5),
                warp=True,
                main_effects=False,
                n_draws=0,
                max_iterations=100,
            ),
            log_outputs=False,
            single="mace",
            solver="nsga2",
            forest=ForestChoice.paper(),
            pof_weight=0.0,
            crash_cost=0.0,
            bold_every=0,
        )
