"""What the load generator reaches, beside the simplest client of aiohttp, against a timed server.

    PYTHONPATH=. python -m tests.objectives.loadgen.benchmark --rates 100 500 1000 2000

Poisson arrivals; each line is a process of its own. The columns:

    achieved    requests a second that were answered, over the time in which they were sent
    late        milliseconds from when a request was due until it was sent
    added       milliseconds of TTFT beyond what the server took by its own clock
    told        what the load generator tells of itself as its share of TTFT
    CPU         milliseconds of processor time a request
    memory      growth of the process's largest resident size, a request

The server is a second process that needs a core itself, more so at high rates: what it is late in
reading a request counts as added.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import numpy as np

from objectives.loadgen import LoadOptions
from objectives.loadgen import run
from objectives.metrics import OwnShare
from objectives.traces import TraceRequest
from objectives.workload import ScheduledRequest
from objectives.workload import Workload
from tests.objectives.loadgen.timed_server import Answer
from tests.objectives.loadgen.timed_server import TimedServer


TIMEOUT_S = 6.0


class Numbered(Sequence[str]):
    """Prompts that differ and are made when they are asked for."""

    def __init__(self, n: int, words: int) -> None:
        self._n = n
        self._rest = " word" * (words - 1)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        if index >= self._n:
            raise IndexError(index)
        return f"{index}{self._rest}"


@dataclass
class Seen:
    """What a client has seen: seconds by request, NaN where it was not answered."""

    late: np.ndarray
    ttft: np.ndarray
    sent: np.ndarray
    own_ms: float = float("nan")


def by_this_project(url: str, workload: Workload, prompts: Sequence[str]) -> Seen:
    result = run(url, "m", workload, prompts, LoadOptions(request_timeout_s=TIMEOUT_S))
    records = result.records
    return Seen(
        np.array([r.sent - r.scheduled for r in records]),
        np.array([r.ttft if r.completed else np.nan for r in records]),
        np.array([r.sent for r in records]),
        OwnShare.of(records).milliseconds("ttft"),
    )


def by_aiohttp(url: str, workload: Workload, prompts: Sequence[str]) -> Seen:
    """Do what a client of a few lines does: a task a request, lines from the stream."""
    due = np.array([scheduled.time for scheduled in workload.requests])
    seen = Seen(*(np.full(len(due), np.nan) for _ in range(3)))

    async def one(session: aiohttp.ClientSession, i: int, start: float) -> None:
        n_tokens = workload.requests[i].request.output_tokens
        body = {"model": "m", "prompt": prompts[i], "max_tokens": n_tokens, "stream": True}
        sent = time.perf_counter()
        seen.sent[i] = sent - start
        first = None
        async with session.post(f"{url}/v1/completions", json=body) as response:
            async for line in response.content:
                if line.startswith(b"data: {"):
                    message = json.loads(line[6:])
                    if message["choices"] and first is None:
                        first = time.perf_counter()
        seen.ttft[i] = np.nan if first is None else first - sent

    async def whole() -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            start = time.perf_counter()
            tasks = []
            for i, scheduled in enumerate(workload.requests):
                delay = scheduled.time - (time.perf_counter() - start)
                if delay > 0:
                    await asyncio.sleep(delay)
                tasks.append(asyncio.create_task(one(session, i, start)))
            await asyncio.gather(*tasks, return_exceptions=True)

    gc.freeze()
    asyncio.run(whole())
    seen.late = seen.sent - due
    return seen


CLIENTS = {"this project": by_this_project, "aiohttp": by_aiohttp}


def measure(client: str, rate: float, arguments: argparse.Namespace) -> dict[str, float]:
    """Run one client at one rate in this process."""
    answer = Answer(arguments.first, arguments.gap, arguments.events)
    request = TraceRequest(arguments.words, answer.output_tokens)
    n = round(rate * arguments.seconds)
    times = np.sort(np.random.default_rng(0).uniform(0, arguments.seconds, n)).tolist()
    scheduled = tuple(ScheduledRequest(i, t, request) for i, t in enumerate(times))
    workload, prompts = (
        Workload(scheduled, "known", arguments.seconds),
        Numbered(n, arguments.words),
    )
    with TimedServer(answer) as server:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        cpu = time.process_time()
        seen = CLIENTS[client](server.url, workload, prompts)
        cpu = time.process_time() - cpu
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
        moments = server.moments()
    true = np.array([moments[p].ttft if p in moments else np.nan for p in prompts])
    added = 1000 * (seen.ttft - true)
    added = added[~np.isnan(added)]
    return {
        "achieved": len(added) / float(np.nanmax(seen.sent)),
        "late_p50": 1000 * float(np.nanmedian(seen.late)),
        "late_p99": 1000 * float(np.nanpercentile(seen.late, 99)),
        "added_mean": float(added.mean()),
        "added_p50": float(np.median(added)),
        "added_p99": float(np.percentile(added, 99)),
        "told": seen.own_ms,
        "cpu": 1000 * cpu / n,
        "memory": memory / n,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="+", default=[100, 500, 1000, 2000])
    parser.add_argument("--seconds", type=float, default=5.0, help="of arrivals")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--words", type=int, default=200, help="of a prompt")
    parser.add_argument("--first", type=float, default=0.02, help="seconds to the first event")
    parser.add_argument("--gap", type=float, default=0.01, help="seconds between events")
    parser.add_argument("--events", type=int, default=4, help="of an answer")
    parser.add_argument("--client", choices=CLIENTS, help="measure it here and print JSON")
    arguments = parser.parse_args()
    if arguments.client:
        print(json.dumps(measure(arguments.client, arguments.rates[0], arguments)))
        return
    print(
        f"{'offered':>8} {'client':>12} {'achieved':>8} {'late p50':>9} {'p99':>7}"
        f" {'added mean':>10} {'p50':>6} {'p99':>7} {'told':>6} {'CPU':>6} {'memory':>8}"
    )
    for rate in arguments.rates:
        for client in list(CLIENTS) * arguments.repeat:
            words = [sys.executable, "-m", __spec__.name, *sys.argv[1:]]
            words += ["--client", client, "--rates", str(rate)]
            seen = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
            print(
                f"{rate:6g}/s {client:>12} {seen['achieved']:8.0f} {seen['late_p50']:9.2f}"
                f" {seen['late_p99']:7.2f} {seen['added_mean']:10.2f} {seen['added_p50']:6.2f}"
                f" {seen['added_p99']:7.2f} {seen['told']:6.2f} {seen['cpu']:6.3f}"
                f" {seen['memory']:5.2f} KB",
                flush=True,
            )


if __name__ == "__main__":
    main()
