"""The mode is the top of likelihood times priors, both written out with SciPy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import botorch.optim.fit
import numpy as np
import pytest
from botorch.exceptions.errors import ModelFittingError
from scipy.stats import lognorm
from scipy.stats import multivariate_normal

from optuna_scoot.surrogate.kernel import Hyperparameters
from optuna_scoot.surrogate.kernel import Priors
from optuna_scoot.surrogate.mode import find_mode


PRIORS = Priors()
EXACT: dict[str, Any] = {"max_iterations": 2000, "tolerance": 1e-14}
IS_LEVEL = np.array([False, True, False])


def _data(n: int = 14) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(6)
    x = rng.random((n, 3))
    x[:, 1] = np.arange(n) % 3
    is_one = x[:, 1] == 1.0
    y = np.stack([np.sin(5.0 * x[:, 0] ** 2) + is_one, x[:, 2] ** 3 - 0.3 * is_one], axis=1)
    y = y + 0.1 * rng.normal(size=y.shape)
    return x, (y - y.mean(axis=0)) / y.std(axis=0)


def _covariance(x: np.ndarray, h: Hyperparameters, j: int) -> np.ndarray:
    warped = 1.0 - (1.0 - np.clip(x, 1e-7, 1.0 - 1e-7) ** h.warp_a[j]) ** h.warp_b[j]
    gaps = warped[:, None] - warped[None, :]
    gaps[:, :, IS_LEVEL] = (x[:, None] != x[None, :])[:, :, IS_LEVEL]
    r = np.linalg.norm(gaps / h.lengthscales[j], axis=2)
    scaled = np.sqrt(3.0) * r
    return np.asarray(
        h.outputscale[j] * (1.0 + scaled) * np.exp(-scaled) + h.noise[j] * np.eye(len(x))
    )


def _log_posterior(
    x: np.ndarray,
    y: np.ndarray,
    h: Hyperparameters,
    j: int,
    priors: Priors = PRIORS,
    warp: bool = True,
) -> float:
    """Give the log-density of output j and of its hyper-parameters, a priori log-normal."""
    medians = np.where(IS_LEVEL, priors.level_lengthscale_median, priors.lengthscale_median)
    total = multivariate_normal(np.zeros(len(x)), _covariance(x, h, j)).logpdf(y[:, j])
    total += lognorm(priors.lengthscale_spread, scale=medians).logpdf(h.lengthscales[j]).sum()
    for value, (mean, deviation) in (
        (h.outputscale[j], priors.outputscale),
        (h.noise[j], priors.noise),
    ):
        total += lognorm(deviation, scale=np.exp(mean)).logpdf(value)
    if warp:
        # BoTorch's and HEBO's: a variance of 0.75 around 1, for the numbers alone.
        concentration = lognorm(np.sqrt(0.75))
        total += concentration.logpdf(h.warp_a[j, ~IS_LEVEL]).sum()
        total += concentration.logpdf(h.warp_b[j, ~IS_LEVEL]).sum()
    return float(total)


def _neighbours(h: Hyperparameters, j: int, warp: bool) -> Iterator[Hyperparameters]:
    """Move one hyper-parameter of output j at a time up and down by a twentieth."""
    for name in ("lengthscales", "outputscale", "noise", *(("warp_a", "warp_b") if warp else ())):
        value = getattr(h, name)
        for k in [None] if value.ndim == 1 else range(value.shape[1]):
            if name.startswith("warp") and k is not None and IS_LEVEL[k]:
                continue
            for factor in (1.05, 1.0 / 1.05):
                moved = value.copy()
                moved[(j,) if k is None else (j, k)] *= factor
                yield replace(h, **{name: moved})


def test_the_mode_is_the_top_of_likelihood_times_priors() -> None:
    x, y = _data()
    mode = find_mode(x, y, IS_LEVEL, PRIORS, **EXACT)
    assert mode is not None

    for j in range(2):
        top = _log_posterior(x, y, mode, j)
        for moved in _neighbours(mode, j, warp=True):
            assert _log_posterior(x, y, moved, j) < top


@pytest.mark.parametrize(
    "other",
    [
        {"lengthscale_median": 0.1, "level_lengthscale_median": 0.5},
        {"lengthscale_spread": 0.2},
        {"outputscale": (2.0, 0.2)},
        {"noise": (-1.0, 0.2)},
    ],
    ids=lambda other: next(iter(other)),
)
def test_other_priors_have_another_mode(other: dict[str, float]) -> None:
    x, y = _data()
    priors = Priors(**other)  # type: ignore[arg-type]
    mode = find_mode(x, y, IS_LEVEL, priors, **EXACT)
    assert mode is not None

    for j in range(2):
        top = _log_posterior(x, y, mode, j, priors)
        for moved in _neighbours(mode, j, warp=True):
            assert _log_posterior(x, y, moved, j, priors) < top


def test_the_limits_of_the_search_are_followed() -> None:
    x, y = _data()

    def top(outputs: np.ndarray, **limits: Any) -> float:
        mode = find_mode(x, outputs, IS_LEVEL, PRIORS, **limits)
        assert mode is not None
        return _log_posterior(x, outputs, mode, 0)

    for outputs in (y[:, :1], y):
        best = top(outputs, **EXACT)
        # Two iterations, and one that gains less than half, leave something to gain.
        assert top(outputs, max_iterations=2, tolerance=1e-14) < best - 0.1
        assert top(outputs, max_iterations=2000, tolerance=0.5) < best - 0.1
        # The paper's limits do not.
        assert top(outputs) > best - 0.1


def test_signal_and_noise_have_a_floor() -> None:
    x, _ = _data()
    tiny = Priors(outputscale=(-30.0, 0.1), noise=(-40.0, 0.1))
    flat = find_mode(x, np.zeros((len(x), 1)), IS_LEVEL, tiny, **EXACT)
    assert flat is not None

    assert 1e-3 <= flat.outputscale[0] < 2e-3
    assert 0.999e-6 <= flat.noise[0] < 2e-6


def test_where_the_search_cannot_take_a_step_it_stays_at_the_priors_medians() -> None:
    x, y = _data()
    mode = find_mode(x, 1e160 * y, IS_LEVEL, PRIORS, **EXACT)
    assert mode is not None

    np.testing.assert_allclose(mode.lengthscales, [[0.7, 2.0, 0.7]] * 2)
    np.testing.assert_allclose(mode.warped(x, 1), x, atol=1e-6)


def test_short_length_scales_are_found_down_to_their_floor() -> None:
    x = np.random.default_rng(1).random((20, 1))
    y = np.sin(200.0 * x)
    for median in (0.03, 0.0251):
        short = Priors(lengthscale_median=median, lengthscale_spread=0.02)
        mode = find_mode(x, y, np.array([False]), short, **EXACT)
        assert mode is not None
        assert mode.lengthscales[0, 0] == pytest.approx(median, rel=0.05)
        assert mode.lengthscales[0, 0] >= 0.025


def test_levels_are_not_warped() -> None:
    x, y = _data()
    mixed = find_mode(x, y, IS_LEVEL, PRIORS)
    levels = find_mode(x[:, 1:2], y, np.array([True]), PRIORS)
    assert mixed is not None
    assert levels is not None

    assert np.all(mixed.warp_a[:, [0, 2]] != 1.0)
    assert mixed.warp_a[:, 1].tolist() == mixed.warp_b[:, 1].tolist() == [1.0, 1.0]
    assert np.all(levels.warp_a == 1.0)
    assert np.all(levels.warp_b == 1.0)


@pytest.mark.parametrize(
    ("fails", "warped"), [("never", True), ("warped", False), ("always", None)], ids=str
)
@pytest.mark.parametrize("how", ["raises", "not finite"])
def test_where_the_warped_fit_fails_the_unwarped_one_is_tried(
    monkeypatch: pytest.MonkeyPatch, fails: str, warped: bool | None, how: str
) -> None:
    # Such failures depend on the machine's arithmetic: here they are made.
    real = botorch.optim.fit.fit_gpytorch_mll_scipy

    def failing(mll: Any, **kwargs: Any) -> Any:
        is_warped = hasattr(mll.model, "input_transform")
        if fails == "always" or (fails == "warped" and is_warped):
            if how == "raises":
                raise ModelFittingError("no fit")
            # One of all the numbers.
            mll.model.covar_module.raw_outputscale.data[0] = math.nan
            return None
        return real(mll, **kwargs)

    monkeypatch.setattr(botorch.optim.fit, "fit_gpytorch_mll_scipy", failing)
    x, y = _data()
    mode = find_mode(x, y, IS_LEVEL, PRIORS, **EXACT)

    assert (mode is None) is (warped is None)
    if mode is not None:
        assert warped is not None
        assert bool(np.any(mode.warp_a != 1.0)) is warped
        for j in range(2):
            top = _log_posterior(x, y, mode, j, warp=warped)
            for moved in _neighbours(mode, j, warp=warped):
                assert _log_posterior(x, y, moved, j, warp=warped) < top


def test_no_warning_of_the_fit_reaches_the_user() -> None:
    x, y = _data()
    y[:, 1] = 3.0  # constant, where BoTorch asks for standardised outputs
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for limits in (dict[str, Any](), {"max_iterations": 1}):
            find_mode(x, 100.0 * y, IS_LEVEL, PRIORS, **limits)

    assert [str(warning.message) for warning in told] == []
