"""A trial of this process, as it is here and as far as its storage has it."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from itertools import takewhile
from typing import TYPE_CHECKING
from typing import Any

from optuna_scoot.tuning.databases import Database


if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from optuna_scoot.tuning.unstored import Write


_ATTRS = ("set_trial_user_attr", "set_trial_system_attr")


@dataclass
class OwnTrial:
    """A trial that this process runs.

    Attributes:
        trial: As it would be stored.
        unstored: What the storage has not taken yet.
        is_held: Whether more is to come before it is to be stored.
        end: How it ended, once it has.
    """

    trial: FrozenTrial
    unstored: list[Write] = field(default_factory=list)
    is_held: bool = False
    end: Write | None = None

    def take(self, write: Write) -> None:
        """Change the trial here, and have the change stored next."""
        name, value = write.arguments
        changed: dict[str, dict[Any, Any]] = {
            "set_trial_user_attr": self.trial.user_attrs,
            "set_trial_system_attr": self.trial.system_attrs,
            "set_trial_intermediate_value": self.trial.intermediate_values,
        }
        changed[write.method][name] = value
        self.unstored.append(write)

    def store(self, storage: BaseStorage, trial_id: int) -> None:
        """Store what is not stored yet, as far as the storage takes it."""
        while self.unstored:
            attrs = list(takewhile(lambda write: write.method in _ATTRS, self.unstored))
            database = getattr(storage, "_backend", None)  # behind Optuna's cache
            if len(attrs) > 1 and isinstance(database, Database):
                kinds = (
                    {w.arguments[0]: w.arguments[1] for w in attrs if w.method == m}
                    for m in _ATTRS
                )
                database.set_trial_attrs(trial_id, *kinds)
                del self.unstored[: len(attrs)]
            else:
                self.unstored[0].do(storage, trial_id)
                del self.unstored[0]
