"""When an engine is taken for one that hangs, by a clock that the tests turn."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from objectives.engines import signs_of_life
from objectives.engines.signs_of_life import SignsOfLife


SLEEP = time.sleep


class Watched:
    """An engine that is looked at four times a second, for as long as a test says."""

    def __init__(self, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.answers = False
        self.asked = 0
        self.log = log
        log.touch()
        monkeypatch.setattr(signs_of_life.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(signs_of_life.time, "sleep", lambda _: None)
        self.signs = SignsOfLife(log, self.ask, timeout=60.0)

    def ask(self) -> bool:
        self.asked += 1
        return self.answers

    def look(self, seconds: float, token_at: float = 0.0) -> bool:
        missing = False
        for _ in range(int(seconds * 4)):
            self.now += 0.25
            missing = self.signs.are_missing(token_at)
            SLEEP(0.002)  # questions are asked in another thread
        return missing


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(tmp_path / "log", monkeypatch)


def test_an_engine_hangs_that_shows_nothing_for_the_whole_time(watched: Watched) -> None:
    assert not watched.look(59)
    assert watched.look(2)


def test_one_that_is_seen_to_work_is_never_asked(watched: Watched) -> None:
    for second in range(0, 200, 10):
        assert not watched.look(10, token_at=float(second))
    assert watched.asked == 0


def test_a_token_is_a_sign(watched: Watched) -> None:
    assert not watched.look(50, token_at=1.0)
    assert not watched.look(50, token_at=2.0)


def test_output_is_a_sign(watched: Watched) -> None:
    assert not watched.look(50)
    os.utime(watched.log, ns=(1, 1))
    assert not watched.look(50)


def test_an_answer_is_a_sign(watched: Watched) -> None:
    watched.answers = True
    assert not watched.look(300)
    watched.answers = False
    assert watched.look(100)


def test_time_for_which_this_process_was_stopped_does_not_count(watched: Watched) -> None:
    assert not watched.look(10)
    watched.now += 3600.0
    assert not watched.look(10)


def test_an_answer_that_takes_long_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Watched(tmp_path / "log", monkeypatch)
    started: list[int] = []

    def never() -> bool:
        started.append(1)
        SLEEP(600)
        return False

    slow.signs = SignsOfLife(slow.log, never, timeout=60.0)
    assert slow.look(70)
    assert len(started) == 1
