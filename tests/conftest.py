"""Nothing is skipped here: a test that cannot run fails and says what it lacks.

And Ctrl-C reaches the tests and what they start, also where they run in the background: a shell
makes its background jobs ignore it, and so would all of their children. And gRPC, which the tests
import before the package does, is told what the package tells it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import Any

import pytest


def pytest_configure() -> None:
    """Let SIGINT interrupt again; have gRPC leave forked processes alone."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(GRPC_ENABLE_FORK_SUPPORT="0", GRPC_VERBOSITY="NONE")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, and skips are failures: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    report = yield
    _refuse_skip(report)
    return report
