"""``optuna-scoot proxy``, and what a command says where no proxy is."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from objectives.engines.ports import choose_port
from optuna_scoot.cli.main import run
from tests.proxy import proxy_thread


@pytest.mark.parametrize(
    "command",
    [["tune", "--engine", "simulated", "--trials", "1"], ["audit"], ["export", "--trial=0"]],
)
def test_a_command_that_begins_while_the_proxy_is_away_is_refused_in_one_line(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"grpc://127.0.0.1:{choose_port('127.0.0.1')}"
    assert run([*command, "--storage", url, "--study", "s"]) == 2
    told = capsys.readouterr().err
    expected = f"storage {url}: Connection refused; is `optuna-scoot proxy` running there?"
    assert told == f"optuna-scoot: {expected}\n"


def test_a_port_that_is_taken_is_named_as_the_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = f"sqlite:///{tmp_path}/scoot.db"
    with proxy_thread(database) as url:
        port = url.rpartition(":")[2]
        words = ["proxy", "--storage", database, "--host", "127.0.0.1", "--port", port]
        assert run(words) == 2
    told = capsys.readouterr().err
    assert told == f"optuna-scoot: --host 127.0.0.1, --port {port}: no proxy can listen there\n"


def test_a_program_is_told_where_a_proxy_listens(tmp_path: Path) -> None:
    port = choose_port("127.0.0.1")
    words = ["proxy", "--storage", f"sqlite:///{tmp_path}/scoot.db", "--port", str(port)]
    proxy = subprocess.Popen(
        [sys.executable, "-m", "optuna_scoot", *words, "--json"], stdout=subprocess.PIPE, text=True
    )
    assert proxy.stdout is not None
    told = "".join(iter(proxy.stdout.readline, "}\n")) + "}"
    proxy.send_signal(signal.SIGINT)
    assert json.loads(told) == {"storage": f"grpc://localhost:{port}"}
    assert proxy.wait(timeout=30) == 130


def test_interrupt_ends_a_proxy_in_one_line(tmp_path: Path) -> None:
    words = ["proxy", "--storage", f"sqlite:///{tmp_path}/scoot.db"]
    proxy = subprocess.Popen(
        [sys.executable, "-m", "optuna_scoot", *words, "--port", str(choose_port("127.0.0.1"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert proxy.stdout is not None
    assert proxy.stdout.readline().startswith("listening: --storage grpc://localhost:")
    proxy.send_signal(signal.SIGINT)
    assert proxy.communicate(timeout=30) == ("", "optuna-scoot: interrupted\n")
    assert proxy.returncode == 130
