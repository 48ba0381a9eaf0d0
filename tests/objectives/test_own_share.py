"""What of a latency is the load generator's own, and when that is too much."""

from __future__ import annotations

import pytest

from objectives.metrics import OwnShare


SHARE = OwnShare(ttft=[0.001, 0.003, 0.002], e2el=[0.004], itl=[0.0, 0.0006])


def test_a_share_is_told_in_milliseconds_as_the_latency_is() -> None:
    assert SHARE.milliseconds("ttft") == pytest.approx(2.0)
    assert SHARE.milliseconds("ttft", 75) == pytest.approx(2.5)
    assert SHARE.milliseconds("itl") == pytest.approx(0.3)
    assert SHARE.milliseconds("tpot") == 0.0


def test_only_what_is_known_is_told() -> None:
    assert OwnShare().as_dict() == {}
    assert SHARE.as_dict() == pytest.approx(
        {
            "own_ttft_ms_mean": 2.0,
            "own_ttft_ms_p99": 2.98,
            "own_itl_ms_mean": 0.3,
            "own_itl_ms_p99": 0.594,
            "own_e2el_ms_mean": 4.0,
            "own_e2el_ms_p99": 4.0,
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
    ],
)
def test_a_share_spoils_above_a_twentieth_unless_it_is_next_to_nothing(
    latency: str, own_ms: float, measured_ms: float, spoils: bool
) -> None:
    share = OwnShare(**{latency: [own_ms / 1000]})
    assert share.spoils(latency, None, measured_ms) is spoils
