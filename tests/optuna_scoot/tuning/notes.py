"""An observer that keeps what it is told."""

from __future__ import annotations

from optuna.trial import FrozenTrial

from optuna_scoot.tuning import Observer


class Notes(Observer):
    """Keeps the notes, the trials that began and the trials that ended, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.began: list[int] = []
        self.ended: list[FrozenTrial] = []

    def trial_began(self, number: int) -> None:
        self.began.append(number)

    def trial_ended(self, trial: FrozenTrial) -> None:
        self.ended.append(trial)

    def note(self, line: str) -> None:
        self.lines.append(line)
