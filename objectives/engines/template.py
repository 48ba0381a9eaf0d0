"""Any server that speaks OpenAI's interface, by the command that starts it.

    TemplateEngine("model", command="llama-server -m {model} --port {port} {flags}".split())

The words may be those of a container, of ssh or of Kubernetes, as long as the command stays in the
foreground, ends with its server, and the server answers on this machine's ``{port}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import ClassVar

from objectives.engines import readiness
from objectives.engines.capabilities import EngineCapabilities
from objectives.engines.command import EngineArgumentError
from objectives.engines.command import options
from objectives.engines.server_engine import ServerEngine


FLAGS_WORD = "{flags}"
PORT = "{port}"
NAME = "{name}"
HOW = (
    "`engine_command`: write the command that starts the server, with {model}, {port} and {flags}"
    " where they belong ({host} and {name}, a name for the model, where it takes them)"
)


@dataclass(frozen=True)
class TemplateEngine(ServerEngine):
    """A recipe that starts servers by a template; for its attributes see ``ServerEngine``.

    In the words of ``command``, ``{model}``, ``{host}``, ``{port}`` and ``{name}`` are replaced,
    and the word ``{flags}`` by the options. Without ``{name}``, the model has the name that the
    server gives it, and a stranger is told by the port alone, which is free before the start.

    Raises:
        EngineArgumentError: There is no command, or it has no place for port or flags.
    """

    kind: ClassVar[str] = "server"
    program: ClassVar[tuple[str, ...]] = ()
    shares_network: ClassVar[bool] = False

    def _check_command(self) -> None:
        if self.python is not None:
            raise EngineArgumentError("a server by its command has no interpreter: drop it")
        words = self.command or ()
        if FLAGS_WORD not in words or not any(PORT in word for word in words):
            raise EngineArgumentError(HOW)

    @property
    def description(self) -> str:
        """Return the program that runs."""
        _, command = self._command()
        return f"{self.kind} {command[0].rpartition('/')[2]}"

    def _whole_command(self) -> list[str]:
        return [str(word) for word in self.command or ()]

    def _ask(self, command: list[str]) -> EngineCapabilities:
        return EngineCapabilities(version=None, flags=frozenset(), **self._shape())

    def _address(self, port: int, identity: str, key: str | None) -> readiness.Address:
        named = any(NAME in word for word in self.command or ())
        return readiness.Address(self.host, port, f"scoot-{identity}" if named else "", key)

    def _words(self, params: Mapping[str, Any], address: readiness.Address) -> list[str]:
        _, command = self._command()
        values = {
            "{model}": self.model,
            "{host}": self.host,
            PORT: str(address.port),
            NAME: address.model_name,
        }
        words: list[str] = []
        for word in command:
            if word == FLAGS_WORD:
                words += self._flags(params)
                continue
            for place, value in values.items():
                word = word.replace(place, value)
            words.append(word)
        return words

    def _flags(self, params: Mapping[str, Any]) -> list[str]:
        """Return the options; what is switched off is left out, as nobody knows its negation.

        The tokenizer is read here, to write the prompts, and is no option of the server.
        """
        given = {**self.engine_args, **params}
        return options(
            {n: v for n, v in given.items() if v is not False and n != self.tokenizer_argument}
        )
