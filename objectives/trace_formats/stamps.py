"""Time stamps of traces, in seconds.

A number alone has no unit. It is known from the format, from the user, or from the
number itself where it counts from 1970: the seconds, milliseconds, microseconds and nanoseconds
since then cannot be mistaken for each other. It is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any
from typing import Literal
from typing import get_args

from objectives.trace_formats.rows import shown


TimeUnit = Literal["s", "ms", "us", "ns"]
UNITS: tuple[TimeUnit, ...] = get_args(TimeUnit)
_PER_SECOND: dict[TimeUnit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# Seconds since 1970 of the years 2001 to 2100: in another unit they are 1000 times as many.
_FROM_1970 = (10**9, 4_102_444_800)
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)"
    r"(?:[.,]([0-9]+))?\s*([Zz]|UTC|GMT|[+-][0-9]{2}:?(?:[0-9]{2})?)?"
)
_NUMBER = re.compile(r"[+-]?[0-9.]{1,40}([eE][+-]?[0-9]{1,2})?")

Stamp = tuple[int, Any]  # the line, and what stands there


class StampError(ValueError):
    """Stamps are not times, or their unit is unknown."""


def to_seconds(stamps: Sequence[Stamp], column: str, unit: TimeUnit | None) -> list[float]:
    """Turn dates into seconds from the earliest, or numbers into seconds as their unit says.

    Args:
        stamps: Dates in all rows, or numbers in all.
        column: Their name, for messages.
        unit: That of numbers, as the format or the user says; None: not known.

    Raises:
        StampError: As ``dates_to_seconds`` and ``numbers_to_seconds``.
    """
    if any(isinstance(stamp, str) and _DATE.fullmatch(stamp) for _, stamp in stamps):
        return dates_to_seconds(stamps, column)
    return numbers_to_seconds(stamps, column, unit)


def dates_to_seconds(stamps: Sequence[Stamp], column: str) -> list[float]:
    """Turn dates into seconds from the earliest.

    Args:
        stamps: ISO 8601 with any number of decimals, kept to the nanosecond, with a zone in all
            of them or in none.
        column: Their name, for messages.

    Raises:
        StampError: One is not a time, or only some have a zone.
    """
    read = [_date(line, stamp, column) for line, stamp in stamps]
    zoned = [zone for _, zone in read]
    if any(zoned) and not all(zoned):
        line = stamps[zoned.index(zoned[0] is False)][0]
        raise StampError(f"line {line}: {column} has a time zone in some rows and none in others")
    start = min((nanoseconds for nanoseconds, _ in read), default=0)
    return [(nanoseconds - start) / 1e9 for nanoseconds, _ in read]


def numbers_to_seconds(stamps: Sequence[Stamp], column: str, unit: TimeUnit | None) -> list[float]:
    """Turn numbers into seconds.

    Args:
        stamps: Numbers, or texts of numbers.
        column: Their name, for messages.
        unit: Their unit, as the format or the user says; None: not known.

    Returns:
        Seconds as the numbers say; from the earliest where they count from 1970.

    Raises:
        StampError: One is not a number, or the unit is unknown.
    """
    numbers = [_number(stamp) for _, stamp in stamps]
    for (line, stamp), number in zip(stamps, numbers, strict=True):
        if number is None:
            raise StampError(f"line {line}: {column} {shown(stamp)} is not a time")
    known = [number for number in numbers if number is not None]
    epoch = unit_from_1970(known)
    if epoch is not None and unit is not None and epoch != unit:
        raise StampError(
            f"{column} counts {epoch} since 1970 and is to be read in {unit}: "
            "write the times in seconds from the first request"
        )
    unit = unit or epoch
    if unit is None and len(set(known)) > 1:  # equal ones are equal in every unit
        raise StampError(
            f"nothing tells the unit of {column}: give it as --trace-time-unit "
            f"{', '.join(UNITS[:-1])} or {UNITS[-1]} (time_unit=... in Python)"
        )
    start = min(known, default=Decimal(0)) if epoch is not None else Decimal(0)
    return [float((number - start) / _PER_SECOND[unit or "s"]) for number in known]


def unit_from_1970(numbers: Sequence[Decimal | float]) -> TimeUnit | None:
    """Return the unit in which all numbers are times since 1970, from 2001 to 2100, if any."""
    low, high = _FROM_1970
    for unit in UNITS:
        factor = _PER_SECOND[unit]
        if numbers and all(low * factor <= number < high * factor for number in numbers):
            return unit
    return None


def _number(stamp: Any) -> Decimal | None:
    if isinstance(stamp, bool) or not isinstance(stamp, str | int | float):
        return None
    if isinstance(stamp, str) and not _NUMBER.fullmatch(stamp):
        return None
    try:
        number = Decimal(str(stamp))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _date(line: int, stamp: Any, column: str) -> tuple[int, bool]:
    """Return nanoseconds since 1970, and whether there is a time zone; without, UTC is as good."""
    match = _DATE.fullmatch(stamp) if isinstance(stamp, str) else None
    try:
        if match is None:
            raise ValueError(stamp)
        day, clock, fraction, zone = match.groups()
        named = "+00:00" if zone in ("Z", "z", "UTC", "GMT", None) else zone
        moment = datetime.fromisoformat(f"{day}T{clock}{named}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise StampError(f"line {line}: {column} {shown(stamp)} is not a time") from error
    nanoseconds = int((fraction or "0")[:9].ljust(9, "0"))
    return round(moment.timestamp()) * 10**9 + nanoseconds, zone is not None
