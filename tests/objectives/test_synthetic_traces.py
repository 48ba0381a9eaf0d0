"""The bundled traces are what their generator makes, and follow the stated laws."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from objectives.synthetic_traces import RECIPES
from objectives.synthetic_traces import LengthLaw
from objectives.synthetic_traces import TraceRecipe
from objectives.synthetic_traces import generate
from objectives.synthetic_traces import main
from objectives.traces import BUNDLED
from objectives.traces import bundled_folder


def test_the_committed_files_are_the_generators(tmp_path: Path) -> None:
    main([str(tmp_path)])
    assert sorted(p.stem for p in tmp_path.iterdir()) == sorted(BUNDLED)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (bundled_folder() / path.name).read_bytes(), path.name


def expected_shares(law: LengthLaw) -> np.ndarray:
    """Probability of each length from scipy's log-normal, rounded and cut off."""
    edges = np.arange(law.low, law.high + 2) - 0.5
    cdf = stats.lognorm(s=law.sigma, scale=law.median).cdf(edges)
    return np.diff(cdf) / (cdf[-1] - cdf[0])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda a: a.name)
def test_lengths_follow_their_laws(recipe: TraceRecipe) -> None:
    requests = generate(recipe).requests
    columns = (
        (recipe.question, [r.prompt_tokens - r.prefix_tokens for r in requests]),
        (recipe.answer, [r.output_tokens for r in requests]),
    )
    for law, lengths in columns:
        cdf = np.cumsum(expected_shares(law))
        counts = np.bincount(lengths, minlength=law.high + 1)[law.low :]
        distance = np.max(np.abs(np.cumsum(counts) / len(lengths) - cdf))
        assert distance < 1.63 / math.sqrt(len(lengths))  # Kolmogorov-Smirnov at 1 %
        assert min(lengths) >= law.low
        assert max(lengths) <= law.high


@pytest.mark.parametrize("law", [LengthLaw(3, 0.5, 1, 8), LengthLaw(350, 0.9, 16, 2048)])
def test_quantiles_invert_the_law(law: LengthLaw) -> None:
    u = (np.arange(20_000) + 0.5) / 20_000
    lengths = np.array([law.quantile(float(x)) for x in u])
    assert np.all(np.diff(lengths) >= 0)
    shares = np.bincount(lengths, minlength=law.high + 1)[law.low :] / len(u)
    assert np.max(np.abs(shares - expected_shares(law))) < 1.5 / len(u)
    assert (law.quantile(0.0), law.quantile(1 - 1e-16)) == (law.low, law.high)


def test_schemas_are_used_by_rank() -> None:
    sql = RECIPES[0]
    counts = Counter(r.prefix_id for r in generate(sql).requests)
    weights = np.array([1 / k for k in range(1, len(sql.prefixes) + 1)])
    observed = [counts[f"sql-{k}"] for k in range(1, len(sql.prefixes) + 1)]
    assert stats.chisquare(observed, 2000 * weights / weights.sum()).pvalue > 0.01
    lengths = {(r.prefix_id, r.prefix_tokens) for r in generate(sql).requests}
    assert lengths == {(f"sql-{k + 1}", n) for k, n in enumerate(sql.prefixes)}


def test_a_longer_trace_begins_with_the_shorter() -> None:
    bot = RECIPES[1]
    assert generate(bot, 50).requests == generate(bot, 80).requests[:50]
