"""Iteration-level scheduling of one replica, in virtual time.

Two queues: waiting, in order of arrival, and running. Each iteration is one of two kinds, as in
vLLM 0.4 (``core/scheduler.py``):

- Without chunked prefill, prompts come first: while any fits, an iteration holds whole prompts
  only, up to ``max_num_batched_tokens``; else it holds one token of every running sequence.
- With chunked prefill, an iteration holds one token of every running sequence, and what is left
  of ``max_num_batched_tokens`` is filled with prompts, the last of them cut to fit.

When a running sequence needs a block and none is left, the sequence that came last is pre-empted:
it loses its blocks, goes back to the head of the waiting queue and is recomputed later.

What makes it quick: in a run of iterations without prompts every running sequence grows by one
token, so that counts suffice. Symbols: D counts the iterations with decodes; a sequence that began
to decode at D0 with c0 tokens holds c0 + D - D0, needs a block when that is a multiple of the
block size, that is when D mod block_size equals its phase, and ends at a D known in advance. A run
of iterations costs a few additions each, and per-token times are read off the list of the times
of the D-iterations afterwards. ``fast_forward=False`` schedules every single iteration; the
results are the same to the last bit.
"""

from __future__ import annotations

import heapq
import math
from collections import deque

from objectives.engines.simulated.config import EngineConfig
from objectives.engines.simulated.kv_cache import BlockPool
from objectives.engines.simulated.memory import MemoryPlan
from objectives.engines.simulated.sequence import Sequence
from objectives.engines.simulated.sequence import Span
from objectives.engines.simulated.step_time import StepTime


class Replica:
    """One copy of the model with its scheduler and its KV cache.

    Args:
        config: The engine's parameters.
        step_time: How long an iteration takes.
        memory: The KV cache's size and an iteration's limit.
        patience: Seconds without a token after which a client gives up.
        fast_forward: Whether runs of iterations without prompts are taken together.
    """

    def __init__(
        self,
        config: EngineConfig,
        step_time: StepTime,
        memory: MemoryPlan,
        *,
        patience: float = math.inf,
        fast_forward: bool = True,
    ) -> None:
        self.config = config
        self.memory = memory
        self.pool = BlockPool(
            memory.blocks,
            config.block_size,
            memory.watermark,
            share_prefixes=config.enable_prefix_caching,
        )
        self.now = 0.0
        self.decode_times: list[float] = []  # end of each D-iteration
        self.iterations = 0
        self.preemptions = 0
        self.timed_out = 0
        self._step_time = step_time
        self._patience = patience
        self._fast_forward = fast_forward
        self._waiting: deque[Sequence] = deque()
        self._running: dict[int, Sequence] = {}  # decoding, in order of admission
        self._partial: Sequence | None = None  # the prompt that was cut
        self._context = 0  # tokens in the KV cache of the decoding sequences
        self._phases = [0] * config.block_size  # decoding sequences by phase
        self._ends: list[int] = []  # heap of the D at which sequences end
        self._ending: dict[int, list[Sequence]] = {}
        self._prompt_latency = 0.0  # of the last iteration that admitted prompts

    @property
    def unfinished(self) -> int:
        """Return the number of requests in the replica: what a router sees as its queue."""
        return len(self._waiting) + len(self._running) + (self._partial is not None)

    def submit(self, sequence: Sequence) -> None:
        """Put a request into the waiting queue at its arrival, which must not be in the past."""
        if self.unfinished == 0:
            self.now = max(self.now, sequence.arrival)
        sequence.deadline = sequence.arrival + self._patience
        self._waiting.append(sequence)

    def advance(self, until: float) -> None:
        """Run every iteration that begins before ``until``; stop early when nothing is left.

        Raises:
            EngineCrash: An iteration ran out of memory.
            ValueError: A request can never be served; whoever starts a replica rules that out.
        """
        chunked = self.config.enable_chunked_prefill
        while self.now < until and self.unfinished:
            self._drop_overdue()
            if chunked:
                self._chunked_iteration(until)
            else:
                self._prefill_or_decode(until)

    def _drop_overdue(self) -> None:
        waiting = self._waiting
        while waiting and self.now > waiting[0].deadline:
            waiting.popleft().timed_out = True
            self.timed_out += 1

    def _prefill_or_decode(self, until: float) -> None:
        """Run one iteration of whole prompts, or decodes where no prompt may be admitted."""
        batch: list[Sequence] = []
        budget = self.config.max_num_batched_tokens
        wake = math.inf
        while self._waiting:
            head = self._waiting[0]
            wake = self._admissible_after(head, len(batch))
            if self.now <= wake:
                break
            wake = math.inf
            if head.prompt + head.produced > budget or not self._admit(head):
                break
            budget -= head.target
            batch.append(head)
        if batch:
            self._prompt_iteration(batch, [(s.target - s.computed, s.computed) for s in batch])
        else:
            self._decode_until(until, wake)

    def _chunked_iteration(self, until: float) -> None:
        """Run one iteration that mixes decodes and chunks, or decodes where nothing waits.

        The blocks that this iteration's decodes need are set aside before prompts are admitted.
        """
        if self._partial is None:
            wake = self._admissible_after(self._waiting[0], 0) if self._waiting else math.inf
            if self.now <= wake:
                self._decode_until(until, wake)
                return
        preempted = self._make_room()
        grown = self._growth()
        self.pool.take(grown)
        batch, chunks, admitted = self._fill(may_admit=not preempted)
        if batch:
            self._prompt_iteration(batch, chunks, admitted=admitted)
        else:
            self.pool.free += grown  # nothing fitted: an ordinary run of decodes takes them
            self._decode_until(until, math.inf, once=preempted)

    def _fill(self, *, may_admit: bool) -> tuple[list[Sequence], list[tuple[int, int]], bool]:
        """Fill with prompts what the decodes leave of an iteration's tokens.

        Returns:
            The sequences, the (new, earlier) tokens of each, and whether any came from the queue.
        """
        budget = self.config.max_num_batched_tokens - len(self._running)
        batch: list[Sequence] = []
        chunks: list[tuple[int, int]] = []
        if self._partial is not None and budget > 0:
            budget -= self._chunk(self._partial, budget, batch, chunks)
        n_admitted = 0
        while may_admit and budget > 0 and self._waiting:
            head = self._waiting[0]
            if self.now <= self._admissible_after(head, n_admitted) or not self._admit(head):
                break
            n_admitted += 1
            budget -= self._chunk(head, budget, batch, chunks)
        return batch, chunks, n_admitted > 0

    @staticmethod
    def _chunk(
        sequence: Sequence,
        budget: int,
        batch: list[Sequence],
        chunks: list[tuple[int, int]],
    ) -> int:
        size = min(budget, sequence.target - sequence.computed)
        batch.append(sequence)
        chunks.append((size, sequence.computed))
        return size

    def _admissible_after(self, head: Sequence, admitted: int) -> float:
        """Return the time after which the scheduler may admit the head of the queue.

        It is minus infinity where nothing is in the way, infinity where only the end of another
        sequence can help, and with a delay factor in between: vLLM 0.4 lets the earliest request
        wait ``scheduler_delay_factor`` times the last prompt's latency while others run.
        """
        running = len(self._running) + (self._partial is not None)
        if running + admitted >= self.config.max_num_seqs:
            return math.inf
        if self.config.scheduler_delay_factor > 0.0 and running:
            return head.arrival + self.config.scheduler_delay_factor * self._prompt_latency
        return -math.inf

    def _admit(self, head: Sequence) -> bool:
        """Move the head of the queue out of it if the KV cache has room."""
        target = head.prompt + head.produced
        known = self.pool.admit(target, head.prefix_id, head.prefix_tokens)
        if known is None:
            return False
        self._waiting.popleft()
        head.target = target
        head.computed = known
        head.shared = 0
        if head.prefix_id is not None:
            head.shared = self.pool.shared_blocks(target, head.prefix_tokens)
        return True

    def _prompt_iteration(
        self,
        batch: list[Sequence],
        chunks: list[tuple[int, int]],
        *,
        admitted: bool = True,
    ) -> None:
        """Run an iteration with prompt tokens, and with every decode where prefill is chunked."""
        mixed = self.config.enable_chunked_prefill
        n = len(self._running) if mixed else 0
        context = self._context if mixed else 0
        tokens = n + sum(size for size, _ in chunks)
        self.memory.check_iteration(tokens, n + len(batch))
        duration = self._step_time.prompt_step(chunks, n, context)
        if admitted:
            self._prompt_latency = duration
        self.now += duration
        self.iterations += 1
        self._partial = None
        if n:
            self._context += n
            self.decode_times.append(self.now)
            self._finish()
        for sequence, (size, _) in zip(batch, chunks, strict=True):
            sequence.computed += size
            if sequence.computed < sequence.target:
                self._partial = sequence
            else:
                self._begin_decode(sequence)

    def _begin_decode(self, sequence: Sequence) -> None:
        """Note the token that the prompt's last iteration produced, and join the decodes."""
        if sequence.shared and sequence.prefix_id is not None:
            self.pool.mark_computed(sequence.prefix_id, sequence.shared)
        d = len(self.decode_times)
        sequence.produced += 1
        sequence.begin = d
        sequence.end = d + sequence.output - sequence.produced
        sequence.spans.append(Span(self.now, d, sequence.end))
        if sequence.end == d:
            self.pool.retire(sequence.target, sequence.prefix_id, sequence.shared)
            return
        self._running[sequence.index] = sequence
        self._context += sequence.target
        self._phases[(d - sequence.target) % self.config.block_size] += 1
        if sequence.end in self._ending:
            self._ending[sequence.end].append(sequence)
        else:
            self._ending[sequence.end] = [sequence]
            heapq.heappush(self._ends, sequence.end)

    def _leave_decode(self, sequence: Sequence) -> None:
        """Take a sequence out of the decodes and give its blocks back."""
        del self._running[sequence.index]
        held = sequence.target + len(self.decode_times) - sequence.begin
        self._context -= held
        self._phases[(sequence.begin - sequence.target) % self.config.block_size] -= 1
        self.pool.retire(held, sequence.prefix_id, sequence.shared)

    def _finish(self) -> None:
        """Let the sequences go whose last token the D-iteration just run has produced."""
        d = len(self.decode_times)
        while self._ends and self._ends[0] <= d:
            for sequence in self._ending.pop(heapq.heappop(self._ends)):
                self._leave_decode(sequence)

    def _growth(self) -> int:
        """Return how many blocks the next D-iteration takes."""
        return self._phases[len(self.decode_times) % self.config.block_size]

    def _make_room(self) -> bool:
        """Pre-empt until the next D-iteration's blocks exist; return whether that was needed."""
        preempted = False
        while self._growth() > self.pool.available:
            self._preempt_last()
            preempted = True
        return preempted

    def _preempt_last(self) -> None:
        """Pre-empt the sequence that came last; it will be recomputed."""
        self.preemptions += 1
        victim = self._partial
        if victim is not None:
            self._partial = None
            self.pool.retire(victim.target, victim.prefix_id, victim.shared)
        else:
            victim = next(reversed(self._running.values()))
            self._leave_decode(victim)
            self._ending[victim.end].remove(victim)
            d = len(self.decode_times)
            victim.produced += d - victim.begin
            victim.spans[-1] = victim.spans[-1]._replace(end=d)
            victim.deadline = self.now + self._patience  # its last token came just now
        self._waiting.appendleft(victim)

    def _decode_until(self, until: float, wake: float, *, once: bool = False) -> None:
        """Run iterations of decodes alone until the scheduler has something to decide.

        That is: a sequence ends, one has to be pre-empted, the head of the waiting queue becomes
        admissible (``now > wake``) or overdue, or ``until`` is reached, when a request arrives.
        """
        once |= self._make_room()
        n = len(self._running)
        if n == 0:
            if not once:
                raise ValueError("a request is larger than the KV cache or an iteration")
            return
        self.memory.check_iteration(n, n)
        if self._waiting:
            wake = min(wake, self._waiting[0].deadline)
        first = d = len(self.decode_times)
        end = d + 1 if once or not self._fast_forward else self._ends[0]
        cpu, gpu, least = self._step_time.decode_terms(n)
        cpu_slope = self._step_time.cpu_per_context
        gpu_slope = self._step_time.gpu_per_context
        times, phases, block_size = self.decode_times, self._phases, self.config.block_size
        now, context = self.now, self._context
        available = spare = self.pool.available
        while d < end and now < until and now <= wake:
            grown = phases[d % block_size]
            if grown > spare:
                break
            spare -= grown
            now += cpu + cpu_slope * context + max(gpu + gpu_slope * context, least)
            context += n
            d += 1
            times.append(now)
        self.pool.take(available - spare)
        self.iterations += d - first
        self.now, self._context = now, context
        self._finish()
