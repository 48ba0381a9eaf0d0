"""Open-loop load generator for the streaming completions of an OpenAI-compatible server.

options    how a load is run, and what this process has to allow for it
sse        from bytes to the payloads of server-sent events
exchange   one request and its answer
generator  the run of a whole workload
"""

from __future__ import annotations

from objectives.loadgen.exchange import blames_request
from objectives.loadgen.generator import Progress
from objectives.loadgen.generator import run
from objectives.loadgen.generator import run_workload
from objectives.loadgen.options import LoadError
from objectives.loadgen.options import LoadOptions
from objectives.loadgen.options import check_limits
from objectives.loadgen.options import raise_file_limit


__all__ = [
    "LoadError",
    "LoadOptions",
    "Progress",
    "blames_request",
    "check_limits",
    "raise_file_limit",
    "run",
    "run_workload",
]
