"""TensorRT-LLM: ``trtllm-serve``.

Taken from TensorRT-LLM 1 (https://github.com/NVIDIA/TensorRT-LLM):

- options, with underscores: ``tensorrt_llm/commands/serve.py``, where ``serve`` is the command
  that is meant where none is named;
- ``/health``, ``/version`` and ``/v1/models``, which gives the name of the model's folder or its
  name on the hub: ``tensorrt_llm/serve/openai_server.py``. The server cannot be given a name that
  is made for a trial, so that a stranger is told by the port alone, free before the start;
- the defaults that its own help does not state: ``tensorrt_llm/builder.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import ClassVar

from objectives.engines import readiness
from objectives.engines.capabilities import EngineCapabilities
from objectives.engines.command import EngineArgumentError
from objectives.engines.command import options
from objectives.engines.server_engine import ServerEngine


PROGRAM = "trtllm-serve"
COMMAND = "serve"


@dataclass(frozen=True)
class TrtllmEngine(ServerEngine):
    """A recipe that starts servers of TensorRT-LLM; for its attributes see ``ServerEngine``.

    ``serve``, the model and the options are appended to a ``command``, which is ``trtllm-serve``
    where none is given.

    Raises:
        EngineArgumentError: An interpreter is given: its program has none.
    """

    kind: ClassVar[str] = "TensorRT-LLM"
    program: ClassVar[tuple[str, ...]] = (PROGRAM, COMMAND)

    def _check_command(self) -> None:
        if self.python is not None:
            raise EngineArgumentError(
                f"{PROGRAM} is a program of its own: give its path as the engine's command, not"
                " an interpreter"
            )

    def _whole_command(self) -> list[str]:
        return [PROGRAM] if self.command is None else [str(word) for word in self.command]

    def _ask(self, command: list[str]) -> EngineCapabilities:
        return self._from_help_and_model([*command, COMMAND])

    def _address(self, port: int, identity: str, key: str | None) -> readiness.Address:
        name = Path(self.model).name if Path(self.model).is_dir() else self.model
        # What a container mounts elsewhere is no folder here, and is named after the folder there.
        hidden = self.model.startswith(("/", ".")) and not Path(self.model).is_dir()
        return readiness.Address(self.host, port, "" if hidden else name, key)

    def _words(self, params: Mapping[str, Any], address: readiness.Address) -> list[str]:
        own = {"host": self.host, "port": address.port}
        _, command = self._command()
        given = options({**own, **self.engine_args, **params}, self.capabilities.flags)
        return [*command, COMMAND, self.model, *given]
