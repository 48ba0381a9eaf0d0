"""What of a latency is the load generator's own, and when that is too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from objectives.metrics import OwnShare
from objectives.metrics import RequestRecord


def request(ttft: float, waits: Sequence[float], own_send: float = 0.0) -> RequestRecord:
    """A request of 5 tokens in two events 0.2 s apart."""
    last = 1.0 + ttft + 0.2
    return RequestRecord(
        0, 1.0, 1.0, 1.0 + ttft, last, 9, 5, (0.2,), own_send=own_send, waits=waits
    )


RECORDS = [request(0.1, (0.004, 0.0), own_send=0.002), request(0.3, (0.0, 0.004))]
SHARE = OwnShare.of(RECORDS)


def test_the_share_of_a_mean_is_the_mean_of_what_was_waited_for() -> None:
    assert SHARE.milliseconds("ttft") == pytest.approx((6 + 0) / 2)
    assert SHARE.milliseconds("e2el") == pytest.approx((2 + 4) / 2)


def test_of_a_difference_only_the_difference_of_the_waits_counts() -> None:
    assert SHARE.milliseconds("itl") == pytest.approx((-4 + 4) / 2)
    assert SHARE.milliseconds("itl", 100) == pytest.approx(200 - 204)  # 204 and 196 else
    assert SHARE.milliseconds("tpot", 0) == pytest.approx(50 - 49)  # 51 and 49 else


def test_the_share_of_a_percentile_is_what_it_would_change_by() -> None:
    # The request that waited is not the slow one.
    assert SHARE.milliseconds("ttft", 100) == pytest.approx(0.0)
    assert SHARE.milliseconds("ttft", 0) == pytest.approx(6.0)


def test_only_what_is_known_is_told_and_of_requests_that_completed() -> None:
    assert OwnShare.of([replace(RECORDS[0], waits=())]).as_dict() == {}
    failed = replace(RECORDS[0], error="stream: broken off")
    one_token = RequestRecord(0, 0.0, 0.0, 0.1, 0.1, 9, 1, (), waits=(0.001,))
    assert OwnShare.of([failed, one_token]).as_dict() == pytest.approx(
        {
            "own_ttft_ms_mean": 1.0,
            "own_ttft_ms_p99": 1.0,
            "own_e2el_ms_mean": 1.0,
            "own_e2el_ms_p99": 1.0,
        }
    )


@pytest.mark.parametrize(
    ("latency", "own_ms", "measured_ms", "spoils"),
    [
        ("ttft", 10.0, 20.0, True),
        ("ttft", 10.0, 199.0, True),
        ("ttft", 10.0, 201.0, False),  # below a twentieth
        ("e2el", 4.9, 20.0, False),  # next to nothing, whatever it is of
        ("tpot", 1.0, 4.0, True),
        ("tpot", 0.4, 4.0, False),
        ("itl", 1.0, 25.0, False),
        ("itl", -2.0, 25.0, True),  # too short is wrong as well
    ],
)
def test_a_share_spoils_above_a_twentieth_unless_it_is_next_to_nothing(
    latency: str, own_ms: float, measured_ms: float, spoils: bool
) -> None:
    two_tokens = RequestRecord(0, 0.0, 0.0, 0.1, 0.3, 9, 2, (0.2,))
    waits = (own_ms / 1000, 0.0) if latency == "ttft" else (0.0, own_ms / 1000)
    share = OwnShare.of([replace(two_tokens, waits=waits)])
    assert share.spoils(latency, None, measured_ms) is spoils
