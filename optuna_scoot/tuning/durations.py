"""How a duration reads; imports nothing, as the first line of a command needs it."""

from __future__ import annotations


def format_seconds(seconds: float) -> str:
    """Return a duration for a person: "0.4 s", "41 s", "1 min 40 s", "12 min", "2 h 05 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    if round(seconds) < 600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
