"""Open-loop arrival times: Poisson, Gamma, constant, and replay of recorded times.

Every function returns times in seconds, sorted, in [0, duration). They depend on the arguments
alone: the same seed gives the same times, and a longer duration only appends to them.

Symbols: rate λ in requests a second; burstiness b, the shape of the Gamma distribution of the gaps
(``vllm bench serve`` uses the same parameter). The gaps have mean 1/λ and coefficient of variation
1/sqrt(b): b = 1 is a Poisson process, b < 1 comes in bursts, b = inf is a metronome.

The paper's stress test is Poisson for 100 seconds (section V-A). Unlike ``vllm bench serve`` the
times are not stretched to end at exactly n/λ, so that the count of requests varies as that of a
Poisson process does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


Times = npt.NDArray[np.float64]

MOST_ARRIVALS = 10**7  # more than any load generator sends, or memory holds
_DRAWN_AT_ONCE = 256


class ArrivalsError(ValueError):
    """The arrival process that was asked for does not exist."""


def _check(rate: float, duration: float) -> None:
    for name, value in (("rate", rate), ("duration", duration)):
        if not (value > 0 and math.isfinite(value)):
            raise ArrivalsError(f"{name} must be a positive finite number, not {value}")


def _check_number(rate: float, duration: float) -> None:
    if rate * duration > MOST_ARRIVALS:
        raise ArrivalsError(
            f"{rate:g} requests/s for {duration:g} s are more than {MOST_ARRIVALS} requests"
        )


def gamma_arrivals(rate: float, duration: float, burstiness: float, seed: int) -> Times:
    """Draw arrivals whose gaps are independent Gamma(shape=b, scale=1/(λ b)).

    Args:
        rate: Mean arrivals a second, > 0.
        duration: Seconds, > 0.
        burstiness: Shape b > 0; infinity gives ``constant_arrivals``.
        seed: Seed of the generator, >= 0.

    Returns:
        Times in seconds, shape (n,), n random with a mean near ``rate * duration``.

    Raises:
        ArrivalsError: When an argument is out of its range, or more arrive than MOST_ARRIVALS.
    """
    _check(rate, duration)
    _check_number(rate, duration)
    if not burstiness > 0:
        raise ArrivalsError(f"burstiness must be positive, not {burstiness}")
    if seed < 0:
        raise ArrivalsError(f"the seed must not be negative: {seed}")
    if math.isinf(burstiness):
        return constant_arrivals(rate, duration)
    rng = np.random.default_rng(seed)
    scale = 1.0 / (rate * burstiness)
    drawn: list[Times] = []
    last = 0.0
    while last < duration:
        if len(drawn) * _DRAWN_AT_ONCE > MOST_ARRIVALS:
            raise ArrivalsError(
                f"burstiness {burstiness:g} sends more than {MOST_ARRIVALS} requests at once"
            )
        gaps = rng.gamma(burstiness, scale, size=_DRAWN_AT_ONCE)
        drawn.append(np.cumsum(np.concatenate(([last], gaps)))[1:])
        last = float(drawn[-1][-1])
    times = np.concatenate(drawn)
    return times[times < duration]


def poisson_arrivals(rate: float, duration: float, seed: int) -> Times:
    """Draw a Poisson process: ``gamma_arrivals`` with burstiness 1."""
    return gamma_arrivals(rate, duration, 1.0, seed)


def counted_arrivals(rate: float, duration: float, burstiness: float, seed: int) -> Times:
    """Draw the arrivals of ``gamma_arrivals`` given how many come: round(λ · duration), or 1.

    The n + 1 first gaps of the process are stretched to the duration. For burstiness 1 this is a
    Poisson process under the condition that n arrive, whose times are n uniform ones in order.

    Args:
        rate: As for ``gamma_arrivals``.
        duration: As for ``gamma_arrivals``.
        burstiness: As for ``gamma_arrivals``.
        seed: As for ``gamma_arrivals``.

    Returns:
        Times in seconds, shape (n,).

    Raises:
        ArrivalsError: As ``gamma_arrivals``.
    """
    _check(rate, duration)
    _check_number(rate, duration)
    if not burstiness > 0:
        raise ArrivalsError(f"burstiness must be positive, not {burstiness}")
    n = max(1, round(rate * duration))
    if math.isinf(burstiness):
        steady: Times = np.arange(n, dtype=np.float64) * (duration / n)
        return steady
    gaps = np.random.default_rng(seed).gamma(burstiness, size=n + 1)
    ends = np.cumsum(gaps)
    times: Times = ends[:-1] * (duration / ends[-1])
    return times


def constant_arrivals(rate: float, duration: float) -> Times:
    """Return 0, 1/λ, 2/λ and so on below ``duration``.

    Raises:
        ArrivalsError: When an argument is not positive and finite, or more arrive than
            MOST_ARRIVALS.
    """
    _check(rate, duration)
    _check_number(rate, duration)
    times = np.arange(math.ceil(rate * duration)) / rate
    return times[times < duration]


def replay_arrivals(
    recorded: Sequence[float] | Times, duration: float, rate: float | None = None
) -> Times:
    """Replay recorded times from their first, stretched to a rate when one is given.

    Args:
        recorded: Times in seconds, not decreasing; the first becomes 0.
        duration: Seconds, > 0; later arrivals are left out.
        rate: Mean arrivals a second after stretching, where the mean rate of n recorded times is
            (n - 1) / (last - first). None keeps the recorded pace.

    Returns:
        Times in seconds, shape (m,), m <= n: the recording is played once, not repeated.

    Raises:
        ArrivalsError: When there are no times, when they decrease, or when they all coincide and
            so have no rate to be stretched to another.
    """
    _check(1.0 if rate is None else rate, duration)
    times = np.asarray(recorded, dtype=np.float64)
    if times.size == 0 or not np.all(np.isfinite(times)):
        raise ArrivalsError("replay needs at least one arrival time, all of them finite")
    if np.any(np.diff(times) < 0):
        raise ArrivalsError("replay needs arrival times that do not decrease")
    offsets: Times = times - times[0]
    if rate is not None:
        if offsets[-1] == 0:
            raise ArrivalsError("all recorded arrivals coincide: they have no rate to scale")
        offsets = offsets * ((offsets.size - 1) / offsets[-1] / rate)
    return offsets[offsets < duration]
