"""The Gaussian process against formulas written out in loops and against BoTorch's posterior."""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from botorch.models import SingleTaskGP
from botorch.models.transforms import Warp
from gpytorch.kernels import AdditiveKernel
from gpytorch.kernels import MaternKernel
from gpytorch.kernels import ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.means import ZeroMean

from optuna_scoot.surrogate import fitting
from optuna_scoot.surrogate.fitting import find_hyperparameters
from optuna_scoot.surrogate.gaussian_process import Surrogate
from optuna_scoot.surrogate.gaussian_process import fit_surrogate
from optuna_scoot.surrogate.kernel import Hyperparameters
from optuna_scoot.surrogate.kernel import KernelChoice
from optuna_scoot.surrogate.kernel import kumaraswamy
from optuna_scoot.surrogate.kernel import matern


N, F = 14, 3
WARPED = [0, 2]
IS_LEVEL = np.array([False, False, True])
NUMBERS = np.zeros(F, dtype=bool)


def _data(seed: int = 0, m: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.random((N, F))
    y = np.stack([np.sin((3 + j) * x[:, 0]) + x[:, 1] * x[:, 2] for j in range(m)], axis=1)
    return x, (y - y.mean(axis=0)) / y.std(axis=0)


def _hyperparameters(seed: int = 0, m: int = 1) -> Hyperparameters:
    rng = np.random.default_rng(seed)
    a, b = np.ones((m, F)), np.ones((m, F))
    a[:, WARPED] = rng.uniform(0.5, 2.0, (m, len(WARPED)))
    b[:, WARPED] = rng.uniform(0.5, 2.0, (m, len(WARPED)))
    return Hyperparameters(
        lengthscales=rng.uniform(0.2, 1.5, (m, F)),
        outputscale=rng.uniform(0.5, 2.0, m),
        noise=rng.uniform(0.001, 0.1, m),
        warp_a=a,
        warp_b=b,
        main_share=np.zeros(m),
    )


def _warped_matern(x1: np.ndarray, x2: np.ndarray, h: Hyperparameters, j: int) -> float:
    """Give σ² (1 + √3 r) exp(-√3 r) with r over warped inputs 1 - (1 - x^a)^b, by plain loops."""
    squared = 0.0
    for i in range(len(x1)):
        ends = []
        for value in (float(x1[i]), float(x2[i])):
            ends.append(1.0 - (1.0 - value ** h.warp_a[j, i]) ** h.warp_b[j, i])
        squared += ((ends[0] - ends[1]) / h.lengthscales[j, i]) ** 2
    r = math.sqrt(3.0) * math.sqrt(squared)
    return float(h.outputscale[j]) * (1.0 + r) * math.exp(-r)


def _posterior_by_loops(
    x: np.ndarray, y: np.ndarray, query: np.ndarray, h: Hyperparameters, j: int
) -> tuple[float, float]:
    """Give mean and deviation of the paper's equations 5 and 6 at one point."""
    covariance = np.array([[_warped_matern(p, q, h, j) for q in x] for p in x])
    covariance += h.noise[j] * np.eye(len(x))
    cross = np.array([_warped_matern(query, p, h, j) for p in x])
    inverse = np.linalg.inv(covariance)
    mean = cross @ inverse @ y[:, j]
    variance = _warped_matern(query, query, h, j) - cross @ inverse @ cross
    return float(mean), math.sqrt(variance)


def test_matern_32_by_hand() -> None:
    r3 = math.sqrt(3.0)

    found = matern(np.array([1.0, 0.0]))
    np.testing.assert_allclose(found, [(1 + r3) * math.exp(-r3), 1.0])


def test_kumaraswamy_by_hand() -> None:
    x = np.array([[0.0, 0.5, 1.0]])

    np.testing.assert_array_equal(kumaraswamy(x, np.ones(3), np.ones(3)), x)
    # 1 - (1 - 0.5²)³ = 1 - 0.421875
    warped = kumaraswamy(x, np.full(3, 2.0), np.full(3, 3.0))
    np.testing.assert_allclose(warped, [[0.0, 0.578125, 1.0]], atol=1e-6)


def test_prediction_is_the_written_out_formula() -> None:
    x, y = _data(m=2)
    h = _hyperparameters(m=2)
    queries = np.random.default_rng(9).random((10, F))
    mean, std = Surrogate(x, y, NUMBERS, (h,)).predict(queries)

    for q, query in enumerate(queries):
        for j in range(2):
            expected = _posterior_by_loops(x, y, query, h, j)
            np.testing.assert_allclose((mean[q, j], std[q, j]), expected, atol=2e-5)


def _botorch(x: np.ndarray, y: np.ndarray, h: Hyperparameters, j: int) -> SingleTaskGP:
    kernel = ScaleKernel(MaternKernel(nu=1.5, ard_num_dims=F))
    warp = Warp(d=F, indices=WARPED, bounds=torch.stack([torch.zeros(F), torch.ones(F)]).double())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SingleTaskGP(
            torch.from_numpy(x),
            torch.from_numpy(y[:, [j]]),
            covar_module=kernel.double(),
            likelihood=GaussianLikelihood().double(),
            input_transform=warp.double(),
            mean_module=ZeroMean(),
            outcome_transform=None,
        )
    kernel.outputscale = float(h.outputscale[j])
    kernel.base_kernel.lengthscale = torch.from_numpy(h.lengthscales[j])
    model.likelihood.noise = float(h.noise[j])
    warp._set_concentration(0, torch.from_numpy(h.warp_b[j, WARPED]))
    warp._set_concentration(1, torch.from_numpy(h.warp_a[j, WARPED]))
    return model.eval()


def test_prediction_is_botorchs() -> None:
    x, y = _data(m=2)
    h = _hyperparameters(1, m=2)
    queries = np.random.default_rng(8).random((50, F))
    mean, std = Surrogate(x, y, NUMBERS, (h,)).predict(queries)

    for j in range(2):
        with torch.no_grad():
            posterior = _botorch(x, y, h, j).posterior(torch.from_numpy(queries))
        np.testing.assert_allclose(mean[:, j], posterior.mean.numpy()[:, 0], atol=1e-6)
        np.testing.assert_allclose(std[:, j], posterior.variance.sqrt().numpy()[:, 0], atol=1e-6)


def test_main_effects_are_gpytorchs_sum_of_one_dimensional_kernels() -> None:
    share = 0.3
    x, y = _data()
    x[:, 2] = np.round(x[:, 2])  # a feature of two levels
    queries = np.random.default_rng(6).random((30, F))
    h = dataclasses.replace(
        _hyperparameters(4),
        warp_a=np.ones((1, F)),
        warp_b=np.ones((1, F)),
        main_share=np.array([share]),
    )
    mean, std = Surrogate(x, y, NUMBERS, (h,)).predict(queries)

    signal = float(h.outputscale[0])
    parts = [ScaleKernel(MaternKernel(nu=1.5, ard_num_dims=F))]
    parts += [ScaleKernel(MaternKernel(nu=1.5, active_dims=(k,))) for k in range(F)]
    parts[0].outputscale = (1.0 - share) * signal
    parts[0].base_kernel.lengthscale = torch.from_numpy(h.lengthscales[0]).float()
    for k in range(F):
        parts[1 + k].outputscale = share * signal / F
        parts[1 + k].base_kernel.lengthscale = float(h.lengthscales[0, k])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SingleTaskGP(
            torch.from_numpy(x),
            torch.from_numpy(y),
            covar_module=AdditiveKernel(*parts).double(),
            likelihood=GaussianLikelihood().double(),
            mean_module=ZeroMean(),
            outcome_transform=None,
        )
    model.likelihood.noise = float(h.noise[0])
    with torch.no_grad():
        posterior = model.eval().posterior(torch.from_numpy(queries))
    np.testing.assert_allclose(mean[:, 0], posterior.mean.numpy()[:, 0], atol=1e-4)
    np.testing.assert_allclose(std[:, 0], posterior.variance.sqrt().numpy()[:, 0], atol=1e-4)


def test_any_two_levels_of_a_categorical_are_as_far_apart_as_its_length_scale_says() -> None:
    x, y = _data()
    x[:, 2] = np.arange(N) % 4
    h = dataclasses.replace(
        _hyperparameters(),
        warp_a=np.array([[2.0, 1.0, 1.0]]),
        warp_b=np.array([[1.0, 1.0, 1.0]]),
        main_share=np.array([0.3]),
    )
    queries = np.concatenate([x[:5], 0.9 * x[:5] + np.array([0.0, 0.0, 4.0])])  # other levels, too

    def covariance(p: np.ndarray, q: np.ndarray) -> float:
        gaps = [p[0] ** 2 - q[0] ** 2, p[1] - q[1], float(p[2] != q[2])]
        r = [math.sqrt(3.0) * abs(gap) / h.lengthscales[0, k] for k, gap in enumerate(gaps)]
        together = math.hypot(*r)
        alone = sum((1.0 + a) * math.exp(-a) for a in r) / 3.0
        both = 0.7 * (1.0 + together) * math.exp(-together) + 0.3 * alone
        return float(h.outputscale[0]) * both

    inverse = np.linalg.inv(
        np.array([[covariance(p, q) for q in x] for p in x]) + h.noise[0] * np.eye(N)
    )
    mean, std = Surrogate(x, y, IS_LEVEL, (h,)).predict(queries)
    for i, query in enumerate(queries):
        cross = np.array([covariance(query, p) for p in x])
        assert mean[i, 0] == pytest.approx(float(cross @ inverse @ y[:, 0]), abs=1e-5)
        left = covariance(query, query) - cross @ inverse @ cross
        assert std[i, 0] == pytest.approx(math.sqrt(left), abs=1e-5)


def test_effects_of_single_parameters_are_learnt_from_a_few_points() -> None:
    f = 8
    levels = np.zeros(f, dtype=bool)

    def truth(points: np.ndarray) -> np.ndarray:
        effects = np.abs(points - np.linspace(0.1, 0.9, f)).sum(axis=1, keepdims=True)
        return (effects - 2.5) / 0.6

    def squared_error(seed: int, main_effects: bool) -> float:
        rng = np.random.default_rng(seed)
        x, queries = rng.random((20, f)), rng.random((200, f))
        choice = KernelChoice(main_effects=main_effects)
        mean, _ = fit_surrogate(x, truth(x), levels, choice).predict(queries)
        return float(np.mean((mean - truth(queries)) ** 2))

    with_them, without = (
        [squared_error(seed, main) for seed in range(8)] for main in (True, False)
    )
    assert np.mean(with_them) < 0.9 * np.mean(without)


def test_a_single_observation_leaves_the_priors_medians_of_the_product_kernel() -> None:
    x, y = np.array([[0.2, 0.3, 1.0]]), np.array([[1.5, -0.5]])
    queries = np.random.default_rng(4).random((10, F))
    queries[:, 2] = np.arange(10) % 2
    mean, std = fit_surrogate(x, y, IS_LEVEL, KernelChoice()).predict(queries)
    r = math.sqrt(3.0) * np.linalg.norm((queries - x) / np.array([0.7, 0.7, 2.0]), axis=1)
    correlation = (1.0 + r) * np.exp(-r)

    # A signal of 1 and a noise of 0.001.
    np.testing.assert_allclose(mean, np.outer(correlation, y[0]) / 1.001, rtol=1e-9)
    np.testing.assert_allclose(std[:, 0], np.sqrt(1.0 - correlation**2 / 1.001), rtol=1e-9)


def test_believing_is_botorchs_conditioning_on_the_predicted_mean() -> None:
    x, y = _data()
    h = _hyperparameters(2)
    rng = np.random.default_rng(7)
    pending, queries = rng.random((3, F)), rng.random((40, F))
    before = Surrogate(x, y, NUMBERS, (h,))
    believing = before.believing(pending, before.predict(pending)[0])
    mean, std = believing.predict(queries)

    model = _botorch(x, y, h, 0)
    with torch.no_grad():
        lie = model.posterior(torch.from_numpy(pending)).mean
        conditioned = model.condition_on_observations(torch.from_numpy(pending), lie)
        posterior = conditioned.posterior(torch.from_numpy(queries))
    np.testing.assert_allclose(mean[:, 0], posterior.mean.numpy()[:, 0], atol=1e-5)
    np.testing.assert_allclose(std[:, 0], posterior.variance.sqrt().numpy()[:, 0], atol=1e-5)
    # Nothing was learnt about the values, all about where they are going to be known.
    np.testing.assert_allclose(mean, before.predict(queries)[0], atol=1e-9)
    assert np.all(believing.predict(pending)[1] < before.predict(pending)[1])


def test_believing_nothing_changes_nothing() -> None:
    surrogate = Surrogate(*_data(), NUMBERS, (_hyperparameters(),))

    assert surrogate.believing(np.empty((0, F)), np.empty((0, 1))) is surrogate


def _log_likelihood(x: np.ndarray, y: np.ndarray, h: Hyperparameters) -> float:
    covariance = np.array([[_warped_matern(p, q, h, 0) for q in x] for p in x])
    covariance += h.noise[0] * np.eye(len(x))
    residual = y[:, 0]
    _, log_determinant = np.linalg.slogdet(covariance)
    return float(-0.5 * residual @ np.linalg.solve(covariance, residual) - 0.5 * log_determinant)


def test_a_fit_raises_the_likelihood_and_predicts_held_out_points() -> None:
    rng = np.random.default_rng(3)
    x, held_out = rng.random((40, F)), rng.random((60, F))
    x[:, 2], held_out[:, 2] = np.round(x[:, 2]), np.round(held_out[:, 2])

    def truth(points: np.ndarray) -> np.ndarray:
        return 2.0 * np.sin(4.0 * points[:, [0]]) + points[:, [1]]

    y = truth(x)
    mu, sigma = y.mean(), y.std()
    choice = KernelChoice.paper()
    untrained = fit_surrogate(x[:1], np.zeros((1, 1)), IS_LEVEL, choice).draws[0]
    fitted = fit_surrogate(x, (y - mu) / sigma, IS_LEVEL, choice)
    mean, _ = fitted.predict(held_out)

    mode = fitted.draws[0]
    assert _log_likelihood(x, fitted.y, mode) > 5.0 + _log_likelihood(x, fitted.y, untrained)
    assert np.sqrt(np.mean((mean * sigma + mu - truth(held_out)) ** 2)) < 0.1 * sigma
    # The third feature says nothing: its length scale is the longest.
    assert np.argmax(mode.lengthscales[0]) == 2
    unwarped = mode.warp_a[0] == 1.0
    assert unwarped.tolist() == [False, False, True]


@pytest.mark.parametrize(
    "choice", [KernelChoice(), KernelChoice.paper()], ids=["default", "paper"]
)
def test_what_a_fit_reads_from_botorch_predicts_as_botorch_does(
    monkeypatch: pytest.MonkeyPatch, choice: KernelChoice
) -> None:
    built: list[SingleTaskGP] = []

    def recorded(*args: Any, **kwargs: Any) -> SingleTaskGP:
        built.append(SingleTaskGP(*args, **kwargs))
        return built[-1]

    monkeypatch.setattr(fitting, "SingleTaskGP", recorded)
    x, y = _data(m=2)
    x[:, 2] = np.arange(N) % 3
    fitted = fit_surrogate(x, y, IS_LEVEL, dataclasses.replace(choice, n_draws=0))
    queries = np.random.default_rng(5).random((30, F))
    queries[:, 2] = np.arange(30) % 3
    mean, std = fitted.predict(queries)

    with torch.no_grad():
        posterior = built[-1].eval().posterior(torch.from_numpy(queries))
    np.testing.assert_allclose(mean.T, posterior.mean.numpy()[..., 0], atol=1e-6)
    np.testing.assert_allclose(std.T, posterior.variance.sqrt().numpy()[..., 0], atol=1e-6)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.full((1, 2), 0.5), np.zeros((1, 1))),
        (np.full((6, 2), 0.5), np.zeros((6, 1))),
        (np.random.default_rng(0).random((6, 2)), np.zeros((6, 2))),
        (np.full((6, 2), 0.5), np.arange(6.0)[:, np.newaxis]),
        (np.random.default_rng(0).random((2, 2)), np.array([[1.0], [-1.0]])),
        (np.eye(2)[[0, 1, 0, 1]], np.array([[0.0], [1.0], [0.0], [1.0]])),
    ],
    ids=["one", "equal points", "equal values", "one point, many values", "two", "repeated"],
)
@pytest.mark.parametrize(
    "choice", [KernelChoice(), KernelChoice.paper()], ids=["default", "paper"]
)
def test_degenerate_observations_give_finite_predictions(
    x: np.ndarray, y: np.ndarray, choice: KernelChoice
) -> None:
    surrogate = fit_surrogate(x, y, np.array([False, False]), choice)
    mean, std = surrogate.predict(np.random.default_rng(1).random((20, 2)))

    assert np.all(np.isfinite(mean))
    assert np.all(std > 0.0)
    assert np.all(np.abs(mean) < 10.0)


def test_the_same_observations_give_the_same_fit() -> None:
    x, y = _data(m=2)
    fits = [fit_surrogate(x, y, IS_LEVEL, KernelChoice(), seed=3) for _ in range(2)]

    for first, second in zip(fits[0].draws, fits[1].draws, strict=True):
        for name, value in vars(first).items():
            np.testing.assert_array_equal(value, getattr(second, name))


def test_a_fit_needs_two_observations_that_differ() -> None:
    x = np.array([[0.1, 0.5], [0.9, 0.5], [0.4, 0.2]])
    medians, flags = [[0.7, 0.7]], np.array([False, False])

    def mode(n: int, y: list[float]) -> list[list[float]]:
        outputs = np.array(y)[:, np.newaxis]
        fitted = fit_surrogate(x[:n], outputs, flags, KernelChoice())
        return fitted.draws[0].lengthscales.tolist()  # type: ignore[no-any-return]

    # Equal ones, at zero or elsewhere, leave the priors' medians.
    assert mode(1, [1.0]) == mode(3, [0.0, 0.0, 0.0]) == mode(3, [2.0, 2.0, 2.0]) == medians
    assert mode(2, [-1.0, 1.0]) != medians
    assert mode(3, [-1.0, -1.0, -1.5]) != medians


def test_a_covariance_that_is_hardly_positive_definite_is_helped_along() -> None:
    # The same point many times over, next to no noise.
    x = np.full((30, 2), 0.3)
    for signal in (1e-6, 1.0, 1e6):
        h = Hyperparameters(
            lengthscales=np.ones((1, 2)),
            outputscale=np.array([signal]),
            noise=np.array([0.0]),
            warp_a=np.ones((1, 2)),
            warp_b=np.ones((1, 2)),
            main_share=np.zeros(1),
        )
        scale = math.sqrt(signal)
        mean, std = Surrogate(x, np.full((30, 1), 2.0 * scale), NUMBERS[:2], (h,)).predict(x[:1])
        np.testing.assert_allclose(mean, 2.0 * scale, rtol=1e-3)
        assert 0.0 < std[0, 0] < 0.1 * max(scale, 1e-5)


def test_several_draws_predict_their_mixture() -> None:
    x, y = _data(m=2)
    draws = tuple(_hyperparameters(seed, m=2) for seed in range(3))
    queries = np.random.default_rng(9).random((10, F))
    mean, std = Surrogate(x, y, NUMBERS, draws).predict(queries)

    means, stds = zip(
        *(Surrogate(x, y, NUMBERS, (h,)).predict(queries) for h in draws), strict=True
    )
    second_moment = np.mean([m**2 + s**2 for m, s in zip(means, stds, strict=True)], axis=0)
    np.testing.assert_allclose(mean, np.mean(means, axis=0))
    np.testing.assert_allclose(std**2, second_moment - mean**2, atol=1e-9)


@pytest.mark.parametrize(("n", "m", "n_draws"), [(2, 2, 8), (64, 2, 8), (65, 2, 1), (64, 1, 1)])
def test_of_one_output_or_many_observations_the_mode_is_taken_alone(
    n: int, m: int, n_draws: int
) -> None:
    x = np.random.default_rng(0).random((n, 1))
    y = np.concatenate([np.sin(9.0 * x), x][:m], axis=1)

    assert len(fit_surrogate(x, y, np.array([False]), KernelChoice()).draws) == n_draws


@pytest.mark.parametrize("n", [160, 161, 300])
def test_the_hyperparameters_are_those_of_160_observations_and_all_of_them_predict(n: int) -> None:
    rng = np.random.default_rng(0)
    x, queries = rng.random((n, 3)), rng.random((100, 3))

    def outputs(points: np.ndarray) -> np.ndarray:
        return np.sin(5.0 * points[:, :1]) + points[:, 1:2] ** 2

    kept = np.linspace(0.0, n - 1.0, 160).round().astype(int)
    surrogate = fit_surrogate(x, outputs(x), NUMBERS, KernelChoice())
    (mode,) = find_hyperparameters(x[kept], outputs(x[kept]), NUMBERS, KernelChoice(n_draws=0))

    np.testing.assert_array_equal(surrogate.x, x)
    np.testing.assert_array_equal(surrogate.draws[0].lengthscales, mode.lengthscales)
    np.testing.assert_array_equal(surrogate.draws[0].noise, mode.noise)
    assert np.abs(surrogate.predict(queries)[0] - outputs(queries)).mean() < 0.05
