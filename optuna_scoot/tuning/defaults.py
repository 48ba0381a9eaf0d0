"""What holds where nothing is said; apart, for what names it need not load what uses it."""

from __future__ import annotations


DEFAULT_TRIALS = 30
"""The budget of the paper (section V-B), the default configuration included."""
DEFAULT_DURATION = 100.0
"""Seconds of arrivals in the stress test of the paper (section V-A)."""
DEFAULT_SERVICE = "bot-2xa100-13b"
DEFAULT_ORDERS = 5
LEAST_ORDERS = 3
"""With two, Student's interval is so wide that hardly any gain can be shown."""
DEFAULT_FINALISTS = 3
