"""The real engine: a vLLM server of its own for every trial.

    engine = VllmEngine("meta-llama/Llama-3.1-8B", python="/opt/vllm/bin/python")
    with engine.start({"max_num_seqs": 64}, "trial-0") as running:
        result = running.serve(workload)

vLLM need not be installed in this environment: its interpreter or a whole command, such as a
container's, can be given. Every start is a fresh server on a free port with a model name of its
own, and no prompt of a workload is sent before the measurement, so that nothing is measured but
what was started, and no cache is warmer than in production.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import ClassVar

from objectives.engines import readiness
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.engines.capabilities import EngineCapabilities
from objectives.engines.capabilities import ask_engine
from objectives.engines.command import check_command
from objectives.engines.command import engine_command
from objectives.engines.command import options
from objectives.engines.command import split_secrets
from objectives.engines.containers import run_options
from objectives.engines.running_server import RunningServer
from objectives.engines.server_engine import ServerEngine
from objectives.engines.stated_config import stated_config


__all__ = ["RunningVllm", "VllmEngine"]

DEVELOPMENT_MODE = "VLLM_SERVER_DEV_MODE"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
RunningVllm = RunningServer


@dataclass(frozen=True)
class VllmEngine(ServerEngine):
    """A recipe that starts vLLM servers; for its attributes see ``ServerEngine``.

    Without ``python`` and without ``command``: ``vllm serve`` where it is on the PATH, else this
    interpreter. To a ``command`` the model's name and the options are appended.

    Raises:
        EngineArgumentError: An engine argument or a command that cannot be used.
    """

    kind: ClassVar[str] = "vLLM"
    key_variable: ClassVar[str | None] = "VLLM_API_KEY"
    sockets_variable: ClassVar[str | None] = "VLLM_RPC_BASE_PATH"
    program: ClassVar[tuple[str, ...]] = ("vllm", "serve")

    def _check_command(self) -> None:
        check_command(engine_command(self.python, self.command))

    def _whole_command(self) -> list[str]:
        return engine_command(self.python, self.command)

    def _ask(self, command: list[str]) -> EngineCapabilities:
        shown, _ = split_secrets(self.engine_args)
        return ask_engine(command, self.model, options(shown), self._own_environment())

    def _check_surroundings(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        if "://" in env.get("VLLM_PORT", "") and run_options(command) is None:
            raise ExternalFailure(
                ExternalReason.ENVIRONMENT,
                "VLLM_PORT is set to an address, as Kubernetes does for a service named vllm, and "
                "vLLM takes it for a port: unset it",
            )

    def _variables(self) -> dict[str, str]:
        # In development mode it tells its configuration, but takes orders of all who reach it.
        return {DEVELOPMENT_MODE: "1"} if self.host in LOOPBACK else {}

    def _address(self, port: int, identity: str, key: str | None) -> readiness.Address:
        return readiness.Address(self.host, port, f"scoot-{identity}", key)

    def _words(self, params: Mapping[str, Any], address: readiness.Address) -> list[str]:
        shown, _ = split_secrets(self.engine_args)
        own = {"served_model_name": address.model_name, "host": self.host, "port": address.port}
        _, command = self._command()
        arguments = options({**own, **shown, **params}, self.capabilities.flags)
        return [*command, self.model, *arguments]

    def _stated(self, address: readiness.Address, log: str) -> dict[str, Any]:
        return stated_config(readiness.get_server_info(address), log)
