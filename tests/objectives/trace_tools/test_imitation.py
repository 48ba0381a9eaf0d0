"""A synthetic trace is like its original by tests of its own, and has none of its requests."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from objectives.arrivals import gamma_arrivals
from objectives.trace_tools.imitation import imitate
from objectives.trace_tools.summary import found_tokens
from objectives.trace_tools.summary import lengths_of
from objectives.trace_tools.summary import summarise
from objectives.trace_tools.summary import times_of
from objectives.traces import Trace
from objectives.traces import TraceError
from objectives.traces import TraceRequest
from objectives.traces import load_trace


def chats(n: int = 3000) -> Trace:
    """Chats that grow, of correlated lengths, at a rate that rises and in bursts."""
    rng = np.random.default_rng(5)
    rush = gamma_arrivals(1.0, n, 0.3, seed=3)
    times = np.interp(rush, [0, n / 4, n], [0, 600, 1200])  # thrice as many in the second half
    lengths: dict[int, int] = {}
    requests = []
    for time in times:
        chat = int(rng.integers(max(0, len(lengths) - 8), len(lengths) + 1))
        shared = lengths.get(chat, 0)
        prompt = shared + int(rng.lognormal(5, 0.8)) + 1
        output = 1 + int(prompt**0.5 * rng.lognormal(1, 0.3))
        lengths[chat] = prompt
        requests.append(TraceRequest(prompt, output, float(time), f"chat-{chat}", prompt))
    return Trace("chats", tuple(requests))


CHATS = chats()
SYNTHETIC = imitate(CHATS, seed=1)


def pairs(trace: Trace) -> list[tuple[int, int]]:
    return [(request.prompt_tokens, request.output_tokens) for request in trace.requests]


@pytest.mark.parametrize("column", [0, 1])
def test_lengths_pass_a_two_sample_test(column: int) -> None:
    both = (lengths_of(trace)[column] for trace in (CHATS, SYNTHETIC))
    found = stats.ks_2samp(*both, method="asymp")
    assert found.pvalue > 0.05


def test_lengths_go_together_as_they_did() -> None:
    old, new = (stats.spearmanr(*lengths_of(trace)).statistic for trace in (CHATS, SYNTHETIC))
    assert old > 0.8
    assert new == pytest.approx(old, abs=0.02)


def test_no_pair_of_lengths_that_few_requests_have_is_found_again() -> None:
    for trace in (CHATS, load_trace("cls")):
        rare = {pair for pair, count in Counter(pairs(trace)).items() if count < 10}
        assert len(rare) > 500
        assert not rare & set(pairs(imitate(trace, seed=2)))


def test_no_time_and_no_name_is_found_again() -> None:
    assert {r.arrival_time for r in SYNTHETIC.requests[1:-1]}.isdisjoint(
        {r.arrival_time for r in CHATS.requests}
    )
    assert not {r.prefix_id for r in SYNTHETIC.requests} & {r.prefix_id for r in CHATS.requests}


def test_the_longest_is_a_mean() -> None:
    outlier = replace(CHATS.requests[7], prompt_tokens=10**6)
    trace = replace(CHATS, requests=(*CHATS.requests[:7], outlier, *CHATS.requests[8:]))
    assert max(lengths_of(imitate(trace))[0]) < 3 * 10**5


def test_a_prefix_cache_finds_as_much() -> None:
    shares = [
        np.sum(found_tokens(trace)) / np.sum(lengths_of(trace)[0]) for trace in (CHATS, SYNTHETIC)
    ]
    assert shares[0] > 0.4
    assert shares[1] == pytest.approx(shares[0], abs=0.03)


def test_the_rate_over_time_and_the_bursts_are_kept() -> None:
    old, new = times_of(CHATS), times_of(SYNTHETIC)
    assert old is not None
    assert new is not None
    assert new[-1] == pytest.approx(old[-1])
    halves = [np.histogram(times, bins=2)[0] for times in (old, new)]
    assert halves[0][1] > 2 * halves[0][0]
    assert halves[1] == pytest.approx(halves[0], rel=0.15)
    variation = [np.std(np.diff(t)) / np.mean(np.diff(t)) for t in (old, new)]
    assert variation[0] > 1.5
    assert variation[1] == pytest.approx(variation[0], rel=0.3)


def test_prefixes_that_all_use_stay_few() -> None:
    sql = load_trace("sql")
    old, new = summarise(sql).sharing, summarise(imitate(sql)).sharing
    assert old is not None
    assert new is not None
    assert new.prefixes <= old.prefixes + 1
    assert new.found == pytest.approx(old.found, abs=0.01)


def test_another_seed_is_another_trace_and_the_same_is_the_same() -> None:
    assert imitate(CHATS, seed=1).requests == SYNTHETIC.requests
    assert imitate(CHATS, seed=2).requests != SYNTHETIC.requests


def test_stamps_in_steps_are_spread() -> None:
    stepped = replace(
        CHATS,
        requests=tuple(
            replace(r, arrival_time=(r.arrival_time or 0) // 30 * 30) for r in CHATS.requests
        ),
    )
    summary = summarise(imitate(stepped)).arrivals
    assert summary is not None
    assert summary.same_stamp < 0.01


@pytest.mark.parametrize("last", [1e-6, 1.0, 1e6])
def test_whatever_the_times_the_synthetic_ones_are_times(last: float) -> None:
    times = [*np.linspace(0, 1e-6, 150), *(last + np.arange(50.0))]
    requests = tuple(TraceRequest(9 + i % 7, 3, float(t)) for i, t in enumerate(times))
    found = times_of(imitate(Trace("burst", requests)))
    assert found is not None
    assert np.all(np.diff(found) >= 0)
    assert found[-1] == pytest.approx(times[-1])


def test_texts_leave_their_lengths_and_what_they_share() -> None:
    rules = "Answer in one sentence. " * 20  # 480 characters
    requests = tuple(
        TraceRequest(150 + i, 20 + i % 9, prompt=rules + chr(97 + i % 26) * (i + 1))
        for i in range(200)
    )
    sharing = summarise(imitate(Trace("texts", requests))).sharing
    assert sharing is not None
    assert sharing.requests > 0.9
    assert 0.7 < sharing.found < 0.95


def test_few_requests_are_not_imitated() -> None:
    with pytest.raises(TraceError, match=r"has 99 requests; .* needs 100"):
        imitate(replace(CHATS, requests=CHATS.requests[:99]))


def test_without_times_or_prefixes_there_are_none() -> None:
    found = imitate(load_trace("bot")).requests
    assert all(r.arrival_time is None and r.prefix_id is None for r in found)
