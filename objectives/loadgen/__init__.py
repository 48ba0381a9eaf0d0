"""Open-loop load generator for the streaming completions of an OpenAI-compatible server.

options     how a load is run
open_files  the connections that it may need at once
connections HTTP over kept connections
sse         from bytes to the payloads of server-sent events
loop_watch  how late the event loop reads what has come
requests    from a request to its bytes
exchange    one request and its answer
load_run    the run of a workload in an event loop
generator   the event loop, and who runs it
"""

from __future__ import annotations

from objectives.loadgen.exchange import blames_request
from objectives.loadgen.generator import run
from objectives.loadgen.load_run import Progress
from objectives.loadgen.open_files import TooFewFiles
from objectives.loadgen.open_files import check_limits
from objectives.loadgen.options import LoadError
from objectives.loadgen.options import LoadOptions


__all__ = [
    "LoadError",
    "LoadOptions",
    "Progress",
    "TooFewFiles",
    "blames_request",
    "check_limits",
    "run",
]
