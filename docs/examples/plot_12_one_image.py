"""
One image carries the model
===========================

Near any image where the map is locally onto, one more near copy of it than W has ranks is an exact set (T9). The copies
cannot be told apart by eye; their differences carry everything.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from analytic_dd import one_image_features, ridge_weights
from analytic_dd.features import FullyConnected
from analytic_dd.labels import one_hot

X, y = load_digits(return_X_y=True)
X = X / 16.0
phi = FullyConnected([64, 60, 50], activation="leaky_relu", rng=0)
W = ridge_weights(phi(X), one_hot(y), ridge=0.1)
built = one_image_features(W, phi, X[0], ridge=0.1, largest_change=0.02)
refitted = ridge_weights(phi(built.inputs), built.labels, ridge=0.1)
print(f"{len(built.inputs)} copies; error of W {np.linalg.norm(refitted - W) / np.linalg.norm(W):.1e}")
print(f"largest change of a pixel {np.abs(built.inputs - X[0]).max():.2g} of the range")

# %%
figure, axes = plt.subplots(2, 11, figsize=(11, 2.4), layout="constrained")
changes = built.inputs - X[0]
largest = np.abs(changes).max()
for column in range(11):
    axes[0, column].imshow(built.inputs[column].reshape(8, 8), cmap="gray", vmin=0, vmax=1)
    axes[1, column].imshow(changes[column].reshape(8, 8), cmap="RdBu", vmin=-largest, vmax=largest)
axes[0, 0].set_ylabel("copies")
axes[1, 0].set_ylabel("change")
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
