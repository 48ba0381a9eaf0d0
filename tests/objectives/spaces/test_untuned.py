"""Every option of an engine is tuned, offered, held, or has a reason."""

from __future__ import annotations

from objectives.spaces.untuned import ANSWERS
from objectives.spaces.untuned import FRONT
from objectives.spaces.untuned import OTHER
from objectives.spaces.untuned import OWN
from objectives.spaces.untuned import TRAFFIC
from objectives.spaces.untuned import untuned


GROUPS = {
    "Frontend": ["--allow-credentials", "--port"],
    "ModelConfig": ["--dtype", "--model"],
    "SchedulerConfig": ["--max-num-seqs", "--stream-interval", "--max-num-queued-reqs"],
    "NewConfig": ["--new"],
}
FLAGS = {flag for flags in GROUPS.values() for flag in flags} | {"--no-new", "-x", "-h"}


def test_each_option_has_the_reason_of_its_own_or_of_its_group() -> None:
    reasons = untuned(GROUPS, FLAGS, {"max_num_seqs"})
    reason_of = {flag: why for why, flags in reasons.items() for flag in flags}
    assert reason_of.keys() == FLAGS - {"--max-num-seqs", "--no-new", "-x", "-h"}
    assert reason_of["--allow-credentials"] == FRONT
    assert reason_of["--dtype"] == ANSWERS
    assert reason_of["--port"] == reason_of["--model"] == OWN
    assert reason_of["--max-num-queued-reqs"] == TRAFFIC
    assert "a user sees" in reason_of["--stream-interval"]
    assert reason_of["--new"] == OTHER


def test_options_without_groups_are_named_all_the_same() -> None:
    reasons = untuned({}, {"--a", "--model", "--no-a"}, ())
    assert reasons == {OWN: ["--model"], OTHER: ["--a"]}


def test_an_engine_on_a_cpu_has_reasons_of_its_own() -> None:
    groups = {"SchedulerConfig": ["--async-scheduling"]}
    (on_gpu,) = untuned(groups, (), (), "cuda")
    (on_cpu,) = untuned(groups, (), (), "cpu")
    assert on_gpu == TRAFFIC
    assert "CPU" in on_cpu
