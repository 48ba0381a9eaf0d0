"""Proxies: what is refused, and what listens where one is expected."""

from __future__ import annotations

import http.server
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextlib import contextmanager
from pathlib import Path

import grpc
import optuna
import pytest

from objectives.engines.ports import choose_port
from optuna_scoot.tuning import proxies
from optuna_scoot.tuning.errors import InputError
from optuna_scoot.tuning.proxies import address_of
from optuna_scoot.tuning.proxies import make_proxy
from optuna_scoot.tuning.storage import check_storage
from optuna_scoot.tuning.storage import open_storage
from optuna_scoot.tuning.storage_urls import mask_url
from tests.postgres import Postgres
from tests.proxy import proxy_thread


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("grpc://host:13000", ("host", 13000)),
        ("grpc://127.0.0.1:1/", ("127.0.0.1", 1)),
        ("grpc://[::1]:13000", ("::1", 13000)),
    ],
)
def test_an_address_is_a_host_and_a_port(url: str, address: tuple[str, int]) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        "host:",
        ":13000",
        "host:port",
        "host:0",
        "host:99999",
        "host:1/db",
        "host:1?a=b",
        "me:hush@host:1",
        "[::1:1",
        "me:hush@host",
    ],
)
def test_other_addresses_are_refused_in_one_line_without_secrets(address: str) -> None:
    with pytest.raises(InputError, match="name host and port, as in grpc://host:13000") as refused:
        check_storage(f"grpc://{address}")
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_missing_is_told_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna.storages._grpc.auto_generated", None)
    with pytest.raises(InputError, match=r"pip install 'optuna-scoot\[grpc\]'"):
        check_storage("grpc://host:13000")


@contextmanager
def http_server() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextmanager
def silent_server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def other_grpc_server() -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)


@contextmanager
def nothing() -> Iterator[int]:
    yield choose_port("127.0.0.1")


@contextmanager
def proxy_without_database() -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scoot.db"
        with proxy_thread(f"sqlite:///{file}") as url:
            file.write_bytes(b"no database any more" * 1000)
            yield int(url.rpartition(":")[2])


@pytest.mark.parametrize(
    ("listens", "message"),
    [
        (nothing, "Connection refused; is `optuna-scoot proxy` running there"),
        (http_server, "what listens there is no gRPC proxy"),
        (silent_server, "what listens there is no gRPC proxy"),
        (other_grpc_server, "what listens there is no proxy of Optuna's"),
        (proxy_without_database, "the proxy fails: .*file is not a database"),
    ],
)
def test_what_answers_otherwise_than_a_proxy_is_refused_in_one_line_and_soon(
    monkeypatch: pytest.MonkeyPatch,
    listens: Callable[[], AbstractContextManager[int]],
    message: str,
) -> None:
    monkeypatch.setattr(proxies, "ANSWER_SECONDS", 0.5)
    with listens() as port, pytest.raises(InputError, match=message) as refused:
        open_storage(f"grpc://127.0.0.1:{port}")
    assert "\n" not in str(refused.value)


def test_a_worker_starts_though_the_proxys_connections_have_ended(
    server: Postgres, tmp_path: Path
) -> None:
    with proxy_thread(server.new_database(tmp_path.name)) as url:
        open_storage(url)
        server.drop_connections()
        open_storage(url)


def test_a_worker_does_not_start_while_the_database_behind_its_proxy_is_away(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxies, "ANSWER_SECONDS", 0.5)
    with proxy_thread(server.new_database(tmp_path.name)) as url:
        server.stop()
        try:
            with pytest.raises(InputError, match="the proxy fails: connection failed") as refused:
                open_storage(url)
        finally:
            server.start()
    assert "\n" not in str(refused.value)


def test_a_name_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(InputError, match=r"storage grpc://nowhere.invalid:1: "):
        open_storage("grpc://nowhere.invalid:1")


@pytest.mark.parametrize("url", ["journal:scoot.log", "grpc://me:hush@host:13000"])
def test_a_proxy_stands_in_front_of_a_database_alone(url: str) -> None:
    with pytest.raises(InputError, match="a proxy stands in front of a database") as refused:
        make_proxy(url, "127.0.0.1", 13000)
    assert mask_url(url) in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_port_that_another_proxy_has_is_refused(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/scoot.db"
    with proxy_thread(database) as url, pytest.raises(InputError, match="no proxy can listen"):
        make_proxy(database, "127.0.0.1", int(url.rpartition(":")[2]))


def test_a_call_that_is_not_answered_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where the proxy's machine is gone: no connection breaks, and nothing comes.
    monkeypatch.setattr(proxies, "CALL_SECONDS", 0.3)
    held = threading.Event()
    real = optuna.storages.RDBStorage.set_study_user_attr
    tries: list[str] = []

    def slow_once(self: optuna.storages.RDBStorage, study_id: int, key: str, value: str) -> None:
        tries.append(value)
        if len(tries) == 1:
            held.wait(10)
        real(self, study_id, key, value)

    monkeypatch.setattr(optuna.storages.RDBStorage, "set_study_user_attr", slow_once)
    with proxy_thread(f"sqlite:///{tmp_path}/scoot.db") as url:
        study = optuna.create_study(storage=open_storage(url))
        study.set_user_attr("a", "b")
        held.set()
        assert tries == ["b", "b"]
        assert study.user_attrs == {"a": "b"}
