"""T8a, T8b, T8c and T9: through nonlinear maps and back, by formulas written here and not by the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from flint import acb, acb_mat, arb

from proofs_check.ball.balls import Balls, symmetric_eigenvectors
from proofs_check.ball.judged import ball_check
from proofs_check.matrix import Matrix, weights
from proofs_check.statements.given_features import labels_for

__all__ = ["CHECKS"]

Rows = Callable[[Matrix], Matrix]


def _into(Phi: Matrix, reach: float) -> arb:
    """An exact c with |c Phi_ij| <= reach."""
    largest = max(float(abs(x).upper()) for x in Phi.a.entries())
    return arb(reach / largest / 1.01)


def _fixed_labels(
    F: Balls, phi: Rows, back: Callable[[Matrix], Matrix], d: int, *, reach: float, wrong: bool
) -> Iterator[Any]:
    """W of 8 samples through phi; three points with labels Y, scaled into the range with their features, and back."""
    W = weights(phi(F.draw(8, d)), F.draw(8, 3), F.scalar())
    Y = F.draw(3, 3)
    D = Y.T.plus @ W
    for lam in (None, arb(1) / (9 * F.trace(D @ D.T))):
        Phi = D.plus.T if lam is None else _second_root(D, lam)
        c, X = _into(Phi, reach), None
        while X is None or not all(x.is_finite() for x in X.a.entries()):  # a hidden layer may leave its range first
            c = c / 4 if X is not None else c
            X = back(c * Phi)
        labels = Y if wrong else c * Y
        yield weights(phi(X), labels, None if lam is None else c * c * lam) - W


def _second_root(D: Matrix, lam: arb) -> Matrix:
    """2 lam (I + (I - 4 lam D D^T)^(1/2))^-1 D, the small roots of T3, by eigenvectors."""
    values, V = symmetric_eigenvectors(D @ D.T)
    return V @ D.F.diag([2 * lam / (1 + (1 - 4 * lam * x).sqrt()) for x in values]) @ V.T @ D


@ball_check("T8a")
def fourier(F: Balls, wrong: bool) -> Iterator[Any]:
    """random Fourier features: acos, a sign and a period for each entry, A^+; features, labels and ridge scaled
    together"""
    d, p = 6, 4
    A, b = F.draw(p, d), F.draw(1, p)
    radius, turn = (arb(2) / p).sqrt(), 2 * arb.pi()

    def phi(X: Matrix) -> Matrix:
        return radius * F.each(lambda x: x.cos(), X @ A.T + F.ones(X.shape[0]) @ b)

    def back(Phi: Matrix) -> Matrix:
        signs = [[(-1) ** (i + j) for j in range(p)] for i in range(Phi.shape[0])]
        angles = F.each(lambda x: (x / radius).acos(), Phi).a.tolist()
        T = F.constant(
            [
                [signs[i][j] * angles[i][j] + (j - 1) * turn - b.entry(0, j) for j in range(p)]
                for i in range(len(angles))
            ]
        )
        near = F.draw(Phi.shape[0], d)
        return near + (T - near @ A.T) @ A.plus.T

    yield from _fixed_labels(F, phi, back, d, reach=0.9 * float(radius.mid()), wrong=wrong)


@ball_check("T8a")
def circles(F: Balls, wrong: bool) -> Iterator[Any]:
    """pairs of cos and sin: two points of the circles for each direction of row(W), with labels of T4: 2 q points"""
    half, q, d = 3, 2, 5
    A, radius = F.draw(half, d), (arb(2) / 6).sqrt()
    W = F.draw(q, 2 * half)
    u = _into(W, 0.5 * float(radius.mid())) * W
    rows = []
    for side in (1, -1):
        for row in u.a.tolist():
            x, y = row[:half], row[half:]
            size = [(a * a + b * b).sqrt() for a, b in zip(x, y, strict=True)]
            turn = [side * (-1) ** i * (radius * radius - s * s).sqrt() / s for i, s in enumerate(size)]
            rows.append(
                [a - t * b for a, b, t in zip(x, y, turn, strict=True)]
                + [b + t * a for a, b, t in zip(x, y, turn, strict=True)]
            )
    Phi = F.constant(rows)
    angles = F.constant([[arb.atan2(row[half + i], row[i]) for i in range(half)] for row in rows])
    T = (angles @ A.plus.T) @ A.T
    actual = radius * F.below(F.each(lambda t: t.cos(), T).T, F.each(lambda t: t.sin(), T).T).T
    yield actual - Phi
    for lam in (None, F.scalar()):
        yield weights(actual, labels_for(actual, W, None if wrong else lam), lam) - W


def _leaky(x: arb) -> arb:
    if not (x > 0 or x < 0):
        raise ArithmeticError("a ball straddles the kink")
    return x if x > 0 else x / 10


def _unleaky(x: arb) -> arb:
    return x if x > 0 else 10 * x


_ACTIVATIONS: dict[str, tuple[Any, Any, float]] = {
    "leaky_relu": (_leaky, _unleaky, 3.0),
    "asinh": (lambda x: x.asinh(), lambda x: x.sinh(), 1.0),
    "tanh": (lambda x: x.tanh(), lambda x: x.atanh(), 0.2),
}


def _network(F: Balls, name: str, widths: tuple[int, ...], *, bias: bool) -> tuple[Rows, Callable[..., Matrix]]:
    forward, inverse, _ = _ACTIVATIONS[name]
    layers = [(F.draw(q, p), F.draw(1, q)) for p, q in pairwise(widths)]

    def through(X: Matrix) -> list[Matrix]:
        hidden = [X]
        for A, b in layers:
            T = hidden[-1] @ A.T
            hidden.append(F.each(forward, T + F.ones(X.shape[0]) @ b if bias else T))
        return hidden

    def back(Phi: Matrix, near: list[Matrix] | None = None) -> Matrix:
        H = Phi
        for index in range(len(layers) - 1, -1, -1):
            A, b = layers[index]
            S = F.each(inverse, H)
            S = S - F.ones(H.shape[0]) @ b if bias else S
            H = S @ A.plus.T if near is None else near[index] + (S - near[index] @ A.T) @ A.plus.T
        return H

    back.through = through  # type: ignore[attr-defined]
    return (lambda X: through(X)[-1]), back


@ball_check("T8b")
def fully_connected(F: Balls, wrong: bool) -> Iterator[Any]:
    """fully connected, leaky ReLU (with biases), asinh and tanh: layer by layer back, bounded ones scaled"""
    for name in _ACTIVATIONS:
        phi, back = _network(F, name, (7, 5, 4), bias=name == "leaky_relu")
        yield from _fixed_labels(F, phi, back, 7, reach=_ACTIVATIONS[name][2], wrong=wrong)


@ball_check("T9")
def one_image(F: Balls, wrong: bool) -> Iterator[Any]:
    """q + 1 near-copies of one input of a network with biased tanh are exact, for lam_s = 0 and lam_s > 0"""
    phi, back = _network(F, "tanh", (7, 5, 4), bias=True)
    W = weights(phi(F.draw(8, 7)), F.draw(8, 2), F.scalar())
    image = arb(1) / 10 * F.draw(1, 7)
    hidden = back.through(image)  # type: ignore[attr-defined]
    eps, X = arb(1) / 10**4, None
    while X is None or not all(x.is_finite() for x in X.a.entries()):  # back-tracking: the ball round phi(x_0) is small
        eps = eps / 8 if X is not None else eps
        Phi = F.below(hidden[-1], F.ones(2) @ hidden[-1] + eps * W)
        X = back(Phi, [F.ones(3) @ h for h in hidden])
    actual = phi(X)
    for lam in (None, arb(1) / 10):
        labels = labels_for(actual, W, None if wrong else lam)
        yield weights(actual, labels, lam) - W


@ball_check("T8c", instances=2, deep=20)
def convolution(F: Balls, wrong: bool) -> Iterator[Any]:
    """circular convolution with stride 2: the pre-image by Fourier symbols, forward by the sum over taps; then leaky
    ReLU"""
    side, stride, size, outputs = 6, 2, 3, 2  # c_out = 2 < c_in s^2 = 4
    grid = side // stride
    kernel = [F.draw(size, size) for _ in range(outputs)]
    places = [(o, i, j) for o in range(outputs) for i in range(grid) for j in range(grid)]

    def convolve(X: Matrix) -> Matrix:
        taps = [(a, b, a - size // 2, b - size // 2) for a in range(size) for b in range(size)]
        rows = []
        for x in X.a.tolist():
            rows.append(
                [
                    sum(
                        (
                            kernel[o].entry(a, b) * x[(stride * i + da) % side * side + (stride * j + db) % side]
                            for a, b, da, db in taps
                        ),
                        arb(0),
                    )
                    for o, i, j in places
                ]
            )
        return F.constant(rows)

    inverse = _fourier_inverse(kernel, grid, stride, size, wrong)

    def phi(X: Matrix) -> Matrix:
        return F.each(_leaky, convolve(X))

    def back(Phi: Matrix) -> Matrix:
        rows = []
        for z in F.each(_unleaky, Phi).a.tolist():
            rows.append(inverse([z[o * grid * grid : (o + 1) * grid * grid] for o in range(outputs)]))
        return F.constant(rows)

    yield from _fixed_labels(F, phi, back, side * side, reach=2.0, wrong=False)


def _fourier_inverse(kernel: list[Matrix], grid: int, stride: int, size: int, wrong: bool) -> Callable[[list], list]:
    """z (outputs, grid^2) -> the pre-image of least norm (side^2), a small system at every frequency."""
    side, phases = grid * stride, [(f, g) for f in range(stride) for g in range(stride)]

    def wave(n: int) -> acb:
        return (acb(0, 2 * n) * arb.pi() / grid).exp()

    def symbol(u: int, v: int) -> acb_mat:
        rows = []
        for K in kernel:
            row = {phase: acb(0) for phase in phases}
            for a in range(size):
                for b in range(size):
                    (q, f), (r, g) = divmod(a - size // 2, stride), divmod(b - size // 2, stride)
                    row[f, g] += wave(u * q + v * r) * K.entry(a, b)
            rows.append([row[phase] for phase in phases])
        return acb_mat(rows)

    frequencies = [(u, v) for u in range(grid) for v in range(grid)]
    pseudo = {}
    for u, v in frequencies:
        H = symbol(u, -v if wrong else v)
        star = H.conjugate().transpose()
        pseudo[u, v] = star * (H * star).inv()

    def apply(z: list) -> list:
        spectrum = {}
        for u, v in frequencies:
            column = [
                sum((wave(-(u * i + v * j)) * zo[i * grid + j] for i in range(grid) for j in range(grid)), acb(0))
                for zo in z
            ]
            spectrum[u, v] = pseudo[u, v] * acb_mat([[x] for x in column])
        image = [arb(0)] * (side * side)
        for index, (f, g) in enumerate(phases):
            for i in range(grid):
                for j in range(grid):
                    total = sum((wave(u * i + v * j) * spectrum[u, v][index, 0] for u, v in frequencies), acb(0))
                    image[(stride * i + f) * side + stride * j + g] = total.real / (grid * grid)
        return image

    return apply


CHECKS = [fourier, circles, fully_connected, convolution, one_image]
