"""The simulated engine: the ``Engine`` protocol over the scheduler, in virtual time.

Nothing is run and nothing is measured: a workload is passed through a model of continuous batching
and the times that the model predicts come back as if a client had seen them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import numpy as np

from objectives.engines.base import RunningEngine
from objectives.engines.simulated.cluster import run_replicas
from objectives.engines.simulated.config import EngineConfig
from objectives.engines.simulated.hardware import GPU
from objectives.engines.simulated.hardware import ModelShape
from objectives.engines.simulated.memory import MemoryPlan
from objectives.engines.simulated.memory import plan_cache
from objectives.engines.simulated.memory import plan_memory
from objectives.engines.simulated.scheduler import Replica
from objectives.engines.simulated.sequence import Sequence
from objectives.engines.simulated.sequence import token_times
from objectives.engines.simulated.step_time import StepCoefficients
from objectives.engines.simulated.step_time import StepTime
from objectives.metrics import FailureKind
from objectives.metrics import LoadResult
from objectives.metrics import RequestRecord
from objectives.metrics import ShouldEnd
from objectives.workload import ScheduledRequest
from objectives.workload import Workload


@dataclass(frozen=True, slots=True)
class SimulatedEngine:
    """A model of vLLM on a machine that need not exist.

    Attributes:
        name: What it stands for: "bot-2xa100-13b".
        gpu: The accelerator.
        n_gpus: How many of them; tensor parallelism that leaves some free gives replicas.
        model: The model's shape.
        coefficients: Those of the step time.
        defaults: What a parameter is that a trial does not set.
        patience: Seconds without a token after which a client gives up.
        max_timeout_share: Share of requests whose time-out ends the run as a crash, in [0, 1].
        exclusive_caching: Whether chunked prefill and prefix caching exclude each other (vLLM
            <= 0.5).
        fast_forward: Whether runs of decode iterations are taken together; changes no result.
        kv_cache_bytes: Size of one replica's KV cache where it is set, not derived from the GPU's
            memory: on a processor, for instance, whose memory is not what runs out.
    """

    name: str
    gpu: GPU
    n_gpus: int
    model: ModelShape
    coefficients: StepCoefficients = field(default_factory=StepCoefficients)
    defaults: EngineConfig = field(default_factory=EngineConfig)
    patience: float = math.inf
    max_timeout_share: float = 0.05
    exclusive_caching: bool = True
    fast_forward: bool = True
    kv_cache_bytes: float | None = None

    @property
    def description(self) -> str:
        """Return what this is: simulated."""
        return f"simulated engine {self.name}"

    def start(self, params: Mapping[str, Any], label: str) -> RunningSimulatedEngine:
        """Check the parameters as the engine would when it starts.

        Args:
            params: Values for the fields of ``EngineConfig``; a missing one is in ``defaults``.
            label: Unused; there are no files to name.

        Raises:
            EngineCrash: A known constraint is violated, or memory does not suffice.
            ExternalFailure: A parameter does not exist or has the wrong type.
        """
        config = self.defaults.updated(params)
        config.check(
            self.n_gpus, self.model.max_model_len, exclusive_caching=self.exclusive_caching
        )
        if self.kv_cache_bytes is None:
            plan = plan_memory(self.gpu, self.model, config)
        else:
            plan = plan_cache(self.kv_cache_bytes, self.model, config)
        return RunningSimulatedEngine(self, config, plan)


class RunningSimulatedEngine(RunningEngine):
    """One started simulated engine. Serving twice gives the same result twice: no cache is kept.

    Args:
        engine: What was started.
        config: Its parameters.
        memory: Its KV cache.
    """

    def __init__(self, engine: SimulatedEngine, config: EngineConfig, memory: MemoryPlan) -> None:
        self._engine = engine
        self._config = config
        self._memory = memory

    @property
    def info(self) -> Mapping[str, Any]:
        """Return facts for the trial's user attributes."""
        return {
            "engine": self._engine.description,
            "simulated": True,
            "replicas": self.n_replicas,
            "kv_cache_tokens": self._memory.blocks * self._config.block_size,
        }

    @property
    def n_replicas(self) -> int:
        """Return how many copies of the model fit on the machine's GPUs."""
        return self._engine.n_gpus // self._config.tensor_parallel_size

    def serve(self, workload: Workload, should_end: ShouldEnd | None = None) -> LoadResult:
        """Pass the workload through the model.

        Args:
            workload: The requests; one longer than the model takes is refused, as by a server.
            should_end: Asked every virtual second whether to end the run.

        Returns:
            One record a request, with the times that the model predicts.

        Raises:
            EngineCrash: An iteration ran out of memory, or too many requests timed out.
        """
        limit = self._engine.model.max_model_len
        frontend = self._engine.coefficients.frontend_s
        sequences = [
            _sequence(scheduled, frontend)
            for scheduled in workload.requests
            if scheduled.request.prompt_tokens + scheduled.request.output_tokens <= limit
        ]
        replicas = self.make_replicas()
        max_timeouts = math.floor(self._engine.max_timeout_share * len(workload.requests))
        watch = None if should_end is None else _Watch(workload, sequences, should_end)
        served_by = run_replicas(replicas, sequences, max_timeouts, watch)
        if watch is not None and watch.reason is not None:
            return watch.result()
        by_index = {sequence.index: sequence for sequence in sequences}
        times = {id(replica): np.array(replica.decode_times) for replica in replicas}
        records = []
        for scheduled in workload.requests:
            sequence = by_index.get(scheduled.index)
            if sequence is None:
                records.append(_failed(scheduled, FailureKind.HTTP_STATUS, "400, too long"))
            elif sequence.timed_out:
                why = f"no token for {self._engine.patience:g} s"
                records.append(_failed(scheduled, FailureKind.TIMEOUT, why))
            else:
                decode_times = times[id(served_by[scheduled.index])]
                records.append(_record(scheduled, token_times(sequence, decode_times)))
        duration = max((r.last_token for r in records if r.last_token is not None), default=0.0)
        return LoadResult(tuple(records), max(duration, workload.duration))

    def make_replicas(self) -> list[Replica]:
        """Return idle replicas, as many as fit."""
        engine = self._engine
        step_time = StepTime(engine.gpu, engine.model, self._config, engine.coefficients)
        return [
            Replica(
                self._config,
                step_time,
                self._memory,
                patience=engine.patience,
                fast_forward=engine.fast_forward,
            )
            for _ in range(self.n_replicas)
        ]

    def stop(self) -> None:
        """Do nothing: nothing runs."""


class _Watch:
    """Shows a client what it could know of a run at a moment.

    Args:
        workload: All requests.
        sequences: Those that the model takes.
        should_end: Asked with the records.

    Attributes:
        reason: Why the run is to end; None while it is not.
    """

    def __init__(
        self, workload: Workload, sequences: list[Sequence], should_end: ShouldEnd
    ) -> None:
        self.reason: str | None = None
        self._workload = workload
        self._sequences = {sequence.index: sequence for sequence in sequences}
        self._should_end = should_end
        self._now = 0.0
        self._served_by: dict[int, Replica] = {}
        self._over: dict[int, RequestRecord] = {}

    def __call__(self, served_by: dict[int, Replica], now: float) -> bool:
        """Ask, and return whether the run is to end."""
        self._now = now
        self.reason = self._should_end(self._records(served_by), now)
        self._served_by = served_by
        return self.reason is not None

    def result(self) -> LoadResult:
        """Return what there was when the run ended; all that was not answered was aborted."""
        seen = {record.index: record for record in self._records(self._served_by)}
        aborted = FailureKind.ABORTED
        records = []
        for scheduled in self._workload.requests:
            record = seen.get(scheduled.index)
            if record is None or (record.error is None and not record.output_tokens):
                record = _failed(scheduled, aborted, "the run ended early")
            records.append(record)
        return LoadResult(tuple(records), self._now, ended_early=self.reason)

    def _records(self, served_by: dict[int, Replica]) -> list[RequestRecord]:
        records = []
        for scheduled in self._workload.requests:
            if scheduled.time > self._now:
                break
            record = self._over.get(scheduled.index) or self._record(scheduled, served_by)
            records.append(record)
        return records

    def _record(self, scheduled: ScheduledRequest, served_by: dict[int, Replica]) -> RequestRecord:
        index = scheduled.index
        sequence = self._sequences.get(index)
        if sequence is None:
            record = _failed(scheduled, FailureKind.HTTP_STATUS, "400, too long")
        elif sequence.timed_out:
            record = _failed(scheduled, FailureKind.TIMEOUT, "no token in time")
        else:
            return self._of_sequence(scheduled, sequence, served_by.get(index))
        self._over[index] = record
        return record

    def _of_sequence(
        self, scheduled: ScheduledRequest, sequence: Sequence, replica: Replica | None
    ) -> RequestRecord:
        # It may be on its way to the engine.
        times, last = [] if replica is None else replica.decode_times, None
        spans = sequence.spans
        n_tokens = sum(1 + span.end - span.begin for span in spans)
        if spans and n_tokens == sequence.output and spans[-1].end <= len(times):
            stay = spans[-1]
            last = stay.first if stay.begin == stay.end else times[stay.end - 1]
        record = RequestRecord(
            index=scheduled.index,
            scheduled=scheduled.time,
            sent=scheduled.time,
            first_token=spans[0].first if spans else None,
            last_token=last,
            prompt_tokens=scheduled.request.prompt_tokens,
            output_tokens=0 if last is None else n_tokens,
            requested_tokens=scheduled.request.output_tokens,
        )
        if last is not None:
            self._over[scheduled.index] = record
        return record


def _sequence(scheduled: ScheduledRequest, frontend: float) -> Sequence:
    request = scheduled.request
    return Sequence(
        scheduled.index,
        scheduled.time + frontend,
        request.prompt_tokens,
        request.output_tokens,
        request.prefix_id,
        request.prefix_tokens,
    )


def _record(scheduled: ScheduledRequest, times: np.ndarray) -> RequestRecord:
    return RequestRecord(
        index=scheduled.index,
        scheduled=scheduled.time,
        sent=scheduled.time,
        first_token=float(times[0]),
        last_token=float(times[-1]),
        prompt_tokens=scheduled.request.prompt_tokens,
        output_tokens=len(times),
        inter_token_latencies=tuple((times[1:] - times[:-1]).tolist()),
    )


def _failed(scheduled: ScheduledRequest, kind: FailureKind, why: str) -> RequestRecord:
    return RequestRecord(
        index=scheduled.index,
        scheduled=scheduled.time,
        sent=scheduled.time,
        first_token=None,
        last_token=None,
        prompt_tokens=scheduled.request.prompt_tokens,
        output_tokens=0,
        error=f"{kind.value}: {why}",
        requested_tokens=scheduled.request.output_tokens,
    )
