from __future__ import annotations

import errno
import socket

import pytest

from objectives.engines import ports
from objectives.engines.base import ExternalFailure


HOST = "127.0.0.1"


def test_chosen_port_can_be_bound_and_is_not_one_of_outgoing_connections() -> None:
    port = ports.choose_port(HOST)
    assert port < 32768
    with socket.create_server((HOST, port)):
        assert not ports.is_free(HOST, port)
    assert ports.is_free(HOST, port)


@pytest.mark.parametrize("holder", ["127.0.0.1", "0.0.0.0"])
def test_port_held_without_listening_yet_is_not_chosen(
    holder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as vLLM binds
        bound.bind((holder, 0))
        taken = bound.getsockname()[1]
        monkeypatch.setattr(ports, "FIRST_PORT", taken)
        monkeypatch.setattr(ports, "LAST_PORT", taken)
        with pytest.raises(ExternalFailure, match="no free port"):
            ports.choose_port(HOST)


def test_chosen_port_of_the_user_must_be_free() -> None:
    with socket.create_server((HOST, 0)) as stranger:
        with pytest.raises(ExternalFailure, match="holds port") as failure:
            ports.check_port(HOST, stranger.getsockname()[1])
        assert failure.value.reason == "port_taken"


def test_connections_that_fade_away_do_not_hold_a_port() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((HOST, port)):
            accepted, _ = server.accept()
            accepted.close()  # the server's side closes first, and waits in TIME_WAIT
    assert ports.wait_until_free(HOST, port)


def test_address_of_another_machine() -> None:
    other = "203.0.113.7"
    for use in (lambda: ports.check_port(other, 20001), lambda: ports.choose_port(other)):
        with pytest.raises(ExternalFailure, match="not an address of this machine"):
            use()


def test_port_that_this_user_may_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests may run as root, who may use all: the kernel's answer is put in its place.
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ExternalFailure, match="may not listen on port 80: choose one from 1024"):
        ports.check_port(HOST, 80)
