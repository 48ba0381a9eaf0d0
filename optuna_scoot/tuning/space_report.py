"""What would be tuned of an engine, in which ranges and why, and why the rest is not."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

from objectives.engines.command import option
from objectives.parameter_values import values_of
from objectives.redaction import without_secrets


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from objectives.spaces import EngineSpace


@dataclass(frozen=True)
class SpaceReport:
    """A space with its reasons.

    Attributes:
        engine: What is tuned, with its version.
        space: Its parameters, ranges, default and known constraints.
        fixed: Arguments of every trial, by name.
        untuned: The engine's other options by the reason why they are not tuned.
    """

    engine: str
    space: EngineSpace
    fixed: Mapping[str, Any] = field(default_factory=dict, repr=False)
    untuned: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the same as JSON takes it, without secrets."""
        space = self.space
        return {
            "engine": self.engine,
            "parameters": {
                name: {
                    "flag": option(name),
                    "values": values_of(distribution),
                    "default": space.default[name],
                    "why": space.why.get(name),
                }
                for name, distribution in space.parameters.items()
            },
            "constraints": list(space.known_constraints),
            "fixed": without_secrets(self.fixed),
            "offered": {
                name: {
                    "flag": option(name),
                    "values": values_of(parameter.distribution),
                    "default": parameter.default,
                    "why": parameter.why,
                }
                for name, parameter in space.offered.items()
            },
            "untuned": {why: list(flags) for why, flags in self.untuned.items()},
        }
