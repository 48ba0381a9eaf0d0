"""A study behind Optuna's gRPC proxy, through which hundreds of workers share one database."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import urlsplit

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import GrpcStorageProxy
from optuna.storages import get_storage
from sqlalchemy.exc import SQLAlchemyError

from optuna_scoot.tuning.databases import check_database
from optuna_scoot.tuning.databases import open_database
from optuna_scoot.tuning.databases import storage_message
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.outages import is_outage
from optuna_scoot.tuning.outages import proxy_details
from optuna_scoot.tuning.outages import proxy_status
from optuna_scoot.tuning.storage_urls import JOURNAL
from optuna_scoot.tuning.storage_urls import PROXY
from optuna_scoot.tuning.storage_urls import mask_url


if TYPE_CHECKING:
    import grpc


ANSWER_SECONDS = 10.0
"""How long a proxy may take to answer when a worker starts."""
N_THREADS = 10
"""How many calls a proxy serves at once: fewer than the connections that a database gets."""
CALL_SECONDS = 60.0
"""How long a call may take before it is made again, as where the proxy's machine is gone."""
_CHANNEL = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5000),  # two minutes otherwise
    ("grpc.enable_http_proxy", 0),  # of a cluster's way out to the world
)


def address_of(url: str) -> tuple[str, int]:
    """Return the host and port of ``grpc://HOST:PORT``.

    Raises:
        InputError: It is something else.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if not host or not port or parts.username or parts.path.strip("/") or parts.query:
        raise InputError(f"storage {mask_url(url)}: name host and port, as in grpc://host:13000")
    return host, port


def check_proxy(url: str) -> None:
    """Check a proxy's address, and that what speaks to it is installed.

    Raises:
        InputError: Not so.
    """
    address_of(url)
    check_grpc()


def check_grpc() -> None:
    """Check that gRPC is installed.

    Raises:
        InputError: It is not.
    """
    # What gRPC itself logs of a proxy that is away is not for users. And its handlers of fork(),
    # for processes that go on in Python, can end one that is to become an engine.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        from optuna.storages._grpc.auto_generated import api_pb2_grpc  # noqa: F401
    except ImportError:
        raise InputError("gRPC is not installed: pip install 'optuna-scoot[grpc]'") from None


def open_proxy(url: str) -> GrpcStorageProxy:
    """Connect to a proxy.

    Args:
        url: As ``grpc://HOST:PORT``.

    Raises:
        InputError: The URL is none, nothing or something else listens there, or the database
            behind the proxy does not answer.
    """
    check_proxy(url)
    host, port = address_of(url)
    try:
        socket.create_connection((host, port), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"storage {url}: {error.strerror or error}; is `optuna-scoot proxy` running there?"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = _client(host, port)
    try:
        storage.wait_server_ready(timeout=ANSWER_SECONDS)
        _wait_for_answer(storage)
    except ConnectionError:
        raise InputError(f"storage {url}: what listens there is no gRPC proxy") from None
    except Exception as error:
        if proxy_status(error) is None:
            raise
        raise InputError(f"storage {url}: {_what_is_wrong(error)}") from None
    return storage


def _wait_for_answer(storage: GrpcStorageProxy) -> None:
    """Make a call until it is answered.

    Connections to the database that have ended since the proxy used them are noticed by that.
    """
    ends = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            with contextlib.suppress(KeyError):
                storage.get_study_name_from_id(-1)
            return
        except Exception as error:
            if not is_outage(error) or time.monotonic() > ends:
                raise
            time.sleep(0.2)


def _what_is_wrong(error: Exception) -> str:
    if proxy_status(error) == "UNIMPLEMENTED":
        return "what listens there is no proxy of Optuna's"
    return f"the proxy fails: {' '.join(proxy_details(error).split())}"


def _client(host: str, port: int) -> GrpcStorageProxy:
    """Return a client that reconnects soon, and that no call holds for ever."""
    import grpc
    from optuna.storages._grpc.auto_generated import api_pb2_grpc
    from optuna.storages._grpc.client import GrpcClientCache

    class Deadline(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
        def intercept_unary_unary(
            self, continuation: Callable[[Any, Any], Any], details: Any, request: Any
        ) -> Any:
            return continuation(details._replace(timeout=CALL_SECONDS), request)

    class Client(GrpcStorageProxy):
        def _setup(self) -> None:
            channel = grpc.insecure_channel(_target(self._host, self._port), options=_CHANNEL)
            self._channel = grpc.intercept_channel(channel, Deadline())
            self._stub = api_pb2_grpc.StorageServiceStub(self._channel)  # type: ignore[no-untyped-call]
            self._cache = GrpcClientCache(self._stub)

        def wait_server_ready(self, timeout: float | None = None) -> None:
            try:
                grpc.channel_ready_future(self._channel).result(timeout=timeout)
            except grpc.FutureTimeoutError:
                raise ConnectionError from None

    return Client(host=host, port=port)


def make_proxy(url: str, host: str, port: int) -> grpc.Server:
    """Return a server, to be started, that serves a database to workers.

    A call fails where the database is away: who made it waits, and makes it again.

    Args:
        url: Of the database.
        host: Name or address to listen on.
        port: The same.

    Raises:
        InputError: It is no database, cannot be reached, or the port is taken.
    """
    if url.startswith((JOURNAL, PROXY)):
        raise InputError(f"storage {mask_url(url)}: a proxy stands in front of a database")
    check_database(url)
    check_grpc()
    import grpc
    from optuna.storages._grpc.auto_generated import api_pb2_grpc
    from optuna.storages._grpc.servicer import OptunaStorageProxyService

    # Without the option a second proxy on the port would take a part of the calls.
    server = grpc.server(
        ThreadPoolExecutor(N_THREADS),
        interceptors=(_telling_outages(),),
        options=(("grpc.so_reuseport", 0),),
    )
    service = OptunaStorageProxyService(get_storage(open_database(url)))
    api_pb2_grpc.add_StorageServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    try:
        server.add_insecure_port(_target(host, port))
    except RuntimeError:
        raise InputError(f"`host` {host}, `port` {port}: no proxy can listen there") from None
    return server


def _target(host: str, port: int) -> str:
    """Return a host, by name or address, and a port as gRPC writes them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _telling_outages() -> grpc.ServerInterceptor:
    """Return what tells workers of a database that fails, and whether they are to wait for it."""
    import grpc

    class TellingOutages(grpc.ServerInterceptor):  # type: ignore[misc]
        def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
            handler = continuation(details)
            if handler is None:  # no such call
                return None

            def call(request: Any, context: grpc.ServicerContext) -> Any:
                try:
                    return handler.unary_unary(request, context)
                except (StorageInternalError, SQLAlchemyError) as error:
                    codes = grpc.StatusCode
                    code = codes.UNAVAILABLE if is_outage(error) else codes.UNKNOWN
                    context.abort(code, storage_message(error, None))

            return grpc.unary_unary_rpc_method_handler(
                call, handler.request_deserializer, handler.response_serializer
            )

    return TellingOutages()
