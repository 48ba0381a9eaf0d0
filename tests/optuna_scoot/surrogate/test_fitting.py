"""The mode is the top of likelihood times priors, both written out with SciPy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from botorch.exceptions.errors import ModelFittingError
from scipy.special import expit
from scipy.special import logit
from scipy.stats import lognorm
from scipy.stats import multivariate_normal
from scipy.stats import norm

from optuna_scoot.surrogate import fitting
from optuna_scoot.surrogate.fitting import MaternWithMainEffects
from optuna_scoot.surrogate.fitting import find_hyperparameters
from optuna_scoot.surrogate.kernel import Hyperparameters
from optuna_scoot.surrogate.kernel import KernelChoice
from optuna_scoot.surrogate.kernel import Priors


CHOICES = (KernelChoice(n_draws=0), KernelChoice.paper())
EXACT: dict[str, Any] = {"max_iterations": 2000, "tolerance": 1e-14}
IS_LEVEL = np.array([False, True, False])


def find_mode(*args: Any, **limits: Any) -> Hyperparameters | None:
    *data, choice = args
    found = find_hyperparameters(*data, replace(choice, n_draws=0), **limits)
    assert len(found) < 2
    return found[0] if found else None


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

    def matern(r: np.ndarray) -> np.ndarray:
        scaled = np.sqrt(3.0) * r
        return np.asarray((1.0 + scaled) * np.exp(-scaled))

    scaled = np.abs(gaps) / h.lengthscales[j]
    together, alone = matern(np.linalg.norm(scaled, axis=2)), matern(scaled).mean(axis=2)
    correlation = (1.0 - h.main_share[j]) * together + h.main_share[j] * alone
    return np.asarray(h.outputscale[j] * correlation + h.noise[j] * np.eye(len(x)))


def _log_posterior(
    x: np.ndarray, y: np.ndarray, h: Hyperparameters, j: int, choice: KernelChoice
) -> float:
    """Give the log-density of output j and of its hyper-parameters' logarithms."""
    priors = choice.priors
    medians = np.where(IS_LEVEL, priors.level_lengthscale_median, priors.lengthscale_median)
    total = multivariate_normal(np.zeros(len(x)), _covariance(x, h, j)).logpdf(y[:, j])
    logarithms = np.log(h.lengthscales[j] / medians)
    total += norm(0.0, priors.lengthscale_spread).logpdf(logarithms).sum()
    total += norm(*priors.outputscale).logpdf(np.log(h.outputscale[j]))
    total += norm(*priors.noise).logpdf(np.log(h.noise[j]))
    if choice.main_effects:
        total += norm(*priors.main_share).logpdf(logit(h.main_share[j]))
    if choice.warped:
        # BoTorch's and HEBO's, of the concentrations themselves: a variance of 0.75 around 1, for
        # the numbers alone.
        concentration = lognorm(np.sqrt(0.75))
        total += concentration.logpdf(h.warp_a[j, ~IS_LEVEL]).sum()
        total += concentration.logpdf(h.warp_b[j, ~IS_LEVEL]).sum()
    return float(total)


def _neighbours(h: Hyperparameters, j: int, choice: KernelChoice) -> Iterator[Hyperparameters]:
    """Move one hyper-parameter of output j at a time up and down by a twentieth."""
    names = ["lengthscales", "outputscale", "noise"]
    names += ["warp_a", "warp_b"] * choice.warped + ["main_share"] * choice.main_effects
    for name in names:
        value = getattr(h, name)
        for k in [None] if value.ndim == 1 else range(value.shape[1]):
            if name.startswith("warp") and k is not None and IS_LEVEL[k]:
                continue
            for factor in (1.05, 1.0 / 1.05):
                moved = value.copy()
                moved[(j,) if k is None else (j, k)] *= factor
                yield replace(h, **{name: moved})


def _assert_is_top(
    x: np.ndarray, y: np.ndarray, h: Hyperparameters | None, choice: KernelChoice
) -> None:
    assert h is not None
    for j in range(y.shape[1]):
        top = _log_posterior(x, y, h, j, choice)
        for moved in _neighbours(h, j, choice):
            assert _log_posterior(x, y, moved, j, choice) < top


@pytest.mark.parametrize("choice", CHOICES, ids=["default", "paper"])
def test_the_mode_is_the_top_of_likelihood_times_priors(choice: KernelChoice) -> None:
    x, y = _data()
    mode = find_mode(x, y, IS_LEVEL, choice, **EXACT)

    _assert_is_top(x, y, mode, choice)
    assert mode is not None
    assert np.all(mode.main_share > 0.0) == choice.main_effects
    assert np.any(mode.warp_a != 1.0) == choice.warped


@pytest.mark.parametrize(
    "other",
    [
        {"lengthscale_median": 0.1, "level_lengthscale_median": 0.5},
        {"lengthscale_spread": 0.2},
        {"outputscale": (2.0, 0.2)},
        {"noise": (-1.0, 0.2)},
        {"main_share": (-2.0, 0.3)},
    ],
    ids=lambda other: next(iter(other)),
)
def test_other_priors_have_another_mode(other: dict[str, Any]) -> None:
    x, y = _data()
    choice = KernelChoice(priors=Priors(**other))

    _assert_is_top(x, y, find_mode(x, y, IS_LEVEL, choice, **EXACT), choice)


def test_draws_have_the_curvature_of_the_log_posterior_at_its_mode() -> None:
    x, y = _data()
    choice = KernelChoice(n_draws=4000)
    mode = find_mode(x, y, IS_LEVEL, choice, **EXACT)
    draws = find_hyperparameters(x, y, IS_LEVEL, choice, seed=5, **EXACT)
    assert mode is not None
    assert len(draws) == 4000

    def place(h: Hyperparameters, j: int) -> np.ndarray:
        others = [np.log(h.outputscale[j]), np.log(h.noise[j] - 1e-6), logit(h.main_share[j])]
        return np.array([*np.log(h.lengthscales[j]), *others])

    def log_posterior(at: np.ndarray, j: int) -> float:
        length, signal, noise, share = at[:3], *at[3:]
        moved = replace(
            mode,
            lengthscales=np.exp(np.tile(length, (2, 1))),
            outputscale=np.full(2, np.exp(signal)),
            noise=np.full(2, np.exp(noise) + 1e-6),
            main_share=np.full(2, expit(share)),
        )
        return _log_posterior(x, y, moved, j, choice)

    for j in range(2):
        centre, step = place(mode, j), 1e-3 * np.eye(6)
        hessian = np.array(
            [
                [
                    sum(
                        a * b * log_posterior(centre + a * p + b * q, j)
                        for a in (1, -1)
                        for b in (1, -1)
                    )
                    / 4e-6
                    for p in step
                ]
                for q in step
            ]
        )
        found = np.array([place(h, j) for h in draws])
        covariance = np.linalg.inv(-hessian)
        deviation = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(
            found.mean(axis=0), centre, atol=4.0 * deviation.max() / math.sqrt(4000)
        )
        np.testing.assert_allclose(
            np.cov(found.T) / np.outer(deviation, deviation),
            covariance / np.outer(deviation, deviation),
            atol=0.1,
        )


def test_on_warped_inputs_the_mode_is_taken_alone() -> None:
    choice = KernelChoice(warped=True)
    (mode,) = find_hyperparameters(*_data(), IS_LEVEL, choice, **EXACT)

    _assert_is_top(*_data(), mode, choice)


@pytest.mark.parametrize("diag", [False, True])
def test_gpytorchs_kernel_is_the_one_that_predicts(diag: bool) -> None:
    x, _ = _data()
    kernel = MaternWithMainEffects(IS_LEVEL, Priors(), True, torch.Size([2]))
    scales = np.array([[0.3, 1.5, 0.8], [1.1, 0.4, 0.2]])
    kernel.lengthscale = torch.from_numpy(scales)
    kernel.share_logit.data = torch.tensor([-1.0, 2.0], dtype=torch.double)
    shares = kernel.main_share.detach().numpy()
    ones = np.ones((2, 3))
    h = Hyperparameters(scales, np.ones(2), np.zeros(2), ones, ones, shares)
    with torch.no_grad():
        found = kernel(torch.from_numpy(x[:5]), torch.from_numpy(x[5:10]), diag=diag)
        found = found if diag else found.to_dense()

    for j in range(2):
        expected = h.covariance(x[:5], x[5:10], IS_LEVEL, j)
        np.testing.assert_allclose(found[j], np.diag(expected) if diag else expected, atol=1e-6)


def test_the_limits_of_the_search_are_followed() -> None:
    x, y = _data()

    def top(outputs: np.ndarray, **limits: Any) -> float:
        mode = find_mode(x, outputs, IS_LEVEL, KernelChoice(), **limits)
        assert mode is not None
        return _log_posterior(x, outputs, mode, 0, KernelChoice())

    for outputs in (y[:, :1], y):
        best = top(outputs, **EXACT)
        # One iteration, and one that gains less than half, leave something to gain.
        assert top(outputs, max_iterations=1, tolerance=1e-14) < best - 0.1
        assert top(outputs, max_iterations=2000, tolerance=0.5) < best - 0.1
        assert top(outputs) > best - 0.1


def test_noise_has_a_floor() -> None:
    x, _ = _data()
    tiny = KernelChoice(priors=Priors(noise=(-40.0, 0.1)))
    flat = find_mode(x, np.zeros((len(x), 1)), IS_LEVEL, tiny, **EXACT)
    assert flat is not None

    assert 0.999e-6 <= flat.noise[0] < 2e-6


def test_short_length_scales_are_found() -> None:
    x = np.random.default_rng(1).random((20, 1))
    for median in (0.3, 0.003):
        short = KernelChoice(priors=Priors(lengthscale_median=median, lengthscale_spread=0.02))
        mode = find_mode(x, np.sin(200.0 * x), np.array([False]), short, **EXACT)
        assert mode is not None
        assert mode.lengthscales[0, 0] == pytest.approx(median, rel=0.05)


def test_levels_are_not_warped() -> None:
    x, y = _data()
    mixed = find_mode(x, y, IS_LEVEL, KernelChoice.paper())
    levels = find_mode(x[:, 1:2], y, np.array([True]), KernelChoice.paper())
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
    real = fitting.fit_gpytorch_mll_scipy

    def failing(mll: Any, **kwargs: Any) -> Any:
        is_warped = hasattr(mll.model, "input_transform")
        if fails == "always" or (fails == "warped" and is_warped):
            if how == "raises":
                raise ModelFittingError("no fit")
            # One of all the numbers.
            mll.model.covar_module.raw_outputscale.data[0] = math.nan
            return None
        return real(mll, **kwargs)

    monkeypatch.setattr(fitting, "fit_gpytorch_mll_scipy", failing)
    x, y = _data()
    mode = find_mode(x, y, IS_LEVEL, KernelChoice.paper(), **EXACT)

    assert (mode is None) is (warped is None)
    if mode is not None:
        assert warped is not None
        assert bool(np.any(mode.warp_a != 1.0)) is warped
        _assert_is_top(x, y, mode, replace(KernelChoice.paper(), warped=warped))


def test_no_warning_of_the_fit_reaches_the_user() -> None:
    x, y = _data()
    y[:, 1] = 3.0  # constant, where BoTorch asks for standardised outputs
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for limits in (dict[str, Any](), {"max_iterations": 1}):
            find_mode(x, 100.0 * y, IS_LEVEL, KernelChoice.paper(), **limits)

    assert [str(warning.message) for warning in told] == []
