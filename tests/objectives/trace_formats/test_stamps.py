"""Time stamps as traces write them."""

from __future__ import annotations

from typing import Any

import pytest

from objectives.trace_formats.stamps import StampError
from objectives.trace_formats.stamps import TimeUnit
from objectives.trace_formats.stamps import numbers_to_seconds
from objectives.trace_formats.stamps import to_seconds
from objectives.trace_formats.stamps import unit_from_1970


def lines(stamps: tuple[Any, ...]) -> list[tuple[int, Any]]:
    return list(enumerate(stamps, start=2))


@pytest.mark.parametrize(
    ("stamps", "seconds"),
    [
        (("2024-05-10T00:00:00.250Z", "2024-05-10T00:00:01.500Z"), [0.0, 1.25]),
        (("2024-05-10T00:00:00.5Z", "2024-05-10T00:00:01Z"), [0.0, 0.5]),
        (("2024-05-10 00:00:00-07:00", "2024-05-10 00:00:01-07:00"), [0.0, 1.0]),
        (("2024-05-10 00:00:00.25 -0700", "2024-05-10 00:00:01.25-07"), [0.0, 1.0]),
        (("2024-05-10 02:00:00+0200", "2024-05-10 00:00:01Z"), [0.0, 1.0]),
        (("2024-05-10 00:00:00", "2024-05-10 00:00:01,25"), [0.0, 1.25]),
        (("2024-02-28 23:59:59.9999999", "2024-02-29 00:00:00.0000001"), [0.0, 2e-7]),
        (("2024-05-10 00:00:00.000000001", "2024-05-10 00:00:00.000000003"), [0.0, 2e-9]),
        (("2024-05-10 00:00:02", "2024-05-10 00:00:00"), [2.0, 0.0]),
        (("2024-05-10 00:00:00 UTC",), [0.0]),
        (("1715299200.25", "1715299201.25"), [0.0, 1.0]),
        (("1715299200250", "1715299201250"), [0.0, 1.0]),
        (("1715299200250000", "1715299201250000"), [0.0, 1.0]),
        (("1715299200000000250", "1715299200000000500"), [0.0, 2.5e-7]),
    ],
)
def test_dates_are_seconds_from_the_earliest(
    stamps: tuple[str, ...], seconds: list[float]
) -> None:
    assert to_seconds(lines(stamps), "T", None) == seconds


@pytest.mark.parametrize(
    ("stamps", "message"),
    [
        (("2024-05-10 00:00:00", "noon"), "line 3: T 'noon' is not a time"),
        (("2024-05-10 00:00:00", ""), "line 3: T '' is not a time"),
        (("2024-05-10 00:00:00", None), "line 3: T None is not a time"),
        (("2024-05-10 00:00:00", "1715299201.25"), "line 3: T '1715299201.25' is not a time"),
        (("2024-13-10 00:00:00",), "line 2: T '2024-13-10 00:00:00' is not a time"),
        (("2024-05-10",), "line 2: T '2024-05-10' is not a time"),
        (("10.05.2024 00:00:00",), "line 2: T '10.05.2024 00:00:00' is not a time"),
        (("0001-01-01 00:00:00+23:59",), "is not a time"),
        (("2024-05-10 00:00:00Z", "2024-05-10 00:00:00"), "line 3: T has a time zone in some"),
        (("0.25", "1.5"), "nothing tells the unit of T: .* s, ms, us or ns"),
        (("1715299200", "1715299200000"), "nothing tells the unit of T"),
    ],
)
def test_what_is_no_date_is_refused(stamps: tuple[Any, ...], message: str) -> None:
    with pytest.raises(StampError, match=message):
        to_seconds(lines(stamps), "T", None)


@pytest.mark.parametrize(
    ("stamps", "unit", "seconds"),
    [
        ((0, 27000, 30500), "ms", [0.0, 27.0, 30.5]),
        (("0.5", "1e3"), "s", [0.5, 1000.0]),
        ((3, 4), "us", [3e-6, 4e-6]),
        ((-1.5, 2), "s", [-1.5, 2.0]),
        ((11.836632999999999,), "s", [11.836632999999999]),
        ((7, 7, 7), None, [7.0, 7.0, 7.0]),  # as far apart in every unit
        ((1_715_299_200_500, 1_715_299_200_000), None, [0.5, 0.0]),
        ((1_715_299_200_000, 1_715_299_200_500), "ms", [0.0, 0.5]),
    ],
)
def test_numbers_are_in_their_unit(
    stamps: tuple[Any, ...], unit: TimeUnit | None, seconds: list[float]
) -> None:
    assert numbers_to_seconds(lines(stamps), "T", unit) == seconds


@pytest.mark.parametrize(
    ("stamps", "unit", "message"),
    [
        ((1, 2), None, "nothing tells the unit of T"),
        ((1, float("nan")), "s", "line 3: T nan is not a time"),
        ((1, "inf"), "s", "line 3: T 'inf' is not a time"),
        ((1, True), "s", "line 3: T True is not a time"),
        ((1, "x" * 1000), "s", r"line 3: T 'x+\.\.\.x+' is not a time"),
        ((1, [2]), "s", "line 3: T .2. is not a time"),
        ((1_715_299_200_000, 1_715_299_200_500), "s", "T counts ms since 1970 .* read in s"),
    ],
)
def test_numbers_that_tell_no_time_are_refused(
    stamps: tuple[Any, ...], unit: TimeUnit | None, message: str
) -> None:
    with pytest.raises(StampError, match=message) as caught:
        numbers_to_seconds(lines(stamps), "T", unit)
    assert len(str(caught.value)) < 200


def test_units_since_1970_cannot_be_mistaken_for_each_other() -> None:
    for unit, factor in (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)):
        assert unit_from_1970([10**9 * factor, 4_102_444_799 * factor]) == unit
        assert unit_from_1970([10**9 * factor, 10**9 * factor - 1]) is None
        assert unit_from_1970([4_102_444_800 * factor]) is None
    assert unit_from_1970([]) is None
