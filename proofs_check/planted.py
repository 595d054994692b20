"""Errors to plant in the package, one at a time; each must be caught by a check of strength float64."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MUTATIONS", "Mutation"]


@dataclass(frozen=True)
class Mutation:
    """Replace ``old`` (which occurs exactly once in ``file``, relative to the package) by ``new``."""

    error: str
    file: str
    old: str
    new: str


def _in(file: str, *edits: tuple[str, str, str]) -> list[Mutation]:
    return [Mutation(error, file, old, new) for error, old, new in edits]


MUTATIONS: tuple[Mutation, ...] = (
    *_in(
        "linalg/spectrum.py",
        ("an absolute rank cut-off", "cutoff = relative * float(s[0])", "cutoff = relative"),
        ("no rank cut-off", "rank = int(xp.sum(xp.astype(s > cutoff, xp.int32)))", "rank = int(s.shape[0])"),
        ("transpose for the pseudo-inverse", "(spectrum.Vt.T / spectrum.s)", "(spectrum.Vt.T * spectrum.s)"),
    ),
    *_in(
        "linalg/gram_spectrum.py",
        ("eigenvalues squared", "shifted = self.values + ridge", "shifted = self.values**2 + ridge"),
        ("no rank decision at ridge 0", "kept = self.values > cutoff if ridge", "kept = self.values > 0.0 if ridge"),
    ),
    *_in(
        "linalg/sums.py",
        (
            "a sum forgets C",
            "*(getattr(self, name) + getattr(other, name) for name in _ARRAYS),",
            '*(getattr(self, name) + (name != "C") * getattr(other, name) for name in _ARRAYS),',
        ),
        ("centring forgets n", "self.G - (self.weight * mean[:, None])", "self.G - (mean[:, None])"),
        ("ridge times n", "shifted.flat[:: self.p + 1] += ridge", "shifted.flat[:: self.p + 1] += self.n * ridge"),
    ),
    *_in(
        "linalg/gram.py",
        ("labels are summed, not squared", "xp.sum(weighted * labels, axis=0)", "xp.sum(weighted, axis=0)"),
    ),
    *_in(
        "linalg/tsqr.py",
        ("s for 1 / s at ridge 0", "if ridge > 0.0 else 1.0 / spectrum.s", "if ridge > 0.0 else spectrum.s"),
        ("s for s^2 beside the ridge", "spectrum.s / (spectrum.s**2 + ridge)", "spectrum.s / (spectrum.s + ridge)"),
        ("a merge adds nothing", "self._reduce(other.R)", "pass"),
    ),
    *_in(
        "ridge/weights.py",
        (
            "ridge times n",
            "spectrum.s / (spectrum.s**2 + ridge)\n",
            "spectrum.s / (spectrum.s**2 + Phi.shape[0] * ridge)\n",
        ),
        ("the intercept forgets W mean", "b = mean_y - W @ mean", "b = mean_y"),
        ("the features' mean is counted twice", "Phi, Y = Phi - mean, Y - mean_y", "Phi, Y = 1.0 * Phi, Y - mean_y"),
    ),
    *_in(
        "ridge/left_out.py",
        ("1 + h for 1 - h", "xp.where(h < 1.0, h, xp.nan)", "xp.where(h < 1.0, -h, xp.nan)"),
        (
            "the leverage forgets 1 / n",
            "self.inverse) + (1.0 / self.weight if self.intercept else 0.0)",
            "self.inverse)",
        ),
    ),
    *_in(
        "ridge/gcv.py",
        ("GCV: the shrinkage is not squared", "(shrunk**2) @ energy", "shrunk @ energy"),
        ("GCV: the denominator is not squared", "/ left**2 / k", "/ left / k"),
    ),
    *_in(
        "ridge/scores.py",
        ("GCV: the intercept is no degree of freedom", "free=n - rank - intercept", "free=n - rank"),
    ),
    *_in(
        "labels/given_features.py",
        ("Phi for (Phi^+)^T in the labels", "ridge * ((spectrum.U / spectrum.s)", "ridge * ((spectrum.U * spectrum.s)"),
        (
            "labels without the ridge",
            "    if ridge > 0.0:\n        spectrum = thin_svd(Phis",
            "    if ridge < 0.0:\n        spectrum = thin_svd(Phis",
        ),
        (
            "wrong constant in the scaling",
            "2.0 * math.sqrt(as_ridge(ridge)) * largest",
            "math.sqrt(as_ridge(ridge)) * largest",
        ),
        ("margin for its square root", "limit * math.sqrt(margin) if", "limit * margin if"),
    ),
    *_in("labels/one_hot.py", ("1/m for 1/k", "1.0 / Y.shape[1]", "1.0 / Y.shape[0]")),
    *_in(
        "distill/exact.py",
        ("the projector before Z is dropped", "return D + Z - labels.U @ (labels.U.T @ Z)", "return D + Z"),
        ("Y for (Y^T)^+", "D = (labels.U / labels.s) @ coordinates", "D = (labels.U * labels.s) @ coordinates"),
        ("wrong constant in T3's limit", "return half * half", "return 2.0 * half * half"),
        (
            "swapped roots",
            "xp.where(large, half / (2.0 * t), 2.0 * ridge * t / half)",
            "xp.where(large, 2.0 * ridge * t / half, half / (2.0 * t))",
        ),
        ("a root off by 2", "half / (2.0 * t), 2.0", "half / t, 2.0"),
        ("wrong constant in the discriminant", "x = 2.0 * math.sqrt(ridge) * t", "x = math.sqrt(ridge) * t"),
        (
            "a ridge above the limit is clamped in silence",
            "if ridge > limit * (1.0 + 16.0 * eps_of(t)):",
            "if ridge < 0.0:",
        ),
        ("t for 1 / t at ridge 0", "return 1.0 / t\n", "return t\n"),
        ("a zero singular value is inverted", "return thin_svd(D, rcond=rcond)", "return thin_svd(D, rcond=0.0)"),
        (
            "W^+ Y for (Y^+ W)^+",
            "features=(spectrum.U * s) @ spectrum.Vt,",
            "features=(spectrum.U * s) @ spectrum.Vt if ridge else (np.linalg.pinv(W) @ Ys.T).T,",
        ),
        ("Q2 is not orthogonal to row(W)", "right - (right @ basis.T) @ basis", "right"),
        ("an infeasible W is accepted", "    if error <= limit:\n", "    if error >= 0.0:\n"),
        ("the best error is that of no set", "W - labels.Vt.T @ coordinates", "W"),
        (
            "least for largest amplification",
            "least, projected = float(xp.min(damped))",
            "least, projected = float(xp.max(damped))",
        ),
    ),
    *_in(
        "distill/minimal.py",
        ("lam for lam / scale", "(scale + ridge / scale) * (", "(scale + ridge) * ("),
        ("one point fewer than rank W is accepted", "if m < rank:", "if m < rank - 1:"),
    ),
    *_in(
        "distill/few.py",
        ("U^T W for its pseudo-inverse", "Phis = (target.U / target.s)", "Phis = (target.U * target.s)"),
        ("the error is squared", "lost = norm(s[m:]) / total", "lost = (norm(s[m:]) / total) ** 2"),
        ("the metric is ignored", "S_product = W @ S @ W.T", "S_product = W @ W.T"),
        ("trailing eigenvectors", "return xp.flip(vectors, axis=1), xp.sqrt", "return vectors, xp.sqrt"),
    ),
    *_in(
        "distill/intercept.py",
        ("labels without W mu", "(b + W @ centre)[None, :]", "b[None, :]"),
        ("contrasts that are not orthonormal", "-(i + 1) / math.sqrt", "-1.0 / math.sqrt"),
    ),
    *_in(
        "distill/distilled.py",
        ("features are scaled without labels", "labels=c * self.labels", "labels=self.labels"),
        ("the ridge is scaled by c", "ridge=c * c * self.ridge", "ridge=c * self.ridge"),
    ),
    *_in(
        "distill/nearest.py",
        ("the largest singular values are given up", "return U[:, m - q :], optimum", "return U[:, :q], optimum"),
        ("the whole references are moved, not N", "(V @ (V.T @ split.N))", "(V @ (V.T @ Phi_ref))"),
        ("one singular value less in the distance", "optimum = norm(s[m - q :])", "optimum = norm(s[m - q + 1 :])"),
        ("the weights are not undone", "(V.T @ split.N)) / split.scale", "(V.T @ split.N))"),
    ),
    *_in(
        "distill/references.py",
        ("N keeps the part in row(W)", "N = N - (N @ rows.T) @ rows", "N = N + B @ rows"),
        (
            "weights instead of their roots",
            "return xp.sqrt(xp.astype(weights, like.dtype, copy=False))",
            "return weights",
        ),
    ),
    *_in(
        "distill/nearest_for_labels.py",
        ("one singular triplet too many", "kept = m - q\n", "kept = m - q + 1\n"),
        ("W^T for W^+", "Ys @ pseudo_inverse(W, rcond=rcond).T", "Ys @ W"),
    ),
    *_in("distill/box.py", ("the appended point is left out", "return xp.concat([moved, g], axis=0)", "return moved")),
    *_in("distill/circles.py", ("both points on one side", "[x - dx, y - dy]", "[x + dx, y - dy]")),
    *_in(
        "distill/affine.py",
        ("c_perp is not normalised", "return perpendicular / size", "return perpendicular"),
        ("M^T 1 is forgotten", "((e - M.T @ one) / size)", "(e / size)"),
        ("k for k + 1 points is accepted", "if math.sqrt(size / Ys.shape[0]) > limit:", "if size >= 0.0:"),
        ("the simplex misses the plane e.phi = 1", "f = inside / seen", "f = inside"),
    ),
    *_in("distill/one_image.py", ("copies farther than allowed", "if change <= limit:", "if change <= 100.0 * limit:")),
    *_in(
        "distill/spanning.py",
        ("labels without the ridge", "Ys = Phis @ W.T + ridge * dual", "Ys = Phis @ W.T"),
        (
            "the metric's root squared",
            "return vectors * xp.sqrt(xp.where(resolved, values, 0.0 * values))",
            "return S",
        ),
        ("the row that explains least", "xp.argmax(xp.where(independent, gain", "xp.argmin(xp.where(independent, gain"),
    ),
    *_in(
        "distill/several_ridges.py",
        ("G for its root", "xp.sqrt(eigenvalues)[:, None] * Vt.T", "eigenvalues[:, None] * Vt.T"),
        ("labels without the inverse root", "(V @ dual.T) / s[:, None]", "V @ dual.T"),
    ),
    *_in(
        "judge/refit.py",
        ("what is out of the span is not seen", "coordinates @ found.V.T - x.weights", "0.0 * x.weights"),
        ("the ridge does not pull on the error", "- x.ridge * coordinates", "- 0.0 * coordinates"),
        ("the labels are taken for the residual", "residual = Y - predictions", "residual = Y"),
    ),
    *_in(
        "judge/certificate.py",
        ("the intercept's error is not seen", "root * np.abs(deviations.offset)", "0.0 * deviations.offset"),
    ),
    *_in(
        "features/fourier.py",
        ("sqrt(1/p) for sqrt(2/p)", "math.sqrt(2.0 / self.p)", "math.sqrt(1.0 / self.p)"),
        ("frequencies times the length scale", "frequencies / self.lengthscale", "frequencies * self.lengthscale"),
        ("wrong phase on one branch", "(angle - b, -angle - b)", "(angle - b, -angle + b)"),
    ),
    *_in(
        "features/activations.py",
        ("leaky ReLU is not inverted", "xp.where(H >= 0, H, H / slope)", "xp.where(H >= 0, H, H * slope)"),
    ),
    *_in("features/dense.py", ("the bias is added twice", "S - self._like(H, b)", "S + self._like(H, b)")),
    *_in("features/conv_circular.py", ("symbols of the mirrored kernel", "np.exp(2j * np.pi", "np.exp(-2j * np.pi")),
    *_in("features/blocks.py", ("the scale is not undone", "_cut(r * xp.exp(-s))", "_cut(r * xp.exp(s))")),
    *_in(
        "features/blocks.py",
        ("the fixed point of the wrong sign", "new = V - self.branch(X, place)", "new = V + self.branch(X, place)"),
    ),
    *_in(
        "features/deep_linear.py",
        (
            "a layer too many above",
            "above = self._product(layer + 1, depth)",
            "above = 2.0 * self._product(layer + 1, depth)",
        ),
    ),
)
