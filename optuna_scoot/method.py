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
            EHVI for more (the paper); None: climb log-EI or log-EHVI.
        caution: c of POF to the power c Δ / (1 - Δ), a factor of the acquisition function; 0
            leaves POF ≥ Δ a constraint alone (the paper).
    """

    startup: StartupChoice = field(default_factory=StartupChoice)
    kernel: KernelChoice = field(default_factory=KernelChoice)
    forest: ForestChoice = field(default_factory=ForestChoice)
    log_outputs: bool = True
    nsga2: Nsga2 | None = None
    caution: float = 2.0

    @classmethod
    def paper(cls) -> Method:
        """Return the paper's choices (sections IV-A to IV-G)."""
        return cls(
            startup=StartupChoice.paper(),
            kernel=KernelChoice.paper(),
            forest=ForestChoice.paper(),
            log_outputs=False,
            nsga2=Nsga2(),
            caution=0.0,
        )
