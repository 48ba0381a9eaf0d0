"""The method: every choice in which the paper and the default differ."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field

from optuna_scoot.feasibility.forest import ForestChoice
from optuna_scoot.search.nsga2 import Nsga2
from optuna_scoot.startup import StartupChoice
from optuna_scoot.surrogate.kernel import KernelChoice


@dataclass(frozen=True)
class Method:
    """How a point is suggested. The defaults are this project's; see :meth:`paper`.

    Attributes:
        startup: How a search begins.
        kernel: Of the Gaussian processes.
        forest: How the forest that learns from crashes is grown.
        log_outputs: Whether an output may be modelled on a logarithmic scale, and very bad values
            are capped.
        nsga2: Search by NSGA-II, the Pareto front of UCB, PI and EI for one objective (MACE) and
            EHVI for more (the paper); the least gain, the weight of POF and a crash's cost play
            no part in it. None: climb log-EI or log-EHVI.
        least_gain: Improvements below this share of what separates the incumbent from the median
            count as none (log-EI and EHVI; the paper: 0).
        pof_weight: Exponent of the probability of feasibility as a factor of the acquisition
            function; 0 leaves it a constraint alone (the paper).
        crash_cost: What a crash costs the search, as a share of what has been gained: the
            hypervolume, or the incumbent's lead over the median; 0 for nothing (the paper).
        bold_every: After so many suggestions of the model that gained nothing, the forest of the
            next one does not see the categorical levels; 0 for never (the paper).
    """

    startup: StartupChoice = field(default_factory=StartupChoice)
    kernel: KernelChoice = field(default_factory=KernelChoice)
    forest: ForestChoice = field(default_factory=ForestChoice)
    log_outputs: bool = True
    nsga2: Nsga2 | None = None
    least_gain: float = 0.01
    pof_weight: float = 2.0
    crash_cost: float = 0.1
    bold_every: int = 4

    @classmethod
    def paper(cls) -> Method:
        """Return the paper's choices (sections IV-A to IV-G)."""
        return cls(
            startup=StartupChoice.paper(),
            kernel=KernelChoice.paper(),
            forest=ForestChoice.paper(),
            log_outputs=False,
            nsga2=Nsga2(),
            least_gain=0.0,
            pof_weight=0.0,
            crash_cost=0.0,
            bold_every=0,
        )
