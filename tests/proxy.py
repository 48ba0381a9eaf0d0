"""gRPC proxies of the tests' own: processes that can be killed, or within the tests' process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from objectives.engines.ports import choose_port
from optuna_scoot.tuning.proxies import make_proxy


@dataclass
class Proxy:
    """The command ``optuna-scoot proxy``.

    Attributes:
        database: Its URL.
        port: Where it listens, on loopback.
    """

    database: str
    port: int
    _process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """What workers are given."""
        return f"grpc://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        words = ["proxy", "--storage", self.database, "--host", "127.0.0.1", "--port"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "optuna_scoot", *words, str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self.url in self._process.stdout.readline()

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def proxy_process(database: str) -> Iterator[Proxy]:
    """A proxy that is gone afterwards."""
    proxy = Proxy(database, choose_port("127.0.0.1"))
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.kill()


@contextlib.contextmanager
def proxy_thread(database: str) -> Iterator[str]:
    """The URL of a proxy within this process, which starts at once."""
    port = choose_port("127.0.0.1")
    server = make_proxy(database, "127.0.0.1", port)
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.stop(grace=None)
