"""T18 with its exponentials: softmax points, Lambert's count, one-hot labels, separated samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flint import arb

from proofs_check.ball.balls import Balls
from proofs_check.ball.judged import ball_check
from proofs_check.matrix import Matrix
from proofs_check.statements.losses import centred

__all__ = ["CHECKS", "cross_entropy", "softmax"]


def softmax(F: Balls, Z: Matrix) -> Matrix:
    """Probabilities, row by row."""
    rows = [[z.exp() for z in row] for row in Z.a.tolist()]
    return F.constant([[x / sum(row, arb(0)) for x in row] for row in rows])


def cross_entropy(F: Balls, Z: Matrix, Y: Matrix) -> arb:
    """``sum_i log sum exp z_i - y_i.z_i``."""
    total = arb(0)
    for z, y in zip(Z.a.tolist(), Y.a.tolist(), strict=True):
        total += sum((x.exp() for x in z), arb(0)).log() - sum((a * b for a, b in zip(y, z, strict=True)), arb(0))
    return total


@ball_check("T18a")
def penalised_losses(F: Balls, wrong: bool) -> Iterator[Any]:
    """k - 1 points with the labels softmax(Phi W^T) + lam (Phi^+)^T W^T: the gradient of the penalised cross-entropy
    vanishes at W, and logistic and Poisson means in their place do as well"""
    k, p = 4, 6
    base = F.draw(k - 1, p)
    W, lam = centred(F, F.draw(k, k - 1)) @ base, F.scalar()
    Phi = F.draw(k - 1, k - 1) @ base
    Z = Phi @ W.T
    means = (
        softmax(F, Z),
        F.each(lambda z: 1 / (1 + (-z).exp()), Z),
        F.each(lambda z: z.exp(), Z),
    )
    for mu in means:
        Y = mu + lam * ((Phi if wrong else Phi.plus.T) @ W.T)
        yield (mu - Y).T @ Phi + lam * W
    yield (means[0] + lam * (Phi.plus.T @ W.T)) @ F.ones(k) - F.ones(k - 1)


@ball_check("T18c")
def lambert(F: Balls, wrong: bool) -> Iterator[Any]:
    """(y - mu(z)).z is largest at z = (t, 0, ..., 0), t = 1 + w, y one-hot, where it is Lambert's w((k - 1) / e): value
    and derivatives"""
    for k in (2, 3, 10):
        w = (arb(k - 1) / arb(1).exp()).lambertw()
        t = (2 if wrong else 1) + w
        mu = t.exp() / (t.exp() + k - 1)
        yield t * (1 - mu) - w
        yield (1 - mu) - t * mu * (1 - mu)  # by t
        other = (1 - mu) / (k - 1)  # the probability of any other class; by its logit, at 0
        yield -other + t * mu * other - arb(0) if not wrong else t * mu * other


@ball_check("T18c")
def count_is_reached(F: Balls, wrong: bool) -> Iterator[Any]:
    """k one-hot points with logits t H e_i, t = 1 + w, have lam |W|^2 = k w: the count is reached"""
    for k in (2, 3, 5):
        w = (arb(k - 1) / arb(1).exp()).lambertw()
        H = F.eye(k) - (arb(1) / k) * F.ones(k, k)
        Z = (1 + w + (arb(1) / 8 if wrong else 0)) * H
        pull = (F.eye(k) - softmax(F, Z)).T @ Z  # lam W W^T
        yield F.trace(pull) - k * w
        yield pull - pull.T


@ball_check("T18d")
def one_hot_points(F: Balls, wrong: bool) -> Iterator[Any]:
    """the iteration from 0 contracts to logits whose points have the softmax solution W with one-hot labels: its steps
    halve, and the gradient is below 1e-45 after 200"""
    k, p = 3, 4
    W = centred(F, F.draw(k, p))
    size = (W @ W.T).norm2.sqrt()
    lam = arb((arb(2 if wrong else 1) / (5 * size)).mid())  # lam |W W^T| = 1/5 < 1/2
    H, level = F.eye(k) - (arb(1) / k) * F.ones(k, k), (arb(1) / k) * F.ones(k, k)
    target, Z = lam * (W @ W.T), F.zeros(k, k)
    for _ in range(200):
        step = H @ (target + (softmax(F, Z) - level).T @ Z)  # H^+ = H
        Z = F.each(lambda x: arb(x.mid()), step)  # any number will do: what counts is the gradient there
    plus = W.T @ (W @ W.T + level).inv @ H  # W has rank k - 1, and level fills its null space
    Phi = Z @ plus.T
    gradient = (softmax(F, Phi @ W.T) - F.eye(k)).T @ Phi + (arb(1) / 10 if wrong else lam) * W
    yield arb(0, 1e-45) if bool(gradient.norm2 < 1e-90) else arb(1)


CHECKS = [penalised_losses, lambert, count_is_reached, one_hot_points]
