"""The ways in which a user tells a sampler of a crash."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from optuna_scoot.comparison.problems.problem import CompareError
from optuna_scoot.comparison.problems.problem import Problem


class CrashHandling(StrEnum):
    """What a sampler is told when an evaluation crashes."""

    FAIL = "fail"
    """The trial failed; most samplers never look at it again."""
    PENALTY = "penalty"
    """It completed with the worst value seen so far of each objective."""
    LARGE = "large"
    """It completed with a value far worse than the default's, the same every time."""
    CONSTRAINT = "constraint"
    """It completed with the worst values seen and a violated constraint."""


@dataclass(frozen=True, order=True)
class PeerMode:
    """One way of running a sampler.

    Attributes:
        crash: What it is told of a crash.
        known: Whether it is given the known constraints (by rejection).
    """

    crash: CrashHandling
    known: bool

    def __str__(self) -> str:
        return f"{self.crash}+known" if self.known else str(self.crash)

    @classmethod
    def parse(cls, text: str) -> PeerMode:
        """Return a mode from its name.

        Raises:
            CompareError: If there is no such mode.
        """
        crash, _, known = text.partition("+")
        if crash not in set(CrashHandling) or known not in ("", "known"):
            msg = f"No mode is called {text!r}: {', '.join(map(str, ALL_MODES))}."
            raise CompareError(msg)
        return cls(CrashHandling(crash), bool(known))

    def on(self, problem: Problem, *, may_crash: bool = True) -> PeerMode:
        """Return the mode that does the same on a problem and is run in its place.

        Without known constraints there is nothing to give; where nothing crashes, it does not
        matter what would be told of a crash.

        Args:
            problem: The problem.
            may_crash: Whether an evaluation may crash.
        """
        crash = self.crash if may_crash else CrashHandling.FAIL
        return PeerMode(crash, self.known and bool(problem.known_constraints))


ALL_MODES: tuple[PeerMode, ...] = tuple(
    PeerMode(crash, known) for crash in CrashHandling for known in (False, True)
)
FAIL = PeerMode(CrashHandling.FAIL, known=False)

VALUE_MODES = tuple(mode for mode in ALL_MODES if mode.crash is not CrashHandling.CONSTRAINT)
"""For samplers that take no constraints: they would be told no more than a penalty."""
