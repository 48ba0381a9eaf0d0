"""A synthetic trace that is like a private one, made to be shared.

Kept are the distributions of the lengths and how they go together, the rate over time and the
burstiness of the arrivals, and what prefix caches find. Known methods of statistical disclosure
control do it: each value is a mean over neighbours (microaggregation), which request has it is
drawn among neighbours in rank (rank swapping), requests change places, and times are drawn anew.
No text and no name is kept. That is no guarantee as differential privacy gives one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from objectives.arrivals import counted_arrivals
from objectives.trace_tools.edits import anonymise
from objectives.trace_tools.summary import Floats
from objectives.trace_tools.summary import Ints
from objectives.trace_tools.summary import found_tokens
from objectives.trace_tools.summary import gaps_cv
from objectives.trace_tools.summary import lengths_of
from objectives.trace_tools.summary import times_of
from objectives.traces import Trace
from objectives.traces import TraceError
from objectives.traces import TraceRequest
from objectives.traces import spread_arrivals


Chosen = npt.NDArray[np.bool_]

LEAST_REQUESTS = 100  # fewer cannot be imitated without being told
_IN_A_MEAN = 10  # requests behind every value
_MOST_BINS = 200
_SWAPPED = 0.02  # of all ranks, up and down, by which a value may move to another request
_IN_A_BLOCK = 100  # requests that change places, so that lengths may drift over the day
_MOST_WINDOWS = 500
_REMEMBERED = 4096  # prefixes that a request may come back to
_NEAR = 1.2  # by which ratio more than what is to be found may be found
_MOST_STEPS = 60
_STAMPED_IN_STEPS = 0.5  # share of equal stamps from which they are no times of arrival


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near a synthetic trace is to its original.

    Attributes:
        prompt: Largest difference between the distribution functions of the prompts' lengths (the
            Kolmogorov-Smirnov statistic), from 0 to 1.
        output: The same of the answers.
        correlation: Difference of the rank correlations (Spearman's) of the two lengths.
        copied: Share of requests that have both lengths of a request of the original, where fewer
            than ten of it have those.
    """

    prompt: float
    output: float
    correlation: float
    copied: float

    def as_dict(self) -> dict[str, float]:
        """Return the figures under their names."""
        return asdict(self)


def imitate(trace: Trace, seed: int = 0) -> Trace:
    """Return a synthetic trace with as many requests.

    Args:
        trace: At least LEAST_REQUESTS, whose tokens are counted.
        seed: Of all draws, >= 0.

    Raises:
        TraceError: It has too few requests, or texts whose tokens are not counted.
    """
    n = len(trace.requests)
    if n < LEAST_REQUESTS:
        raise TraceError(
            f"trace {trace.name!r} has {n} requests; to be imitated without being told it needs"
            f" {LEAST_REQUESTS}"
        )
    trace = anonymise(trace)
    rng = np.random.default_rng(seed)
    rows = _Rows.of(trace).swapped(rng)
    times = _arrivals(_times(trace, seed), seed)
    prefixes = _prefixes(rows)
    requests = tuple(
        TraceRequest(
            int(rows.prompt[i]),
            int(rows.output[i]),
            None if times is None else float(times[i]),
            *prefixes[i],
        )
        for i in range(n)
    )
    return Trace(f"{trace.name}-synthetic", requests)


def likeness(original: Trace, synthetic: Trace) -> Likeness:
    """Compare the lengths of a synthetic trace with those of its original."""
    from scipy import stats

    old, new = lengths_of(original), lengths_of(synthetic)
    copied = _are_in(_rare_pairs(*old), *new)
    ranks = [
        0.0 if min(map(np.ptp, both)) == 0 else stats.spearmanr(*both).statistic
        for both in (old, new)
    ]
    return Likeness(
        prompt=float(stats.ks_2samp(old[0], new[0], method="asymp").statistic),
        output=float(stats.ks_2samp(old[1], new[1], method="asymp").statistic),
        correlation=float(ranks[1] - ranks[0]),
        copied=float(np.mean(copied)),
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is kept of each request, in columns of shape (n,).

    Attributes:
        prompt: Tokens.
        output: Tokens.
        prefix: Prefix as a share of the prompt, 0 without one.
        found: What an endless cache finds, as a share of the prompt.
        since: For one whose prefix came before, how many requests ago it last came; else 0.
        opens: Whether its prefix comes for the first time.
    """

    prompt: Ints
    output: Ints
    prefix: Floats
    found: Floats
    since: Ints
    opens: Chosen

    @classmethod
    def of(cls, trace: Trace) -> _Rows:
        prompt, output = lengths_of(trace)
        prefix = np.array([r.prefix_tokens for r in trace.requests], dtype=np.int64)
        last: dict[str, int] = {}
        since = np.zeros(len(prompt), dtype=np.int64)
        for i, request in enumerate(trace.requests):
            if request.prefix_id is not None:
                since[i] = i - last.get(request.prefix_id, i)
                last[request.prefix_id] = i
        if np.sum(since > 0) < _IN_A_MEAN:  # too little is shared to be told
            prefix, since = np.zeros_like(prefix), np.zeros_like(since)
        opens = (prefix > 0) & (since == 0)
        return cls(prompt, output, prefix / prompt, found_tokens(trace) / prompt, since, opens)

    def swapped(self, rng: np.random.Generator) -> _Rows:
        """Return rows of the same distribution.

        Values are swapped among those of one kind: that open a prefix, come back to one, or
        share nothing.
        """
        rows = _Rows(*(np.copy(getattr(self, name)) for name in self.__slots__))
        back, shares = self.since > 0, self.prefix > 0
        for chosen in _kinds(~shares, self.opens, back):
            rows.prompt[chosen] = _swapped_lengths(self.prompt[chosen], rng)
            rows.output[chosen] = _swapped_lengths(self.output[chosen], rng)
        for chosen in _kinds(self.opens, back):
            rows.prefix[chosen] = _swapped(self.prefix[chosen], rng)
        if np.any(back):
            rows.found[back] = _swapped(self.found[back], rng)
            rows.since[back] = _swapped_lengths(self.since[back], rng)
        _avoid(rows.prompt, rows.output, self.prompt, self.output)
        places = np.arange(len(self.prompt))
        for block in np.array_split(places, max(1, len(places) // _IN_A_BLOCK)):
            rng.shuffle(block)
        return _Rows(*(getattr(rows, name)[places] for name in self.__slots__))


def _kinds(*kinds: Chosen) -> list[Chosen]:
    """Return kinds of requests, those with too few for a mean together with the next or last."""
    merged: list[Chosen] = []
    for kind in kinds:
        if merged and 0 < np.sum(merged[-1]) < _IN_A_MEAN:
            merged[-1] = merged[-1] | kind
        elif np.any(kind):
            merged.append(kind)
    if len(merged) > 1 and np.sum(merged[-1]) < _IN_A_MEAN:
        merged[-2:] = [merged[-2] | merged[-1]]
    return merged


def _avoid(prompt: Ints, output: Ints, old_prompt: Ints, old_output: Ints) -> None:
    """Lengthen or shorten prompts, in place, so that no rare pair of lengths is an original's."""
    rare = _rare_pairs(old_prompt, old_output)
    for step in range(1, _MOST_STEPS + 1):
        equal = np.flatnonzero(_are_in(rare, prompt, output))
        if not len(equal):
            return
        # 1 up, 2 down, 3 up: each number within a few tokens is tried once.
        prompt[equal] = np.maximum(1, prompt[equal] + (step if step % 2 else -step))


def _rare_pairs(prompt: Ints, output: Ints) -> set[tuple[int, int]]:
    """Return the pairs of lengths that too few requests have for a mean."""
    counts = Counter(zip(prompt.tolist(), output.tolist(), strict=True))
    return {pair for pair, count in counts.items() if count < _IN_A_MEAN}


def _are_in(pairs: set[tuple[int, int]], prompt: Ints, output: Ints) -> list[bool]:
    return [pair in pairs for pair in zip(prompt.tolist(), output.tolist(), strict=True)]


def _swapped_lengths(values: Ints, rng: np.random.Generator) -> Ints:
    """Return whole numbers >= 1 that are swapped and averaged on a logarithm."""
    swapped = np.exp(_swapped(np.log(values.astype(np.float64)), rng))
    lengths: Ints = np.maximum(1, np.rint(swapped)).astype(np.int64)
    return lengths


def _swapped(values: Floats, rng: np.random.Generator) -> Floats:
    """Return values of the same distribution, each at a request near in rank.

    The distribution is drawn through the means of bins of at least ten values each, so that none
    of them is told; the k-th of n values is its quantile (k + 1/2) / n.
    """
    n = len(values)
    bins = np.array_split(np.sort(values), max(1, min(_MOST_BINS, n // _IN_A_MEAN)))
    middles = (np.cumsum([len(b) for b in bins]) - np.array([len(b) for b in bins]) / 2) / n
    means = np.array([np.mean(b) for b in bins])
    quantiles = np.interp((np.arange(n) + 0.5) / n, middles, means)
    ranks = np.argsort(np.lexsort((rng.random(n), values)))  # ties in a random order
    reach = max(_SWAPPED * n, _IN_A_MEAN)
    moved = np.argsort(np.argsort(ranks + rng.uniform(-reach, reach, n)))
    swapped: Floats = quantiles[moved]
    return swapped


def _times(trace: Trace, seed: int) -> Floats | None:
    """Return the times of a trace; spread over each step where they are stamped in steps."""
    times = times_of(trace)
    if times is None or times[-1] == 0.0 or np.mean(np.diff(times) == 0) < _STAMPED_IN_STEPS:
        return times
    return times_of(spread_arrivals(trace, seed))


def _arrivals(times: Floats | None, seed: int) -> Floats | None:
    """Return new times with the same rate over time and the same burstiness about it.

    Time is counted in requests that are expected until then, by the counts in windows; the gaps on
    that clock are independent Gamma ones.
    """
    if times is None or times[-1] == 0.0:
        return times
    n = len(times)
    n_windows = max(1, min(_MOST_WINDOWS, n // _IN_A_MEAN))
    counts, edges = np.histogram(times, bins=n_windows)
    # A window without requests would make the clock stand still.
    expected = np.concatenate([[0.0], np.cumsum(counts + 1e-9)])
    cv = gaps_cv(np.interp(times, edges, expected))
    # Below ten over n a single gap would be all of the time.
    burstiness = max(1.0 / cv**2, _IN_A_MEAN / n) if cv > 1e-6 else np.inf
    drawn = counted_arrivals(1.0, float(expected[-1]), burstiness, seed)
    new: Floats = np.sort(np.interp(drawn, expected, edges))
    stretched: Floats = (new - new[0]) * (times[-1] / (new[-1] - new[0]))
    return stretched


def _prefixes(rows: _Rows) -> list[tuple[str | None, int]]:
    """Return the prefix of each request: name and tokens, (None, 0) without one.

    A request that comes back to a prefix takes the one that fits best what a cache has to find
    for it, and how long ago it was used.
    """
    found: list[tuple[str | None, int]] = []
    lengths = np.zeros(len(rows.prompt), dtype=np.int64)  # of the prefixes, in order of opening
    used = np.zeros_like(lengths)  # by which request each came last
    n_open = 0
    for i, prompt in enumerate(rows.prompt):
        tokens = max(1, round(rows.prefix[i] * prompt))
        if rows.prefix[i] == 0.0:
            found.append((None, 0))
            continue
        if rows.opens[i] or n_open == 0:
            chosen, n_open = n_open, n_open + 1
        else:
            hit = max(1, round(rows.found[i] * prompt))
            recent = slice(max(0, n_open - _REMEMBERED), n_open)
            ages = i - used[recent]
            best = _best_prefix(lengths[recent], ages, tokens, hit, int(rows.since[i]))
            chosen = recent.start + best
            if lengths[chosen] > hit * _NEAR:
                tokens = hit  # the text goes another way than that prefix from there on
        lengths[chosen] = max(lengths[chosen], tokens)
        used[chosen] = i
        found.append((f"prefix-{chosen + 1}", int(tokens)))
    return found


def _best_prefix(lengths: Ints, ages: Ints, tokens: int, found: int, since: int) -> int:
    """Return the prefix of which about ``found`` of ``tokens`` are found, used about so long ago.

    Both count by their ratio to what is wanted.
    """
    wrong_length = np.log(np.minimum(lengths, tokens) / found)
    wrong_age = np.log(ages / since)
    return int(np.argmin(np.abs(wrong_length) + np.abs(wrong_age)))
