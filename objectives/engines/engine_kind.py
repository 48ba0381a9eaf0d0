"""What distinguishes one kind of engine from another; all else is ``ServerEngine``'s."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

from objectives.engines import readiness
from objectives.engines.capabilities import EngineCapabilities


class EngineKind:
    """How a kind of engine is started, what it takes, and what it tells of itself."""

    kind: ClassVar[str] = "engine"
    """What the engine is called."""
    key_variable: ClassVar[str | None] = None
    """Environment variable that it reads its API key from; None: it wants none."""
    sockets_variable: ClassVar[str | None] = None
    """Environment variable of the folder for its sockets, where it leaves them when it is killed.

    None: it leaves none.
    """
    program: ClassVar[tuple[str, ...]] = ()
    """The words that a person serves a model with, up to its name."""
    shares_network: ClassVar[bool] = True
    """Whether a container in its command has to share the host's network."""
    reserved: ClassVar[frozenset[str]] = frozenset()
    """Arguments that this project sets, besides those that it sets for every engine."""
    tokenizer_argument: ClassVar[str] = "tokenizer"
    """Its argument for where the model's tokenizer is."""

    def _check_command(self) -> None:
        """Refuse a command that cannot be used.

        Raises:
            EngineArgumentError: It cannot.
        """

    def _whole_command(self) -> list[str]:
        """Return the words that start the server, variables before them included."""
        raise NotImplementedError

    def _ask(self, command: list[str]) -> EngineCapabilities:
        """Return what the installed engine is and takes.

        Args:
            command: The words that start it.
        """
        raise NotImplementedError

    def _address(self, port: int, identity: str, key: str | None) -> readiness.Address:
        """Return where a server answers, and under which name of the model.

        Args:
            port: That it listens on.
            identity: Made for this start.
            key: That it wants.
        """
        raise NotImplementedError

    def _words(self, params: Mapping[str, Any], address: readiness.Address) -> list[str]:
        """Return the command line of one trial."""
        raise NotImplementedError

    def _stated(self, address: readiness.Address, log: str) -> dict[str, Any]:
        """Return what a server that is ready says of its own configuration, by flag."""
        return {}

    def _variables(self) -> dict[str, str]:
        """Return variables that this project sets, unless the user does."""
        return {}

    def _check_surroundings(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Find what is around the engine that it takes amiss.

        Raises:
            ExternalFailure: There is something.
        """
