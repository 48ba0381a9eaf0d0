"""The loads of a trial on one real vLLM: none finds the prompts of another in the prefix cache."""

from __future__ import annotations

import re
import urllib.request

from objectives.engines.vllm import RunningVllm
from objectives.engines.vllm import VllmEngine
from objectives.traces import Trace
from objectives.traces import TraceRequest
from optuna_scoot.tuning import Load
from optuna_scoot.tuning.load import RateLoads


TRACE = Trace("alike", (TraceRequest(600, 4),))


def cached_tokens(running: RunningVllm) -> float:
    """Prompt tokens that the prefix cache has given since the start."""
    with urllib.request.urlopen(f"{running.address.url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found = re.findall(r"^vllm:prefix_cache_hits_total\S* (\S+)$", text, flags=re.MULTILINE)
    assert found, text
    return sum(map(float, found))


def test_a_load_is_as_cold_as_the_first(engine: VllmEngine) -> None:
    make = RateLoads(Load(TRACE, duration=2.0), TRACE, 2048)
    first, second = make(4.0, 0, 0), make(4.0, 1, 8)
    with engine.start({"enable_prefix_caching": True}, "capacity") as running:
        hits = [cached_tokens(running)]
        for workload in (first, second, first):
            assert running.serve(workload).failed == 0
            hits.append(cached_tokens(running))

    assert hits[0] == hits[1] == hits[2]
    assert hits[3] > hits[2]  # the last one has been there
