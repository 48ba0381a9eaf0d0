"""The four bundled traces, made from stated length laws and a seed.

    python -m objectives.synthetic_traces [FOLDER]      # rewrites sql, bot, cls and rec .jsonl

They stand for the applications of the paper (section V-A), whose own traces are not public: what
is taken over is their kind, not their figures. Every prompt and answer together fit the 4096
tokens of LLaMA2. Lengths are drawn by inversion from uniform numbers and rounded, so that the
files do not depend on the version of a random number library.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

from objectives.traces import Trace
from objectives.traces import TraceRequest
from objectives.traces import bundled_folder
from objectives.traces import write_trace


N_REQUESTS = 2000


@dataclass(frozen=True, slots=True)
class LengthLaw:
    """A log-normal law of lengths, cut off (not clipped) to [low, high] tokens.

    Attributes:
        median: Median in tokens before the cut.
        sigma: Standard deviation of the natural logarithm before the cut, > 0.
        low: Shortest length in tokens.
        high: Longest length in tokens.
    """

    median: float
    sigma: float
    low: int
    high: int

    def quantile(self, u: float) -> int:
        """Return the length below which a share ``u`` in [0, 1) of the lengths lies."""
        normal = NormalDist(math.log(self.median), self.sigma)
        # Half a token beyond each end: rounding then gives the ends their fair share.
        floor = normal.cdf(math.log(self.low - 0.5))
        ceiling = normal.cdf(math.log(self.high + 0.5))
        length = round(math.exp(normal.inv_cdf(floor + u * (ceiling - floor))))
        return min(max(length, self.low), self.high)


@dataclass(frozen=True, slots=True)
class TraceRecipe:
    """How the requests of an application look.

    Attributes:
        name: Name of the trace.
        question: Law of the part of the prompt that is the request's own.
        answer: Law of the output.
        prefixes: Length in tokens of each text that prompts begin with, the most used first; the
            k-th (from 1) is used in proportion to 1/k. Empty: prompts share nothing.
        seed: Seed of the trace.
    """

    name: str
    question: LengthLaw
    answer: LengthLaw
    prefixes: tuple[int, ...] = ()
    seed: int = 0


RECIPES = (
    # Text to SQL: a database schema, shared by all questions to that database; a short query.
    TraceRecipe(
        "sql",
        question=LengthLaw(median=60, sigma=0.5, low=16, high=256),
        answer=LengthLaw(median=48, sigma=0.6, low=8, high=256),
        prefixes=(1200, 1800, 900, 1500, 700, 2100, 1000, 600),
        seed=1,
    ),
    # Chat: the conversation so far and a long answer.
    TraceRecipe(
        "bot",
        question=LengthLaw(median=350, sigma=0.9, low=16, high=2048),
        answer=LengthLaw(median=220, sigma=0.7, low=16, high=1024),
        seed=2,
    ),
    # Classification: one instruction for all, a text, and a label of a few tokens.
    TraceRecipe(
        "cls",
        question=LengthLaw(median=280, sigma=0.6, low=32, high=1536),
        answer=LengthLaw(median=3, sigma=0.5, low=1, high=8),
        prefixes=(128,),
        seed=3,
    ),
    # Recommendation: a user's long history and a short list.
    TraceRecipe(
        "rec",
        question=LengthLaw(median=1300, sigma=0.45, low=256, high=3584),
        answer=LengthLaw(median=24, sigma=0.4, low=8, high=96),
        seed=4,
    ),
)


def generate(recipe: TraceRecipe, n_requests: int = N_REQUESTS) -> Trace:
    """Draw a trace: lengths and prefixes, no text and no times.

    Args:
        recipe: What the requests look like.
        n_requests: How many, >= 1. A longer trace begins with the shorter one.

    Returns:
        The trace, named after the recipe.
    """
    uniforms = np.random.default_rng(recipe.seed).random((n_requests, 3))
    weights = 1.0 / np.arange(1, len(recipe.prefixes) + 1)
    cumulative = np.cumsum(weights) / np.sum(weights)
    requests = []
    for u_question, u_answer, u_prefix in uniforms:
        prefix_id, prefix_tokens = None, 0
        if recipe.prefixes:
            k = int(np.searchsorted(cumulative, u_prefix, side="right"))
            prefix_id, prefix_tokens = f"{recipe.name}-{k + 1}", recipe.prefixes[k]
        requests.append(
            TraceRequest(
                prompt_tokens=prefix_tokens + recipe.question.quantile(float(u_question)),
                output_tokens=recipe.answer.quantile(float(u_answer)),
                prefix_id=prefix_id,
                prefix_tokens=prefix_tokens,
            )
        )
    return Trace(recipe.name, tuple(requests))


def main(arguments: list[str]) -> None:
    """Write the bundled traces into a folder, by default the one they are read from."""
    folder = Path(arguments[0]) if arguments else bundled_folder()
    for recipe in RECIPES:
        path = folder / f"{recipe.name}.jsonl"
        write_trace(generate(recipe), path)
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
