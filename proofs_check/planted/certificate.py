"""Errors in the judge and in the feature maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from proofs_check.planted.error import Planted, errors_in
from proofs_check.planted.wrong import Given, answer, argument, fields, ignoring, instead, pinv, scaled

__all__ = ["ERRORS"]


def _in_span(W: Any, given: Given) -> Any:
    """The part of W that the features span."""
    return np.asarray(W) @ pinv(given["Phis"]) @ np.asarray(given["Phis"])


_JUDGE = errors_in(
    "analytic_dd.judge",
    (
        "what is out of the span is not seen",
        "certify_recovery",
        argument("W", _in_span),
        "T16/float64/certificate",
    ),
    ("the ridge is not seen", "certify_recovery", ignoring("ridge", 0.0), "T16/float64/certificate"),
    (
        "the intercept is not seen",
        "certify_recovery",
        ignoring("intercept", None),
        "T16/float64/certificate_with_intercept",
    ),
    (
        "predictions are not judged",
        "certify_recovery",
        fields(prediction_error=lambda found, given: 0.0),
        "T16/float64/certificate_with_intercept",
    ),
    (
        "everything passes",
        "certify_recovery",
        fields(verdict=lambda found, given: "pass"),
        "T16/float64/verdicts",
    ),
    (
        "the error is squared",
        "certify_recovery",
        fields(relative_error=lambda found, given: found.relative_error**2),
        "T16/float64/certificate",
    ),
    (
        "the bound forgives a thousandth",
        "certify_recovery",
        fields(verdict=lambda found, given: "pass" if found.relative_error < 1e-3 else found.verdict),
        "T16/float64/verdicts",
    ),
)

_MAPS = errors_in(
    "analytic_dd.features",
    ("sqrt(1/p) for sqrt(2/p)", "RandomFourier._map", scaled(0.5**0.5), "T8a/float64/fourier_constants"),
    (
        "frequencies times the length scale",
        "RandomFourier.__init__",
        argument("lengthscale", lambda length, given: 1.0 / length),
        "T8a/float64/fourier_constants",
    ),
    (
        "the wrong branch of the cosine",
        "RandomFourier.preimage",
        argument("Phi", lambda Phi, given: -Phi),
        "T8a/float64/round_trips",
    ),
    *(
        (
            "a pre-image off by a billionth",
            f"{name}.preimage",
            scaled(1.0 + 1e-9),
            f"{theorem}/float64/round_trips",
        )
        for name, theorem in (
            ("Identity", "T8a"),
            ("FullyConnected", "T8b"),
            ("Convolutional", "T8c"),
            ("InvertibleNetwork", "T8d"),
            ("DeepLinear", "T8e"),
        )
    ),
    (
        "leaky ReLU is not inverted",
        "FullyConnected.preimage",
        argument("Phi", lambda Phi, given: np.where(Phi < 0.0, 0.1 * Phi, Phi)),
        "T8b/float64/round_trips",
    ),
    ("gradients are counted twice", "NeuralTangent.__call__", scaled(2.0), "T8e/float64/deep_linear"),
    (
        "features outside the range are called inside",
        "FullyConnected.scale_into_range",
        instead(lambda self, Phi: 1.0),
        "T8b/float64/round_trips",
    ),
    (
        "the constant of an affine map is forgotten",
        "DeepLinear.affine",
        answer(lambda out, given: (out[0], 0.0 * out[1])),
        "T8e/float64/deep_linear",
    ),
    ("W is not projected", "DeepLinear.project", instead(lambda self, W: W), "T8e/float64/deep_linear"),
)

_STAGES = [
    Planted(
        "symbols of the mirrored kernel",
        "analytic_dd.features.conv_circular:symbols",
        answer(lambda symbols, given: np.conj(symbols)),
        "T8c/float64/round_trips",
    ),
    Planted(
        "a coupling is not undone",
        "analytic_dd.features.blocks:AffineCoupling.inverse",
        instead(lambda self, V, place: V),
        "T8d/float64/round_trips",
    ),
    Planted(
        "one step to the fixed point alone",
        "analytic_dd.features.blocks:ResidualBlock.inverse",
        instead(lambda self, V, place: V - self.branch(V, place)),
        "T8d/float64/round_trips",
    ),
]

ERRORS: list[Planted] = [*_JUDGE, *_MAPS, *_STAGES]
