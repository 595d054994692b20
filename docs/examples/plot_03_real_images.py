"""
Sets near real images
=====================

Of all exact sets the nearest to given images has a closed form (T6). With five images a class it is hard to tell from
the real ones, and it still carries the whole model: labels are learned, images move a little.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from analytic_dd import nearest_features, ridge_weights
from analytic_dd.labels import one_hot

X, y = load_digits(return_X_y=True)
X = X / 16.0
W = ridge_weights(X, one_hot(y), ridge=1.0)
order = np.argsort(y, kind="stable")
distances = []
for each in (1, 2, 3, 5):
    chosen = np.concatenate([order[y[order] == digit][:each] for digit in range(10)])
    built = nearest_features(W, X[chosen], ridge=0.0)
    distances.append(built.distance / np.linalg.norm(X[chosen]))
    error = np.linalg.norm(ridge_weights(built.features, built.labels, ridge=0.0) - W) / np.linalg.norm(W)
    print(f"{each:2d} a class: distance {100 * distances[-1]:5.1f} %, error of W {error:.1e}")

# %%
# One row of the last set, real above distilled, on one scale.
figure, axes = plt.subplots(2, 10, figsize=(10, 2.4), layout="constrained")
for column in range(10):
    row = 5 * column
    axes[0, column].imshow(X[chosen[row]].reshape(8, 8), cmap="gray", vmin=0, vmax=1)
    axes[1, column].imshow(built.features[row].reshape(8, 8), cmap="gray", vmin=0, vmax=1)
axes[0, 0].set_ylabel("real")
axes[1, 0].set_ylabel("distilled")
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
