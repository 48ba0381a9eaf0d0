from __future__ import annotations

import math
from dataclasses import dataclass
from dataclasses import field

import numpy as np
import pytest

from objectives.engines.simulated.cluster import run_replicas
from objectives.engines.simulated.config import EngineConfig
from objectives.engines.simulated.hardware import A10
from objectives.engines.simulated.hardware import LLAMA2_7B
from objectives.engines.simulated.memory import MemoryPlan
from objectives.engines.simulated.scheduler import Replica
from objectives.engines.simulated.sequence import Sequence
from objectives.engines.simulated.sequence import token_times
from objectives.engines.simulated.step_time import StepCoefficients
from objectives.engines.simulated.step_time import StepTime


def plan(blocks: int, watermark: int = 0) -> MemoryPlan:
    return MemoryPlan(blocks, watermark, 0.0, 0.0, math.inf)


def tokens_plan(tokens: int, config: EngineConfig, watermark: int = 0) -> MemoryPlan:
    return plan(tokens // config.block_size, watermark)


def replica_for(config: EngineConfig, memory: MemoryPlan, **options: float) -> Replica:
    return Replica(
        config,
        StepTime(A10, LLAMA2_7B, config, StepCoefficients()),
        memory,
        patience=options.get("patience", math.inf),
        fast_forward=bool(options.get("fast_forward", True)),
    )


def random_requests(seed: int, n: int = 60, rate: float = 6.0) -> list[Sequence]:
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1 / rate, n))
    prefixes = [None, "a", "b"]
    return [
        Sequence(
            i,
            float(arrivals[i]),
            prompt=int(rng.integers(100, 400)),
            output=int(rng.integers(1, 150)),
            prefix_id=prefixes[int(rng.integers(3))],
            prefix_tokens=90,
        )
        for i in range(n)
    ]


CONFIGS = {
    "default": EngineConfig(max_num_seqs=20),
    "small blocks": EngineConfig(block_size=4, max_num_batched_tokens=600),
    "delayed": EngineConfig(scheduler_delay_factor=1.6),
    "chunked": EngineConfig(enable_chunked_prefill=True, max_num_batched_tokens=64),
    "chunked, few sequences": EngineConfig(
        enable_chunked_prefill=True, max_num_batched_tokens=256, max_num_seqs=8
    ),
    "chunked, budget all taken by decodes": EngineConfig(
        enable_chunked_prefill=True, max_num_batched_tokens=12, max_num_seqs=12
    ),
    "chunked and delayed": EngineConfig(
        enable_chunked_prefill=True, max_num_batched_tokens=512, scheduler_delay_factor=2.0
    ),
    "caching": EngineConfig(enable_prefix_caching=True),
    "chunked and caching": EngineConfig(
        enable_prefix_caching=True, enable_chunked_prefill=True, max_num_batched_tokens=200
    ),
}


@dataclass
class Plain:
    """A request of the plain scheduler below."""

    arrival: float
    prompt: int
    output: int
    held: int = 0  # tokens in the KV cache
    goal: int = 0  # tokens to compute before it decodes
    blocks: int = 0
    times: list[float] = field(default_factory=list)


class PlainScheduler:
    """The same policy with nothing counted together: each request and token by itself."""

    def __init__(self, config: EngineConfig, memory: MemoryPlan, requests: list[Plain]) -> None:
        self.config, self.memory = config, memory
        self.step = StepTime(A10, LLAMA2_7B, config, StepCoefficients())
        self.future = list(requests)
        self.waiting: list[Plain] = []
        self.running: list[Plain] = []
        self.free = memory.blocks
        self.now = 0.0
        self.latency = 0.0
        self.preempted = 0
        self.running_before = 0

    def run(self) -> None:
        while self.future or self.waiting or self.running:
            if not self.waiting and not self.running:
                self.now = max(self.now, self.future[0].arrival)
            while self.future and self.future[0].arrival <= self.now:
                self.waiting.append(self.future.pop(0))
            if self.config.enable_chunked_prefill:
                self.mixed_iteration()
            else:
                self.separate_iteration()

    def may_admit(self, request: Plain) -> bool:
        wait = self.config.scheduler_delay_factor * self.latency
        delayed = self.config.scheduler_delay_factor > 0 and self.running_before > 0
        if delayed and not self.now > request.arrival + wait:
            return False
        needed = -(-(request.prompt + len(request.times)) // self.config.block_size)
        if len(self.running) >= self.config.max_num_seqs:
            return False
        return self.free - needed >= self.memory.watermark

    def admit(self, request: Plain) -> None:
        self.waiting.remove(request)
        request.goal = request.prompt + len(request.times)
        request.held = 0
        request.blocks = -(-request.goal // self.config.block_size)
        self.free -= request.blocks
        self.running.append(request)

    def separate_iteration(self) -> None:
        self.running_before = len(self.running)
        batch: list[Plain] = []
        budget = self.config.max_num_batched_tokens
        for request in list(self.waiting):
            if request.prompt + len(request.times) > budget or not self.may_admit(request):
                break
            self.admit(request)
            budget -= request.goal
            batch.append(request)
        if batch:
            self.latency = self.step.prompt_step([(r.goal, 0) for r in batch], 0, 0)
            self.now += self.latency
            for request in batch:
                request.held = request.goal
                self.emit(request)
            return
        decoding = self.make_room(list(self.running))
        self.now += self.step.decode_step(len(decoding), sum(r.held for r in decoding))
        for request in decoding:
            request.held += 1
            self.emit(request)

    def mixed_iteration(self) -> None:
        self.running_before = len(self.running)
        preempted = self.preempted
        decoding = self.make_room([r for r in self.running if r.held >= r.goal])
        chunks: list[tuple[Plain, int]] = []
        budget = self.config.max_num_batched_tokens - len(decoding)
        for request in [r for r in self.running if r.held < r.goal]:
            chunks.append((request, min(budget, request.goal - request.held)))
            budget -= chunks[-1][1]
        new = False
        for request in list(self.waiting):
            if budget <= 0 or self.preempted > preempted or not self.may_admit(request):
                break
            self.admit(request)
            chunks.append((request, min(budget, request.goal)))
            budget -= chunks[-1][1]
            new = True
        sizes = [(size, request.held) for request, size in chunks if size]
        context = sum(r.held for r in decoding)
        if sizes:
            duration = self.step.prompt_step(sizes, len(decoding), context)
        else:
            duration = self.step.decode_step(len(decoding), context)
        if new:
            self.latency = duration
        self.now += duration
        for request in decoding:
            request.held += 1
            self.emit(request)
        for request, size in chunks:
            request.held += size
            if request.held == request.goal:
                self.emit(request)

    def make_room(self, decoding: list[Plain]) -> list[Plain]:
        kept = []
        for request in decoding:
            if request not in self.running:
                continue
            while request.held % self.config.block_size == 0 and self.free == 0:
                victim = self.running.pop()
                self.free += victim.blocks
                self.waiting.insert(0, victim)
                self.preempted += 1
                if victim is request:
                    break
            else:
                if request.held % self.config.block_size == 0:
                    self.free -= 1
                    request.blocks += 1
                kept.append(request)
        return kept

    def emit(self, request: Plain) -> None:
        request.times.append(self.now)
        if len(request.times) == request.output:
            self.running.remove(request)
            self.free += request.blocks


@pytest.mark.parametrize("capacity", [640, 1440, 16_000])
@pytest.mark.parametrize("name", [name for name in CONFIGS if "caching" not in name])
def test_token_times_are_those_of_the_plain_scheduler(name: str, capacity: int) -> None:
    config = CONFIGS[name]
    memory = tokens_plan(capacity, config, watermark=1)
    requests = random_requests(seed=1)
    plain = [Plain(r.arrival, r.prompt, r.output) for r in requests]
    scheduler = PlainScheduler(config, memory, plain)
    scheduler.run()
    replica = replica_for(config, memory)
    run_replicas([replica], requests)
    decode_times = np.array(replica.decode_times)
    for request, expected in zip(requests, plain, strict=True):
        assert token_times(request, decode_times).tolist() == expected.times
    assert replica.preemptions == scheduler.preempted
    assert (scheduler.preempted > 0) == (capacity == 640) or capacity == 1440


@pytest.mark.parametrize("capacity", [640, 1440, 16_000])
@pytest.mark.parametrize("name", CONFIGS)
def test_fast_forward_changes_nothing(name: str, capacity: int) -> None:
    outcomes = []
    for fast_forward in (True, False):
        config = CONFIGS[name]
        memory = tokens_plan(capacity, config)
        replica = replica_for(config, memory, fast_forward=fast_forward, patience=20.0)
        requests = random_requests(seed=2)
        run_replicas([replica], requests)
        spans = [request.spans for request in requests]
        given_up = [request.timed_out for request in requests]
        outcomes.append((replica.decode_times, spans, given_up, replica.iterations))
    assert outcomes[0] == outcomes[1]


class Watched(Replica):
    """A replica that checks the limits after every iteration."""

    max_sequences = 0
    max_tokens = 0

    def _prompt_iteration(  # type: ignore[no-untyped-def]
        self, batch, chunks, *, admitted=True
    ) -> None:
        mixed = self.config.enable_chunked_prefill
        tokens = sum(size for size, _ in chunks) + (len(self._running) if mixed else 0)
        self.max_tokens = max(self.max_tokens, tokens)
        super()._prompt_iteration(batch, chunks, admitted=admitted)
        self.check()

    def _decode_until(self, until: float, wake: float, *, once: bool = False) -> None:
        self.max_tokens = max(self.max_tokens, len(self._running))
        super()._decode_until(until, wake, once=once)
        self.check()

    def check(self) -> None:
        running = [*self._running.values()] + ([self._partial] if self._partial else [])
        self.max_sequences = max(self.max_sequences, len(running))
        d = len(self.decode_times)
        private = 0
        for sequence in self._running.values():
            private += self.pool.blocks(sequence.target + d - sequence.begin) - sequence.shared
        if self._partial:
            private += self.pool.blocks(self._partial.target) - self._partial.shared
        resident = sum(prefix.resident for prefix in self.pool.prefixes.values())
        assert self.pool.free + private + resident == self.pool.total
        assert self.pool.free >= 0
        context = sum(s.target + d - s.begin for s in self._running.values())
        assert context == self._context


@pytest.mark.parametrize("name", CONFIGS)
def test_no_iteration_exceeds_a_limit_and_no_block_is_lost(name: str) -> None:
    config = CONFIGS[name]
    step_time = StepTime(A10, LLAMA2_7B, config, StepCoefficients())
    replica = Watched(config, step_time, tokens_plan(960, config), fast_forward=False)
    requests = random_requests(seed=3)
    run_replicas([replica], requests)
    assert replica.max_sequences <= config.max_num_seqs
    assert replica.max_tokens <= config.max_num_batched_tokens
    assert replica.unfinished == 0
    assert replica.pool.available == replica.pool.total


@pytest.mark.parametrize("name", CONFIGS)
def test_every_request_gets_its_tokens_in_order(name: str) -> None:
    replica = replica_for(CONFIGS[name], tokens_plan(960, CONFIGS[name]))
    requests = random_requests(seed=4)
    run_replicas([replica], requests)
    assert replica.preemptions > 0 or CONFIGS[name].max_num_seqs <= 12
    decode_times = np.array(replica.decode_times)
    assert np.all(np.diff(decode_times) > 0)
    for request in requests:
        times = token_times(request, decode_times)
        assert len(times) == request.output
        assert times[0] > request.arrival
        assert np.all(np.diff(times) > 0)


def test_a_preempted_sequence_loses_its_blocks_and_keeps_its_tokens() -> None:
    # Six blocks of 16: two prompts of two blocks each, both growing to more than three.
    config = EngineConfig()
    replica = replica_for(config, plan(6))
    first, last = Sequence(0, 0.0, 32, 40), Sequence(1, 0.0, 32, 40)
    run_replicas([replica], [first, last])
    assert replica.preemptions == 1
    assert len(first.spans) == 1
    # Both take a third block at once, with one token more than 32; at 48 the last has to go, with
    # 17 tokens produced, and comes back when the first has its 40.
    assert [span.end - span.begin for span in last.spans] == [16, 22]
    assert last.spans[1].first > replica.decode_times[first.end - 1]
    assert len(token_times(last, np.array(replica.decode_times))) == 40


def test_prompts_come_before_decodes_without_chunks() -> None:
    config = EngineConfig()
    replica = replica_for(config, plan(1000))
    early, late = Sequence(0, 0.0, 100, 50), Sequence(1, 0.5, 2000, 2)
    run_replicas([replica], [early, late])
    times = token_times(early, np.array(replica.decode_times))
    stall = max(np.diff(times))
    prompt = StepTime(A10, LLAMA2_7B, config, StepCoefficients()).prompt_step([(2000, 0)], 0, 0)
    assert stall > prompt
    assert np.median(np.diff(times)) < prompt / 5


def test_chunks_let_decodes_go_on() -> None:
    config = EngineConfig(enable_chunked_prefill=True, max_num_batched_tokens=128)
    replica = replica_for(config, plan(1000))
    early, late = Sequence(0, 0.0, 100, 50), Sequence(1, 0.5, 2000, 2)
    run_replicas([replica], [early, late])
    decode_times = np.array(replica.decode_times)
    inside = decode_times[(decode_times > 0.5) & (decode_times < late.spans[0].first)]
    assert len(inside) == math.ceil(2000 / 127)


def test_a_delayed_prompt_waits_for_a_multiple_of_the_last_one() -> None:
    def first_tokens(factor: float) -> list[float]:
        replica = replica_for(EngineConfig(scheduler_delay_factor=factor), plan(1000))
        requests = [Sequence(0, 0.0, 2000, 100), Sequence(1, 1.0, 2000, 2)]
        run_replicas([replica], requests)
        return [request.spans[0].first for request in requests]

    at_once, delayed = first_tokens(0.0), first_tokens(2.0)
    latency = at_once[0]
    assert delayed[0] == at_once[0]
    assert 1.0 + 2.0 * latency < delayed[1] - latency
    assert delayed[1] - at_once[1] == pytest.approx(2.0 * latency, rel=0.1)


def test_the_second_of_a_shared_prefix_computes_only_the_rest() -> None:
    config = EngineConfig(enable_prefix_caching=True)
    replica = replica_for(config, plan(1000))
    requests = [Sequence(i, 5.0 * i, 1024 + 32, 1, "p", 1024) for i in range(2)]
    run_replicas([replica], requests)
    step = StepTime(A10, LLAMA2_7B, config, StepCoefficients())
    taken = [request.spans[0].first - request.arrival for request in requests]
    assert taken[0] == pytest.approx(step.prompt_step([(1056, 0)], 0, 0))
    assert taken[1] == pytest.approx(step.prompt_step([(32, 1024)], 0, 0))


def test_who_waits_too_long_is_given_up() -> None:
    config = EngineConfig(max_num_seqs=1)
    replica = replica_for(config, plan(1000), patience=1.0)
    requests = [Sequence(0, 0.0, 100, 100), Sequence(1, 0.1, 100, 100), Sequence(2, 9.0, 100, 2)]
    run_replicas([replica], requests)
    assert [request.timed_out for request in requests] == [False, True, False]
    assert replica.timed_out == 1
    assert replica.pool.free == replica.pool.total


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_request_at_a_time_is_an_m_d_1_queue(load: float) -> None:
    """Pollaczek-Khinchine: the mean wait is load * service / (2 (1 - load))."""
    config = EngineConfig(max_num_seqs=1)
    service = StepTime(A10, LLAMA2_7B, config, StepCoefficients()).prompt_step([(500, 0)], 0, 0)
    rng = np.random.default_rng(0)
    n = 40_000
    arrivals = np.cumsum(rng.exponential(service / load, n))
    requests = [Sequence(i, float(t), 500, 1) for i, t in enumerate(arrivals)]
    run_replicas([replica_for(config, plan(1000))], requests)
    waits = [r.spans[0].first - r.arrival - service for r in requests]
    assert np.mean(waits) == pytest.approx(load * service / (2 * (1 - load)), rel=0.06)


def test_a_request_that_can_never_fit_is_an_error_not_an_endless_loop() -> None:
    with pytest.raises(ValueError, match="larger than the KV cache"):
        run_replicas([replica_for(EngineConfig(), plan(6))], [Sequence(0, 0.0, 100, 2)])


def test_requests_go_to_the_shortest_queue() -> None:
    config = EngineConfig()
    replicas = [replica_for(config, plan(1000)) for _ in range(2)]
    requests = [
        Sequence(0, 0.0, 100, 1000),
        Sequence(1, 0.1, 100, 2),
        Sequence(2, 5.0, 100, 2),  # the second replica is idle again
        Sequence(3, 5.0, 100, 2),  # one each: the first of them
    ]
    served_by = run_replicas(replicas, requests)
    assert [replicas.index(served_by[i]) for i in range(4)] == [0, 1, 1, 0]
