"""What an engine says of its own configuration, next to what it was asked for."""

from __future__ import annotations

import pytest

from objectives.engines.stated_config import as_attributes
from objectives.engines.stated_config import changed_flags
from objectives.engines.stated_config import compare
from objectives.engines.stated_config import stated_config


# As vLLM 0.32 and 0.5.4 write it, shortened.
LOG_0_32 = (
    "(EngineCore pid=9) INFO 11-26 07:35:14 [core.py:133] Initializing a V1 LLM engine (v0.32.0) "
    "with config: model='/m/a, b=2', dtype=torch.float32, max_seq_len=1024, "
    "tensor_parallel_size=2, quantization=None, aux=Aux(enable_prefix_caching=True, n=None), "
    "seed=0, enable_prefix_caching=False, enable_chunked_prefill=True, "
    "compilation_config={'mode': <Mode.NONE: 0>, 'sizes': [1, 2], 'max_num_seqs': 3}\n"
)
LOG_0_5_4 = (
    "INFO 08-06 10:01:02 llm_engine.py:174] Initializing an LLM engine (v0.5.4) with config: "
    "model='m', tensor_parallel_size=1, disable_custom_all_reduce=False, use_v2_block_manager="
    "False, enable_prefix_caching=True)\n"
)
# As vLLM 0.32 answers /server_info?config_format=json, shortened.
INFO = {
    "vllm_config": {
        "model_config": {"enforce_eager": True, "block_size": 16, "dtype": "torch.float32"},
        "cache_config": {"block_size": 528, "enable_prefix_caching": False},
        "scheduler_config": {"max_num_seqs": 7, "async_scheduling": None},
        "speculative_config": None,
        "instance_id": "a",
    }
}


def test_server_info_is_read_by_the_parts_that_decide() -> None:
    stated = stated_config(INFO, LOG_0_32)
    assert stated["block_size"] == 528
    assert stated["max_num_seqs"] == 7
    assert stated["enforce_eager"] is True
    assert "tensor_parallel_size" not in stated


@pytest.mark.parametrize("info", [None, {}, {"vllm_config": "model='m'"}])
def test_without_it_the_log_tells_a_part(info: dict[str, object] | None) -> None:
    stated = stated_config(info, f"before\n{LOG_0_32}after")
    assert stated["tensor_parallel_size"] == 2
    assert stated["enable_prefix_caching"] is False  # not that of Aux(...)
    assert stated["enable_chunked_prefill"] is True
    assert "max_num_seqs" not in stated


def test_the_log_of_an_old_engine_is_read() -> None:
    stated = stated_config(None, LOG_0_5_4)
    assert stated["disable_custom_all_reduce"] is False
    assert stated["use_v2_block_manager"] is False
    assert stated["enable_prefix_caching"] is True


def test_nothing_is_stated_where_nothing_is_said() -> None:
    assert stated_config(None, "INFO ready\n") == {}


def test_flags_are_confirmed_changed_or_not_stated() -> None:
    asked = {
        "block_size": 16,
        "max_num_seqs": 7,
        "enable_prefix_caching": True,
        "async_scheduling": True,  # None: it was not resolved
        "watermark": 0.1,
        "dtype": "float32",  # another spelling is no change
        "enforce_eager": None,  # the engine's own
    }
    assert compare(asked, stated_config(INFO, "")) == {
        "confirmed": ["max_num_seqs", "enforce_eager"],
        "changed": {
            "block_size": {"asked": 16, "has": 528},
            "enable_prefix_caching": {"asked": True, "has": False},
        },
        "unstated": ["async_scheduling", "watermark", "dtype"],
    }


def test_each_fact_is_an_attribute_of_its_own_and_is_found_again() -> None:
    compared = compare({"a": 1, "b": 2, "c": 3, "d": 4}, {"a": 1, "b": 2, "c": 5})
    attrs = as_attributes(compared)
    assert attrs == {"flags confirmed": "a, b", "flags not stated": "d", "engine has c": 5}
    assert changed_flags(attrs) == {"c": 5}
    assert as_attributes(compare({"a": 1}, {"a": 1})) == {"flags confirmed": "a"}


def test_facts_of_a_study_of_an_earlier_version_are_found() -> None:
    compared = compare({"a": 1, "c": 3}, {"a": 1, "c": 5})
    assert changed_flags({"flags": compared}) == {"c": 5}
