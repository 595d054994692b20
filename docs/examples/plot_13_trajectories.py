"""
The same training, step by step
===============================

Matching a training trajectory is what some methods optimise for. For the squared loss it is a formula (T19): the set
has the same weights after every step of gradient descent as the data, for any step sizes and momentum. Fewer points
than steps times classes come with a bound.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from analytic_dd import trajectory_set
from analytic_dd.labels import one_hot

X, y = load_digits(return_X_y=True)
X, Y = X / 16.0, one_hot(y)
step = 1.0 / np.linalg.norm(X, 2) ** 2


def run(Phi, labels, steps):
    """Weights after each step of gradient descent with momentum."""
    W, velocity, found = np.zeros((10, 64)), np.zeros((10, 64)), []
    for _ in range(steps):
        velocity = 0.5 * velocity - step * (Phi @ W.T - labels).T @ Phi
        W = W + velocity
        found.append(W)
    return np.array(found)


small = trajectory_set((X, Y), 4)
steps = 12
of_data, of_set = run(X, Y, steps), run(small.features, small.labels, steps)
differences = np.linalg.norm(of_data - of_set, axis=(1, 2)) / np.linalg.norm(of_data, axis=(1, 2))
print(f"{len(small)} points for {len(X)} images, made for 4 steps")

# %%
# Exact for the four steps that it was made for, then the two part slowly. A random subset of as many images parts at
# once.
rows = np.random.default_rng(0).permutation(len(X))[: len(small)]
scale = np.sqrt(len(X) / len(rows))
of_few = run(scale * X[rows], scale * Y[rows], steps)
random = np.linalg.norm(of_data - of_few, axis=(1, 2)) / np.linalg.norm(of_data, axis=(1, 2))
figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
axis.semilogy(range(1, steps + 1), random, "s-", label=f"{len(rows)} real images, weighted")
axis.semilogy(range(1, steps + 1), differences, "o-", label=f"{len(small)} points of T19")
axis.axvspan(0.5, 4.5, color="0.9", label="made for these steps")
axis.set(xlabel="step", ylabel="difference of the weights")
axis.legend()
