"""SGLang: ``python -m sglang.launch_server``.

Taken from SGLang 0.5.23 (https://github.com/sgl-project/sglang):

- options: ``python/sglang/srt/arg_groups/fields/{schedule,memory,parallel,serving}.py``;
- ``/v1/models`` gives the name of ``--served-model-name``, ``/server_info`` the configuration:
  ``python/sglang/srt/entrypoints/http_server.py``. There ``/health`` generates a token and waits
  a second for it, unless SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION is false;
- a server of which a process fails kills itself (``python/sglang/srt/entrypoints/engine.py``);
  that, and what its pool says of too little memory
  (``python/sglang/srt/model_executor/pool_configurator.py``), are among the patterns of
  ``objectives.engines.failure_patterns``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import ClassVar

from objectives.engines import readiness
from objectives.engines.capabilities import EngineCapabilities
from objectives.engines.command import options
from objectives.engines.server_engine import ServerEngine


MODULE = "sglang.launch_server"
# Names in /server_info of options that have other names, or several.
_STATED_AS = {"tensor_parallel_size": "tp_size"}


@dataclass(frozen=True)
class SglangEngine(ServerEngine):
    """A recipe that starts SGLang servers; for its attributes see ``ServerEngine``.

    ``--model-path``, the model and the options are appended to a ``command``.
    """

    kind: ClassVar[str] = "SGLang"
    program: ClassVar[tuple[str, ...]] = ("python", "-m", MODULE, "--model-path")
    tokenizer_argument: ClassVar[str] = "tokenizer_path"
    reserved: ClassVar[frozenset[str]] = frozenset({"model_path"})

    def _whole_command(self) -> list[str]:
        if self.command is not None:
            return [str(word) for word in self.command]
        return [str(self.python or sys.executable), "-m", MODULE]

    def _ask(self, command: list[str]) -> EngineCapabilities:
        return self._from_help_and_model(command)

    def _variables(self) -> dict[str, str]:
        return {"SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION": "false"}

    def _address(self, port: int, identity: str, key: str | None) -> readiness.Address:
        return readiness.Address(self.host, port, f"scoot-{identity}", key)

    def _words(self, params: Mapping[str, Any], address: readiness.Address) -> list[str]:
        own = {"served_model_name": address.model_name, "host": self.host, "port": address.port}
        _, command = self._command()
        given = options({**own, **self.engine_args, **params}, self.capabilities.flags)
        return [*command, "--model-path", self.model, *given]

    def _stated(self, address: readiness.Address, log: str) -> dict[str, Any]:
        info = readiness.get_server_info(address, "/server_info") or {}
        named = {name: info[other] for name, other in _STATED_AS.items() if other in info}
        return {**info, **named}
