from __future__ import annotations

import itertools
from typing import Any

import pytest

from objectives.engines.base import CrashReason
from objectives.engines.base import EngineCrash
from objectives.engines.base import ExternalFailure
from objectives.engines.base import ExternalReason
from objectives.engines.simulated.config import EngineConfig
from objectives.spaces import paper_space


@pytest.mark.parametrize(
    "params",
    [
        {"max_num_seqs": 4097},
        {"max_num_batched_tokens": 4095},
        {"enable_chunked_prefill": True, "enable_prefix_caching": True},
        {"tensor_parallel_size": 8},
        {"tensor_parallel_size": 3},
        {"block_size": 0},
    ],
)
def test_known_constraints_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(EngineCrash) as caught:
        EngineConfig().updated(params).check(4, 4096)
    assert caught.value.reason is CrashReason.KNOWN_CONSTRAINT


def test_the_engine_refuses_exactly_what_the_spaces_constraints_exclude() -> None:
    constraints = paper_space(4, 4096).known_constraints
    grid = itertools.product((64, 256, 4096, 8192), (64, 256, 4096, 8192), *[(False, True)] * 2)
    for seqs, tokens, chunked, caching in grid:
        params = {
            "max_num_seqs": seqs,
            "max_num_batched_tokens": tokens,
            "enable_chunked_prefill": chunked,
            "enable_prefix_caching": caching,
        }
        allowed = all(eval(constraint, {}, params) for constraint in constraints)
        if allowed:
            EngineConfig().updated(params).check(4, 4096)
        else:
            with pytest.raises(EngineCrash):
                EngineConfig().updated(params).check(4, 4096)


def test_later_versions_allow_chunked_prefill_with_prefix_caching() -> None:
    config = EngineConfig(enable_chunked_prefill=True, enable_prefix_caching=True)
    config.check(1, 4096, exclusive_caching=False)


@pytest.mark.parametrize(
    "params", [{"swap_space": 4}, {"max_num_seqs": 64.5}, {"block_size": "large"}]
)
def test_a_parameter_that_makes_no_sense_says_nothing_of_the_configuration(
    params: dict[str, Any],
) -> None:
    with pytest.raises(ExternalFailure) as caught:
        EngineConfig().updated(params)
    assert caught.value.reason == ExternalReason.BAD_ENGINE_ARGUMENT
