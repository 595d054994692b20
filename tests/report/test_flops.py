"""Modelled flops against counted products; the fraction is of a measured rate; nothing is measured for trifles."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from analytic_dd import data
from analytic_dd.clock import Clock
from analytic_dd.distill import chosen
from analytic_dd.features import FullyConnected, Identity, RandomFourier, from_text
from analytic_dd.model import LOO_SAMPLES, DatasetSource, fit_source
from analytic_dd.report import run
from analytic_dd.report.flops import Sizes, gemm_rate, stage_costs, stage_rates

N, D, P, K, S, L = 40, 11, 7, 3, 5, 2
SIZES = Sizes(n=N, d=D, p=P, k=K, scored=S, ridges=L, mapped=N + S, map_flops=2.0 * D * P)


class Counted(np.ndarray):
    """An array whose products count their flops: 2 m n q, half of that for a product with its own transpose."""

    flops = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        plain = [np.asarray(A) for A in inputs]
        options = {key: tuple(map(np.asarray, value)) if key == "out" else value for key, value in options.items()}
        if ufunc is np.matmul:
            A, B = plain
            symmetric = np.may_share_memory(A, B)
            Counted.flops += (1 if symmetric else 2) * A.shape[0] * A.shape[1] * B.shape[1]
        return np.asarray(getattr(ufunc, method)(*plain, **options)).view(Counted)


def test_flops_of_the_sums_are_those_of_their_products():
    rng, Counted.flops = np.random.default_rng(0), 0
    Phi, Y = rng.standard_normal((N, P)).view(Counted), rng.standard_normal((N, K)).view(Counted)
    _ = Phi.T @ Phi
    _ = np.concatenate([Y, np.ones((N, 1))], axis=1).view(Counted).T @ Phi
    assert stage_costs(SIZES)["gram"][0] == Counted.flops


@pytest.mark.parametrize(
    "phi",
    [FullyConnected([D, 9, P], activation="asinh", rng=0), RandomFourier(D, P, lengthscale=1.0, rng=0)],
    ids=["fcnn", "rff"],
)
def test_flops_of_a_map_are_those_of_its_products(phi):
    Counted.flops = 0
    phi._map(np.ones((N, D)).view(Counted))
    assert N * phi.flops() == Counted.flops


def test_a_map_that_does_not_say_has_no_flops_and_no_fraction():
    phi = from_text("inn", 16, image_shape=(4, 4), rng=np.random.default_rng(0), sample=np.ones((3, 16)))
    assert phi.flops() is None
    found = stage_rates(Sizes(N, 16, phi.p, K, mapped=N, map_flops=phi.flops()), {"features": 1.0})
    assert found["gemm_flops_per_second"] > 0.0
    assert found["rates"]["features"]["flops"] is None
    assert found["rates"]["features"]["fraction_of_gemm"] is None


def test_fraction_is_flops_over_seconds_over_the_measured_rate(monkeypatch, ratio):
    monkeypatch.setattr("analytic_dd.report.flops.gemm_rate", lambda: 1e6)
    seconds = {"gram": 0.5, "eigendecomposition": 0.25, "reading": 9.0, "choice": 0.0}
    found = stage_rates(SIZES, seconds)["rates"]
    assert sorted(found) == ["eigendecomposition", "gram"]
    assert ratio(found["gram"]["fraction_of_gemm"], (N * P * P + 2 * N * P * (K + 1)) / 0.5 / 1e6, size=1) < 30
    assert ratio(found["eigendecomposition"]["fraction_of_gemm"], 9 * P**3 / 0.25 / 1e6, size=1) < 30


def test_bytes_are_every_operand_once():
    found = {stage: size for stage, (_, size) in stage_costs(SIZES).items()}
    assert found["gram"] == 8 * (N * P + N * K + P * P + K * P)
    assert found["features"] == 8 * (N + S) * (D + P)
    assert found["choice"] == 8 * (S * P + P * P + P * K * L + S * K * L)


def test_trifles_are_not_measured(monkeypatch):
    monkeypatch.setattr("analytic_dd.report.flops.gemm_rate", lambda: pytest.fail("measured"))
    found = stage_rates(SIZES, {"gram": 0.01, "choice": 0.02, "reading": 5.0})
    assert found["gemm_flops_per_second"] is None
    assert found["rates"]["gram"]["fraction_of_gemm"] is None
    assert found["rates"]["gram"]["flops"] > 0.0


def test_the_rate_is_that_of_the_best_product(monkeypatch, ratio):
    """By a clock that goes 10^-9 s a flop of the square that is multiplied, and half of that for the largest.

    Another process has the processor in the second product.
    """
    now, sizes = [0.0], []

    class Timed(np.ndarray):
        def __matmul__(self, other):
            sizes.append(len(self))
            now[0] += 2.0 * len(self) ** 3 * (1e-9 if len(self) < 512 else 0.5e-9) + 0.3 * (len(sizes) == 2)
            return self

    draw = np.random.default_rng(0).standard_normal
    generator = SimpleNamespace(standard_normal=lambda shape: draw(shape).view(Timed))
    monkeypatch.setattr(np.random, "default_rng", lambda seed: generator)
    monkeypatch.setattr("analytic_dd.report.flops.time.perf_counter", lambda: now[0])
    assert ratio(gemm_rate(limit=1.0), 2e9, size=1, amplification=10) < 30  # differences of a clock
    assert sizes == [128] * 3 + [256] * 3 + [512] * 3


def test_samples_that_are_mapped_are_counted():
    digits = data.load("digits")
    clock, n = Clock(), len(digits.y_train)
    phi, rng = RandomFourier(64, 32, lengthscale=5.0, rng=0), np.random.default_rng(0)
    fit_source(DatasetSource(digits), phi, rng=rng, clock=clock)
    assert n <= clock.mapped <= 1.02 * n  # leave-one-out uses the features that were kept
    clock = Clock()
    fit_source(DatasetSource(digits), Identity(64), rng=np.random.default_rng(0), clock=clock)
    assert clock.mapped == min(n, LOO_SAMPLES)  # the sums are of bytes


def test_report_has_the_rates_of_its_clock(tmp_path):
    run(data.load("digits"), "fcnn", chosen(), tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    n, p = report["samples"], 64
    assert report["rates"]["gram"]["flops"] == n * p * p + 2 * n * p * 11
    mapped = report["rates"]["features"]["flops"] / (2 * 64 * p)  # leave-one-out maps the few again that it must
    assert mapped == int(mapped)
    assert n <= mapped <= 1.02 * n
    assert report["rates"]["gram"]["seconds"] == report["seconds"]["gram"]
    assert set(report["rates"]) == {"gram", "features", "eigendecomposition", "choice"}
