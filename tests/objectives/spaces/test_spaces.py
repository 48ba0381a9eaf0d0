from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from objectives.engines.capabilities import EngineCapabilities
from objectives.engines.command import option
from objectives.spaces import TUNABLE
from objectives.spaces import EngineSpace
from objectives.spaces import SpaceError
from objectives.spaces import least_tensor_parallel
from objectives.spaces import paper_space
from objectives.spaces import suggest
from objectives.spaces import tensor_parallel_sizes
from objectives.spaces import vllm_space
from optuna_scoot.constraints.known import KnownConstraints


CURRENT = (
    "tensor_parallel_size",
    "max_num_seqs",
    "max_num_batched_tokens",
    "block_size",
    "enable_chunked_prefill",
    "enable_prefix_caching",
    "disable_custom_all_reduce",
    "long_prefill_token_threshold",
    "async_scheduling",
    "stream_interval",
)
TABLE_1 = (
    *("tensor_parallel_size", "max_num_seqs", "max_num_batched_tokens", "block_size"),
    *("scheduler_delay_factor", "enable_chunked_prefill", "enable_prefix_caching"),
    *("disable_custom_all_reduce", "use_v2_block_manager"),
)


def capabilities(names: tuple[str, ...] = CURRENT, **more: Any) -> EngineCapabilities:
    flags = frozenset(option(name) for name in names)
    return EngineCapabilities(**{"version": "0.32.0", "flags": flags, "device": "cuda", **more})


def holds(constraint: str, **params: Any) -> bool:
    return KnownConstraints([constraint]).satisfied(params)


def test_table_1_of_the_paper() -> None:
    space = paper_space(4, 4096)
    assert space.parameters == {
        "tensor_parallel_size": CategoricalDistribution([1, 2, 4]),
        "max_num_seqs": IntDistribution(64, 8192, log=True),
        "max_num_batched_tokens": IntDistribution(64, 8192, log=True),
        "block_size": CategoricalDistribution([8, 16, 32]),
        "scheduler_delay_factor": FloatDistribution(0.0, 2.0, step=0.2),
        "enable_chunked_prefill": CategoricalDistribution([False, True]),
        "enable_prefix_caching": CategoricalDistribution([False, True]),
        "disable_custom_all_reduce": CategoricalDistribution([False, True]),
        "use_v2_block_manager": CategoricalDistribution([False, True]),
    }
    assert space.default["max_num_seqs"] == 256
    assert space.default["max_num_batched_tokens"] == 4096
    assert paper_space(4, 1024).default["max_num_batched_tokens"] == 2048
    assert paper_space(4, least_tensor_parallel=2).default["tensor_parallel_size"] == 2
    assert len(paper_space(1).parameters) == 8
    for n_gpus, least in [(0, 1), (2, 4)]:
        with pytest.raises(SpaceError):
            paper_space(n_gpus, least_tensor_parallel=least)


@pytest.mark.parametrize(
    ("change", "n_violated"),
    [
        ({}, 0),
        ({"max_num_seqs": 4097}, 1),
        ({"max_num_seqs": 4096}, 0),
        ({"max_num_batched_tokens": 2048}, 1),
        ({"max_num_batched_tokens": 2048, "enable_chunked_prefill": True}, 0),
        ({"enable_chunked_prefill": True, "enable_prefix_caching": True}, 1),
        ({"enable_prefix_caching": True}, 0),
    ],
)
def test_known_constraints_of_the_paper(change: dict[str, Any], n_violated: int) -> None:
    space = paper_space(2, 4096)
    params = {**space.default, **change}
    assert sum(not holds(c, **params) for c in space.known_constraints) == n_violated


def test_current_engine_offers_only_what_it_takes() -> None:
    space = vllm_space(capabilities(max_model_len=4096), n_gpus=2)
    assert set(space.parameters) == set(CURRENT) - {"stream_interval"}
    fewer = tuple(n for n in CURRENT if n != "long_prefill_token_threshold")
    assert "long_prefill_token_threshold" not in vllm_space(capabilities(fewer)).parameters
    assert "tensor_parallel_size" not in vllm_space(capabilities(), n_gpus=1).parameters
    # Chunked prefill and prefix caching go together in current versions.
    params = {**space.default, "enable_chunked_prefill": True, "enable_prefix_caching": True}
    assert all(holds(c, **params) for c in space.known_constraints)


def test_default_is_the_engines_own() -> None:
    known = {
        "max_num_seqs": 1024,
        "max_num_batched_tokens": 8192,
        "block_size": 48,
        "enable_chunked_prefill": True,
        "enable_prefix_caching": False,
        "async_scheduling": False,
        "long_prefill_token_threshold": 0,
    }
    space = vllm_space(capabilities(defaults=known, n_devices=1, max_model_len=8192))
    assert space.default == known
    assert space.parameters["max_num_seqs"] == IntDistribution(8, 2048, log=True)
    assert space.parameters["max_num_batched_tokens"] == IntDistribution(64, 16384, log=True)
    assert space.parameters["block_size"] == CategoricalDistribution([16, 32, 48, 64, 128])


def test_known_constraint_of_a_current_engine_holds_its_longest_sequence() -> None:
    space = vllm_space(capabilities(max_model_len=3000))
    params = {**space.default, "enable_chunked_prefill": False}
    violated = [
        [not holds(c, **{**params, "max_num_batched_tokens": n}) for c in space.known_constraints]
        for n in (2999, 3000)
    ]
    assert [any(row) for row in violated] == [True, False]


def test_space_on_a_cpu() -> None:
    space = vllm_space(capabilities(device="cpu", n_devices=0, max_model_len=2048))
    assert set(space.parameters) == {
        *("max_num_seqs", "max_num_batched_tokens", "block_size", "enable_chunked_prefill"),
        *("enable_prefix_caching", "long_prefill_token_threshold"),
    }
    blocks = space.parameters["block_size"]
    assert isinstance(blocks, CategoricalDistribution)
    assert all(block % 32 == 0 for block in blocks.choices)


def test_model_of_very_long_context_is_always_served_in_chunks() -> None:
    space = vllm_space(capabilities(max_model_len=131072))
    assert "enable_chunked_prefill" not in space.parameters
    assert all(holds(c, **space.default) for c in space.known_constraints)
    assert "max_num_seqs <= max_num_batched_tokens" in space.known_constraints


def test_model_of_very_short_context_has_no_threshold_to_tune() -> None:
    short = vllm_space(capabilities(max_model_len=255)).parameters
    assert "long_prefill_token_threshold" not in short
    longer = vllm_space(capabilities(max_model_len=600)).parameters
    assert longer["long_prefill_token_threshold"] == IntDistribution(0, 512, step=256)


def test_old_engine_has_the_space_of_the_paper() -> None:
    old = vllm_space(capabilities(TABLE_1, version="0.4.2", max_model_len=4096), n_gpus=4)
    assert old == paper_space(4, 4096)


BOTH = "not (enable_chunked_prefill and enable_prefix_caching)"


@pytest.mark.parametrize(
    ("version", "tuned", "excludes_both"),
    [
        ("0.4.2", set(TABLE_1), True),
        ("0.5.5", set(TABLE_1), True),
        ("0.6.0", set(TABLE_1), True),
        ("0.6.1.post2", set(TABLE_1), False),
        ("0.7.3+cpu", set(TABLE_1), False),
        # The new engine, which the delay factor would switch off.
        ("0.8.0", set(TABLE_1) - {"scheduler_delay_factor", "use_v2_block_manager"}, False),
        ("0.10.1", set(TABLE_1) - {"scheduler_delay_factor", "use_v2_block_manager"}, False),
        (None, set(TABLE_1), True),
    ],
)
def test_space_is_that_of_the_engines_version(
    version: str | None, tuned: set[str], excludes_both: bool
) -> None:
    space = vllm_space(capabilities(TABLE_1, version=version, max_model_len=4096), n_gpus=4)
    assert space.parameters.keys() == tuned
    assert (BOTH in space.known_constraints) == excludes_both


def test_old_engine_has_the_defaults_that_it_tells() -> None:
    told = {"max_num_seqs": 128, "enable_chunked_prefill": True, "use_v2_block_manager": None}
    space = vllm_space(capabilities(TABLE_1, version="0.6.3", defaults=told), n_gpus=2)
    assert space.default["max_num_seqs"] == 128
    assert space.default["enable_chunked_prefill"] is True
    assert space.default["use_v2_block_manager"] is False


def test_model_that_cannot_be_split_further_is_not_split_further() -> None:
    shape = {"n_attention_heads": 32, "n_kv_heads": 8, "intermediate_size": 1004}
    for names, version in [(CURRENT, "0.32.0"), (TABLE_1, "0.5.4")]:
        answer = capabilities(names, version=version, **shape)
        choices = vllm_space(answer, n_gpus=8).parameters["tensor_parallel_size"]
        assert choices == CategoricalDistribution([1, 2, 4])  # 1004 is 4 times 251


def test_what_is_offered_is_tuned_when_it_is_asked_for() -> None:
    offered = ("gpu_memory_utilization", "performance_mode", "optimization_level")
    known = {"gpu_memory_utilization": 0.92, "performance_mode": "balanced"}
    answer = capabilities((*CURRENT, *offered), defaults={**known, "optimization_level": 2})
    space = vllm_space(answer)
    assert space.offered.keys() == set(offered)
    assert not space.parameters.keys() & space.offered.keys()
    wider = vllm_space(answer, params={"gpu_memory_utilization": None})
    assert wider.parameters.keys() - space.parameters.keys() == {"gpu_memory_utilization"}
    on_cpu = vllm_space(capabilities((*CURRENT, *offered), defaults=known, device="cpu"))
    assert on_cpu.offered.keys() == {"performance_mode"}
    eager = {**known, "optimization_level": 2, "enforce_eager": True}
    assert (
        "optimization_level"
        not in vllm_space(capabilities(offered + CURRENT, defaults=eager)).offered
    )


def test_chunks_that_a_long_model_needs_are_tuned_all_the_same_when_asked_for() -> None:
    answer = capabilities(max_model_len=131072)
    space = vllm_space(answer, params={"enable_chunked_prefill": None})
    assert "enable_chunked_prefill" in space.parameters
    assert any("131072" in constraint for constraint in space.known_constraints)


def test_what_the_user_fixes_is_not_tuned_and_enters_the_constraints() -> None:
    fixed = {"max_num_seqs": "128", "enable_chunked_prefill": False, "dtype": "auto"}
    space = vllm_space(capabilities(max_model_len=4096), fixed=fixed)
    assert not set(fixed) & set(space.parameters)
    assert not set(fixed) & set(space.default)
    kept = [c for c in space.known_constraints if not holds(c, max_num_batched_tokens=100)]
    assert len(kept) == 2  # 100 is below the 128 sequences and below the 4096 tokens
    assert all(holds(c, max_num_batched_tokens=4096) for c in space.known_constraints)
    with pytest.raises(SpaceError, match="nothing to tune"):
        vllm_space(capabilities(), fixed=dict.fromkeys(CURRENT, 1))


@pytest.mark.parametrize("names", [CURRENT, TABLE_1])
def test_no_constraint_is_made_of_a_length_that_nobody_tells(names: tuple[str, ...]) -> None:
    unknown = vllm_space(capabilities(names))
    for length in (1024, 4096, 8192):
        known = vllm_space(capabilities(names), max_model_len=length)
        said = vllm_space(capabilities(names), fixed={"max_model_len": str(length)})
        params = {**known.default, "enable_chunked_prefill": False}
        for space in (known, said):
            assert set(space.known_constraints) > set(unknown.known_constraints)
            violated = [
                any(
                    not holds(c, **{**params, "max_num_seqs": 64, "max_num_batched_tokens": n})
                    for c in space.known_constraints
                )
                for n in (length - 1, length)
            ]
            assert violated == [True, False]
    assert vllm_space(capabilities(names), fixed={"max_model_len": "auto"}) == unknown


def test_numbers_as_vllm_writes_them_enter_the_constraints() -> None:
    fixed = {"max_num_batched_tokens": "2k"}
    space = vllm_space(capabilities(max_model_len=2001), fixed=fixed)
    params = {**space.default, "enable_chunked_prefill": True}
    assert all(holds(c, **{**params, "max_num_seqs": 2000}) for c in space.known_constraints)
    assert not all(holds(c, **{**params, "max_num_seqs": 2001}) for c in space.known_constraints)
    params["enable_chunked_prefill"] = False
    assert not all(holds(c, **{**params, "max_num_seqs": 8}) for c in space.known_constraints)


@pytest.mark.parametrize(
    ("weight_gb", "n_gpus", "expected"),
    [(None, 8, 1), (13, 8, 1), (26, 8, 2), (140, 8, 8), (999, 4, 4)],
)
def test_fewest_gpus_that_hold_the_weights(
    weight_gb: int | None, n_gpus: int, expected: int
) -> None:
    answer = capabilities(
        weight_bytes=None if weight_gb is None else weight_gb * 10**9,
        device_bytes=24 * 10**9,
        n_attention_heads=40,
    )
    assert least_tensor_parallel(answer, n_gpus) == expected


def test_tensor_parallelism_divides_the_heads() -> None:
    assert tensor_parallel_sizes(8, 12) == [1, 2, 4]
    assert tensor_parallel_sizes(7, None) == [1, 2, 4]
    assert tensor_parallel_sizes(0, 12) == [1]


def test_default_must_belong_to_the_space() -> None:
    parameters = {"x": IntDistribution(1, 3)}
    for default in ({}, {"x": 4}, {"x": 2, "y": 1}, {"x": "a"}):
        with pytest.raises(SpaceError):
            EngineSpace(parameters, (), default)


def test_suggest_draws_every_parameter_with_its_own_distribution() -> None:
    space = paper_space(2)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        params = suggest(trial, space)
        assert params == trial.params
        assert trial.distributions == space.parameters
        assert list(params) == list(space.parameters)


@pytest.mark.parametrize(
    ("name", "value", "widened"),
    [
        ("seqs", 512, IntDistribution(8, 512, log=True)),
        ("seqs", 4, IntDistribution(4, 256, log=True)),
        ("threshold", 512, IntDistribution(0, 1024, step=256)),
        ("threshold", 320, IntDistribution(0, 1024, step=64)),
        ("threshold", 1280, IntDistribution(0, 1280, step=256)),
        ("delay", 3.5, FloatDistribution(0.0, 3.5)),
        ("block", 64, CategoricalDistribution([16, 32, 64])),
    ],
)
def test_ranges_are_widened_to_hold_another_default(
    name: str, value: float, widened: BaseDistribution
) -> None:
    space = EngineSpace(
        {
            "seqs": IntDistribution(8, 256, log=True),
            "threshold": IntDistribution(0, 1024, step=256),
            "delay": FloatDistribution(0.0, 2.0),
            "block": CategoricalDistribution([16, 32]),
        },
        ("seqs <= 300",),
        {"seqs": 8, "threshold": 0, "delay": 0.0, "block": 16},
    )
    other = space.starting_from({name: value})

    assert other.parameters == {**space.parameters, name: widened}
    assert other.default == {**space.default, name: value}
    assert other.known_constraints == space.known_constraints


@pytest.mark.parametrize(
    "values",
    [{"speed": 1}, {"seqs": True}, {"seqs": 1.5}, {"seqs": 0}, {"flag": 2}, {"flag": "a"}],
)
def test_a_default_of_another_kind_is_refused(values: dict[str, Any]) -> None:
    space = EngineSpace(
        {
            "seqs": IntDistribution(8, 256, log=True),
            "flag": CategoricalDistribution([False, True]),
        },
        (),
        {"seqs": 8, "flag": False},
    )
    with pytest.raises(SpaceError):
        space.starting_from(values)


def test_every_parameter_of_a_space_is_named_tunable() -> None:
    assert set(paper_space(4).parameters) <= TUNABLE
